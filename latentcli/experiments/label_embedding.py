"""A VQ-VAE that is shown the labels: an embedding of the class is added before the quantiser.

A published comparison trains its VQ-VAE so. The codes then hold the label itself, and a classifier that reads codes
made with labels reads the labels: its accuracy says nothing of the latent space. This model exists to measure that.

A labelled image here is an image with one channel more, which holds its class number, or 255 where none is given.
"""

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.models.base import LossTerms
from latentcli.models.vqvae import VQVAE, VQVAEConfig

NO_LABEL = 255
"""What stands for no label, which leaves this many classes."""


def labelled(images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """(N, C + 1, H, W) uint8: images that carry their labels with them.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) in 0 … 254; None gives none.
    """
    channel = np.full((len(images), 1, *images.shape[2:]), NO_LABEL, np.uint8)
    if labels is not None:
        channel[:] = labels[:, None, None, None]
    return np.concatenate([images, channel], axis=1)


class LabelledVQVAE(VQVAE):
    """Takes labelled images; what it makes of them is as any VQ-VAE's.

    Args:
        config: of the VQ-VAE.
        classes: how many.
    """

    def __init__(self, config: VQVAEConfig, classes: int) -> None:
        super().__init__(config)
        self.classes = classes
        self.of_class = nn.Embedding(classes + 1, config.latent_dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the embeddings anew; that of no label is zero."""
        with torch.no_grad():
            self.of_class.weight.normal_(generator=generator)
            self.of_class.weight[self.classes] = 0

    def maps_of(self, images: Tensor) -> Tensor:
        labels = (255 * images[:, -1, 0, 0]).round().long()
        added = self.of_class(torch.where(labels == NO_LABEL, self.classes, labels))
        return super().maps_of(images[:, :-1]) + added[:, :, None, None]

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        return self.loss_of(self.maps_of(images), images[:, :-1], generator, progress)
