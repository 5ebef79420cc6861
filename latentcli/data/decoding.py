"""Image files decoded once, in parallel, into one block of bytes."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from latentcli.core.image_set import LARGEST, SMALLEST, Shape
from latentcli.core.progress import Progress
from latentcli.data import sizing
from latentcli.data.block import ImageBlock
from latentcli.formats.found_numbers import ENOUGH, FoundNumbers, together
from latentcli.formats.mixed_scales import mixed_files
from latentcli.formats.pixel_values import PixelRules, Span, UnclearValues, crowded, hint, span_for, what_is_outside
from latentcli.formats.regular_files import Files

SIZE_OF_MIXED = 64  # pixels a side where the files differ in size and no size is asked for
MOST = 0.75  # the share of files whose size is taken, where it is one

_IN_GREY = "PIL.Image.open(file).convert('L').save(file)"
_AT_ONCE = 64  # decoded images of a thread that may wait to be stored


@dataclass(frozen=True)
class _Piece:
    """A file, or some pages of it, decoded in one go; or why it is not."""

    file: str
    pages: Sequence[int] | None = None
    refused: str | None = None

    @property
    def names(self) -> list[str]:
        """Of its images: pages are called ``scan.tif[3]``, from 0."""
        return [self.file] if self.pages is None else [f"{self.file}[{number}]" for number in self.pages]


@dataclass
class Decoded:
    """What became of image files.

    Attributes:
        images: (N, C, H, W) uint8 of the readable ones.
        files: the N paths of these, with the number of the page behind where each page is an image.
        sources: the N files that they are of.
        total: how many images there were to decode.
        bad: (path, reason) of the others.
        remarks: (path, remark) of what is not taken as it stands, sorted.
        notes: what is to be told of all of them.
        spans: of the pixels of more than 8 bits, by ``kind_of`` their type.
        deep: kind of the numbers of files of more than 8 bits, and what there is of them, by path.
    """

    images: np.ndarray
    files: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    total: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)
    deep: dict[str, tuple[str, FoundNumbers]] = field(default_factory=dict)


def decode_all(
    folder: Files, files: Sequence[str], shape: Shape | None, size: int | None, progress: Progress, rules: PixelRules,
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

    height, width, note = (*shape[1:], None) if shape is not None else _size(folder, files, size, name, rules.pages)
    channels = None if shape is None else shape[0]
    threads = cpu_count()  # of the container, where it has fewer than the machine

    wanted = image_files.Wanted(
        height, width, channels, rules.background, rules.span, rules.spans.get("units"), strict=False
    )

    def decode(piece: _Piece, wanted: image_files.Wanted, again: bool = False) -> list[np.ndarray | str]:
        def hearing(number: int | None = None) -> image_files.Hearing:
            name = piece.file if number is None else f"{piece.file}[{number}]"

            def deep(kind: str, found: FoundNumbers) -> None:
                done.deep[name] = kind, found

            if again:
                return image_files.Hearing()
            return image_files.Hearing(lambda remark: done.remarks.append((name, remark)), deep)

        if piece.refused is not None:
            return [piece.refused]
        if piece.pages is not None:
            return image_files.decode_pages(folder / piece.file, piece.pages, wanted, hearing)
        try:
            return [image_files.decode_as(folder / piece.file, wanted, hearing())]
        except image_files.UnreadableImage as error:
            return [str(error)]

    with (
        warnings.catch_warnings(action="ignore"),  # Pillow's, about odd but readable files
        ThreadPoolExecutor(threads) as pool,
    ):
        pieces = _pieces(folder, files, pool) if rules.pages else list(map(_Piece, files))
        total = sum(len(piece.names) for piece in pieces)
        wanted = replace(wanted, sample=ENOUGH // max(1, total))
        block = ImageBlock(total, channels, height, width)
        done = Decoded(block.images, notes=[] if note is None else [note], total=total)
        coloured: list[str] = []
        step = threads if rules.pages else threads * _AT_ONCE
        with progress("reading images", total) as advance:
            for start in range(0, len(pieces), step):
                some = pieces[start : start + step]
                for piece, results in zip(some, pool.map(partial(decode, wanted=wanted), some), strict=True):
                    for image, result in zip(piece.names, results, strict=True):
                        if isinstance(result, str):
                            done.bad.append((image, result))
                        else:
                            block.append(result)
                            coloured += [image] * (len(result) > 1)
                        advance(1)
        done.images = block.images
        if rules.span is None:

            def in_span(piece: _Piece, span: Span) -> list[np.ndarray | str]:
                return decode(piece, replace(wanted, span=span), again=True)

            _again_in_span(done, pieces, in_span, rules, name)
    if channels is None and 0 < 2 * len(coloured) < len(done.images):
        told = f"{len(coloured)} of {len(done.images)} images are in colour, such as {coloured[0]}, and all are read so"
        done.notes.append(f"{name}: {told}; if they need not be, save them in grey: {_IN_GREY}")
    kinds = {found[0] for found in done.deep.values()}
    if rules.span is not None:
        done.spans = dict.fromkeys(sorted(kinds), rules.span)
        beyond = [found for _, found in done.deep.values() if found.outside]
        if beyond:
            numbers = sum(found.outside for found in beyond), sum(found.count for _, found in done.deep.values())
            done.notes.append(f"{name}: {what_is_outside(*numbers, len(beyond), rules.span)}")
        if not kinds and 0 <= rules.span.low < rules.span.high <= 255:
            done.notes.append(f"{name}: bytes are read as {rules.span}, and what lies outside is black or white")
        elif not kinds:
            done.notes.append(f"{name}: no image of more than 8 bits, so `range` was not used")
    elif "units" in kinds:
        done.spans["units"] = rules.spans["units"]
    done.bad.sort()
    done.remarks.sort()
    unreadable = dict(done.bad)
    kept = [(image, piece.file) for piece in pieces for image in piece.names if image not in unreadable]
    done.files, done.sources = tuple(image for image, _ in kept), tuple(file for _, file in kept)
    return done


def _pieces(folder: Files, files: Sequence[str], pool: ThreadPoolExecutor) -> list[_Piece]:
    """The pages of all files, a few of one file at a time; a file of one page is that page."""
    from latentcli.formats import image_files

    def of_file(file: str) -> list[_Piece]:
        try:
            numbers = image_files.pages(folder / file)
        except image_files.UnreadableImage as error:
            return [_Piece(file, refused=str(error))]
        if len(numbers) == 1:
            return [_Piece(file)]
        return [_Piece(file, numbers[start : start + _AT_ONCE]) for start in range(0, len(numbers), _AT_ONCE)]

    return [piece for pieces in pool.map(of_file, files) for piece in pieces]


def _again_in_span(
    done: Decoded, pieces: Sequence[_Piece], decode: Callable[[_Piece, Span], list[np.ndarray | str]],
    rules: PixelRules, name: str,
) -> None:  # fmt: skip
    """Decode files of more than 8 bits once more where all of them together show that they use less, or other numbers.

    Where that is unclear, files outside the plain span are bad ones.
    """
    from latentcli.formats.image_files import DEEP_SPANS

    unreadable = {image for image, _ in done.bad}
    readable = [image for piece in pieces for image in piece.names if image not in unreadable]
    rows = {image: row for row, image in enumerate(readable)}
    for kind, plain in DEEP_SPANS.items():
        deep = {image: found for image, (of_kind, found) in done.deep.items() if of_kind == kind and image in rows}
        if not deep:
            continue
        found = together([*deep.values()])
        if found.nothing:  # but padding
            continue
        if mixed := mixed_files([*deep.values()], [*deep]):
            done.notes.append(f"{name}: {mixed}")
        try:
            span, told = span_for(found, rules)
        except UnclearValues:
            bad = [image for image, each in deep.items() if not (each.nothing or plain.holds(each.low, each.high))]
            way = f"black and white are unclear; {hint(found)}{mixed and f'; {mixed}'}"
            for image in bad:
                each = deep[image]
                done.bad.append((image, f"{each.dtype.name} from {each.low:g} to {each.high:g}: {way}"))
            done.images = np.delete(done.images, [rows[image] for image in bad], axis=0)
            rows = {image: row for row, image in enumerate(image for image in rows if image not in bad)}
            span = plain
        else:
            done.remarks += [(image, told) for image in deep if told]
            if kind not in rules.spans and (dense := crowded(found, span)):
                done.notes.append(f"{name}: {dense}")
            for piece in pieces if not span.same_as(plain) else ():
                if deep.keys().isdisjoint(piece.names):
                    continue
                for image, result in zip(piece.names, decode(piece, span), strict=True):
                    if image in deep and not isinstance(result, str):  # it was readable a moment ago
                        done.images[rows[image]] = result
        done.spans[kind] = span


def _size(
    folder: Files, files: Sequence[str], size: int | None, name: str, pages: bool
) -> tuple[int, int, str | None]:  # fmt: skip
    """The height and width asked for; else those of ``MOST`` images, if models take them; else 64×64; what is told."""
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
                of_file = image_files.measure_pages if pages else image_files.measure
                found = of_file(folder / file)
            except image_files.UnreadableImage:
                continue
            for measured in found if isinstance(found, list) else [found]:
                counts[measured] += 1
                example.setdefault(measured, file)
                most = max(most, counts[measured])
            if not pages and most + left < MOST * (counts.total() + left):  # no size can be that of most any more
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
