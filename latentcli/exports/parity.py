"""Whether exported files compute what latentcli computes: the largest deviation, on images drawn at random."""

from collections.abc import Mapping, Sequence

import numpy as np

from latentcli.classifiers.base import LatentClassifier
from latentcli.core.errors import OutputError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.latents import Latents
from latentcli.exports.base import Runner
from latentcli.exports.parts import CODES, IMAGES, OUTPUTS, PROBABILITIES, Part
from latentcli.inference.classification import classify
from latentcli.models.trained import TrainedModel

BATCHES = (1, 3, 7, 5)
"""How many images go through a file at once: each of these must do, since a batch may be of any size."""

COARSEST = 4
"""Random images are of squares of 1, 2, 4 or 8 pixels, 2 to the powers below this: noise alone looks all the same."""

NUMBERS = "numbers"
TOLERANCES = {NUMBERS: 1e-4, PROBABILITIES: 1e-3, CODES: 0.01}
"""The largest deviation of an output, by its name; of all others that of "numbers".

Of numbers it is a fraction of the largest, where that is more than 1: sums in another order differ by about 1e-6. A
mixture multiplies that where an image lies between two classes, by ten to a hundred. Of codes it is the fraction that
are others: a vector that is as near to two codes becomes the one or the other.
"""


def random_images(shape: Shape, seed: int) -> np.ndarray:
    """(16, C, H, W) uint8: random squares of several sizes, then black, then white."""
    channels, height, width = shape
    random = np.random.default_rng([seed, *shape])
    images = np.empty((sum(BATCHES), channels, height, width), np.uint8)
    for number in range(len(images) - 2):
        side = 2 ** (number % COARSEST)
        squares = random.integers(0, 256, (channels, -(-height // side), -(-width // side)), np.uint8)
        images[number] = squares.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]
    images[-2], images[-1] = 0, 255
    return images


def expected(
    model: TrainedModel, classifier: LatentClassifier | None, parts: Sequence[Part], images: np.ndarray
) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """By the name of each part its input, and the outputs that latentcli has for it, by their names.

    The decoder is given the latents of the encoder of latentcli.
    """
    found: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {}
    latents: Latents | None = None
    for part in parts:
        if part.name == "encoder":
            latents = model.encode(images)
            arrays = {OUTPUTS.get(name, name): array for name, array in latents.arrays.items()}
            found[part.name] = images, arrays
        elif part.name == "decoder":
            assert latents is not None
            given = latents.arrays["codes"] if part.input == CODES else latents.points
            found[part.name] = given, {IMAGES: model.decode(latents)}
        elif classifier is None:
            found[part.name] = images, {PROBABILITIES: model.probabilities(images)}
        else:
            predictions = classify(ImageSet(images), model, classifier)
            found[part.name] = images, {PROBABILITIES: predictions.probabilities}
    return found


def deviations(part: Part, run: Runner, given: np.ndarray, wanted: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Of each output of a part the largest deviation from what is wanted; of codes the fraction that are others.

    Numbers are compared where the codes are the same: other vectors belong to others.

    Args:
        part: of the model.
        run: the part, from its file.
        given: (16, …) its input.
        wanted: (16, …) each, by name.
    """
    batches = np.split(given, np.cumsum(BATCHES)[:-1])
    outputs = [run(np.ascontiguousarray(batch)) for batch in batches]
    found = {name: np.concatenate(each) for name, each in zip(part.outputs, zip(*outputs, strict=True), strict=True)}
    result = {}
    for name, array in wanted.items():
        if found[name].shape != array.shape or found[name].dtype.kind != array.dtype.kind:
            result[name] = np.inf
        elif name == CODES:
            result[name] = float((found[name] != array).mean())
        else:
            difference = np.abs(found[name].astype(np.float64) - array)
            if CODES in found and difference.shape[: found[CODES].ndim] == found[CODES].shape:
                difference = difference[found[CODES] == wanted[CODES]]
            largest = float(difference.max(initial=0.0)) / max(1.0, float(np.abs(array).max()))
            result[name] = largest if np.isfinite(largest) else np.inf
    return result


def check(part: Part, found: Mapping[str, float], name: str) -> None:
    """Hold the deviations of a part against what is tolerated; ``name`` is the format's.

    Raises:
        OutputError: one is larger.
    """
    for output, deviation in found.items():
        limit = TOLERANCES.get(output, TOLERANCES[NUMBERS])
        if not deviation <= limit:
            what = "of its codes are others" if output == CODES else "is the largest deviation"
            raise OutputError(
                f"the {part.name} that was written as {name} does not compute what the model does",
                f"expected {output} within {limit:g}, found {deviation:.3g}: {what}", "take another `format`",
            )  # fmt: skip
