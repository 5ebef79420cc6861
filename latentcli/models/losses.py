"""Reconstruction losses, as pure functions.

Each takes logits (N, C, H, W), the decoder's output before the sigmoid, and targets (N, C, H, W) in [0, 1]. It returns
(N,) values, in nats or in units comparable to nats, summed over pixels and channels.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from latentcli.core.errors import UsageError
from latentcli.numerics.metrics import SSIM_WINDOW


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
    inside the image count, and channels are averaged. x and y are (N, C, H, W), of at least 7 pixels a side.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, equation 13, K1 = 0.01, K2 = 0.03.
    """
    pixels = SSIM_WINDOW**2
    down, across = _window_means(x.shape[2], x), _window_means(x.shape[3], x)
    moments = down @ torch.cat([x, y, x * x, y * y, x * y], dim=1) @ across.T
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = moments.chunk(5, dim=1)
    unbiased = pixels / (pixels - 1)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = unbiased * (mean_xy - product)
    variances = unbiased * (mean_xx + mean_yy - squares)
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return similarity.flatten(1).mean(dim=1)


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
