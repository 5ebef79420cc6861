"""Mixup: images and their soft labels mixed with those of other images of the batch.

Source: Zhang, Cissé, Dauphin & Lopez-Paz 2018, equation 1; one weight a batch, as in the authors' own code.
"""

import numpy as np
import torch
from torch import Tensor

from latentcli.numerics.shared_batches import own, picked, whole


def mixup(images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """λ of each image (N, C, H, W) and its soft labels (N, K) plus 1 − λ of another's, with one λ from Beta(α, α).

    With α near 0 images stay almost as they are; with 1 λ is uniform. The generator is on the images' device.
    """
    device = images.device
    order = torch.randperm(whole(len(images)), generator=generator, device=device)
    seed = torch.randint(2**62, (), generator=generator, device=device).item()
    weight = float(np.random.default_rng(int(seed)).beta(alpha, alpha))
    mixed, mixed_targets = (weight * each + (1 - weight) * own(picked(each, order)) for each in (images, targets))
    return mixed, mixed_targets
