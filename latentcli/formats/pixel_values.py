"""What the numbers of pixels mean: which of them is black, and which white.

One rule for arrays and for files of more than 8 bits, from the type and the least and the largest number of *all*
images together: no image is stretched by itself, which would give equal objects unequal values.

* uint8 lies in 0…255, or in 0…1 where nothing is larger than 1; truth values are 0 and 1.
* Other whole numbers from 0 lie in 0…1, or in 0…2^b - 1 for the fewest b among 8, 10, 12, 14 and 16 bits that hold
  them; int8 from 0, which cannot reach 255, in 0…127.
* Floats lie in 0…1; in -1…1 where the least is -0.5 or less; in 0…255 where the largest is 32 or more.
* All else is refused, since a guess would be as often wrong as right, and needs the range said. What lies outside a
  range that is said is black or white, and counted.
* Padding has no say, see ``found_numbers``. Nor may a few numbers, such as hot pixels, make all others nearly black
  without a word.

What is not plain (uint8 in 0…255, 16 whole bits, floats in 0…1) is told. Images for a model are read as those that it
learned from were, where their numbers lie within what those spanned: a dark set stays as dark as it is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.formats.found_numbers import BITS, FoundNumbers, found_in_many, found_in_some
from latentcli.formats.mixed_scales import mixed_images

KINDS = ("whole", "float", "units")
NARROW = 1 / 6  # of black to white, within which nearly all numbers are read as nearly one level
FAINT = 31  # the largest of bytes, such as numbers of classes, that look all black
ROUNDING = 1e-6  # how far a float may lie outside its range
AS_PADDING = "{} is read as padding, which is black"
_BYTES_AGAIN = "where bytes above 127 became negative, as in Java, make them bytes again: data.view(numpy.uint8)"
_ENDS = "black or white"
_MARGIN = 0.05  # of the span of nearly all numbers, that is left on either side of them in the range that is advised
_NEAR_0 = 0.1  # part of white, below which black may as well be 0
_FILLED = 1.3  # times the largest number, below which white may as well be that of some bits
_ROUND_BYTES = 2**22  # bytes of numbers that are converted at a time


class UnclearValues(Exception):
    """Numbers whose black and white are unknown; the message tells what was found."""


@dataclass(frozen=True)
class Span:
    """The numbers of black and of white.

    Attributes:
        low, high: the two.
        plain: whether nothing needs to be told.
    """

    low: float
    high: float
    plain: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}…{self.high:g}"

    def holds(self, low: float, high: float) -> bool:
        """Whether numbers between these two lie in the span."""
        return self.low - ROUNDING <= low and high <= self.high + ROUNDING

    def same_as(self, other: "Span") -> bool:
        """Whether black and white are the same."""
        return (self.low, self.high) == (other.low, other.high)

    def bytes_of(self, values: np.ndarray, place: Callable[[], np.ndarray] | None = None) -> np.ndarray:
        """Values of any shape as uint8 in 0…255, rounded to the nearest, NaN as 0; a few megabytes at a time.

        Bytes that need no change are returned as they are. Others are written to what ``place`` gives, which may be
        the values' own; None: to a new array.
        """
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        result = np.empty(values.shape, dtype=np.uint8) if place is None else place()
        step = max(1, _ROUND_BYTES // max(1, values[0].nbytes))
        for start in range(0, len(values), step):
            part = np.asarray(values[start : start + step]).astype(np.float64)
            with np.errstate(over="ignore"):  # padding may be the least float
                scaled = (part - self.low) * (255 / (self.high - self.low))
            result[start : start + step] = np.rint(np.nan_to_num(scaled, nan=0).clip(0, 255))
        return result


@dataclass(frozen=True)
class PixelRules:
    """What is said about the pixels of a source before it is read.

    Attributes:
        span: the numbers of black and of white; None: by the rule above.
        spans: those by which a model's images were read, by ``kind_of`` their type. Numbers in 0…1 are read by the rule
            above nevertheless: they are fractions or truth values in any set.
        background: name of the colour that transparent pixels are laid on; None: black or white, by ``image_files``.
        pages: whether each page of a file is an image.
    """

    span: Span | None = None
    spans: Mapping[str, Span] = field(default_factory=dict)
    background: str | None = None
    pages: bool = False


def kind_of(dtype: np.dtype) -> str | None:
    """Which ``spans`` of a model numbers of a type have: "whole" or "float"; None of bytes and truth values."""
    return None if dtype == np.uint8 else {"i": "whole", "u": "whole", "f": "float"}.get(dtype.kind)


def spans_of(numbers: Mapping[str, Sequence[float]]) -> dict[str, Span]:
    """The spans of a model as an ``ImageSet`` and a checkpoint have them.

    Raises:
        UsageError: a kind is unknown, or its numbers are not black and white.
    """
    for kind, pair in numbers.items():
        if kind not in KINDS or len(pair) != 2 or not -math.inf < pair[0] < pair[1] < math.inf:
            found = f"found {tuple(pair)} for {kind!r}"
            raise UsageError(
                "`spans` says not which numbers are black and white", found, 'such as {"whole": (0, 4095)}'
            )
    return {kind: Span(float(low), float(high)) for kind, (low, high) in numbers.items()}


def parse_range(text: str) -> Span:
    """The span that "4095" or "-1,1" says.

    Raises:
        UsageError: it is neither a number nor two, the smaller before the larger.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    low, high = numbers if len(numbers) == 2 else (0.0, *numbers) if len(numbers) == 1 else (0.0, math.nan)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"`range` {text!r} says not which numbers are black and white", "such as 4095 or -1,1")
    return Span(low, high, plain=True)


def span_of(dtype: np.dtype, low: float, high: float) -> Span:
    """What numbers of this type from ``low`` to ``high`` span, by the rule above.

    Raises:
        UnclearValues: it is not clear.
    """
    if dtype.kind == "b":
        return Span(0, 1)
    if dtype == np.uint8:
        return Span(0, 1) if high == 1 else Span(0, 255, plain=True)
    if dtype.kind in "iu":
        if high == 1 and low == 0:
            return Span(0, 1)
        bits_of = (7, *BITS) if dtype == np.int8 else BITS
        whites = [2**bits - 1 for bits in bits_of if low >= 0 and high < 2**bits]
        if whites:
            return Span(0, whites[0], plain=dtype == np.uint16 and whites[0] == 65_535)
    elif dtype.kind == "f":
        if low >= -ROUNDING and high <= 1 + ROUNDING:
            return Span(0, 1, plain=True)
        if -1 - ROUNDING <= low <= -0.5 and high <= 1 + ROUNDING:
            return Span(-1, 1)
        if low >= -ROUNDING and 32 <= high <= 255 + ROUNDING:
            return Span(0, 255)
    raise UnclearValues(f"{dtype.name} from {low:g} to {high:g}")


def span_for(found: FoundNumbers, rules: PixelRules) -> tuple[Span, str]:
    """What such numbers span by what is said and by the rule above; and what is to be told of it, if anything.

    Raises:
        UnclearValues: it is not clear.
    """
    if rules.span is not None:
        return rules.span, ""
    low, high = found.low, found.high
    read = f"{found.dtype.name} from {low:g} to {high:g} is read as"
    kept = rules.spans.get(kind_of(found.dtype) or "")
    within = kept is not None and kept.holds(*found.bulk)  # hot pixels were clipped then, too
    try:
        own = span_of(found.dtype, low, high)
    except UnclearValues:
        if not within:
            raise
        own = None
    if own is not None and (kept is None or own.same_as(kept)):
        return own, "" if own.plain else f"{read} {own}; `range` says otherwise"
    assert kept is not None  # one of the two there is
    if own is None or (within and not Span(0, 1).holds(low, high)):
        beyond = "" if kept.holds(low, high) else f", and what lies outside is {_ENDS}"
        return kept, f"{read} {kept}, as the images of the model were{beyond}; `range` says otherwise"
    return own, f"{read} {own}, and the images of the model were read as {kept}; `range` says otherwise"


def crowded(found: FoundNumbers, span: Span) -> str:
    """What is to be told where nearly all numbers are read as nearly one level, with the range that spreads them."""
    low, high = found.bulk
    if not 0 < high - low <= NARROW * (span.high - span.low):
        return ""
    first, last = ((number - span.low) * 255 / (span.high - span.low) for number in (low, high))
    levels = f"levels {first:.0f} to {last:.0f} of 255"
    spread = _said(*_spread(found))
    but = f" but {' and '.join(f'{each:g}' for each in found.unusual)}" if found.unusual else ""
    return f"nearly all of its numbers{but}, {low:g} to {high:g}, become {levels}; `range` {spread} spreads them"


def what_is_outside(outside: int, count: int, images: int, span: Span) -> str:
    """What is told of numbers outside the range that was asked for."""
    return f"{outside:,} of {count:,} numbers, in {images} image(s), lie outside `range` {span} and are {_ENDS}"


def pixels_of(
    values: np.ndarray, name: str, rules: PixelRules | None = None, place: Callable[[], np.ndarray] | None = None
) -> tuple[np.ndarray, list[str], dict[str, Span]]:
    """Numbers of many images as uint8, the very array where they are that already.

    Args:
        values: (N, …) truth values, whole numbers or floats.
        name: of the data, for messages.
        rules: what is said of them.
        place: where bytes are written that are not the values' own, as for ``Span.bytes_of``.

    Returns:
        the bytes; what is to be told; and the span of the numbers, by ``kind_of`` their type.

    Raises:
        DataError: they are no numbers or not finite, or it is not clear what they span.
    """
    rules = rules or PixelRules()
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} holds images of type {values.dtype}", *_as_numbers(values))
    if values.dtype == np.uint8 and rules.span is None and any(image.max(initial=0) > FAINT for image in values):
        of_bytes = mixed_images(values), crowded(found_in_some(values), Span(0, 255))
        return values, [f"{name}: {note}" for note in of_bytes if note], {}
    asked = rules.span
    found, images = found_in_many(values, None if asked is None else (asked.low - ROUNDING, asked.high + ROUNDING))
    if not found.finite:
        raise _not_finite(values, name)
    mixed = mixed_images(values) if asked is None and values.dtype.itemsize > 1 else ""
    try:
        span, told = span_for(found, rules)
    except UnclearValues as unclear:
        what = f"{name} holds images in which black and white are unclear"
        raise DataError(what, f"found {unclear}", "; ".join(filter(None, (hint(found), mixed)))) from unclear
    kind = kind_of(values.dtype)
    if values.dtype == np.uint8 and asked is None and found.high > 1:
        told = f"its largest value is {found.high:g} of 255; `range` {found.high:g} makes it white"
    notes = [told, mixed, AS_PADDING.format(" and ".join(found.padding)) if found.padding else ""]
    if asked is None and kind not in rules.spans and values.dtype != np.uint8:
        notes.append(crowded(found, span))
    elif asked is not None and found.outside:
        notes.append(what_is_outside(found.outside, found.count, images, asked))
    told_of = [f"{name}: {note}" for note in notes if note]
    return span.bytes_of(values, place), told_of, {} if kind is None else {kind: span}


def _as_numbers(values: np.ndarray) -> tuple[str, str | None]:
    """What was found instead of numbers, and the numpy call that makes them such, where there is one."""
    if values.dtype.kind == "c":
        return "expected numbers", "real numbers are needed, such as the magnitude: abs(data)"
    if values.dtype.kind not in "US":
        return "expected numbers", None
    for row in values:
        try:
            row.astype(np.float64)
        except ValueError:
            text = next(text for text in row.reshape(-1) if not _is_number(text))
            way = "images are numbers, such as 0…255 in uint8; where these are labels, name them 'labels'"
            return f"expected numbers, found texts such as {_shown(text)}", way
    return f"found texts of numbers, such as {_shown(values.flat[0])}", "make them numbers: data.astype(float)"


def _shown(text: np.str_ | np.bytes_) -> str:
    return repr((text.decode("latin-1") if isinstance(text, bytes) else str(text))[:40])


def _is_number(text: np.str_ | np.bytes_) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _not_finite(values: np.ndarray, name: str) -> DataError:
    """With the calls that help: one that omits images, where some are left, and one to the ends of what is finite."""
    flat = values.reshape(len(values), -1)
    bad = [row for row in range(len(values)) if not np.isfinite(flat[row]).all()]
    found = f"found some in {len(bad)} of {len(values)} images, first in number {bad[0]}"
    ends = [(row[good].min(), row[good].max()) for row in flat if (good := np.isfinite(row)).any()] or [(0, 0)]
    low, high = float(min(ends)[0]), max(float(most) for _, most in ends)
    black = f"make them black and white: numpy.nan_to_num(data, nan={low:.10g}, posinf={high:.10g}, neginf={low:.10g})"
    omit = "omit these: data[numpy.isfinite(data.reshape(len(data), -1)).all(axis=1)], and their labels"
    remedy = black if len(values) - len(bad) < 2 else f"{omit}; or {black}"
    return DataError(f"{name} holds numbers that are not finite", found, remedy)


def hint(found: FoundNumbers) -> str:
    """What to do with numbers of an unclear span: words that are right when they are followed."""
    low, high = found.bulk
    if not 0 < high - low <= NARROW * (found.high - found.low):
        low, high = found.low, found.high
        near = found.dtype.kind == "f" and low > -0.5 and high < 2
        clip = "clip them, where they should lie in 0…1: data.clip(0, 1); or " if near else ""
        black, white = min(0.0, _outward(low, down=True)), _outward(high)
    else:  # a few hot pixels would make all others nearly black
        clip = ""
        black, white = _spread(found)
    if found.dtype == np.int8:
        clip, black, white = f"{_BYTES_AGAIN}; or ", -128, 127
    if white <= black:
        white = 0 if black < 0 else 1
    return f"{clip}say which are black and white: `range` {_said(black, white)}"


def _said(black: float, white: float) -> str:
    """The text of `range`, which ``parse_range`` reads."""
    return f"{f'{black:.10g},' if black else ''}{white:.10g}"


def _spread(found: FoundNumbers) -> tuple[float, float]:
    """Black and white that spread nearly all of the numbers: from 0 to those of some bits where they fill these."""
    low, high = found.bulk
    margin = _MARGIN * (high - low)
    black, white = max(found.low, low - margin), min(found.high, high + margin)
    if found.low >= 0 and black <= _NEAR_0 * white:
        black = 0.0
        filled = [2**bits - 1 for bits in BITS if high < 2**bits <= _FILLED * high]
        if filled and found.dtype.kind in "iu":
            return 0.0, filled[0]
    if found.dtype.kind in "iu":
        return math.floor(black), math.ceil(white)
    return _outward(black, down=True), _outward(white)


def _outward(number: float, down: bool = False) -> float:
    """The number with four digits, away from the others."""
    if number == 0:
        return 0.0
    digit = 10.0 ** (math.floor(math.log10(abs(number))) - 3)
    return (math.floor(number / digit) if down else math.ceil(number / digit)) * digit
