"""Random distortions that do not change what an image shows, a batch at a time: one mechanism for all that use them.

Which distortions these are depends on the images. ``VIEWS`` names three kinds, and ``views_of`` chooses among them.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcli.numerics.shared_batches import drawn

CONTROL_POINTS = 4
"""A side of the grid whose displacements make the warp."""

ASPECT = 4 / 3
"""The largest ratio of the sides of a crop, relative to the image's."""

JITTERED = 0.8
"""Probability that the colours of an image are changed at all."""

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to how bright a pixel looks (Rec. 601)."""

TO_YIQ = (LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""Luma and two axes of colour; hue is an angle in their plane."""


@dataclass(frozen=True)
class Distortion:
    """How far images are distorted, in either direction.

    Attributes:
        rotation: degrees.
        scale: logarithm of the scale of each axis.
        shear: tangent of the angle.
        shift: fraction of the side.
        warp: standard deviation of the displacements of a smooth warp, in half sides.
        area: the smallest part of the image that a crop keeps, which is then enlarged to the whole; 1 crops nothing.
        flip: probability of mirroring, left to right; None draws nothing.
        brightness, contrast, saturation: change as a fraction; saturation only of colour images.
        hue: change as a fraction of the circle; only of colour images.
        grey: probability that a colour image loses its colours.
    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    warp: float = 0.0
    area: float = 1.0
    flip: float | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0


AFFINE = Distortion(rotation=15, scale=0.15, shear=0.15, shift=0.1, flip=0.0)
"""What a classifier's training images go through."""

VIEWS: dict[str, Distortion] = {
    "digits": Distortion(rotation=15, scale=0.15, shear=0.15, shift=0.1, warp=0.08),
    "scans": Distortion(rotation=10, area=0.4, flip=0.5, brightness=0.4, contrast=0.4),
    "photos": Distortion(area=0.2, flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2),
}
"""Distortions by the kind of images: of strokes on a plain ground; of grey pictures; of colour photographs.

Sources: the elastic distortion of Simard, Steinkraus & Platt 2003; the crops and colours of Chen et al. 2020 (SimCLR),
appendix A, without their blur; for scans milder crops.
"""

MIRRORED = Distortion(flip=0.5)
"""What images themselves go through where their views are mirrored: a decoder learns from twice as many."""

AUTO = "auto"
"""Instead of a name in ``VIEWS``: what ``views_of`` says."""

SMALL = 16
"""Sides below this hold too little for a part of the image to show what it shows."""

PLAIN = 2 / 3
"""Fraction of all pixels from which on a value counts as the ground of drawings."""

LEVELS = 16
"""Grey levels that count as one value there."""

LOOKED_AT = 1_000
"""Images that ``views_of`` looks at."""


def views_of(images: np.ndarray) -> str:
    """The kind of views, a name in ``VIEWS``, that suits images (N, C, H, W) uint8; labels are not needed.

    Colour images are photos. Grey ones, in one channel or three equal ones, are digits where two thirds of all pixels
    have one value, up to 16 levels, which is then the ground; or where a side has less than 16 pixels. The others are
    scans. It looks at up to 1,000 images, evenly spaced.
    """
    some = images[np.linspace(0, len(images) - 1, min(len(images), LOOKED_AT)).astype(int)]
    if some.shape[1] == 3 and (some.max(axis=1) - some.min(axis=1) > LEVELS).mean() > 0.01:
        return "photos"
    ground = np.bincount(some.ravel() // LEVELS).max() / some.size
    return "digits" if ground >= PLAIN or min(some.shape[2:]) < SMALL else "scans"


def distorted(images: Tensor, how: Distortion, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Each image under its own random distortion, interpolated; its edges are continued outside.

    Images are (N, C, H, W) in [0, 1] on the generator's device; ``strength`` is a factor on every range but those of
    crops, mirrors and greys, 0 changing nothing else.
    """
    maps = affine_maps(images, how, generator, strength)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    if how.warp:
        control = drawn(
            lambda rows: torch.randn(
                rows, 2, CONTROL_POINTS, CONTROL_POINTS, generator=generator, device=images.device
            ),
            len(images),
        )
        warp = F.interpolate(control, size=images.shape[2:], mode="bicubic", align_corners=True)
        grid = grid + strength * how.warp * warp.permute(0, 2, 3, 1)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    recoloured = how.brightness or how.contrast or how.saturation or how.hue or how.grey
    return _recoloured(moved, how, generator, strength) if recoloured else moved


def copies(images: Tensor, views: str, generator: torch.Generator) -> list[Tensor]:
    """Distorted copies of images, to be compared: one, the other view being the image itself; two of photographs.

    Two cost half as much again. On grey images they are worth no more: of Fashion-MNIST's classes five labels each tell
    0.719 with two and 0.720 with one, after 800 steps of either.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        views: a name in ``VIEWS``.
        generator: on the images' device.
    """
    return [distorted(images, VIEWS[views], generator) for _ in range(2 if views == "photos" else 1)]


def affine_maps(images: Tensor, how: Distortion, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """(N, 2, 3): a random map for each of these images, from places in the result to places in the image.

    As ``affine_grid`` takes them: rotation, scale, shear and shift, then a crop, then a mirror.
    """
    count = len(images)
    uniform = _uniform(6, count, generator)  # rotation, 2 scales, shear, 2 shifts
    limits = (math.radians(how.rotation), how.scale, how.scale, how.shear, 2 * how.shift, 2 * how.shift)
    angle, log_x, log_y, shear, right, down = (
        strength * limit * drawn for limit, drawn in zip(limits, uniform, strict=True)
    )
    cosine, sine, scale_x, scale_y = angle.cos(), angle.sin(), log_x.exp(), log_y.exp()
    first_row = torch.stack([cosine * scale_x, (cosine * shear - sine) * scale_y, right], dim=1)
    second_row = torch.stack([sine * scale_x, (sine * shear + cosine) * scale_y, down], dim=1)
    maps = torch.stack([first_row, second_row], dim=1)
    if how.area < 1:
        maps = maps @ _crops(count, how.area, generator)
    if how.flip is not None:
        mirrored = _chances(count, generator) < how.flip
        sign = torch.where(mirrored, -1.0, 1.0)
        maps = torch.stack([sign[:, None] * maps[:, 0], maps[:, 1]], dim=1)  # the first row maps to x
    return maps


def _crops(count: int, smallest: float, generator: torch.Generator) -> Tensor:
    """(count, 3, 3): maps of the whole square [-1, 1]² to a part of it, its area uniform from the smallest to 1."""
    area, aspect, across, down = _uniform(4, count, generator)
    side = (smallest + (1 - smallest) * (area + 1) / 2).sqrt()
    stretch = (aspect * math.log(ASPECT) / 2).exp()
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    zero, one = torch.zeros_like(width), torch.ones_like(width)
    rows = [[width, zero, (1 - width) * across], [zero, height, (1 - height) * down], [zero, zero, one]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _recoloured(images: Tensor, how: Distortion, generator: torch.Generator, strength: float) -> Tensor:
    """Brightness, contrast, and of colour images saturation and hue, changed; within [0, 1]."""
    count = len(images)
    on = (_chances(count, generator) < JITTERED).to(images.dtype)
    brightness, contrast, saturation, hue = (
        strength * (on * drawn)[:, None, None, None] for drawn in _uniform(4, count, generator)
    )
    images = images * (1 + how.brightness * brightness)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (images - mean) * (1 + how.contrast * contrast)
    if images.shape[1] == 3:
        images = _turned(images, 2 * math.pi * how.hue * hue.flatten(), 1 + how.saturation * saturation.flatten())
        losing = _chances(count, generator) < how.grey
        images = torch.where(losing[:, None, None, None], _luma(images), images)
    return images.clamp(0, 1)


def _turned(images: Tensor, angle: Tensor, saturation: Tensor) -> Tensor:
    """Colour images with their hues turned by angles (N,) in radians, and their saturations multiplied (N,)."""
    there, back = _yiq(images.device)
    zero, cosine, sine = torch.zeros_like(angle), saturation * angle.cos(), saturation * angle.sin()
    rows = [[torch.ones_like(zero), zero, zero], [zero, cosine, -sine], [zero, sine, cosine]]
    turns = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    return ((back @ turns @ there) @ images.flatten(2)).unflatten(2, images.shape[2:])


@cache
def _yiq(device: torch.device) -> tuple[Tensor, Tensor]:
    """(3, 3) from red, green and blue to YIQ, and back."""
    there = torch.tensor(TO_YIQ)
    return there.to(device), torch.linalg.inv(there).to(device)


def _luma(images: Tensor) -> Tensor:
    """(N, 3, H, W): the same colour images in grey."""
    red, green, blue = images.unbind(dim=1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None].expand_as(images)


def _uniform(rows: int, count: int, generator: torch.Generator) -> Tensor:
    """(rows, count) drawn evenly from [-1, 1]."""
    return 2 * drawn(lambda count: torch.rand(rows, count, generator=generator, device=generator.device), count, 1) - 1


def _chances(count: int, generator: torch.Generator) -> Tensor:
    """(count,) drawn evenly from [0, 1)."""
    return drawn(lambda count: torch.rand(count, generator=generator, device=generator.device), count)
