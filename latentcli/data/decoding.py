"""Image files decoded once, in parallel, into one block of bytes."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentcli.core.image_set import LARGEST, SMALLEST, Shape
from latentcli.core.progress import Progress
from latentcli.data import sizing
from latentcli.data.block import ImageBlock
from latentcli.formats.pixel_values import PixelRules, Span, UnclearValues, hint, span_for

SIZE_OF_MIXED = 64  # pixels a side where the files differ in size and no size is asked for
MOST = 0.75  # the share of files whose size is taken, where it is one

_FILES_PER_THREAD = 64  # decoded images that may wait to be stored


@dataclass
class Decoded:
    """What became of image files.

    Attributes:
        images: (N, C, H, W) uint8 of the readable ones.
        files: the N paths of these.
        bad: (path, reason) of the others.
        remarks: (path, remark) of what is not taken as it stands, sorted.
        notes: what is to be told of all of them.
        spans: of the pixels of more than 8 bits, by ``kind_of`` their type.
        deep: type, least and largest number of files of more than 8 bits, by path.
    """

    images: np.ndarray
    files: tuple[str, ...] = ()
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)
    deep: dict[str, tuple[np.dtype, float, float]] = field(default_factory=dict)


def decode_all(
    folder: Path, files: Sequence[str], shape: Shape | None, size: int | None, progress: Progress, rules: PixelRules,
    name: str,
) -> Decoded:  # fmt: skip
    """All files, those of more than 8 bits in the span given, or else in the one that they have together.

    Args:
        folder, files: paths, and where they are.
        shape: of the images of a model; without it they have 3 channels only if a file has colour.
        size: height and width where there is no model; None: those that most files have, or else 64×64.
        progress: told about each file.
        rules: what is said of the pixels.
        name: of the files, for the notes.
    """
    from joblib import cpu_count

    from latentcli.formats import image_files

    height, width, note = (*shape[1:], None) if shape is not None else _size(folder, files, size, name)
    block = ImageBlock(len(files), None if shape is None else shape[0], height, width)
    done = Decoded(block.images, notes=[] if note is None else [note])
    channels = None if shape is None else shape[0]

    def decode(file: str, span: Span | None = rules.span) -> np.ndarray | str:
        def remark(text: str) -> None:
            done.remarks.append((file, text))

        def deep(dtype: np.dtype, low: float, high: float) -> None:
            done.deep[file] = dtype, low, high

        try:
            return image_files.decode(
                folder / file, height, width, channels, remark, rules.background, span, deep if span is None else None
            )
        except image_files.UnreadableImage as error:
            return str(error)

    threads = cpu_count()  # of the container, where it has fewer than the machine
    with (
        warnings.catch_warnings(action="ignore"),  # Pillow's, about odd but readable files
        progress("reading images", len(files)) as advance,
        ThreadPoolExecutor(threads) as pool,
    ):
        for start in range(0, len(files), threads * _FILES_PER_THREAD):
            some = files[start : start + threads * _FILES_PER_THREAD]
            for file, result in zip(some, pool.map(decode, some), strict=True):
                if isinstance(result, str):
                    done.bad.append((file, result))
                else:
                    block.append(result)
                advance(1)
        done.images = block.images
        if done.deep:
            _again_in_span(done, files, decode, rules)
    done.bad.sort()
    done.remarks.sort()
    unreadable = dict(done.bad)
    done.files = tuple(file for file in files if file not in unreadable)
    return done


def _again_in_span(
    done: Decoded, files: Sequence[str], decode: Callable[[str, Span], np.ndarray | str], rules: PixelRules
) -> None:
    """Decode files of more than 8 bits once more where all of them together show that they use less, or other numbers.

    Where that is unclear, files outside the plain span are bad ones.
    """
    from latentcli.formats.image_files import DEEP_SPANS

    unreadable = {file for file, _ in done.bad}
    rows = {file: row for row, file in enumerate(file for file in files if file not in unreadable)}
    for kind, kinds, plain in (("whole", "iu", DEEP_SPANS["u"]), ("float", "f", DEEP_SPANS["f"])):
        deep = {file: found for file, found in done.deep.items() if found[0].kind in kinds and file in rows}
        if not deep:
            continue
        low, high = min(found[1] for found in deep.values()), max(found[2] for found in deep.values())
        dtype = max((found[0] for found in deep.values()), key=lambda dtype: dtype.itemsize)
        try:
            span, told = span_for(dtype, low, high, rules)
        except UnclearValues:
            bad = [file for file, found in deep.items() if not plain.holds(*found[1:])]
            way = f"black and white are unclear; {hint(dtype, low, high)}"
            for file in bad:
                done.bad.append((file, f"{deep[file][0]} from {deep[file][1]:g} to {deep[file][2]:g}: {way}"))
            done.images = np.delete(done.images, [rows[file] for file in bad], axis=0)
            rows = {file: row for row, file in enumerate(file for file in rows if file not in bad)}
            span = plain
        else:
            done.remarks += [(file, told) for file in deep if told]
            for file in deep if not span.same_as(plain) else ():
                result = decode(file, span)
                if not isinstance(result, str):  # it was readable a moment ago
                    done.images[rows[file]] = result
        done.spans[kind] = span


def _size(folder: Path, files: Sequence[str], size: int | None, name: str) -> tuple[int, int, str | None]:
    """The height and width asked for; else those of ``MOST`` files, if models take them; else 64×64; what is told."""
    from latentcli.formats import image_files

    if size is not None:
        return size, size, None
    counts: Counter[tuple[int, int]] = Counter()
    example: dict[tuple[int, int], str] = {}
    most, left = 0, len(files)
    with warnings.catch_warnings(action="ignore"):
        for file in files:
            left -= 1
            try:
                measured = image_files.measure(folder / file)
            except image_files.UnreadableImage:
                continue
            counts[measured] += 1
            example.setdefault(measured, file)
            most = max(most, counts[measured])
            if most + left < MOST * (counts.total() + left):  # no size can be that of most any more
                break
    if not counts:
        return SIZE_OF_MIXED, SIZE_OF_MIXED, None
    (height, width), most = counts.most_common(1)[0]
    odd = next(((file, each) for each, file in example.items() if each != (height, width)), None)
    others = "" if odd is None else f"{odd[0]} with {odd[1][0]}×{odd[1][1]}"
    if most >= MOST * (counts.total() + left) and sizing.in_range(height, width):
        told = f"{name}: {most} of {counts.total()} images have {height}×{width} pixels, and all are read in that size"
        return height, width, None if odd is None else f"{told}, {others} too; `image_size` chooses another"
    read = f"all are read as {SIZE_OF_MIXED}×{SIZE_OF_MIXED}; `image_size` chooses another"
    if most >= MOST * (counts.total() + left):
        beyond = f"images have {height}×{width} pixels, and models take {SMALLEST} to {LARGEST} a side"
        return SIZE_OF_MIXED, SIZE_OF_MIXED, f"{name}: its {beyond}: {read}"
    first = f"such as {height}×{width} and {others}"
    return SIZE_OF_MIXED, SIZE_OF_MIXED, f"{name}: its images are of unlike sizes, {first}: {read}"
