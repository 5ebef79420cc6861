"""The compression of a Parquet file's columns, also of one that arrow would end the process over."""

import io

import pytest

from latentcli.formats.parquet_footer import UNCOMPRESSED, codecs

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NUMBERS = {"none": 0, "snappy": 1, "gzip": 2, "zstd": 6}
"""Of parquet.thrift's CompressionCodec."""


def parquet(compression="none", rows=20) -> bytes:
    table = pa.table({
        "a": pa.array([[1.0, 2.0]] * rows, pa.list_(pa.float32(), 2)), "b": ["x"] * rows, "c": [True] * rows,
        **{f"n{number}": [number] * rows for number in range(20)},
    })  # fmt: skip
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"k": "v" * 300}), file, compression=compression, row_group_size=7)
    return file.getvalue()


@pytest.mark.parametrize("compression", NUMBERS)
def test_it_is_what_arrow_says(compression):
    content = parquet(compression)
    assert codecs(io.BytesIO(content), len(content)) == {NUMBERS[compression]}


def test_different_columns_and_none():
    content = parquet({"b": "zstd"})
    assert codecs(io.BytesIO(content), len(content)) == {0, 6}
    content = parquet(rows=0)
    assert codecs(io.BytesIO(content), len(content)) <= {UNCOMPRESSED}


def test_any_changed_byte_of_the_footer_is_read_or_an_error_of_a_known_kind():
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), file, compression="none")
    content = file.getvalue()
    for place in range(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), len(content)):
        for value in (0, 0x7F, 0x80, 0xFF, content[place] ^ 4):
            changed = content[:place] + bytes([value]) + content[place + 1 :]
            try:
                found = codecs(io.BytesIO(changed), len(changed))
            except (ValueError, IndexError, TypeError, KeyError, AttributeError):
                continue
            assert isinstance(found, set)


@pytest.mark.parametrize("end", [b"", b"PAR1", b"\xff\xff\xff\x7fPAR1", b"\0\0\0\0PAR2"])
def test_what_does_not_end_as_parquet_is_refused(end):
    with pytest.raises((ValueError, IndexError)):
        codecs(io.BytesIO(end), len(end))


def test_lists_within_lists_have_an_end():
    footer = b"\x19" + b"\x19" * 5_000
    content = footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ValueError, match="without end"):
        codecs(io.BytesIO(b"PAR1" + content), len(content) + 4)


@pytest.mark.parametrize(("footer", "why"), [
    (b"\x15" + b"\xff" * 20, "a number of more than 64 bits"),
    (b"\x19\xf5\xff\xff\x7f", "a list longer than the file"),
])  # fmt: skip
def test_numbers_and_lists_of_any_length_are_refused(footer, why):
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ValueError, match=why):
        codecs(io.BytesIO(content), len(content))
