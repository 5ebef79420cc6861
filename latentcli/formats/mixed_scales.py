"""Images of two scales under one name, such as floats in 0…1 beside floats in 0…255.

All are read with one black and one white, and so those of the smaller numbers become nearly black. That may be right,
as for empty fields of a microscope; therefore it is told, and nothing is changed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from latentcli.formats.found_numbers import BITS, FoundNumbers

_APART = 8  # times the brightest of some images, above which the brightest of all others lie: three bits
_SHARE, _FEWEST = 0.1, 2  # of the images, that are the darker ones
_FRACTIONS, _NO_FRACTIONS = 1.0, 32.0  # floats up to the one beside floats beyond the other are never of one scale
_BRIGHT = 0.99  # the quantile of an image that is compared: its brightest but hot pixels
_IMAGES, _NUMBERS = 2048, 1024  # of an array, and of each of its images, that are compared


def mixed_files(found: Sequence[FoundNumbers], names: Sequence[str]) -> str:
    """What is to be told of files with these names, if anything."""
    tops = np.array([np.quantile(each.sample, _BRIGHT) if len(each.sample) else 0.0 for each in found])
    return _mixed(tops, [each.dtype for each in found], names.__getitem__)


def mixed_images(values: np.ndarray) -> str:
    """What is to be told of the images of an array, (N, …), if anything."""
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), _IMAGES)).astype(np.int64))
    tops = np.zeros(len(rows))
    for place, row in enumerate(rows):
        numbers = values[row].reshape(-1)
        some = numbers[:: max(1, len(numbers) // _NUMBERS)].astype(np.float64)
        tops[place] = np.quantile(some, _BRIGHT)
    return _mixed(tops, [values.dtype] * len(rows), lambda place: f"image number {rows[place]}")


def _mixed(tops: np.ndarray, dtypes: Sequence[np.dtype], name: Callable[[int], str]) -> str:
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
        scale = f": image * {round(whites[1] / whites[0])} for the darker"
    what = f"{dark} of {len(tops)} images are much darker than all others: {ends}"
    return f"{what}; if these are two scales, save them in one{scale}, or read each alone with its `range`"


def _white(top: float, dtype: np.dtype) -> int | None:
    """The least usual white that is no less than the brightest number; None: there is none."""
    whites = (1, 255) if dtype.kind == "f" else (1, *(2**bits - 1 for bits in BITS))
    return next((white for white in whites if top <= white), None)
