"""More images out of a few: distorted copies, as a classifier's augmentation makes them."""

import math
from dataclasses import replace

import numpy as np
import torch

from latentcli.core.image_set import ImageSet
from latentcli.models import PIXEL_CLASSIFIERS
from latentcli.models.augmentation import random_affine
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.random import generator_for

BATCH = 512
"""Images distorted at a time."""


def augmented_copies(images: ImageSet, count: int, seed: int) -> ImageSet:
    """The images, then copies of each under a CNN's augmentation, so that there are ``count`` or more.

    Args:
        images: n of them, (n, C, H, W) uint8, one or more.
        count: how many images are wanted at least.
        seed: of the distortions.

    Returns:
        max(n, n · ⌈count / n⌉) images; each copy has the label of its original.
    """
    flip = PIXEL_CLASSIFIERS["cnn"].Config.for_data(images.shape, 2).flip
    bytes_of, parts = DeviceImages(images.images, torch.device("cpu")), [images.images]
    for copy in range(1, math.ceil(count / len(images))):
        generator = generator_for(seed, "copies", copy)
        for rows in np.array_split(np.arange(len(images)), math.ceil(len(images) / BATCH)):
            parts.append((255 * random_affine(bytes_of[rows], generator, flip)).round().to(torch.uint8).numpy())
    every = images.take(np.resize(np.arange(len(images)), sum(map(len, parts))))
    return replace(every, images=np.concatenate(parts))
