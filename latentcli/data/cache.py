"""Decoded images, kept in files that are mapped into memory: what was decoded once is read at once.

Beside the bytes of a set, ``.bytes`` or ``.changed``, lies an index, ``.json``, of two lines: the SHA-256 of the other,
and what the images are of, their shape, the size, time and checksums of the bytes, and what else decoding found.
It is written last, so that there is none before the images are whole. What is read from here is checked as any file is:
the index wholly, of the bytes the size, the time and some blocks, for reading all would take as long as a disk takes.
A damaged set is thrown away and decoded again.

A set is found by its *view*, which is what is asked for (the folder, the shape, all rules of pixels), and its *content*
(names, sizes and times of the files). Of a view the newest content is kept alone.
"""

import hashlib
import json
import math
import os
import re
import shlex
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from latentcli.core.errors import OutputError
from latentcli.core.progress import Progress, silent
from latentcli.data.block import Block, Events, ImageBlock
from latentcli.data.file_block import BYTES, CHANGED, JOURNAL, FileBlock, read_lines
from latentcli.formats.atomic import atomic_write
from latentcli.formats.digests import DigestInParts, is_digest
from latentcli.formats.locks import in_turn
from latentcli.formats.regular_files import open_regular, reason

VERSION = 1
"""Of the decoding and of these files: another one finds nothing here. It rises whenever files give other bytes."""

LEAST_FILES, LEAST_BYTES, LEAST_ARCHIVE = 2_000, 32 * 2**20, 4 * 2**20
"""Sets of fewer files, of fewer bytes together, are decoded each time, and so are archives of fewer bytes.

That takes less than a second: 2,000 PNG files of 28×28 pixels 0.6 s, 32 MiB of JPEG files of a million 0.7 s, on one
core. What is kept takes no longer to make, and is mapped in hundredths of a second.
"""

ENVIRONMENT = "LATENTCLI_CACHE"

_DECODERS = ("pillow", "pydicom", "nibabel")
INDEX = ".json"
ENDINGS = (INDEX, JOURNAL, BYTES, CHANGED)
"""What the names of the files of a set end in."""
_DIGITS = 24  # of a SHA-256, in names
_NAME = re.compile(r"[0-9a-f]{24}-[0-9a-f]{24}\.(json|journal|bytes|changed)")
_BLOCK = 2**20  # bytes that have one checksum
_CHECKED = 16  # of these blocks, that are checked when a set is read
_LONGEST = 2**31  # bytes of an index

Found = TypeVar("Found")
Parse = Callable[[Mapping[str, Any], np.ndarray], Found]
"""Makes of the facts in an index, and of its images, what they stand for; a ValueError, KeyError or TypeError where
they stand for nothing."""


def stamp(path: str | Path) -> tuple[int, int]:
    """Size and time (ns) of a file; zeros where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 (a path of its own would take longer)
    except (OSError, ValueError):
        return 0, 0
    return status.st_size, status.st_mtime_ns


def folder_of(cache_dir: str | Path | None) -> Path:
    """Where decoded images are kept: in the folder named, or in ``LATENTCLI_CACHE``, or in the user's cache folder."""
    import platformdirs

    named = cache_dir or os.environ.get(ENVIRONMENT) or platformdirs.user_cache_path("latentcli")
    return Path(named).expanduser().absolute() / "images"


class Keeping(Protocol):
    """Where the images of one set are decoded to."""

    @property
    def begun(self) -> Mapping[str, Any]:
        """What an interrupted decoding has said about itself; nothing where there was none."""

    def block(
        self, total: int, channels: int | None, height: int, width: int, about: Mapping[str, Any],
        check: Callable[[int, Events], None],
    ) -> Block:  # fmt: skip
        """A block for images of this size, with what ``begun`` is to say; ``check`` as for ``FileBlock``."""

    def keep(self, facts: Mapping[str, Any], images: np.ndarray) -> np.ndarray:
        """Keep the images of the block, and plain values, for the next time; the images where they lie then."""


class InMemory:
    """Keeps nothing."""

    begun: Mapping[str, Any] = {}

    def block(
        self, total: int, channels: int | None, height: int, width: int, about: Mapping[str, Any],
        check: Callable[[int, Events], None],
    ) -> Block:  # fmt: skip
        return ImageBlock(total, channels, height, width)

    def keep(self, facts: Mapping[str, Any], images: np.ndarray) -> np.ndarray:
        return images


Build = Callable[[Keeping], Found]


@dataclass(frozen=True)
class Asked:
    """What a cache is asked for.

    Attributes:
        source: resolved path of the folder, archive or shards, or their address.
        how: it is to be decoded.
        content: plain values that change with it.
        name: of the source, for messages.
        alike: other ways to ask, which may have given the same: ``parse`` refuses what is not.
    """

    source: str
    how: str
    content: object
    name: str
    alike: Sequence[str] = ()


class Cache(Protocol):
    """Where decoded images may be kept."""

    keeps: bool
    """Whether anything is."""

    def kept(self, asked: Asked, parse: Parse[Found], build: Build[Found]) -> tuple[Found, list[str]]:
        """What is kept of a source, or else what ``build`` makes of it; and what is to be told, without its name.

        Args:
            asked: of what source, and how.
            parse: reads what is kept.
            build: decodes, through what it is given.
        """


class Nowhere:
    """Keeps nothing."""

    keeps = False

    def kept(self, asked: Asked, parse: Parse[Found], build: Build[Found]) -> tuple[Found, list[str]]:
        return build(InMemory()), []


class Within:
    """Where files of an archive are decoded to: the place of the archive itself in another cache."""

    keeps = True

    def __init__(self, keeping: Keeping) -> None:
        self._place = _PlaceOfAnother(keeping)

    def kept(self, asked: Asked, parse: Parse[Found], build: Build[Found]) -> tuple[Found, list[str]]:
        return build(self._place), []


class _PlaceOfAnother:
    """Decodes to where another set is kept, and leaves it to the other to keep it."""

    def __init__(self, keeping: Keeping) -> None:
        self.begun, self.block = keeping.begun, keeping.block

    def keep(self, facts: Mapping[str, Any], images: np.ndarray) -> np.ndarray:
        return images


@dataclass(frozen=True)
class CacheFolder:
    """Keeps sets in a folder. One run at a time decodes what it is asked for; others wait for it.

    Attributes:
        folder: of the sets.
        progress: told where another run has to be waited for.
    """

    folder: Path
    progress: Progress = silent
    keeps = True

    def kept(self, asked: Asked, parse: Parse[Found], build: Build[Found]) -> tuple[Found, list[str]]:
        kept = self._set(asked, asked.how)
        view = kept.stem.name.partition("-")[0]
        with ExitStack() as stack:
            try:
                for other in (kept, *(self._set(asked, each) for each in asked.alike)):
                    if (found := other.read(parse)) is not None:
                        return found, other.notes
                stack.enter_context(in_turn(self.folder / f"{view}.lock", lambda: self.progress(_WAITING, 0)))
                found = kept.read(parse, mend=True)
            except OSError as error:
                return build(InMemory()), [_not_kept(self.folder, reason(error))]
            if found is None:
                try:
                    found = build(kept)
                except KeyboardInterrupt:
                    raise KeyboardInterrupt(kept.interrupted()) from None
                kept.forget_others()
        return found, kept.notes

    def _set(self, asked: Asked, how: str) -> "_Set":
        view = _sha256([VERSION, {each: _version(each) for each in _DECODERS}, asked.source, how])[:_DIGITS]
        return _Set(self.folder / f"{view}-{_sha256(asked.content)[:_DIGITS]}", asked.source, asked.name)


_WAITING = "waiting for another run, which decodes the same images"


def _not_kept(folder: Path, why: str) -> str:
    return f"decoded images are in memory, for they cannot be kept in {folder}: {why}; `cache_dir` names another"


class KeptImages(np.memmap):
    """The mapped images of a set.

    Attributes:
        sha256: ``digest`` of ``{"images": images}``, as the index has it, so that a training need not read all images
            before it starts; None of every other array that is made of them.
    """

    sha256: str | None = None


class _Set:
    """One set of images in a cache; ``notes`` are what is to be told of it, without its name."""

    def __init__(self, stem: Path, source: str, name: str) -> None:
        self.stem, self.source, self.name = stem, source, name
        self.notes: list[str] = []
        self._block: FileBlock | None = None

    def _path(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending)

    def read(self, parse: Parse[Found], mend: bool = False) -> Found | None:
        """What is kept; None where nothing is, or nothing whole, which is deleted to ``mend`` it.

        Raises:
            OSError: it cannot be read, which says nothing of what is there.
        """
        try:
            index, images = _read(self._path(INDEX))
            found = parse(index["facts"], images)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            if mend:
                self.notes.append(f"what was kept in {self.stem.parent} is damaged, and was decoded again")
                _forget(self._path(ending) for ending in ENDINGS)
            return None
        with suppress(OSError):
            os.utime(self._path(INDEX))  # when it was last used
        return found

    @property
    def begun(self) -> Mapping[str, Any]:
        head = next(read_lines(self._path(JOURNAL)), (None, 0))[0]
        about = head.get("about") if isinstance(head, dict) else None
        return about if isinstance(about, dict) and head == self._head(about) else {}

    def _head(self, about: Mapping[str, Any]) -> dict[str, Any]:
        return {"version": VERSION, "set": self.stem.name, "source": self.source, "about": dict(about)}

    def block(
        self, total: int, channels: int | None, height: int, width: int, about: Mapping[str, Any],
        check: Callable[[int, Events], None],
    ) -> Block:  # fmt: skip
        self._block = FileBlock(self.stem, self._head(about), total, channels, height, width, check)
        return self._block

    def keep(self, facts: Mapping[str, Any], images: np.ndarray) -> np.ndarray:
        if self._block is None:
            return images
        kept, why = None, self._block.why
        try:
            if (path := self._block.finish()) is not None:
                index = {"source": self.source, "ending": path.suffix, "shape": images.shape, **_seen(path, images)}
                content = json.dumps({**index, "facts": facts}).encode()
                with atomic_write(self._path(INDEX)) as file:
                    file.write(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}).encode() + b"\n" + content)
                kept = _read(self._path(INDEX))[1]
        except (OSError, OutputError, ValueError) as error:  # the last, where another program changes these files
            why = reason(error) if isinstance(error, OSError) else str(error)
            images = np.array(images)
        if why:
            self.notes.append(_not_kept(self.stem.parent, " ".join(why.split())))
        if kept is None:
            self._block.discard()
            _forget([self._path(INDEX)])
            return images
        self._block.tidy()
        way = f"free it by: latentcli cache clear {shlex.quote(self.name)}"
        what = f"its {len(kept):,} images are kept as decoded, for the next time: {size(kept.nbytes)} in {path}"
        self.notes.append(f"{what}; {way}")
        return kept

    def interrupted(self) -> str:
        """What is to be told where decoding was interrupted."""
        begun = self._path(JOURNAL).exists()
        way = f"the same call goes on, and latentcli cache clear {shlex.quote(self.name)} frees it"
        return f"interrupted: what was decoded is kept in {self.stem.parent}; {way}" if begun else ""

    def forget_others(self) -> None:
        """Delete what is kept of the same view with another content, once this is kept."""
        if self._path(INDEX).exists():
            view = self.stem.name.partition("-")[0]
            _forget(
                path
                for path in files_within(self.stem.parent)
                if path.stem != self.stem.name and path.name.startswith(view)
            )


def _seen(path: Path, images: np.ndarray) -> dict[str, Any]:
    """What the index says of a file of bytes, the first of which are those of the images."""
    digest, left, checksums = DigestInParts(1), images.nbytes, []
    digest.begin("images", images.dtype, images.shape)
    with path.open("rb") as file:
        while part := file.read(_BLOCK):
            checksums.append(zlib.crc32(part))
            digest.update(part[:left])
            left -= min(left, len(part))
        status = os.fstat(file.fileno())
    return {
        "size": status.st_size, "mtime_ns": status.st_mtime_ns, "crc32": checksums, "sha256": digest.hexdigest()
    }  # fmt: skip


def _read(path: Path) -> tuple[Mapping[str, Any], np.ndarray]:
    """An index that is right, and its images, mapped.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError: it is not, or they are not.
    """
    index = read_index(path)
    shape, count = index["shape"], index["size"]
    whole = [type(each) is int and 1 <= each < 2**48 for each in (*shape, count)]
    if len(shape) != 4 or not all(whole) or math.prod(shape) > count or index["ending"] not in (BYTES, CHANGED):
        raise ValueError("an index of no images")
    file, found = open_regular(path.with_suffix(index["ending"]))
    with file:
        if (found, os.fstat(file.fileno()).st_mtime_ns) != (count, index["mtime_ns"]):
            raise ValueError("the bytes were changed")
        blocks = math.ceil(count / _BLOCK)
        if len(index["crc32"]) != blocks:
            raise ValueError("checksums of other bytes")
        for block in np.unique(np.linspace(0, blocks - 1, min(blocks, _CHECKED)).astype(int)).tolist():
            file.seek(block * _BLOCK)
            if zlib.crc32(file.read(_BLOCK)) != index["crc32"][block]:
                raise ValueError("the bytes were changed")
        images = KeptImages(file, np.uint8, "r", shape=tuple(shape))
    if not is_digest(index["sha256"]):
        raise ValueError("no checksum of all")
    images.sha256 = index["sha256"]
    return index, images


def read_index(path: Path) -> dict[str, Any]:
    """What an index says, if its checksum is right."""
    file, count = open_regular(path)
    with file:
        if count > _LONGEST:
            raise ValueError("too long")
        head, content = json.loads(file.readline(1024)), file.read()
    index = json.loads(content) if head["sha256"] == hashlib.sha256(content).hexdigest() else None
    if not isinstance(index, dict):
        raise ValueError("an index that was changed")
    return index


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _forget(paths: Iterable[Path]) -> None:
    for path in list(paths):
        with suppress(OSError):
            path.unlink()


def files_within(folder: Path) -> list[Path]:
    """The files of sets in a folder, whatever else lies there."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return []


def size(count: int) -> str:
    """Bytes, for a message."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
