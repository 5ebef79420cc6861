"""What is kept as it was decoded, for people: listed, and deleted."""

import os
import re
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import Shape
from latentcli.data.addresses import is_address
from latentcli.data.cache import ENDINGS, INDEX, files_within, folder_of, read_index
from latentcli.data.file_block import JOURNAL, read_lines
from latentcli.formats.atomic import output_errors
from latentcli.formats.locks import in_turn

_LOCK = re.compile(r"[0-9a-f]{24}\.lock")


@dataclass(frozen=True)
class CachedImages:
    """A set of images that is kept as it was decoded.

    Attributes:
        source: the folder, archive or shards that they are of.
        images, shape: how many, and channels, height and width of each; 0 and None where decoding has not ended.
        bytes: that it takes.
        used: when it was last used, in seconds since 1970.
        path: of its files, without their endings.
    """

    source: str
    images: int
    shape: Shape | None
    bytes: int
    used: float
    path: Path


def cached(cache_dir: str | Path | None = None) -> list[CachedImages]:
    """The sets of images that are kept as they were decoded, those that were used last first.

    Args:
        cache_dir: where they are kept, as for ``load``.

    Example:
        >>> import latentcli as lc
        >>> lc.cached("photos.cache")
        []
    """
    folder = folder_of(cache_dir)
    stems: dict[str, list[Path]] = {}
    for path in files_within(folder):
        stems.setdefault(path.stem, []).append(path)
    found = (_described(folder / stem, paths) for stem, paths in stems.items())
    return sorted(found, key=lambda each: (-each.used, each.path))


def _described(stem: Path, paths: Sequence[Path]) -> CachedImages:
    taken, used = 0, 0.0
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            taken, used = taken + status.st_size, max(used, status.st_mtime)
    source, shape = "unknown", tuple[int, ...]()
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        index = read_index(stem.with_suffix(INDEX))
        source, shape = str(index["source"]), tuple(map(int, index["shape"]))
        used = stem.with_suffix(INDEX).stat().st_mtime
    if not shape:
        head = next(read_lines(stem.with_suffix(JOURNAL)), (None, 0))[0]
        source = str(head.get("source")) if isinstance(head, dict) else source
    of_each = (shape[1], shape[2], shape[3]) if len(shape) == 4 else None
    return CachedImages(source, shape[0] if of_each else 0, of_each, taken, used, stem)


def clear_cache(
    data: Sequence[str | Path] = (), *, older_than: float | None = None, cache_dir: str | Path | None = None
) -> list[CachedImages]:
    """Delete images that are kept as they were decoded; what a run still reads stays until that ends.

    The files by which runs wait for one another are deleted, too, where no run holds them.

    Args:
        data: folders, archives and shards: those within them count; none: all.
        older_than: days: only what was not used for longer.
        cache_dir: where they are kept, as for ``load``.

    Returns:
        what was deleted: all that was found, but for what is being decoded at this moment.

    Raises:
        UsageError: a negative number of days.
        DataError: nothing is kept of one of ``data``, however old; nothing is deleted then.
        OutputError: the files cannot be deleted.

    Example:
        >>> import latentcli as lc
        >>> lc.clear_cache(older_than=30, cache_dir="photos.cache")
        []
    """
    if older_than is not None and not older_than >= 0:
        raise UsageError(f"`older_than` is {older_than:g}", "expected a number of days, 0 or more")
    wanted = {str(each): str(each) if is_address(str(each)) else os.path.realpath(each) for each in data}
    folder = folder_of(cache_dir)
    every, deleted = cached(cache_dir), []
    for name, source in wanted.items():
        if not any(Path(each.source).is_relative_to(source) for each in every):
            raise DataError(f"nothing of {name} is kept as decoded", f"looked in {folder}",
                            "look how it is spelled: latentcli cache list")  # fmt: skip
    for each in every:
        if wanted and not any(Path(each.source).is_relative_to(source) for source in wanted.values()):
            continue
        if older_than is not None and time.time() - each.used <= older_than * 86_400:
            continue
        lock = each.path.with_name(f"{each.path.name.partition('-')[0]}.lock")
        with suppress(_Busy), output_errors(lock), in_turn(lock, _busy):
            for ending in ENDINGS:
                path = each.path.with_suffix(ending)
                with output_errors(path):
                    path.unlink(missing_ok=True)
            deleted.append(each)
    _clear_locks(folder)
    return deleted


def _clear_locks(folder: Path) -> None:
    """Delete lock files that no run holds, and of whose view nothing is kept."""
    kept = {path.name.partition("-")[0] for path in files_within(folder)}
    with suppress(OSError):
        for lock in sorted(folder.glob("*.lock")):
            if _LOCK.fullmatch(lock.name) and lock.stem not in kept:
                with suppress(_Busy, OSError), in_turn(lock, _busy):
                    lock.unlink()


class _Busy(Exception):
    """Another run holds what this one would delete."""


def _busy() -> AbstractContextManager[object]:
    raise _Busy
