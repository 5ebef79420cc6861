"""What is explored: images, a model, latents, and a classifier that is fitted to them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.explore.fitting import Fitting, Reading, kind_of, of_pixels

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel


@dataclass(frozen=True, eq=False)
class Material:
    """What is explored.

    Attributes:
        images: of the model's shape, N.
        model: of latents.
        latents: of the images, with what the classifier reads.
        fitting: of the classifier; None where it is one of pixels.
        reading: of the classifier that was given; None where none was.
    """

    images: ImageSet
    model: "TrainedModel"
    latents: Latents
    fitting: Fitting | None
    reading: Reading | None = None


def material(
    images: ImageSet, model: "TrainedModel", classifier: Any = None, kind: str = "graph", *,
    seed: int = 0, progress: Progress = silent,
) -> Material:  # fmt: skip
    """Images encoded, classified and made ready to be labelled.

    Args:
        images: of the model's shape.
        model: of latents.
        classifier: fitted to these latents, or a ``TrainedModel`` that is a classifier of pixels; None: there is none
            yet, and one of this ``kind`` is fitted as soon as two classes have labels.
        kind: "mixture", "graph" or a probe's, where no classifier is given.
        seed: of all draws.
        progress: told about the images.

    Raises:
        DataError, ModelFileError: as of ``classify``.
    """
    from latentcli.inference.classification import check_reader
    from latentcli.models.trained import TrainedModel

    if isinstance(classifier, TrainedModel):
        found = of_pixels(classifier.probabilities(images, progress), classifier.class_names)
        return Material(images, model, model.encode(images, progress=progress), None, found)
    features = None
    if classifier is not None:
        check_reader(model, classifier)
        kind, features = kind_of(classifier), classifier.features
    latents = model.encode(images, progress=progress)
    if features is not None and not latents.holds(features):
        more = model.encode(images, features, progress)
        latents = Latents({**latents.arrays, **more.arrays}, latents.checkpoint, latents.labels, latents.files,
                          {**latents.shapes, **more.shapes})  # fmt: skip
    fitting = Fitting(latents, kind, features, seed)
    reading = None if classifier is None else fitting.read(classifier)
    return Material(images, model, latents, fitting, reading)
