"""Random distortions that leave what an image shows as it is: small affine maps and smooth warps."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ROTATION = math.radians(15)
"""Radians, either way."""
SCALE = 0.15
"""Logarithm of the scale of each axis, either way."""
SHEAR = 0.15
"""Tangent of the shear, either way."""
SHIFT = 0.1
"""Fraction of the side, either way."""
WARP = 0.08
"""Standard deviation of the displacements at a 4×4 grid of control points, in half sides."""
CONTROL_POINTS = 4


def random_distortion(images: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Each image under its own random rotation, scale, shear, shift and smooth warp; outside it is black.

    Args:
        images: (N, C, H, W).
        generator: where the randomness comes from, on the images' device.
        strength: factor on every range; 0 leaves the images as they are (up to interpolation).

    Returns:
        (N, C, H, W), interpolated bilinearly.

    Source: the warp is the elastic distortion of Simard, Steinkraus & Platt 2003, from a coarse grid.
    """
    grid = F.affine_grid(affine_maps(images, generator, strength), list(images.shape), align_corners=False)
    shape = (len(images), 2, CONTROL_POINTS, CONTROL_POINTS)
    control = torch.randn(shape, generator=generator, device=images.device)
    warp = F.interpolate(control, size=images.shape[2:], mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + strength * WARP * warp.permute(0, 2, 3, 1), align_corners=False)


def random_affine(images: Tensor, generator: torch.Generator, flip: float) -> Tensor:
    """Each image under its own random rotation, scale, shear and shift, and some mirrored; outside it its edge goes on.

    Args:
        images: (N, C, H, W).
        generator: where the randomness comes from, on the images' device.
        flip: probability that an image is mirrored, left to right.

    Returns:
        (N, C, H, W), interpolated bilinearly.
    """
    maps = affine_maps(images, generator)
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < flip
    sign = torch.where(mirrored, -1.0, 1.0)
    maps = torch.stack([sign[:, None] * maps[:, 0], maps[:, 1]], dim=1)  # the row that says where x is read
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def affine_maps(images: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """(N, 2, 3): a random rotation, scale, shear and shift for each of these images, as ``affine_grid`` takes them."""
    count, device = len(images), images.device
    uniform = 2 * torch.rand(6, count, generator=generator, device=device) - 1  # rotation, 2 scales, shear, 2 shifts
    ranges = torch.tensor([ROTATION, SCALE, SCALE, SHEAR, 2 * SHIFT, 2 * SHIFT], device=device)
    angle, log_x, log_y, shear, right, down = strength * ranges[:, None] * uniform
    cosine, sine, scale_x, scale_y = angle.cos(), angle.sin(), log_x.exp(), log_y.exp()
    first_row = torch.stack([cosine * scale_x, (cosine * shear - sine) * scale_y, right], dim=1)
    second_row = torch.stack([sine * scale_x, (sine * shear + cosine) * scale_y, down], dim=1)
    return torch.stack([first_row, second_row], dim=1)
