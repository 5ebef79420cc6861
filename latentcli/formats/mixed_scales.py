"""Images of two scales under one name, such as floats in 0…1 beside floats in 0…255, or beside floats in -1…1.

All are read with one black and one white, and so those of the smaller numbers become nearly black, or none of them
darker than grey. That may be right, as for empty fields of a microscope; therefore it is told, and nothing is changed.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from latentcli.formats.found_numbers import BITS, FoundNumbers

_APART = 8  # times the brightest of some images, above which the brightest of all others lie: three bits
_SHARE, _FEWEST = 0.1, 2  # of the images, that are the darker ones
_FRACTIONS, _NO_FRACTIONS = 1.0, 32.0  # floats up to the one beside floats beyond the other are never of one scale
_BELOW, _ABOVE = -0.25, 0.1  # the darkest of floats in -1…1 and of those in 0…1: up to this, and from 0 to about this
_ROUNDING = 1e-6
_BRIGHT = 0.99  # the quantile of an image that is compared: its brightest but hot pixels
_IMAGES, _NUMBERS = 2048, 1024  # of an array, and of each of its images, that are compared
_AT_ONCE = 2**19  # numbers of whole images


def mixed_files(found: Sequence[FoundNumbers], names: Sequence[str]) -> str:
    """What is to be told of files with these names, if anything."""
    tops = np.array([np.quantile(each.sample, _BRIGHT) if len(each.sample) else 0.0 for each in found])
    lows = np.array([each.sample.min() if len(each.sample) else 0.0 for each in found])
    return _mixed(tops, lows, [each.dtype for each in found], names.__getitem__)


def mixed_images(values: np.ndarray) -> str:
    """What is to be told of the images of an array, (N, …), if anything."""
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), _IMAGES)).astype(np.int64))
    size = max(1, math.prod(values.shape[1:]))
    together = max(1, _AT_ONCE // size)
    tops, lows = np.zeros(len(rows)), np.zeros(len(rows))
    for start in range(0, len(rows), together):
        some = slice(start, start + together)
        numbers = values[rows[some]].reshape(-1, size)[:, :: max(1, size // _NUMBERS)].astype(np.float64)
        tops[some], lows[some] = np.quantile(numbers, _BRIGHT, axis=1), numbers.min(axis=1)
    return _mixed(tops, lows, [values.dtype] * len(rows), lambda place: f"image number {rows[place]}")


def _mixed(tops: np.ndarray, lows: np.ndarray, dtypes: Sequence[np.dtype], name: Callable[[int], str]) -> str:
    if all(each.kind == "f" for each in dtypes) and lows.min(initial=0) <= _BELOW and tops.max() <= 1 + _ROUNDING:
        return _shifted(tops, lows, name)  # black is -1 there, and a brightest number near 0 is none near black
    places = np.flatnonzero(tops > 0)
    places = places[np.argsort(tops[places], kind="stable")]
    for dark in range(1, len(places)):
        below, above = float(tops[places[dark - 1]]), float(tops[places[dark]])
        never = dtypes[places[dark]].kind == "f" and below <= _FRACTIONS and above >= _NO_FRACTIONS
        several = dark >= max(_FEWEST, _SHARE * len(tops))
        if dtypes[places[dark - 1]] == np.uint8:
            several = several and below <= 1  # truth values; other bytes have one scale, and may be dark
        if above > _APART * below and (never or several):
            break
    else:
        return ""
    last = int(places[-1])
    ends = f"{name(int(places[dark - 1]))} reaches {below:.6g} and {name(last)} {tops[last]:.6g}"
    whites = _white(below, dtypes[places[dark - 1]]), _white(float(tops[last]), dtypes[last])
    scale = ""
    if whites[0] and whites[1] and whites[0] < whites[1]:
        of_both_signs = whites[0] == 1 and lows[places[:dark]].min() <= _BELOW
        scale = f"(image + 1) * {whites[1] / 2:g}" if of_both_signs else f"image * {round(whites[1] / whites[0])}"
        scale = f": {scale} for the darker"
    what = f"{dark} of {len(tops)} images are much darker than all others: {ends}"
    return f"{what}; if these are two scales, save them in one{scale}, or read each alone with its `range`"


def _shifted(tops: np.ndarray, lows: np.ndarray, name: Callable[[int], str]) -> str:
    """What is to be told of floats where some images lie in -1…1 and others in 0…1, and none in between."""
    levels = np.flatnonzero(tops > lows)  # of images of one level nothing can be said
    below, above = levels[lows[levels] <= _BELOW], levels[lows[levels] >= -_ROUNDING]
    several = min(len(below), len(above)) >= max(_FEWEST, _SHARE * len(levels))
    apart = len(below) + len(above) == len(levels)
    if not (several and apart and lows.min() >= -1 - _ROUNDING and np.median(lows[above]) <= _ABOVE):
        return ""
    ends = [f"{name(int(each[0]))} from {lows[each[0]]:.6g}" for each in (above, below)]
    what = f"{len(above)} of {len(tops)} images have no number below 0, and the others have: {' and '.join(ends)}"
    scale = "image * 2 - 1 for the first"
    return f"{what}; if these are two scales, save them in one: {scale}, or read each alone with its `range`"


def _white(top: float, dtype: np.dtype) -> int | None:
    """The least usual white that is no less than the brightest number; None: there is none."""
    whites = (1, 255) if dtype.kind == "f" else (1, *(2**bits - 1 for bits in BITS))
    return next((white for white in whites if top <= white), None)
