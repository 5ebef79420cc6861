"""The two ways in which ``classify`` labels images: by a classifier of latents, or by one of pixels."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentcli.cli import fitting, inputs

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet
    from latentcli.core.latents import Latents


class ByLatents:
    """A model encodes images, and a classifier fitted on it labels their latents.

    Args:
        vae: file of the model.
        classifier: file of the classifier.
        device: where they compute.

    Attributes:
        saved: the model's checkpoint.
        labeller: the classifier.
        classes: names of the classes it knows.
    """

    def __init__(self, vae: Path, classifier: Path, device: str) -> None:
        self.saved, self.model = inputs.model(vae, device)
        self.labeller = inputs.classifier(classifier, fitted_on=self.saved.fingerprint, vae=vae)
        self.classes = [str(name) for name in self.labeller.classes_]

    def label(self, images: "ImageSet", reject_below: float | None) -> "tuple[Latents, np.ndarray, np.ndarray]":
        """The latents, class names ("" where rejected), and the probability of each image's most likely class."""
        latents = fitting.encoded_for(self.labeller, self.model, self.saved.fingerprint, images)
        return latents, *fitting.predictions(self.labeller, latents, reject_below)


class ByPixels:
    """A classifier of pixels labels images by itself.

    Args:
        cnn: its file.
        device: where it computes.

    Attributes:
        saved: its checkpoint.
        labeller: itself.
        classes: names of the classes it knows.
    """

    def __init__(self, cnn: Path, device: str) -> None:
        self.saved, self.labeller = inputs.pixel_classifier(cnn, device)
        self.classes = list(self.saved.class_names)

    def label(self, images: "ImageSet", reject_below: float | None) -> "tuple[ImageSet, np.ndarray, np.ndarray]":
        """The images, class names, and the probability of each image's most likely class.

        ``reject_below`` is None: ``fitting.check_rejects`` refuses any other for a classifier that knows no density.
        """
        from latentcli import inference
        from latentcli.cli import console

        with console.progress("classifying", len(images)) as advance:
            found = inference.probabilities(self.labeller, images.images, advance)
        return images, np.array(self.classes, dtype=object)[found.argmax(axis=1)], found.max(axis=1)
