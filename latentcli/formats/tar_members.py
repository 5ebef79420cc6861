"""Headers of tar files of unknown origin: where ``tarfile`` takes damage for the end, there is an error here."""

import tarfile
from typing import Any

_MOST = 2**20  # bytes that describe the next member, which tarfile reads at once
_DESCRIBING = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE
)  # fmt: skip


class Member(tarfile.TarInfo):
    """A member of a tar, for ``tarfile.open(…, tarinfo=Member)``.

    A header that is damaged or cut short, or one that is missing where there is no mark of the end, is a ``ReadError``:
    all that stands behind it would be lost without a word. So are longer descriptions of a member than any has.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Member":
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the mark of the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error}, where a header or the mark of the end is expected") from error
        if member.type in _DESCRIBING and member.size > _MOST:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def check_end(archive: tarfile.TarFile) -> None:
    """Raise a ``ReadError`` where more than zeros stands behind the mark of the end, once all members are read.

    That is a header which zeros have replaced, or a second tar, whose members would be lost. The end of a compressed
    stream, which is read by this, has its checksum.
    """
    file: Any = archive.fileobj
    while chunk := file.read(_MOST):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("more data behind the mark of its end")
