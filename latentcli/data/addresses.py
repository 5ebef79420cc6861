"""Files that lie elsewhere, at an address such as ``s3://bucket/00000.tar``: through fsspec, copied here to be read.

A file is copied whole, a few megabytes at a time. Where reading fails it goes on from where it was, after a while that
doubles each time; what is not there, or not permitted, is an error at once. So is a host that cannot be reached and has
not answered before: the name or the network is wrong then, and other files there are not tried for a while.
"""

import errno
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from latentcli.core.errors import DataError, UsageError
from latentcli.formats import scale

TRIES = 6
"""How often reading may fail in a row before it is given up."""
WAIT = 0.5
"""Seconds before the second try; twice as many before each further one."""

SILENT = 60.0
"""Seconds for which a host that could not be reached is not tried again."""

_UNREACHED = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
_NOT_CONNECTED = ("ConnectTimeoutError", "ConnectionTimeoutError")  # of botocore and of aiohttp
_answered: set[str] = set()  # hosts of this process
_silent: dict[str, "tuple[float, Unreachable]"] = {}

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters or more: one is a drive of Windows
_KINDS = ("s3", "gs", "az", "https", "ftp", "sftp", "hf", "memory", "file")  # in a message
_PACKAGES = {
    "s3": "'latentcli[s3]'", "s3a": "'latentcli[s3]'", "http": "aiohttp requests", "https": "aiohttp requests",
    "sftp": "paramiko", "ssh": "paramiko", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
    "hf": "huggingface_hub",
}  # fmt: skip
_AT_ONCE = 2**22  # bytes
_CHANGING = (  # what file systems say of a file that is another when its content is
    "size", "ETag", "etag", "md5Hash", "Last-Modified", "LastModified", "last_modified", "mtime", "updated", "created",
)  # fmt: skip
_SPARE_BYTES = 256 * 2**20  # left free on the disk

Result = TypeVar("Result")


class Unreachable(DataError):
    """A host cannot be reached, and so none of the files there."""


def is_address(text: str) -> bool:
    """Whether a text is an address, and no path."""
    return _ADDRESS.match(text) is not None


def public(text: str) -> str:
    """A text without what nobody else is to see of the addresses in it: passwords, and queries, such as tokens."""
    text = re.sub(r"://[^/@:\s]*:[^/@\s]*@", "://", text)
    return re.sub(r"((?:https?|ftp)://[^?]*)\?[^\s'\"]*", r"\1", text, flags=re.IGNORECASE)


def local(text: str) -> Path | None:
    """The path of a file that is on this machine: a path, or a ``file://`` address; None of any other address.

    Raises:
        DataError: it cannot be an address.
    """
    if not is_address(text):
        return Path(text)
    try:
        parts = urlsplit(text)
    except ValueError as error:  # such as a bracket that does not end
        raise _no_address(text, error) from error
    here = parts.scheme == "file" and parts.netloc in ("", "localhost") and "::" not in text
    return Path(unquote(parts.path)) if here else None


def check(address: str) -> None:
    """Raise, before any work, what ``_system`` raises of addresses of this kind."""
    _system(address)


def matching(pattern: str) -> list[str]:
    """The addresses that a pattern with ``*``, ``?`` or ``[`` means, sorted; as ``_system`` and ``_tried`` raise."""
    system, path = _system(pattern)
    return sorted(system.unstrip_protocol(each) for each in _tried(pattern, lambda: system.glob(path)))


def within(folder: str) -> list[tuple[str, bool]]:
    """The address of each entry of a folder, sorted, and whether it is a folder; errors as of ``matching``."""
    system, path = _system(folder)
    entries = _tried(folder, lambda: system.ls(path, detail=True))
    inner = [each for each in entries if str(each["name"]).rstrip("/") != path.rstrip("/")]
    return sorted((system.unstrip_protocol(each["name"]), each["type"] == "directory") for each in inner)


def stamp(address: str) -> tuple[int, str]:
    """The size of a file at an address, 0 where that is not told, and what else is told of its content.

    Raises:
        UsageError, DataError: as of ``fetched``.
    """
    system, path = _system(address)
    return _stamp(_tried(address, lambda: system.info(path)))


def _stamp(info: Mapping[str, Any]) -> tuple[int, str]:
    size = info.get("size")
    return size if isinstance(size, int) else 0, repr([str(info.get(key)) for key in _CHANGING])


def fetched(address: str, target: Path) -> None:
    """Copy what is at an address to a new file.

    Raises:
        UsageError: fsspec is not installed.
        DataError: there is nothing, or no way to it, or reading it fails again and again; or no room for it here.
    """
    system, path = _system(address)
    info = _tried(address, lambda: system.info(path))
    size = info.get("size")
    if isinstance(size, int) and size > (room := shutil.disk_usage(target.parent).free - _SPARE_BYTES):
        found = f"it has {size:,} bytes, and there is room for {max(0, room):,}"
        raise DataError(f"{public(address)} cannot be copied to {target.parent}", found, "free space, or set TMPDIR")
    try:
        with target.open("xb") as copy:
            _copy(address, system, path, info, copy)
    except OSError as error:  # of the copy alone
        problem = f"{public(address)} cannot be copied to {target.parent}"
        raise DataError(problem, error.strerror, "free space, or set TMPDIR") from error


def _copy(address: str, system: Any, path: str, info: Mapping[str, Any], copy: Any) -> None:
    """Copy a file from where the last try has come to, or anew where it is another file by then."""
    last = -1

    def attempt() -> bool:
        nonlocal last, info
        last = copy.tell()
        if last:
            system.invalidate_cache()
            if _stamp(now := system.info(path)) != _stamp(info):
                info, last = now, copy.seek(0)
                copy.truncate()
        size = info.get("size")
        with system.open(path, "rb") as file:
            if last:
                file.seek(last)
            while chunk := file.read(_AT_ONCE):
                _written(copy, chunk)
        if isinstance(size, int) and copy.tell() < size:
            raise OSError(f"it ended after {copy.tell():,} of {size:,} bytes")
        return True

    _tried(address, attempt, lambda: copy.tell() > last)


class _NotWritten(Exception):
    """The copy cannot be written: nothing that another try would mend."""


def _written(copy: Any, chunk: bytes) -> None:
    try:
        copy.write(chunk)
    except OSError as error:
        raise _NotWritten from error


def _tried(address: str, work: Callable[[], Result], came_on: Callable[[], bool] = lambda: False) -> Result:
    """What ``work`` gives, tried again after a while where it fails; with all its tries anew where it ``came_on``.

    Raises:
        Unreachable: the host cannot be reached, and has never answered, or for all ``TRIES``.
        DataError: there is nothing at the address, it may not be read, or it fails ``TRIES`` times in a row.
    """
    failed, host, address = 0, _host(address), public(address)
    since, silent = _silent.get(host, (0.0, None))
    if silent is not None and time.monotonic() - since < SILENT:
        raise silent
    while True:
        try:
            result = work()
            _answered.add(host)
            return result
        except _NotWritten as error:
            raise error.__cause__ or error from None
        except PermissionError as error:
            found = public(str(error))[:200] or "not permitted"
            raise DataError(f"{address} may not be read", found, "give this machine the right to") from error
        except ImportError as error:
            raise _no_way(address, error) from error
        except Exception as error:  # each file system has errors of its own
            unreached = _is_unreached(error)
            if isinstance(error, FileNotFoundError) and not unreached:
                _answered.add(host)
                raise DataError(f"there is nothing at {address}", None, "look how it is spelled") from error
            failed = 1 if came_on() else failed + 1
            if unreached and (failed >= TRIES or host not in _answered):
                raise _unreachable(host, error) from error
            if failed >= TRIES:
                found = f"tried {TRIES} times: {type(error).__name__}: {public(str(error))[:200]}"
                raise DataError(f"{address} cannot be read", found, "try again later") from error
        time.sleep(WAIT * 2 ** (failed - 1))


def _host(address: str) -> str:
    """Where files with this address are: the address without path, user and password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_unreached(error: Exception) -> bool:
    """Whether no connection was made; fsspec calls a file of such a web server missing: see what the error came of."""
    return any(
        isinstance(each, socket.gaierror) or type(each).__name__ in _NOT_CONNECTED
        or getattr(each, "errno", None) in _UNREACHED
        for each in _chain(error)
    )  # fmt: skip


def _unreachable(host: str, error: Exception) -> Unreachable:
    """The error of a host, which is raised for its other files, too, for a while."""
    said = next((each for each in _chain(error) if not isinstance(each, FileNotFoundError)), error)
    found = f"{type(said).__name__}: {public(str(said))[:200]}"
    refused = Unreachable(f"{host} cannot be reached", found, "look how it is spelled, and for the network")
    _silent[host] = time.monotonic(), refused
    return refused


def _system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises:
        UsageError: fsspec, or a package that it needs for such addresses, is not installed.
        DataError: there is no such kind of address, or it cannot be one, or its host cannot be reached.
    """
    package = scale.fsspec()
    kind = address.partition("://")[0]
    if kind not in (known := {*package.available_protocols(), *package.registry}):
        some = ", ".join(each for each in _KINDS if each in known)
        raise DataError(f"{public(address)} is an address of a kind that is not known",
                        f"expected such as {some}, found {kind}://", "look how it is spelled")  # fmt: skip
    try:
        system, path = package.core.url_to_fs(address)
    except ImportError as error:
        raise _no_way(address, error) from error
    except Exception as error:  # each file system has errors of its own
        if _is_unreached(error):
            raise _unreachable(_host(address), error) from error
        raise _no_address(address, error) from error
    return system, path


def _no_address(address: str, error: Exception) -> DataError:
    """The error of a text that looks like an address, and is none."""
    found, problem = f"{type(error).__name__}: {public(str(error))[:200]}", "is an address that cannot be read"
    return DataError(f"{public(address)} {problem}", found, "look how it is spelled")


def _no_way(address: str, error: ImportError) -> UsageError:
    """The error of a kind of address for which fsspec needs another package."""
    kind = address.partition("://")[0]
    way = f"pip install {_PACKAGES[kind]}" if kind in _PACKAGES else "as it says"
    return UsageError(f"{kind}:// addresses need a package that is not installed", str(error)[:200],
                      f"install it: {way}; or download {public(address)}, and name the file")  # fmt: skip
