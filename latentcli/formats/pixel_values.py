"""What the numbers of pixels mean: which of them is black, and which white.

One rule for arrays and for files of more than 8 bits, from the type and the least and the largest number of *all*
images together: no image is stretched by itself, which would give equal objects unequal values.

* uint8 lies in 0…255, or in 0…1 where nothing is larger than 1; truth values are 0 and 1.
* Other whole numbers from 0 lie in 0…1, or in 0…2^b - 1 for the fewest b among 8, 10, 12, 14 and 16 bits that hold
  them; int8 from 0, which cannot reach 255, in 0…127.
* Floats lie in 0…1; in -1…1 where the least is -0.5 or less; in 0…255 where the largest is 32 or more.
* All else is refused, since a guess would be as often wrong as right, and needs the range said.

What is not plain (uint8 in 0…255, 16 whole bits, floats in 0…1) is told. Images for a model are read as those that it
learned from were, where their numbers lie within what those spanned: a dark set stays as dark as it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentcli.core.errors import DataError, UsageError

BITS = (8, 10, 12, 14, 16)
KINDS = ("whole", "float", "units")
FAINT = 31  # the largest of bytes, such as numbers of classes, that look all black
ROUNDING = 1e-6  # how far a float may lie outside its range
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

    def bytes_of(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape as uint8 in 0…255, rounded to the nearest; a few megabytes at a time."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        result = np.empty(values.shape, dtype=np.uint8)
        step = max(1, _ROUND_BYTES // max(1, values[0].nbytes))
        for start in range(0, len(values), step):
            part = np.asarray(values[start : start + step]).astype(np.float64)
            scaled = (part - self.low) * (255 / (self.high - self.low))
            result[start : start + step] = np.rint(scaled.clip(0, 255))
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


def extremes(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest of many numbers, a few megabytes at a time; (nan, nan) if one is not finite."""
    low, high = math.inf, -math.inf
    step = max(1, _ROUND_BYTES // max(1, values[0].nbytes))
    for start in range(0, len(values), step):
        part = np.asarray(values[start : start + step])
        least, largest = float(part.min()), float(part.max())
        if not (math.isfinite(least) and math.isfinite(largest)):
            return math.nan, math.nan
        low, high = min(low, least), max(high, largest)
    return low, high


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


def span_for(dtype: np.dtype, low: float, high: float, rules: PixelRules) -> tuple[Span, str]:
    """What such numbers span by what is said and by the rule above; and what is to be told of it, if anything.

    Raises:
        UnclearValues: it is not clear.
    """
    if rules.span is not None:
        return rules.span, ""
    found = f"{dtype.name} from {low:g} to {high:g} is read as"
    kept = rules.spans.get(kind_of(dtype) or "")
    try:
        own = span_of(dtype, low, high)
    except UnclearValues:
        if kept is None or not kept.holds(low, high):
            raise
        own = None
    if own is not None and (kept is None or own.same_as(kept)):
        return own, "" if own.plain else f"{found} {own}; `range` says otherwise"
    assert kept is not None  # one of the two there is
    if own is None or (kept.holds(low, high) and not Span(0, 1).holds(low, high)):
        return kept, f"{found} {kept}, as the images of the model were; `range` says otherwise"
    return own, f"{found} {own}, and the images of the model were read as {kept}; `range` says otherwise"


def pixels_of(
    values: np.ndarray, name: str, rules: PixelRules | None = None
) -> tuple[np.ndarray, list[str], dict[str, Span]]:
    """Numbers of many images as uint8, the very array where they are that already.

    Args:
        values: (N, …) truth values, whole numbers or floats.
        name: of the data, for messages.
        rules: what is said of them.

    Returns:
        the bytes; what is to be told; and the span of the numbers, by ``kind_of`` their type.

    Raises:
        DataError: they are no numbers or not finite, lie outside the given span, or it is not clear what they span.
    """
    rules = rules or PixelRules()
    if values.dtype.kind not in "biuf":
        remedy = "real numbers are needed, such as the magnitude: abs(data)" if values.dtype.kind == "c" else None
        raise DataError(f"{name} holds images of type {values.dtype}", "expected numbers", remedy)
    if values.dtype == np.uint8 and rules.span is None and any(image.max(initial=0) > FAINT for image in values):
        return values, [], {}
    low, high = extremes(values)
    if math.isnan(low):
        flat = values.reshape(len(values), -1)
        bad = [row for row in range(len(values)) if not np.isfinite(flat[row]).all()]
        found = f"found some in {len(bad)} of {len(values)} images, first in number {bad[0]}"
        remedy = "omit these: data[numpy.isfinite(data.reshape(len(data), -1)).all(axis=1)], and their labels"
        raise DataError(f"{name} holds numbers that are not finite", found, remedy)
    if rules.span is not None and not rules.span.holds(low, high):
        raise DataError(f"{name} holds numbers outside `range` {rules.span}", f"found {low:g} to {high:g}")
    try:
        span, told = span_for(values.dtype, low, high, rules)
    except UnclearValues as unclear:
        raise DataError(
            f"{name} holds images in which black and white are unclear",
            f"found {unclear}",
            hint(values.dtype, low, high),
        ) from unclear
    kind = kind_of(values.dtype)
    if values.dtype == np.uint8 and rules.span is None and high > 1:
        told = f"its largest value is {high:g} of 255; `range` {high:g} makes it white"
    return span.bytes_of(values), [f"{name}: {told}"] if told else [], {} if kind is None else {kind: span}


def hint(dtype: np.dtype, low: float, high: float) -> str:
    """What to do with numbers of an unclear span: words that are right when they are followed."""
    near = dtype.kind == "f" and low > -0.5 and high < 2
    clip = "clip them, where they should lie in 0…1: data.clip(0, 1); or " if near else ""
    black, white = min(0.0, _outward(low, down=True)), _outward(high)
    if dtype == np.int8:
        black, white = -128, 127
    if white <= black:
        white = 0 if black < 0 else 1
    return f"{clip}say which are black and white: `range` {f'{black:.10g},' if black else ''}{white:.10g}"


def _outward(number: float, down: bool = False) -> float:
    """The number with four digits, away from the others."""
    if number == 0:
        return 0.0
    digit = 10.0 ** (math.floor(math.log10(abs(number))) - 3)
    return (math.floor(number / digit) if down else math.ceil(number / digit)) * digit
