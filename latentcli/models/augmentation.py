"""Random distortions that do not change what an image shows: small affine maps and smooth warps."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# The largest distortions, in either direction.
ROTATION = math.radians(15)
SCALE = 0.15  # logarithm of the scale of each axis
SHEAR = 0.15  # tangent of the angle
SHIFT = 0.1  # fraction of the side
CONTROL_POINTS = 4  # a side of the grid whose displacements make the warp
WARP = 0.08  # standard deviation of these displacements, in half sides


def random_distortion(images: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Each image under its own random rotation, scale, shear, shift and smooth warp, interpolated; outside it is black.

    Images are (N, C, H, W) on the generator's device; ``strength`` is a factor on every range, 0 changing nothing.

    Source: the warp is the elastic distortion of Simard, Steinkraus & Platt 2003, from a coarse grid.
    """
    grid = F.affine_grid(affine_maps(images, generator, strength), list(images.shape), align_corners=False)
    shape = (len(images), 2, CONTROL_POINTS, CONTROL_POINTS)
    control = torch.randn(shape, generator=generator, device=images.device)
    warp = F.interpolate(control, size=images.shape[2:], mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + strength * WARP * warp.permute(0, 2, 3, 1), align_corners=False)


def random_affine(images: Tensor, generator: torch.Generator, flip: float) -> Tensor:
    """Each image under its own random rotation, scale, shear and shift, interpolated; its edges are continued outside.

    Images are (N, C, H, W) on the generator's device; ``flip`` is the probability that one is mirrored, left to right.
    """
    maps = affine_maps(images, generator)
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < flip
    sign = torch.where(mirrored, -1.0, 1.0)
    maps = torch.stack([sign[:, None] * maps[:, 0], maps[:, 1]], dim=1)  # the first row maps to x
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
