"""Finding a named data set on this machine, or else fetching it into the user's cache folder."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from latentcli.core.errors import DataError
from latentcli.core.progress import Progress
from latentcli.formats.temporaries import temporary_folder

_CHUNK = 2**18
_TIMEOUT = 30.0  # seconds without an answer


@dataclass(frozen=True)
class _Part:
    """One file to fetch: its name, its MD5 sum, and the addresses that offer it."""

    file: str
    md5: str
    addresses: tuple[str, ...]


def find_or_download(
    name: str, files: str, folder: str, roots: Sequence[Path], candidates: Sequence[str],
    is_complete: Callable[[Path], bool], progress: Progress,
) -> Path:  # fmt: skip
    """The first path that holds the data set, downloaded into the user's cache folder if there is none.

    Args:
        files: what to put into ``folder`` by hand, in words.
        folder: within a root, where torchvision looks for the files.
        roots: folders in the order they are searched, the user's cache folder among them.
        candidates: paths within a root that may hold the data set.

    Raises:
        DataError: it is not here and cannot be downloaded; it says where it was looked for and what to put there.
    """
    from platformdirs import user_cache_path

    paths = [root / candidate for root in roots for candidate in candidates]
    why = "the download lacks some of its files"
    found = next(filter(is_complete, paths), None)
    if found is None:
        try:
            _download(_parts(name), user_cache_path("latentcli") / folder, name, progress)
            found = next(filter(is_complete, paths), None)
        except (OSError, http.client.HTTPException) as error:
            why = _why(error)
    if found is None:
        raise DataError(
            f"{name} is not on this machine and cannot be downloaded: {why}",
            f"looked for it in {', '.join(dict.fromkeys(os.path.normpath(path) for path in paths))}",
            f"put {files} into {roots[0] / folder}, or use digits, which needs no download",
        )
    return found


def _parts(name: str) -> list[_Part]:
    """What to fetch, from torchvision, which keeps the addresses and checksums of all four sets."""
    try:
        from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST
    except (ImportError, RuntimeError, OSError) as error:  # the last two come from its compiled operators
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"cannot download {name}: torchvision does not match torch ({first}); "
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
    with temporary_folder(folder) as unfinished:
        for part in parts:
            if not (folder / part.file).is_file():
                _fetch(part, unfinished / part.file, name, progress)
                (unfinished / part.file).replace(folder / part.file)


def _fetch(part: _Part, target: Path, name: str, progress: Progress) -> None:
    """One file from the first address that has it unchanged; where all fail, the error is that of the last."""
    from torchvision.datasets.utils import check_integrity

    def fetch(address: str) -> None:
        request = urllib.request.Request(address, headers={"User-Agent": "latentcli"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, target.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            with progress(f"downloading {name}: {part.file}", total) as advance:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    advance(len(chunk))
        if not check_integrity(target, part.md5):
            raise OSError(f"{address} gave something else than {part.file}")

    *others, last = part.addresses
    for address in others:
        with suppress(OSError, http.client.HTTPException):
            return fetch(address)
    return fetch(last)


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.url} answers {error.code}"
    if isinstance(error, urllib.error.URLError):
        inner = error.reason
        return (inner.strerror or str(inner)) if isinstance(inner, OSError) else str(inner)
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__
