"""Image files decoded in parallel, into one block of bytes, and once where that is kept: see ``cache``."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.image_set import LARGEST, SMALLEST, Shape
from latentcli.core.progress import Progress
from latentcli.data import sizing
from latentcli.data.block import Block, Events
from latentcli.data.cache import LEAST_BYTES, LEAST_FILES, Asked, Cache, Keeping, Nowhere, stamp
from latentcli.data.decoded import Decoded, Met
from latentcli.formats.found_numbers import ENOUGH, FoundNumbers, together
from latentcli.formats.mixed_scales import mixed_files
from latentcli.formats.pixel_values import (
    PixelRules,
    Span,
    UnclearValues,
    crowded,
    hint,
    pixels_of,
    span_for,
    what_is_outside,
)
from latentcli.formats.regular_files import Files

SIZE_OF_MIXED = 64  # pixels a side where the files differ in size and no size is asked for
MOST = 0.75  # the share of files whose size is taken, where it is one

_SIZED = "`image_size` chooses another"
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


def decode_all(
    folder: Files, files: Sequence[str], shape: Shape | None, size: int | None, progress: Progress, rules: PixelRules,
    name: str, cache: Cache = Nowhere(), choice: object = None,
) -> Decoded:  # fmt: skip
    """All files, those of more than 8 bits in the span given, or else in the one that they have together.

    Args:
        folder, files: paths, and where they are.
        shape: of the images of a model; without it they have 3 channels only if a file has colour.
        size: height and width where there is no model; None: those that most files have, or else 64×64.
        progress: told about each file.
        rules: what is said of the pixels.
        name: of the files, for the cache's notes.
        cache: where they are kept as decoded, unless they are few files of a folder; by default nowhere.
        choice: plain values that say which files of the folder these are: of each choice the newest files are kept.
    """
    on_disk = isinstance(folder, Path)
    start = f"{folder}{os.sep}" if on_disk and folder != Path() else ""  # not as paths, of which there may be a million
    stamps = [stamp(start + file) for file in files] if on_disk and cache.keeps else []
    few = on_disk and len(files) < LEAST_FILES and sum(bytes_of for bytes_of, _ in stamps) < LEAST_BYTES

    def parse(facts: Mapping[str, Any], images: np.ndarray) -> Decoded:
        if shape not in (None, images.shape[1:]):
            raise ValueError("images of another shape")
        return Decoded.of_facts(facts, images, files)

    def build(keeping: Keeping) -> Decoded:
        decoded = _decoded(folder, files, shape, size, progress, rules, keeping)
        decoded.images = keeping.keep(decoded.facts(), decoded.images)
        return decoded

    content = [[*pair] for pair in zip(files, stamps, strict=bool(stamps))]
    alike = [repr((*each, rules, choice)) for each in earlier_shapes(shape)]
    source = os.path.realpath(folder) if isinstance(folder, Path) else name
    asked = Asked(source, repr((shape, size, rules, choice)), content, name, alike)
    found, notes = (Nowhere() if few else cache).kept(asked, parse, build)
    found.notes = [*(found.of_choice if shape is None else []), *found.notes, *notes]
    return found


def _decoded(
    folder: Files, files: Sequence[str], shape: Shape | None, size: int | None, progress: Progress, rules: PixelRules,
    keeping: Keeping,
) -> Decoded:  # fmt: skip
    """What ``decode_all`` finds, decoded into a block that ``keeping`` gives."""
    from joblib import cpu_count

    from latentcli.formats import image_files

    height, width, note = _begun(keeping.begun) or (
        (*shape[1:], None) if shape is not None else _size(folder, files, size, rules.pages)
    )
    channels = None if shape is None else shape[0]
    threads = cpu_count()  # of the container, where it has fewer than the machine

    wanted = image_files.Wanted(
        height,
        width,
        channels,
        rules.background,
        rules.span,
        rules.spans.get("units"),
        strict=False,
        faint=True,
    )

    def decode(piece: _Piece, wanted: image_files.Wanted, heard: Met | None = None) -> list[np.ndarray | str]:
        def hearing(number: int | None = None) -> image_files.Hearing:
            name = piece.file if number is None else f"{piece.file}[{number}]"
            if heard is None:
                return image_files.Hearing()

            def deep(kind: str, found: FoundNumbers) -> None:
                heard.deep[name] = kind, found

            return image_files.Hearing(lambda remark: heard.remarks.append((name, remark)), deep)

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
        met = Met()

        def check(images: int, events: Events) -> None:
            """Take over what an earlier run has met."""
            earlier = Met.of_events(events)
            some = pieces[met.pieces : met.pieces + earlier.pieces]
            if images + len(earlier.bad) != sum(len(piece.names) for piece in some):
                raise ValueError("other images")
            met.add(earlier)

        block = keeping.block(total, channels, height, width, {"height": height, "width": width, "note": note}, check)
        step = threads if rules.pages else threads * _AT_ONCE
        with progress("reading images", total) as advance:
            advance(sum(len(piece.names) for piece in pieces[: met.pieces]))
            for start in range(met.pieces, len(pieces), step):
                some = pieces[start : start + step]
                now = Met(len(some))
                for piece, results in zip(some, pool.map(partial(decode, wanted=wanted, heard=now), some), strict=True):
                    for image, result in zip(piece.names, results, strict=True):
                        if isinstance(result, str):
                            now.bad.append((image, result))
                        else:
                            if channels is None and (grey := image_files.faint_grey(result)) is not None:
                                now.faint.append(image)
                                result = grey
                            block.append(result)
                            now.coloured += [image] * (len(result) > 1)
                        advance(1)
                block.commit(now.events())
                met.add(now)
        done = Decoded(block.images, total=total, of_choice=[] if note is None else [note])
        done.bad, done.remarks = met.bad, met.remarks
        if met.coloured and met.faint:
            wanted = replace(wanted, channels=3)
            _in_colour(block, pieces, met, lambda some: pool.map(partial(decode, wanted=wanted), some))
        if rules.span is None:

            def in_span(piece: _Piece, span: Span) -> list[np.ndarray | str]:
                return decode(piece, replace(wanted, span=span, channels=block.images.shape[1]))

            _again_in_span(done, met.deep, block, pieces, in_span, rules)
    if channels is None and 0 < 2 * len(met.coloured) < len(block.images):
        told = f"{len(met.coloured)} of {len(block.images)} images are in colour, such as {met.coloured[0]}, "
        done.of_choice.append(f"{told}and all are read so; if they need not be, save them in grey: {_IN_GREY}")
    kinds = {found[0] for found in met.deep.values()}
    if rules.span is not None:
        done.spans = dict.fromkeys(sorted(kinds), rules.span)
        beyond = [found for _, found in met.deep.values() if found.outside]
        if beyond:
            numbers = sum(found.outside for found in beyond), sum(found.count for _, found in met.deep.values())
            done.notes.append(what_is_outside(*numbers, len(beyond), rules.span))
        if not kinds and 0 <= rules.span.low < rules.span.high <= 255:
            done.notes.append(f"bytes are read as {rules.span}, and what lies outside is black or white")
        elif not kinds:
            done.notes.append("no image of more than 8 bits, so `range` was not used")
    elif "units" in kinds:
        done.spans["units"] = rules.spans["units"]
    done.images = _meant(done, block, rules)
    done.bad.sort()
    done.remarks.sort()
    unreadable = dict(done.bad)
    kept = [(image, piece.file) for piece in pieces for image in piece.names if image not in unreadable]
    done.files, done.sources = tuple(image for image, _ in kept), tuple(file for _, file in kept)
    return done


def is_of_choice(note: str) -> bool:
    """Whether a note tells how size or channels were chosen, which is of no use where a model has them."""
    return note.endswith((_SIZED, _IN_GREY))


def earlier_shapes(shape: Shape | None) -> list[tuple[Shape | None, int | None]]:
    """The shapes and sizes that the training of a model of this shape may have asked for."""
    return [] if shape is None else [(None, None), (None, shape[1])]


def _begun(about: Mapping[str, Any]) -> tuple[int, int, str | None] | None:
    """The height, the width and what is told of them, of a decoding that was interrupted; None where there is none."""
    height, width, note = about.get("height"), about.get("width"), about.get("note")
    if type(height) is not int or type(width) is not int or not (note is None or isinstance(note, str)):
        return None
    return (height, width, note) if min(height, width) > 0 and max(height, width) <= LARGEST else None


def _meant(done: Decoded, block: Block, rules: PixelRules) -> np.ndarray:
    """The images as what their bytes mean, where no file has more than 8 bits: see ``pixel_values``."""
    in_bytes = None if done.spans else rules.span  # `range` of files of 8 bits
    if in_bytes is not None and in_bytes.low >= 0 and in_bytes.high <= 255 and len(block.images):
        return in_bytes.bytes_of(block.images, block.changeable)
    if done.spans or not len(block.images):  # what there is of their numbers was told in their own units
        return block.images
    images, told, _ = pixels_of(block.images, "", place=block.changeable)  # they may hold few values
    done.of_bytes = [note.removeprefix(": ") for note in told]
    return images


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


def _in_colour(
    block: Block, pieces: Sequence[_Piece], met: Met,
    decode: Callable[[Sequence[_Piece]], Iterable[list[np.ndarray | str]]],
) -> None:  # fmt: skip
    """Give images that were taken for grey, in a set of which others are not, the little colour that they have."""
    unreadable, faint = dict(met.bad), set(met.faint)
    readable = [image for piece in pieces for image in piece.names if image not in unreadable]
    rows = {image: row for row, image in enumerate(readable) if image in faint}
    again = [piece for piece in pieces if not faint.isdisjoint(piece.names)]
    for start in range(0, len(again), _AT_ONCE):
        some = again[start : start + _AT_ONCE]
        for piece, results in zip(some, decode(some), strict=True):
            for image, result in zip(piece.names, results, strict=True):
                if image in rows and not isinstance(result, str):  # it was readable a moment ago
                    block.changeable()[rows[image]] = result


def _again_in_span(
    done: Decoded, numbers: Mapping[str, tuple[str, FoundNumbers]], block: Block, pieces: Sequence[_Piece],
    decode: Callable[[_Piece, Span], list[np.ndarray | str]], rules: PixelRules,
) -> None:  # fmt: skip
    """Decode files of more than 8 bits once more where all of them together show that they use less, or other numbers.

    Where that is unclear, files outside the plain span are bad ones.
    """
    from latentcli.formats.image_files import DEEP_SPANS

    unreadable = {image for image, _ in done.bad}
    readable = [image for piece in pieces for image in piece.names if image not in unreadable]
    rows = {image: row for row, image in enumerate(readable)}
    for kind, plain in DEEP_SPANS.items():
        deep = {image: numbers[image][1] for image in rows if image in numbers and numbers[image][0] == kind}
        if not deep:
            continue
        found = together([*deep.values()])
        if found.nothing:  # but padding
            continue
        if mixed := mixed_files([*deep.values()], [*deep]):
            done.notes.append(mixed)
        try:
            span, told = span_for(found, rules)
        except UnclearValues:
            bad = [image for image, each in deep.items() if not (each.nothing or plain.holds(each.low, each.high))]
            way = f"black and white are unclear; {hint(found)}{mixed and f'; {mixed}'}"
            for image in bad:
                each = deep[image]
                done.bad.append((image, f"{each.dtype.name} from {each.low:g} to {each.high:g}: {way}"))
            block.drop([rows[image] for image in bad])
            rows = {image: row for row, image in enumerate(image for image in rows if image not in bad)}
            span = plain
        else:
            done.remarks += [(image, told) for image in deep if told]
            if kind not in rules.spans and (dense := crowded(found, span)):
                done.notes.append(dense)
            for piece in pieces if not span.same_as(plain) else ():
                if deep.keys().isdisjoint(piece.names):
                    continue
                for image, result in zip(piece.names, decode(piece, span), strict=True):
                    if image in deep and not isinstance(result, str):  # it was readable a moment ago
                        block.changeable()[rows[image]] = result
        done.spans[kind] = span


def _size(
    folder: Files, files: Sequence[str], size: int | None, pages: bool
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
        told = f"{most} of {counts.total()} images have {height}×{width} pixels, and all are read in that size"
        return height, width, None if odd is None else f"{told}, {others} too; {_SIZED}"
    read = f"all are read as {SIZE_OF_MIXED}×{SIZE_OF_MIXED}; {_SIZED}"
    if most >= MOST * (counts.total() + left):
        beyond = f"images have {height}×{width} pixels, and models take {SMALLEST} to {LARGEST} a side"
        return SIZE_OF_MIXED, SIZE_OF_MIXED, f"its {beyond}: {read}"
    first = f"such as {height}×{width} and {others}"
    return SIZE_OF_MIXED, SIZE_OF_MIXED, f"its images are of unlike sizes, {first}: {read}"
