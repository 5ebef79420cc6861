"""Finding a named data set on this machine, or else fetching it into the user's cache folder."""

import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentcli.core.errors import DataError
from latentcli.core.progress import Progress

_CHUNK = 2**18
_PATIENCE = 30.0  # seconds without an answer


@dataclass(frozen=True)
class Archive:
    """What a named data set consists of.

    Attributes:
        name: as the user calls it.
        folder: within a root, where torchvision would look for it.
        files: what to put there, in words.
    """

    name: str
    folder: str
    files: str


@dataclass(frozen=True)
class _Part:
    """One file to fetch: its MD5 sum, and where it can be had."""

    file: str
    md5: str
    addresses: tuple[str, ...]


def find_or_download(
    archive: Archive, places: Sequence[Path], is_complete: Callable[[Path], bool], progress: Progress
) -> Path:
    """The first place that holds the data set; if none does, it is downloaded into the last of them that holds it then.

    Args:
        archive: what is looked for.
        places: folders or files, in the order to look; those of the user's cache folder are the last.
        is_complete: whether a place holds all that is needed.
        progress: told about the download, in bytes.

    Raises:
        DataError: it is not here and cannot be downloaded; it says where it was looked for and what to put there.
    """
    for place in places:
        if is_complete(place):
            return place
    from platformdirs import user_cache_path

    root = user_cache_path("latentcli")
    try:
        _download(_parts(archive.name), root / _destination(archive), archive.name, progress)
    except (OSError, http.client.HTTPException, _Damaged) as error:
        raise _missing(archive, root, places, _why(error)) from error
    for place in places:
        if is_complete(place):
            return place
    raise _missing(archive, root, places, "the download lacks some of its files")


def _destination(archive: Archive) -> str:
    return archive.folder if archive.folder == "." else f"{archive.folder}/raw"


def _missing(archive: Archive, root: Path, places: Sequence[Path], why: str) -> DataError:
    first = next(iter(places)).parent if archive.folder == "." else next(iter(places))
    return DataError(
        f"{archive.name} is not on this machine and cannot be downloaded: {why}",
        f"looked for it in {', '.join(dict.fromkeys(os.path.normpath(place) for place in places))}",
        f"put {archive.files} into {first}, or use digits, which needs no download",
    )


class _Damaged(Exception):
    """What came is not what was sent."""


def _parts(name: str) -> list[_Part]:
    """What to fetch, from torchvision, which keeps the addresses and checksums of all four sets.

    Raises:
        DataError: torchvision is missing, or does not match torch.
    """
    try:
        from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST
    except (ImportError, RuntimeError, OSError) as error:  # the last two come from its compiled operators
        lines = str(error).splitlines() or [type(error).__name__]
        raise DataError(
            f"cannot download {name}: torchvision does not match torch ({lines[0]}); "
            "install a matching pair: pip install --upgrade torch torchvision"
        ) from error
    if name in ("mnist", "fashion-mnist"):
        kind = MNIST if name == "mnist" else FashionMNIST
        return [_Part(file, md5, tuple(mirror + file for mirror in kind.mirrors)) for file, md5 in kind.resources]
    kind = CIFAR10 if name == "cifar10" else CIFAR100
    return [_Part(kind.filename, kind.tgz_md5, (kind.url,))]


def _download(parts: Sequence[_Part], folder: Path, name: str, progress: Progress) -> None:
    """Fetch the parts that are missing; each appears in the folder only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as unfinished:
        for part in parts:
            if not (folder / part.file).is_file():
                _fetch(part, Path(unfinished) / part.file, name, progress)
                (Path(unfinished) / part.file).replace(folder / part.file)


def _fetch(part: _Part, target: Path, name: str, progress: Progress) -> None:
    """One file from the first address that has it unchanged.

    Raises:
        OSError, http.client.HTTPException, _Damaged: as the last address failed.
    """
    from torchvision.datasets.utils import check_integrity

    for address in part.addresses:
        last = address == part.addresses[-1]
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "latentcli"})
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer, target.open("wb") as file:
                total = int(answer.headers.get("Content-Length") or 0)
                with progress(f"downloading {name}: {part.file}", total) as advance:
                    while chunk := answer.read(_CHUNK):
                        file.write(chunk)
                        advance(len(chunk))
            if check_integrity(target, part.md5):
                return
            if last:
                raise _Damaged(f"{address} gave something else than {part.file}")
        except (OSError, http.client.HTTPException):
            if last:
                raise


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.url} answers {error.code}"
    if isinstance(error, urllib.error.URLError):
        inner = error.reason
        return (inner.strerror or str(inner)) if isinstance(inner, OSError) else str(inner)
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__
