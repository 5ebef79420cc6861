"""Images with transparent pixels laid on a ground that keeps what is drawn visible."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageColor

DARK = 64  # levels out of 255 of mean luma, below which what is visible is laid on white
ON_GROUND = "transparent pixels are laid on {}"
"""What is told of a file with transparent pixels, with the name of the ground."""
UNSEEN = "every pixel is transparent, and nothing is seen of what lies beneath"
EMPTY = "every pixel is transparent, and nothing lies beneath"
"""What is told of a file of which no ``background`` shows anything: with colours that its alpha hides, and with one."""
_LAYERED = ("LA", "La", "PA", "RGBA", "RGBa")

Tell = Callable[[str], None]


def in_8_bits(image: Image.Image) -> Image.Image:
    """The same image of bytes in mode L or RGB, or with transparency."""
    if image.mode in _LAYERED or "transparency" in image.info:
        return image
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def opaque(image: Image.Image, tell: Tell, background: str | None) -> Image.Image:
    """An image of ``in_8_bits`` in mode L or RGB, on its ground, which is told."""
    if image.mode not in _LAYERED and "transparency" not in image.info:
        return image
    plain, ground = on_ground(image, background)
    if ground is not None and _visible(image):
        tell(ON_GROUND.format(ground))
    elif ground is not None:
        beneath = np.asarray(image.convert("RGBA").convert("RGB"))
        tell(EMPTY if (beneath == beneath[0, 0]).all() else UNSEEN)
    return plain


def _visible(image: Image.Image) -> bool:
    """Whether not all is transparent."""
    return bool(image.convert("RGBA").getchannel("A").getextrema()[1])


def on_ground(image: Image.Image, background: str | None) -> tuple[Image.Image, str | None]:
    """The image in mode L or RGB, without transparency: what is visible of it on the ground asked for, or else on black
    or white; and the name of the ground, None where nothing is transparent.
    """
    grey = image.mode in ("L", "LA", "La", "1")
    layered = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    alpha = layered.getchannel("A")
    plain = layered.convert("RGB")
    if alpha.getextrema()[0] == 255:
        return plain.convert("L") if grey else plain, None
    visible = np.asarray(alpha, dtype=np.float64)
    luma = np.asarray(plain.convert("L"))
    dark = visible.any() and float((luma * visible).sum() / visible.sum()) < DARK
    name = background or ("white" if dark else "black")
    ground = Image.new("RGB", image.size, name)
    ground.paste(plain, mask=alpha)
    colourless = len(set(ImageColor.getrgb(name)[:3])) == 1
    return ground.convert("L") if grey and colourless else ground, name
