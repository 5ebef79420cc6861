"""A classifier of pixels whose encoder was trained elsewhere, with a linear layer of its own behind it."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.progress import Progress
from latentcli.models.base import LossTerms
from latentcli.models.cnn import CNN, CNNConfig
from latentcli.models.pretrained import encoder_named
from latentcli.models.pretrained.base import PretrainedEncoder
from latentcli.numerics.batches import DeviceImages


class PretrainedCNN(CNN):
    """A trained encoder's features, divided by their length as ``encode`` does, and a linear layer.

    By default the encoder is frozen: with few labels that is more accurate than training it, too. Of photographs of
    ants and bees, ten of each class labelled, EfficientNet-lite0 as it is knew 0.92 of 59 others; trained for one to
    two minutes at a learning rate of 1e-4 it knew 0.86 (two draws), at 1e-3 0.80 (one). A frozen encoder goes through
    the images once, before training, unless these are to be distorted or mixed. In either case it runs in evaluation
    mode, since its normalisations were computed from more images than there are here.
    """

    layers: PretrainedEncoder

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(replace(config, encoder=None, fine_tune=False))
        self.config = config
        self.layers = encoder_named(str(config.encoder))
        self.last = nn.Linear(self.layers.features, config.classes)
        self.layers.requires_grad_(config.fine_tune)
        self._known: tuple[Tensor, Tensor] | None = None

    def train(self, mode: bool = True) -> "PretrainedCNN":
        super().train(mode)
        self.layers.eval()
        return self

    def pooled(self, images: Tensor) -> Tensor:
        """(N, F) float32, each row of length 1: the encoder's features."""
        if self._known is not None and images is self._known[0]:
            return self._known[1]
        return F.normalize(self.run(images, self.layers), dim=1)

    def phase(self, progress: float) -> None:
        return None  # the encoder's preprocessing asks the host

    def loss(self, batch: Any, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        """As a ``CNN``'s; a batch may be (images, targets, features), as ``prepare`` gives them."""
        images, targets, *known = batch
        self._known = (images, known[0]) if known else None
        try:
            return super().loss((images, targets), generator, progress)
        finally:
            self._known = None

    def prepare(self, images: DeviceImages, fresh: bool, progress: Progress) -> Tensor | None:
        """The features of all images, where each is seen as it is and the encoder stays as it is."""
        if not self.config.frozen or self.config.augment or self.config.mixup:
            return None
        self.eval()
        return self.layers.of_all(
            images, np.arange(len(images)), progress, lambda features: F.normalize(features, dim=1)
        )
