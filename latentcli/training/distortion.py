"""More images out of a few: distorted copies, as a classifier's augmentation makes them."""

import math
from dataclasses import replace

import numpy as np
import torch

from latentcli.core.image_set import ImageSet
from latentcli.models import PIXEL_CLASSIFIERS
from latentcli.models.augmentation import AFFINE, distorted
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.random import generator_for
from latentcli.training import mixing

BATCH = 512
"""Images distorted at a time."""


def augmented_copies(
    images: ImageSet, count: int = 10_000, seed: int = 0, *, labels_per_class: int | None = None
) -> ImageSet:
    """The labelled images, or all where none is labelled, and distorted copies of them: ``count`` in all, or more.

    The distortions are those of a CNN's augmentation.

    Args:
        images: n of them, (n, C, H, W) uint8, one or more.
        count: how many images are wanted at least.
        seed: of the distortions.

    Returns:
        max(n, n · ⌈count / n⌉) images; each copy has the label of its original.

    Example:
        >>> import latentcli as lc
        >>> many = lc.augmented_copies(lc.load("digits"), 1000, labels_per_class=5)
        >>> len(many), many.labels.counts.tolist()[:3]
        (1000, [100, 100, 100])
    """
    if labels_per_class is not None or images.labels.any:
        images = mixing.labelled(images, labels_per_class, seed)
    how = replace(AFFINE, flip=PIXEL_CLASSIFIERS["cnn"].Config.for_data(images.shape, 2).flip)
    bytes_of, parts = DeviceImages(images.images, torch.device("cpu")), [images.images]
    for copy in range(1, math.ceil(count / len(images))):
        generator = generator_for(seed, "copies", copy)
        for rows in np.array_split(np.arange(len(images)), math.ceil(len(images) / BATCH)):
            parts.append((255 * distorted(bytes_of[rows], how, generator)).round().to(torch.uint8).numpy())
    every = images.take(np.resize(np.arange(len(images)), sum(map(len, parts))))
    return replace(every, images=np.concatenate(parts))
