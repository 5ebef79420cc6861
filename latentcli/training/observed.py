"""A model in training, for those who are told of it to look at: with its weights of that moment, changing nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.models.base import LatentModel, Model
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import evenly
from latentcli.training.examples import Examples

Draw = Callable[[Model, int], np.ndarray]
"""Makes images (n, C, H, W) uint8 of a network, and of how many there shall be: the same noise each time."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What ``core.progress.InTraining`` promises, of a network that is trained on examples.

    All randomness is of a generator of its own, so that a run is the same whether it is looked at or not.

    Attributes:
        network: on its device.
        examples: that it is trained on.
        draw: how samples are drawn where the network is no model of latents; None: there are none then.
    """

    network: Model
    examples: Examples
    draw: Draw | None = None

    @property
    def image_shape(self) -> Shape:
        """Channels, height and width of its images."""
        shape: Shape = self.network.config.image_shape
        return shape

    def pictures(self, most: int) -> Mapping[str, np.ndarray]:
        """Images (n, C, H, W) uint8, n ≤ ``most``, by what they are."""
        with self._in_evaluation():
            if not isinstance(self.network, LatentModel):
                return {} if self.draw is None else {"sample": self.draw(self.network, most)}
            model, images = TrainedModel("", self.network), self._images(most).images
            drawn = model.prior(most, np.random.default_rng(0))
            of_chance = "random codes" if "codes" in self.network.FEATURES else "sample"  # each drawn by itself
            return {
                "image": images, "reconstruction": as_bytes(model.reconstruct(images)), of_chance: model.images(drawn)
            }  # fmt: skip

    def latents(self, most: int) -> tuple[ImageSet, Latents] | None:
        """At most so many images, and their latents; None where the network has none."""
        if not isinstance(self.network, LatentModel):
            return None
        with self._in_evaluation():
            images = self._images(most)
            return images, TrainedModel("", self.network).encode(images)

    def _images(self, most: int) -> ImageSet:
        """Images that are not learned from, or, where none are held out, some that are: the same each time."""
        examples = self.examples
        rows = np.unique(examples.held_out_rows if len(examples.held_out_rows) else examples.train_rows)
        rows = rows[evenly(len(rows), most)]
        labels = Labels.none(len(rows)) if examples.labels is None else examples.labels.take(rows)
        return ImageSet(np.asarray(examples.images[rows]), labels)

    @contextmanager
    def _in_evaluation(self) -> Iterator[None]:
        """The network in evaluation mode, and then as it was."""
        training = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            if training:
                self.network.train()


def as_bytes(images: np.ndarray) -> np.ndarray:
    """uint8 of floats in [0, 1]."""
    return np.round(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)
