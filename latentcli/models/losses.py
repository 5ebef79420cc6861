"""Reconstruction losses, as pure functions.

Each takes logits (N, C, H, W), the decoder's output before the sigmoid, and targets (N, C, H, W) in [0, 1]. It returns
(N,) values, in nats or in units comparable to nats, summed over pixels and channels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from latentcli.core.errors import UsageError
from latentcli.numerics.metrics import SSIM_WINDOW

C1, C2 = 0.01**2, 0.03**2
"""What keeps the two quotients of a structural similarity finite, in the units of squares of pixels in [0, 1]."""

POOLED = 64
"""Pixels a side beyond which CUDA is faster at pooling than at products with matrices of this size."""

UNBIASED = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
"""A sample variance by the mean square deviation of a window."""


def bernoulli_nll(logits: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of pixels under independent Bernoulli distributions (binary cross-entropy), nats.

    Source: Kingma & Welling 2014, appendix C.1.
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(dim=1)


def squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """6 · Σ (p − t)² with p the sigmoid of the logits: up to a constant, nats of a Gaussian of variance 1/12 per pixel.

    The constant puts the loss on the scale of the Bernoulli likelihood, so that one β serves both: near the
    target t, cross-entropy grows by (p − t)²/2 over t(1 − t), and t(1 − t) is 1/6 on average for t uniform in [0, 1];
    the error of a Gaussian of variance 1/12 (that of the uniform distribution) lies within a factor of two of it.
    """
    return 6.0 * (torch.sigmoid(logits) - target).square().flatten(1).sum(dim=1)


def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """(N,) in [-1, 1]: structural similarity of images in [0, 1], uniform 7×7 window, sample covariance, data range 1.

    The same quantity as ``skimage.metrics.structural_similarity(x, y, data_range=1)``: only windows that lie
    inside the image count, and channels are averaged. x and y are (N, C, H, W), of at least 7 pixels a side. There is a
    gradient for x alone.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, equation 13, K1 = 0.01, K2 = 0.03.
    """
    similarity: Tensor = _StructuralSimilarity.apply(x, y)
    return similarity.flatten(1).mean(dim=1)


class _StructuralSimilarity(torch.autograd.Function):
    """The similarity of each window, and its gradient in closed form: in fewer passes than autograd makes.

    With p = μx μy, q = μx² + μy², and the unbiased covariance c and sum of variances v of a window it is
    (2p + C1)(2c + C2) / ((q + C1)(v + C2)), of which c and v are functions of the means of x, x² and xy.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        means = _over_windows(torch.cat([x, y, x * x, y * y, x * y], dim=1))
        mean_x, mean_y, mean_xx, mean_yy, mean_xy = means.chunk(5, dim=1)
        product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
        luminance, contrast = 2 * product + C1, 2 * UNBIASED * (mean_xy - product) + C2
        below, variances = squares + C1, UNBIASED * (mean_xx + mean_yy - squares) + C2
        scale = 1 / (below * variances)
        similarity = luminance * contrast * scale
        ctx.save_for_backward(x, y, mean_x, mean_y, luminance, contrast, below, variances, scale, similarity)
        return similarity

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, y, mean_x, mean_y, luminance, contrast, below, variances, scale, similarity = ctx.saved_tensors
        of_mean = mean_y * (contrast - UNBIASED * luminance) * scale
        of_mean += mean_x * similarity * (UNBIASED / variances - 1 / below)
        of_square, of_product = similarity / variances * -UNBIASED, luminance * scale * UNBIASED
        parts = [part.mul_(gradient) for part in (of_mean, of_square, of_product)]
        first, second, third = _over_windows(torch.cat(parts, dim=1), transposed=True).chunk(3, dim=1)
        return 2 * (first + x * second + y * third), None


def _over_windows(maps: Tensor, transposed: bool = False) -> Tensor:
    """(N, C, H − 6, W − 6): the means of maps over windows; or (N, C, H + 6, W + 6), what the transposed map makes."""
    border = SSIM_WINDOW - 1 if transposed else 0
    if maps.is_cuda and min(maps.shape[2:]) > POOLED:
        return _pooled(F.pad(maps, (border, border, border, border)))
    down, across = (_window_means(size + border, maps) for size in maps.shape[2:])
    return down.T @ maps @ across if transposed else down @ maps @ across.T


def _pooled(maps: Tensor) -> Tensor:
    """(N, C, H − 6, W − 6): the means of maps over windows, along one axis after the other."""
    return F.avg_pool2d(F.avg_pool2d(maps, (SSIM_WINDOW, 1), 1), (1, SSIM_WINDOW), 1)


def _window_means(size: int, like: Tensor) -> Tensor:
    """(size − 6, size) band matrix whose products are means over windows: on a CPU far faster than pooling."""
    offset = torch.arange(size, device=like.device) - torch.arange(size - SSIM_WINDOW + 1, device=like.device)[:, None]
    return ((offset >= 0) & (offset < SSIM_WINDOW)).to(like.dtype) / SSIM_WINDOW


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(N,) nats: KL divergence of diagonal Gaussian posteriors, each (N, D), from N(0, I), summed over dimensions.

    Source: Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)


TERMS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "bce": lambda logits, target, ssim_weight: bernoulli_nll(logits, target),
    "mse": lambda logits, target, ssim_weight: squared_error(logits, target),
    "ssim": lambda logits, target, ssim_weight: (
        ssim_weight * target[0].numel() * (1 - structural_similarity(torch.sigmoid(logits), target))
    ),
}
"""Reconstruction losses by name, of (logits, target, nats a pixel for a structural similarity of 0)."""


def parse(loss: str) -> tuple[str, ...]:
    """The terms of a loss written as in ``bce+ssim``; a ``UsageError`` if one is unknown or occurs twice."""
    terms = tuple(loss.split("+"))
    if not set(terms) <= set(TERMS) or len(set(terms)) != len(terms):
        known = ", ".join(TERMS)
        raise UsageError(f"unknown loss {loss!r}", f"expected one of {known}, or some joined by + (bce+ssim)")
    return terms


def reconstruction(loss: str, logits: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """The sum of the terms that ``loss`` names, with nats a pixel for a structural similarity of 0 instead of 1."""
    return torch.stack([TERMS[term](logits, target, ssim_weight) for term in parse(loss)]).sum(dim=0)
