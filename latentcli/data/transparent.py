"""Arrays of images with an alpha channel, laid on the ground that image files with transparency are laid on."""

from collections import Counter

import numpy as np

from latentcli.core.errors import DataError
from latentcli.formats.pixel_values import PixelRules, Span, UnclearValues, pixels_of, span_of

_ROUND = 256  # images of which the alpha is converted at a time


def opaque(
    array: np.ndarray, name: str, rules: PixelRules, leave_out: str
) -> tuple[np.ndarray, list[str], dict[str, Span]]:  # fmt: skip
    """(N, 1, H, W) or (N, 3, H, W) uint8 of (N, 2, H, W) or (N, 4, H, W) numbers, the last channel of which is alpha.

    Args:
        array: its colours span what those of arrays without alpha do; alpha may be 0…1, or of other bits, by itself.
            Only where the colours leave that unclear, as dark ones in floats do, do all channels together tell.
        name: of the data, for messages.
        rules: what is said of the pixels; a ``background`` with colour makes images of three channels.
        leave_out: the numpy call that leaves the last channel out.

    Returns:
        the images; what is to be told; and spans as of ``pixels_of``.

    Raises:
        DataError: as for ``pixels_of``, or no image has a visible pixel, or the last channel cannot be alpha.
    """
    from PIL import Image, ImageColor

    from latentcli.formats.transparency import ON_GROUND, on_ground

    of_alpha = _span_of_alpha(array, name, leave_out) if array.dtype.kind in "biuf" else Span(0, 1)
    try:
        colours, told, spans = pixels_of(array[:, :-1], name, rules)
    except DataError as error:
        if not isinstance(error.__cause__, UnclearValues):
            raise
        try:
            colours, told, spans = pixels_of(array, name, rules)
        except DataError:
            raise error from error.__cause__
        colours = colours[:, :-1]
    mode = "RGB" if len(set(ImageColor.getrgb(rules.background or "black")[:3])) > 1 else "L"
    mode = "RGB" if colours.shape[1] == 3 else mode
    result = np.empty((len(array), len(mode), *array.shape[2:]), np.uint8)
    grounds: Counter[str] = Counter()
    first: dict[str, int] = {}
    for start in range(0, len(array), _ROUND):
        alphas = of_alpha.bytes_of(array[start : start + _ROUND, -1])
        for row, (channels, alpha) in enumerate(zip(colours[start : start + _ROUND], alphas, strict=True), start):
            layered = Image.fromarray(np.dstack([*channels, alpha]), "RGBA" if len(channels) == 3 else "LA")
            plain, ground = on_ground(layered, rules.background)
            result[row] = np.moveaxis(np.atleast_3d(np.asarray(plain.convert(mode))), -1, 0)
            if ground is not None:
                grounds[ground] += 1
                first.setdefault(ground, row)
    told.append(f"{name}: the last of its {array.shape[1]} channels is read as alpha; {leave_out} leaves it out")
    told += [
        f"{name}: {ON_GROUND.format(ground)} in {count} image(s), such as number {first[ground]}; `background` says "
        "otherwise" for ground, count in grounds.items()
    ]  # fmt: skip
    return result, told, spans


def _span_of_alpha(array: np.ndarray, name: str, leave_out: str) -> Span:
    """What is wholly transparent, and what wholly visible."""
    alpha, colours = array[:, -1], array[:, :-1]
    low, high = float(alpha.min()), float(alpha.max())
    try:
        if high == 0:
            raise UnclearValues("0 alone")
        return Span(0, 1) if alpha.dtype.kind != "f" and high == 1 else span_of(alpha.dtype, low, high)
    except UnclearValues as unclear:
        if high == 0 and all((image == colours[0, :, :1, :1]).all() for image in colours):
            what = f"all {len(array)} images of {name} are wholly transparent"
            remedy = "name images that show something"
            raise DataError(what, "found one colour beneath in all of them", remedy) from None
        what = f"the last channel of {name} is no alpha"
        raise DataError(what, f"found {unclear}", f"leave it out: {leave_out}") from unclear
