"""Mixup: images and their soft labels mixed with those of other images of the batch.

Source: Zhang, Cissé, Dauphin & Lopez-Paz 2018, equation 1; one weight a batch, as in the authors' own code.
"""

import numpy as np
import torch
from torch import Tensor


def mixup(images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """λ of each image and its labels, and 1 − λ of another's, λ drawn from Beta(α, α).

    Args:
        images: (N, C, H, W).
        targets: (N, K) soft labels.
        alpha: α > 0; near 0 images stay almost as they are, at 1 every λ is as likely.
        generator: where the randomness comes from, on the images' device.

    Returns:
        images and targets of the same shapes; rows of targets that sum to 1 still do.
    """
    device = images.device
    order = torch.randperm(len(images), generator=generator, device=device)
    seed = torch.randint(2**62, (), generator=generator, device=device).item()
    weight = float(np.random.default_rng(int(seed)).beta(alpha, alpha))
    return weighted(images, images[order], weight), weighted(targets, targets[order], weight)


def weighted(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """The weighted mean: ``weight`` of the first, the rest of the second."""
    return weight * first + (1 - weight) * second
