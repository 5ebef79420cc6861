"""A VQ-VAE that is given the labels: an embedding of the class is added to the quantiser's input.

A published comparison trains its VQ-VAE this way. The codes then hold the label itself, and a classifier of such codes
reads the labels: its accuracy says nothing about the latent space. This model exists to measure that.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.core.labels import UNLABELLED
from latentcli.models.base import LossTerms
from latentcli.models.trained import batch_size
from latentcli.models.vqvae import VQVAE, VQVAEConfig
from latentcli.numerics.blocks import slices
from latentcli.numerics.fusing import fused
from latentcli.numerics.linear import FastLinear
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples


class LabelledVQVAE(VQVAE):
    """A VQ-VAE whose loss takes images with their labels; without labels it is a plain one.

    Labels are targets (N, K) for K ``classes``: one-hot rows, and a row of zeros for an unlabelled image.
    """

    def __init__(self, config: VQVAEConfig, classes: int) -> None:
        super().__init__(config)
        self.of_class = nn.Parameter(torch.zeros(classes, config.latent_dim))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the embeddings of the classes anew from the standard normal distribution."""
        with torch.no_grad():
            self.of_class.normal_(generator=generator)

    def labelled_maps(self, images: Tensor, targets: Tensor) -> Tensor:
        """(N, D, h, w): ``maps_of`` images (N, C, H, W), at each position the embedding of the class added."""
        return self.maps_of(images) + (targets @ self.of_class)[:, :, None, None]

    def loss(  # type: ignore[override]
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, progress: float = 1.0
    ) -> LossTerms:
        """The loss of a VQ-VAE on images (N, C, H, W) in [0, 1], given their targets (N, K)."""
        images, targets = batch
        return self.loss_of(self.labelled_maps(images, targets), images, generator, progress)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """(N, classes) float32 targets of labels (N,) in 0 … classes − 1; those below 0 are rows of zeros."""
    return np.eye(classes + 1, classes, dtype=np.float32)[np.where(labels < 0, classes, labels)]


def examples(images: np.ndarray, labels: np.ndarray, classes: int, config: TrainingConfig) -> Examples:
    """Training examples of a ``LabelledVQVAE``, some held out.

    Args:
        images: (N, C, H, W) uint8, two or more.
        labels: (N,) integers in 0 … classes − 1, -1 for unlabelled images.
        classes, config: number of classes; of the training.
    """
    return replace(Examples.of_images(images, config), targets=one_hot(labels, classes))


def features(network: LabelledVQVAE, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """(N, F) float32: the quantised maps of images, in rows.

    Args:
        network: trained, on its device.
        images: (N, C, H, W) uint8.
        labels: (N,) integers, as for ``examples``, given to the network with the images; None: no labels.
    """
    device = next(network.parameters()).device
    network = fused(network)
    if labels is None:
        labels = np.full(len(images), UNLABELLED)
    targets, parts = one_hot(labels, len(network.of_class)), []
    for rows in slices(len(images), batch_size(images.shape[1:], device)):
        batch = torch.from_numpy(images[rows]).to(device).float() / 255
        with torch.inference_mode(), FastLinear():
            codes = network.quantiser.codes_of(network.labelled_maps(batch, torch.from_numpy(targets[rows]).to(device)))
            parts.append(network.quantiser.vectors_of(codes).flatten(1).cpu().numpy())
    return np.concatenate(parts)
