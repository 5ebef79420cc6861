"""Sets of images beside real ones of a task: by a CNN of its training images, or by an encoder trained elsewhere.

Half of the test images are what all sets are compared with; the other half, as real as these, says what the best can
come to. All sets have as many images as it has, since most figures depend on that.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Listener
from latentcli.experiments.cells import Cell, Result, compute
from latentcli.experiments.generators import Made
from latentcli.experiments.kept_models import in_study, kept_model
from latentcli.experiments.tasks import Task
from latentcli.inference import fidelity
from latentcli.inference.encoding import encode, find_encoder
from latentcli.models import PIXEL_CLASSIFIERS
from latentcli.models.pretrained.finding import FoundEncoder
from latentcli.models.trained import TrainedModel
from latentcli.training.config import ClassifierTrainingConfig
from latentcli.training.train import configure, train_cnn

CNN = "cnn"
"""The name of the features that are our own: those of a CNN of the training images, which its last layer reads."""


@dataclass(frozen=True)
class Observer:
    """What looks at the images of a task: a CNN, trained once for all seeds, which reads their classes; and features.

    Attributes:
        task: whose training images the CNN learns from.
        features: ``CNN``, or an encoder that is trained already, by its name.
        settings: of the CNN and its training, by name.
        folder: of the study.
        device: where everything runs.
        watch: makes a listener for the training.
    """

    task: Task
    features: str
    settings: Mapping[str, Any]
    folder: Path
    device: str = "cpu"
    watch: Callable[[], Any] = field(default=Listener)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that its view depends on, as plain values.

        Raises:
            UsageError: a setting is unknown, or out of range; or there is no such encoder.
            ModelFileError: the encoder's weights cannot be read.
        """
        images = self.task.train
        network, training = configure(
            PIXEL_CLASSIFIERS[CNN].Config, ClassifierTrainingConfig, images.shape, len(images.labels.occurring),
            self.settings,
        )  # fmt: skip
        found = {"data": self.task.identity(), "model": asdict(network), "training": asdict(training)}
        return found if self._encoder is None else {**found, "features": self._encoder.facts}

    @cached_property
    def _encoder(self) -> FoundEncoder | None:
        return None if self.features == CNN else find_encoder(self.features)

    @cached_property
    def cnn(self) -> TrainedModel:
        """The CNN, trained unless it is kept."""
        self.train()
        return kept_model(self._path, self.device)

    def train(self) -> Result:
        """Train the CNN; how well it reads the test images."""
        own = {name: value for name, value in self.identity.items() if name != "features"}
        work = Cell("training", own, partial(self._train, self.task.train))
        return compute(work, self._path.parent, self._path).result

    def _train(self, images: ImageSet) -> Result:
        cnn = in_study(self.watch, self._path, train_cnn, images, device=self.device, **self.settings)
        cnn.save(self._path)
        accuracy = float((_read(cnn, self.task.test.images) == self.task.test.labels.texts).mean())
        return {"data": images.name, "model": CNN, "accuracy": accuracy, "epochs": len(cnn.history)}

    @property
    def _path(self) -> Path:
        return self.folder / "models" / f"{self.task.name}-{CNN}" / "cnn.pth"

    def features_of(self, images: np.ndarray) -> np.ndarray:
        """(N, F) float32: the features of images (N, C, H, W) uint8."""
        if self._encoder is None:
            return self.cnn.pooled(images)
        return encode(ImageSet(images), self._encoder, device=self.device).flat

    def classes_of(self, images: np.ndarray) -> np.ndarray:
        """(N,) names of the classes that the CNN reads."""
        return _read(self.cnn, images)


def _read(cnn: TrainedModel, images: np.ndarray) -> np.ndarray:
    return np.array(cnn.class_names)[cnn.probabilities(images).argmax(axis=1)]


@dataclass(frozen=True)
class Comparison:
    """Two halves of a task's test images, drawn by a seed: one to compare with, the others beside all that is made.

    Attributes:
        observer: looks at all images.
        count: of each half at most.
        seed: of the draw.

    Raises:
        DataError: there are too few.
    """

    observer: Observer
    count: int
    seed: int

    def __post_init__(self) -> None:
        test = self.observer.task.test
        if len(test) < 2 * fidelity.FEWEST:
            raise DataError(
                f"{test.name} has too few test images to compare others with",
                f"expected {2 * fidelity.FEWEST} or more, found {len(test)}", "give more: `test`",
            )  # fmt: skip

    @cached_property
    def others(self) -> ImageSet:
        """The real images beside which others are made."""
        return self._halves[1]

    @cached_property
    def _halves(self) -> list[ImageSet]:
        test = self.observer.task.test
        size = min(self.count, len(test) // 2)
        rows = np.random.default_rng(self.seed).permutation(len(test))
        return [test.take(np.sort(some)) for some in (rows[:size], rows[size : 2 * size])]

    @cached_property
    def _real(self) -> tuple[np.ndarray, np.ndarray]:
        """Features of the real images to compare with, and their distances to the nearest training images."""
        images = self._halves[0].images
        return self.observer.features_of(images), self._distances(images)

    def _distances(self, images: np.ndarray) -> np.ndarray:
        return fidelity.nearest_images(images, self.observer.task.train.images)[1]

    def measured(self, made: Made) -> Result:
        """The measures of images beside the real ones, by name; what does not apply to them is left out.

        Returns:
            those of ``fidelity.measures``; ``nearer`` and ``copied``, by the pixels of training images; and
            ``read_right``, the fraction that the CNN reads as their class.
        """
        (features, of_real), distances = self._real, self._distances(made.images)
        found: Result = fidelity.measures(features, self.observer.features_of(made.images))
        found |= {"nearer": fidelity.nearer(distances, of_real), "copied": fidelity.copied(distances, of_real)}
        if made.classes is None:
            return found
        return {**found, "read_right": float((self.observer.classes_of(made.images) == made.classes).mean())}
