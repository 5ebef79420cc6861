"""Decoded images in a file, written as they come, so that an interrupted decoding goes on where it was."""

import errno
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from latentcli.core import memory
from latentcli.core.errors import DataError
from latentcli.data.block import Events, ImageBlock, without
from latentcli.formats.regular_files import open_regular, reason

SPARE = 256 * 2**20
"""Bytes that are left free on the disk."""

BYTES, CHANGED, JOURNAL = ".bytes", ".changed", ".journal"
"""What the names of the files end in."""

_LONGEST = 2**28  # bytes of a line of the journal


class FileBlock:
    """A block in files, which goes on from what an interrupted run has left there.

    ``.bytes`` holds the images as they came, some at a time, each time in as many channels as they need. Of each time
    ``.journal`` has a line, with the checksum of these bytes and what else was met; a time without a line, or whose
    bytes are others, is decoded again. Nothing there is ever changed: images that are to be, or that differ in their
    channels, are copied to a third file, ``.changed``, which a later run would begin anew. All is written by plain
    writes, which fail on a full disk, and only then mapped. Then, or where the disk has less than ``SPARE`` left, what
    there is moves into memory, and the files are deleted.

    Args:
        stem: path of the files without their endings.
        head: plain values that the journal begins with: one with another head is of other images.
        total, channels, height, width: as for ``ImageBlock``.
        check: called with the number of images and the events of each time in the journal, which are not decoded
            again; raises a ValueError, KeyError or TypeError where these are not what a run writes.

    Attributes:
        why: what went wrong, where the images had to move into memory.

    Raises:
        DataError: the files cannot be written, and the images do not fit into memory; so does ``commit``.
    """

    def __init__(
        self, stem: Path, head: Mapping[str, Any], total: int, channels: int | None, height: int, width: int,
        check: Callable[[int, Events], None],
    ) -> None:  # fmt: skip
        self._paths = {ending: stem.with_name(stem.name + ending) for ending in (BYTES, CHANGED, JOURNAL)}
        self._total, self._channels, self._size = total, channels, (height, width)
        self._times: list[tuple[int, int]] = []  # images and channels of each
        self._waiting: list[np.ndarray] = []
        self._mapped: np.memmap | None = None
        self._ending, self._count = BYTES, 0
        self._memory: ImageBlock | None = None
        self.why = ""
        ends = self._go_on(head, check)
        self._bytes: IO[bytes] | None = None
        self._journal: IO[bytes] | None = None
        try:
            self._bytes, self._journal = _opened(self._paths[BYTES], ends[0]), _opened(self._paths[JOURNAL], ends[1])
            if not ends[1]:
                _write(self._journal, _line(head))
        except OSError as error:
            self._move(reason(error))

    def _go_on(self, head: Mapping[str, Any], check: Callable[[int, Events], None]) -> tuple[int, int]:
        """Take over what an earlier run has left; how many bytes of its two files that are."""
        place = end = 0
        allowed = (1, 3) if self._channels is None else (self._channels,)
        lines = read_lines(self._paths[JOURNAL])
        try:
            first, begun = next(lines, (None, 0))
            if first != dict(head):
                return 0, 0
            end = begun
            with open_regular(self._paths[BYTES])[0] as file:
                for line, after in lines:
                    images, channels = line["images"], line["channels"]
                    if type(images) is not int or not 0 <= images <= self._total - self._count:
                        break
                    if type(channels) is not int or channels not in allowed:
                        break
                    count = images * channels * math.prod(self._size)
                    if zlib.crc32(file.read(count)) != line["crc32"]:
                        break
                    check(images, line["events"])
                    self._times.append((images, channels))
                    self._count, place, end = self._count + images, place + count, after
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # what was read up to there is right
        return place, end

    @property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8: what was committed; in the file, mapped, or else in memory."""
        if self._memory is not None:
            return self._memory.images
        if not self._count:
            return np.empty((0, self._most(), *self._size), np.uint8)
        if self._mapped is None and len({channels for images, channels in self._times if images}) > 1:
            return self.changeable()
        if self._mapped is None:
            try:
                self._mapped = self._map("r")
            except OSError as error:  # a system that maps no more
                self._move(reason(error))
                return self.images
        return self._mapped[: self._count]

    def _map(self, mode: Literal["r", "r+"]) -> np.memmap:
        shape = (self._count, self._most(), *self._size)
        return np.memmap(self._paths[self._ending], np.uint8, mode, shape=shape)

    def _most(self) -> int:
        """The channels of all images together."""
        return self._channels or max((channels for images, channels in self._times if images), default=1)

    def append(self, image: np.ndarray) -> None:
        """Add (C, H, W), or (1, H, W), which is grey in any set."""
        if self._memory is not None:
            self._memory.append(image)
        else:
            self._waiting.append(image)

    def commit(self, events: Events) -> None:
        """Write what was appended, and the events."""
        if self._memory is not None:
            return
        count = len(self._waiting)
        channels = self._channels or max(map(len, self._waiting), default=1)
        pixels = np.empty((count, channels, *self._size), np.uint8)
        for row, image in enumerate(self._waiting):
            pixels[row] = image
        line = {"images": count, "channels": channels, "crc32": zlib.crc32(pixels.data), "events": dict(events)}
        try:
            self._check_room(pixels.nbytes)
            _write(self._bytes, pixels.data)
            _write(self._journal, _line(line))
        except OSError as error:
            self._move(reason(error))
            return
        self._times.append((count, channels))
        self._count += count
        self._waiting = []

    def _check_room(self, count: int) -> None:
        if shutil.disk_usage(self._paths[BYTES].parent).free < count + SPARE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _move(self, why: str) -> None:
        """Move all there is into memory, for want of room on the disk."""
        channels = max([self._most(), *map(len, self._waiting)])
        with suppress(OSError):
            self._paths[CHANGED].unlink(missing_ok=True)
        if self._total * channels * math.prod(self._size) > memory.of_machine():
            raise DataError(
                f"{self._total:,} images of {self._size[0]}×{self._size[1]} pixels do not fit into memory",
                f"{self._paths[BYTES].parent} cannot hold them: {why}",
                "free space there, and call again, which goes on where this stopped; or name a folder: `cache_dir`",
            )  # fmt: skip
        block = ImageBlock(self._total, self._channels, *self._size)
        for image in chain(self._written(), self._waiting):
            block.append(image)
        self._waiting, self._memory, self.why = [], block, why
        self.discard()

    def _written(self) -> Iterator[np.ndarray]:
        if not self._times:
            return
        with open_regular(self._paths[BYTES])[0] as file:
            for images, channels in self._times:
                count = images * channels * math.prod(self._size)
                yield from np.frombuffer(file.read(count), np.uint8).reshape(images, channels, *self._size)

    def changeable(self) -> np.ndarray:
        """The images in a file of their own, or else in memory."""
        if self._memory is None and self._ending == BYTES and self._count:
            self._mapped = None
            channels = self._most()
            try:
                self._check_room(self._count * channels * math.prod(self._size))
                self._paths[CHANGED].unlink(missing_ok=True)
                with self._paths[CHANGED].open("xb") as file:
                    for image in self._written():
                        file.write(np.ascontiguousarray(np.broadcast_to(image, (channels, *self._size))).data)
                self._ending = CHANGED
                self._mapped = self._map("r+")
            except OSError as error:
                self._move(reason(error))
        return self.images

    def drop(self, rows: list[int]) -> None:
        """Remove images."""
        changeable = self.changeable()
        if self._memory is not None:
            self._memory.drop(rows)
        else:
            self._count = without(changeable, rows)

    def finish(self) -> Path | None:
        """Flush the images to the disk; the path of their file, None where they are in memory, or there are none.

        Raises:
            OSError: they cannot be flushed.
        """
        if not len(self.images) or self._mapped is None:
            return None
        self._mapped.flush()
        with self._paths[self._ending].open("rb+") as file:
            os.fsync(file.fileno())
        return self._paths[self._ending]

    def tidy(self) -> None:
        """Close the files, and delete those that hold no images that are kept."""
        self._close()
        for ending, path in self._paths.items():
            if ending != self._ending:
                path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Close and delete all files."""
        self._close()
        for path in self._paths.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _close(self) -> None:
        self._mapped = None
        for file in (self._bytes, self._journal):
            if file is not None:
                with suppress(OSError):
                    file.close()


def read_lines(journal: Path) -> Iterator[tuple[Any, int]]:
    """The lines of a journal, up to the first that is not whole, each with where it ends."""
    end = 0
    with suppress(OSError, ValueError, RecursionError), open_regular(journal)[0] as file:
        while (text := file.readline(_LONGEST)).endswith(b"\n"):
            checksum, _, content = text.partition(b" ")
            if int(checksum, 16) != zlib.crc32(content):
                return
            end += len(text)
            yield json.loads(content), end


def _line(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content).encode() + b"\n"
    return b"%08x %s" % (zlib.crc32(text), text)


def _opened(path: Path, end: int) -> IO[bytes]:
    """A file to write to behind its first bytes, without a buffer, so that what is written is there.

    One that has none of them is a new file: another process may have mapped what was there, and would end where that is
    cut short.
    """
    if not end:
        path.unlink(missing_ok=True)
    path.touch()
    file = path.open("rb+", buffering=0)
    file.truncate(end)
    file.seek(end)
    return file


def _write(file: IO[bytes] | None, content: Any) -> None:
    """Write all of it, whatever number of bytes the system takes at a time."""
    left = np.frombuffer(content, np.uint8).data  # a view of nothing cannot be cast to bytes by itself
    while left and file is not None:
        left = left[file.write(left) :]
