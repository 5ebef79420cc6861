"""What numbers images hold: the least and the largest, what is padding among them, and where nearly all of them lie.

Padding stands where a device saw nothing, and is no brightness: NaN in floats, what a DICOM file calls so, and the
numbers of ``PADDING``, and floats of ``NO_DATA`` or less, where all others lie well above. It is read as black, and
left out of what is found here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PADDING = (-32_768.0, -9999.0)
"""Usual numbers for no number, in rising order: of 16 bits, and of weather and terrain."""
NO_DATA = -1e20
"""What no device measures: GIS programs have the least float of 32 or 64 bits, in as many digits as they like."""
BITS = (8, 10, 12, 14, 16)
"""Of whole numbers, as devices have them."""
BULK = 0.005, 0.995
"""The quantiles between which nearly all numbers lie: a pixel that is always hot is 1 of 256 in images of 16×16."""
ENOUGH = 2**21  # numbers of all images together from which quantiles are taken
_MARKS = 2  # unlike numbers up to ``NO_DATA`` that are padding; more are numbers
_INVALID = 0.25  # of the numbers, that may be no number, by being far above all others
_MISSING = 0.75  # of the numbers, that may be none, by being far below all others, which have many levels
_LEVELS = 16
_GAP = 0.01  # of the span of the others, by which padding lies below them
_NAN = "NaN"
_NAMED = "what the file calls padding"
_SOME, _SOME_NUMBERS = 512, 2**18  # images of an array, and their numbers, where all need not be read
_BYTES = 2**22  # bytes of numbers that are looked at at a time


@dataclass(frozen=True)
class FoundNumbers:
    """Of one image, or of many together.

    Attributes:
        dtype: the type.
        low, high: the least and the largest but padding; inf and -inf where there is nothing else.
        sample: float64, some of them, evenly spread.
        padding: what there is, such as "-9999" and "NaN".
        outside: how many lie outside the span that was asked for, but padding.
        count: of all, with padding.
    """

    dtype: np.dtype
    low: float
    high: float
    sample: np.ndarray
    padding: tuple[str, ...] = ()
    outside: int = 0
    count: int = 0

    @property
    def nothing(self) -> bool:
        """Whether all is padding."""
        return self.low > self.high

    @property
    def finite(self) -> bool:
        """Whether no number is infinite, and none is NaN where that is no padding."""
        return self.nothing or (math.isfinite(self.low) and math.isfinite(self.high))

    @property
    def bulk(self) -> tuple[float, float]:
        """The numbers between which nearly all ``usual`` lie; all, where nearly all are one, as in most label maps."""
        sample = self.usual
        if not len(sample):
            return self.low, self.high
        low = float(np.quantile(sample, BULK[0], method="higher"))
        high = float(np.quantile(sample, BULK[1], method="lower"))
        return (low, high) if low < high else (self.low, self.high)

    @property
    def usual(self) -> np.ndarray:
        """The sample, in types of more than 8 bits without the least and the largest number where far from all others.

        Such as 65535 where a camera found no depth, or 0 where a satellite saw nothing, each of which is as far from
        the others as these are from one another. Black round bright images is no such 0, nor is one of few levels.
        """
        sample, low = self.sample, self.low
        if self.dtype.itemsize == 1:
            return sample
        others = sample[(sample > low) & (sample < self.high)]
        count = int(np.count_nonzero(sample > low))
        if (1 - _MISSING) * len(sample) <= count < len(sample) and len(others):
            least = float(others.min())
            if least - low > np.ptp(others) and len(np.unique(others)) >= _LEVELS:
                sample, low = sample[sample > low], least
        others = sample[sample < self.high]
        if not (1 - _INVALID) * len(sample) <= len(others) < len(sample):
            return sample
        return others if others.max() - low < (self.high - low) / 2 else sample

    @property
    def unusual(self) -> list[float]:
        """The least and the largest number where they are not ``usual`` though many: at most two."""
        usual = self.usual
        ends = (self.low, usual.min(initial=math.inf) > self.low), (self.high, usual.max(initial=-math.inf) < self.high)
        return [end for end, apart in ends if apart and end in self.sample] if len(usual) < len(self.sample) else []


def found_in(
    values: np.ndarray, most: int = ENOUGH, span: tuple[float, float] | None = None,
    padding: np.ndarray | None = None, nan_is_padding: bool = True,
) -> FoundNumbers:  # fmt: skip
    """What there is among numbers of any shape.

    Args:
        values: real numbers or truth values.
        most: how many of them are kept as a sample.
        span: black and white that were asked for.
        padding: of the same shape, where the file itself says that there is padding.
        nan_is_padding: otherwise NaN is a number that is not finite.
    """
    dtype, marks = values.dtype, list[str]()
    flat = values.reshape(-1)
    if padding is not None and padding.any():
        flat, marks = flat[~padding.reshape(-1)], [_NAMED]
    if dtype.kind == "f" and nan_is_padding and (nan := np.isnan(flat)).any():
        flat, marks = flat[~nan], [*marks, _NAN]
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (math.inf, -math.inf)
    if dtype.kind == "f" and -math.inf < low <= NO_DATA:
        away = flat <= NO_DATA
        if len(unlike := np.unique(flat[away])) <= _MARKS:
            flat, marks = flat[~away], [*marks, *map(str, unlike)]
            low, high = (float(flat.min()), high) if flat.size else (math.inf, -math.inf)
    for mark in PADDING:
        if low == mark and dtype.kind in "if":
            others = flat[flat != mark]
            above = float(others.min()) if others.size else math.inf
            if above - mark <= max(1, _GAP * (high - above)):
                break
            flat, low, marks = others, above, [*marks, f"{mark:.10g}"]
            high = high if others.size else -math.inf
    some = flat[np.linspace(0, flat.size - 1, min(flat.size, max(1, most))).astype(np.int64)] if flat.size else flat
    outside = 0
    if span is not None and (low < span[0] or high > span[1]):
        outside = int(np.count_nonzero(flat < span[0]) + np.count_nonzero(flat > span[1]))
    return FoundNumbers(dtype, low, high, some.astype(np.float64), tuple(marks), outside, values.size)


def found_in_many(values: np.ndarray, span: tuple[float, float] | None = None) -> tuple[FoundNumbers, int]:
    """What there is among those of an array of images, (N, …), a few megabytes at a time; NaN is no padding there.

    Returns:
        that, and in how many images some lie outside the span.
    """
    parts, images = [], 0
    step = max(1, _BYTES // max(1, values[0].nbytes))
    for start in range(0, len(values), step):
        part = np.asarray(values[start : start + step])
        most = max(1, ENOUGH * len(part) // len(values))
        parts.append(found_in(part, most, span, nan_is_padding=False))
        if span is not None and parts[-1].outside:
            images += sum(found_in(each, 1, span, nan_is_padding=False).outside > 0 for each in part)
    return together(parts), images


def found_in_some(values: np.ndarray) -> FoundNumbers:
    """What there is among those of some images, evenly spread, of an array of many that may lie on the disk."""
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), _SOME)).astype(np.int64))
    step = max(1, _SOME_NUMBERS // max(1, values[0].size))
    parts = (values[rows[start : start + step]] for start in range(0, len(rows), step))
    return together([found_in(part, _SOME_NUMBERS * len(part) // len(rows)) for part in parts])


def together(parts: Sequence[FoundNumbers]) -> FoundNumbers:
    """What there is among all of them; the type is the largest."""
    low, high = (float(np.min([part.low for part in parts])), float(np.max([part.high for part in parts])))
    marks = dict.fromkeys(mark for part in parts for mark in part.padding)
    return FoundNumbers(
        max((part.dtype for part in parts), key=lambda dtype: dtype.itemsize),
        low, high, np.concatenate([part.sample for part in parts]),
        tuple(mark for mark in marks if not _is_above(mark, low)),
        sum(part.outside for part in parts), sum(part.count for part in parts),
    )  # fmt: skip


def _is_above(mark: str, low: float) -> bool:
    """Whether a number that was padding in one image is none among those of others."""
    return mark not in (_NAN, _NAMED) and float(mark) >= low
