"""The end of a Parquet file, which says where its columns are and how they are packed, read without arrow.

Arrow ends the whole process where it is asked for a column's compression, and the file names one that it does not know.
The footer is in Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), its fields
are those of parquet.thrift (github.com/apache/parquet-format).
"""

from typing import IO, Any

UNCOMPRESSED = 0
_MAGIC = b"PAR1"
_ROW_GROUPS, _COLUMNS, _META, _CODEC = 4, 1, 3, 4  # fields of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData
_MAX_DEPTH = 16


def codecs(file: IO[bytes], size: int) -> set[int]:
    """The compression of all columns of a file of ``size`` bytes, by its number in ``CompressionCodec``.

    Raises:
        ValueError, IndexError, TypeError, KeyError: the footer is damaged.
    """
    file.seek(max(0, size - 8))
    length, magic = int.from_bytes(file.read(4), "little"), file.read(4)
    if magic != _MAGIC or length > size - 12:
        raise ValueError("it does not end as a Parquet file")
    file.seek(size - 8 - length)
    footer = _Compact(file.read(length)).struct(0)
    columns = [column for group in footer.get(_ROW_GROUPS, []) for column in group[_COLUMNS]]
    return {column[_META][_CODEC] for column in columns}


class _Compact:
    """Values of Thrift's compact protocol, one after another; structs by the numbers of their fields."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def integer(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def skipped(self, count: int) -> Any:
        """Nothing, in the place of bytes that are not looked at."""
        self.place += count
        if self.place > len(self.data):
            raise ValueError("it ends within a value")
        return None

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while header := self.byte():
            number = number + (header >> 4) if header >> 4 else self.integer()
            kind = header & 0x0F
            fields[number] = kind == 1 if kind in (1, 2) else self.value(kind, depth)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("values within values without end")
        match kind:
            case 1 | 2 | 3:
                return self.byte()
            case 4 | 5 | 6:
                return self.integer()
            case 7:
                return self.skipped(8)
            case 8:
                return self.skipped(self.varint())
            case 9 | 10:
                header = self.byte()
                count = header >> 4 if header >> 4 < 15 else self.varint()
                if count > len(self.data):  # an element takes a byte or more
                    raise ValueError("a list longer than the file")
                return [self.value(header & 0x0F, depth + 1) for _ in range(count)]
            case 12:
                return self.struct(depth + 1)
        raise ValueError("a value of an unknown kind")
