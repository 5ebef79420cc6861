"""``.zip``, ``.tar`` and ``.tar.gz`` files of images, unpacked into a folder of the system's for temporary files.

Archives of unknown origin name paths anywhere, hold links and devices, and inflate without end. Here only regular files
are written, each to a path within the one new folder, and no more of them, nor of bytes, than such archives have. The
second name of a file of a tar archive, a hard link, is a copy.
"""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from pathlib import Path, PurePosixPath
from typing import IO

from latentcli.core.errors import DataError
from latentcli.formats.npz_reader import ZIP_DAMAGE
from latentcli.formats.regular_files import open_regular, reason
from latentcli.formats.tar_members import Member, check_end
from latentcli.formats.temporaries import temporary_folder

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_MAX_FILES = 5_000_000
_MAX_LIST = 2**28  # bytes of the list at the end of a .zip file
_FREE_BYTES = 256 * 2**20
_MAX_RATIO = 100  # bytes that a byte of an archive may inflate to; images are compressed already
_SPARE_BYTES = 256 * 2**20  # left free on the disk
_CHUNK = 2**20
_ENCRYPTED = 1  # of the flags of a member of a .zip file
_WITH_LINKED = "for what links lead to, pack it again with tar -h, or zip without -y"


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A folder, called as the archive, with its files; it is gone after the block. And notes on what was left out.

    Raises:
        DataError: the archive cannot be read, is damaged or encrypted, names a path outside itself or one path twice,
            or inflates to more than 256 MiB plus 100 times its size, or than there is room for. Errors of the block
            that name the folder name the archive instead.
    """
    with temporary_folder() as place:
        folder, left_out = place.resolve() / path.name, ""
        try:
            left_out = _unpack(path, folder)
            yield folder, (f"{path}: {left_out}; {_WITH_LINKED}",) if left_out else ()
        except DataError as error:
            problem, found, remedy = (text or "" for text in (error.problem, error.found, error.remedy))
            if str(folder) in remedy:  # what to do with the files in it
                remedy = f"unpack it, and where its files are now: {remedy}"
            if left_out:
                found, remedy = f"{found}; {left_out}" if found else left_out, f"{_WITH_LINKED}; or {remedy}"
            told = (text.replace(str(folder), str(path)) for text in (problem, found, remedy))
            raise DataError(*told) from error


def inflate(path: Path, target: Path, address: str) -> None:
    """Write what a ``.gz`` file holds to a new file; errors, which call it ``address``, as of ``unpacked``."""
    called = Path(address)
    try:
        file, size = open_regular(path)
        room = max(0, shutil.disk_usage(target.parent).free - _SPARE_BYTES)
        left = _Allowance(called, min(room, _FREE_BYTES + _MAX_RATIO * size), target.parent)
        with file, GzipFile(fileobj=file) as content:
            _write(content, target, left)
    except (BadGzipFile, zlib.error, EOFError) as error:
        raise _damaged(called, str(error) or type(error).__name__) from error
    except OSError as error:
        raise DataError(f"cannot unpack {address}", reason(error), "unpack it, and name what is in it") from error


def _unpack(path: Path, folder: Path) -> str:
    """Write the files of an archive into a new folder; what is to be told of members that are none, if anything."""
    try:
        folder.mkdir()
        file, size = open_regular(path)
        with file:
            room = max(0, shutil.disk_usage(folder).free - _SPARE_BYTES)
            left = _Allowance(path, min(room, _FREE_BYTES + _MAX_RATIO * size), folder)
            links = (_unpack_zip if path.suffix.lower() == ".zip" else _unpack_tar)(file, path, folder, left)
    except DataError:
        raise
    except (tarfile.TarError, BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _damaged(path, str(error) or type(error).__name__) from error
    except OSError as error:
        raise DataError(f"cannot unpack {path}", reason(error), "unpack it, and name the folder") from error
    except ZIP_DAMAGE as error:  # among them RuntimeError, of archives with a password
        raise _damaged(path, str(error)) from error
    more = " …" if len(links) > 1 else ""
    return f"{len(links)} links and devices were left out: {links[0]}{more}" if links else ""


class _Allowance:
    """Counts the files and bytes of an archive, and refuses more than there may be."""

    def __init__(self, path: Path, size: int, folder: Path = Path()) -> None:
        self.path, self.bytes, self.folder, self._left, self._files = path, size, folder, size, 0

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            found = f"it inflates to more than the {self.bytes:,} bytes there may be"
            raise DataError(f"{self.path} cannot be unpacked", found, "unpack it, and name the folder")

    def file(self) -> None:
        self._files += 1
        if self._files > _MAX_FILES:
            raise DataError(f"{self.path} cannot be unpacked", f"it holds more than {_MAX_FILES:,} files")


def _unpack_zip(file: IO[bytes], path: Path, folder: Path, left: _Allowance) -> list[str]:
    others = []
    with zipfile.ZipFile(_Listed(file, path)) as archive:
        for member in archive.infolist():
            if member.filename and member.is_dir():  # which asks for the last letter of the name
                continue
            left.file()
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                others.append(member.filename)
                continue
            target = _target(folder, member.filename, path)
            if member.flag_bits & _ENCRYPTED:
                raise DataError(f"{path} is encrypted", None, "unpack it with its password, and name the folder")
            with archive.open(member) as content:
                _write(content, target, left)
    return others


def _unpack_tar(file: IO[bytes], path: Path, folder: Path, left: _Allowance) -> list[str]:
    others = []
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    stream = _Limited(GzipFile(fileobj=file) if zipped else file, left.bytes, path)
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=Member) as archive:  # type: ignore[call-overload]
        for member in archive:
            if member.isdir():
                continue
            left.file()
            content: IO[bytes] | None = None
            if member.isreg() and not member.issparse():
                content = archive.extractfile(member)
            elif member.islnk() and (same := _target(folder, member.linkname, path)).is_file():
                content = same.open("rb")  # a second name of a file before it
            if content is None:
                others.append(member.name)
            else:
                with content:
                    _write(content, _target(folder, member.name, path), left)
            archive.members = []  # which would list each of a million files
        check_end(archive)
    return others


class _Limited:
    """A stream that fails once it has given more bytes than it may; the headers of a tar file count, too."""

    def __init__(self, stream: IO[bytes] | GzipFile, limit: int, path: Path) -> None:
        self._stream, self._allowance = stream, _Allowance(path, limit)

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, _CHUNK))
        self._allowance.take(len(data))
        return data


class _Listed:
    """A .zip file; ``zipfile`` reads the list of its members at once, and makes an object of each: it is bounded."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_LIST:
            found = f"its list of files has {size:,} bytes, of {_MAX_LIST:,} at most"
            raise DataError(f"{self._path} cannot be unpacked", found, "unpack it, and name the folder")
        return self._file.read(size)


def _target(folder: Path, name: str, path: Path) -> Path:
    """Where a member goes; its name is relative and stays within the archive."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or ":" in parts.parts[0]:
        remedy = "unpack it with a program that you trust, and name the folder"
        raise DataError(f"{path} names a path outside itself", f"found {name[:80]!r}", remedy)
    return folder.joinpath(*parts.parts)


def _write(content: IO[bytes] | GzipFile, target: Path, left: _Allowance) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        parts = target.relative_to(left.folder).as_posix()
        found, remedy = f"found {parts!r}", "pack it again with each name once, or unpack it, and name the folder"
        raise DataError(f"{left.path} has one name twice", found, remedy)
    with target.open("xb") as file:
        while chunk := content.read(_CHUNK):
            left.take(len(chunk))
            file.write(chunk)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is not a whole archive", f"found {found}", "download or pack it again")
