"""What lies between images: points decoded, paths from one to another, and hybrids that are kept."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentcli.artifacts.images import laid_out, layout_of, read_hybrids, write_hybrids
from latentcli.classifiers.base import LatentClassifier
from latentcli.core.errors import DataError, UsageError
from latentcli.formats.atomic import check_writable
from latentcli.formats.locks import exclusive

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel

STEPS = 12
"""Images of a path, both ends included."""


def decoded(model: "TrainedModel", points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latent points (n, D), made valid, and their images (n, C, H, W) uint8."""
    valid = model.valid(points)
    return valid, model.images(valid)


def path(start: np.ndarray, end: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """(steps, D) float32: points on the straight line from one latent (D,) to another, both included."""
    at = np.linspace(0, 1, steps)[:, None]
    return np.asarray((1 - at) * start + at * end, np.float32)


def soft_labels(model: "TrainedModel", classifier: LatentClassifier | None, points: np.ndarray) -> np.ndarray | None:
    """(n, C): how much of each class latent points (n, D) are, by a classifier; None where there is none."""
    if classifier is None:
        return None
    if classifier.features is None:
        return classifier.predict_proba(points[:, : classifier.n_features_in_])
    encoded = model.encode(model.images(points), classifier.features)
    return classifier.predict_proba(encoded.features(classifier.features))


def keep(
    path: Path, images: np.ndarray, soft: np.ndarray, names: tuple[str, ...], latents: np.ndarray
) -> int:  # fmt: skip
    """Add hybrids to ``hybrids.npz``, which is made where it is not there; how many it holds then.

    Classes that only the file or only the new ones have are added to both, with 0.

    Args:
        path: of the file.
        images: (n, C, H, W) uint8.
        soft: (n, K) soft labels, of the classes ``names`` (K,).
        latents: (n, D).

    Raises:
        DataError: the file holds something else, or hybrids of another shape.
        OutputError: it cannot be written, or another run adds to it now.
    """
    check_writable(path)
    with exclusive(path):
        return _added(path, images, soft, names, latents)


def _added(path: Path, images: np.ndarray, soft: np.ndarray, names: tuple[str, ...], latents: np.ndarray) -> int:
    new = {
        "images": laid_out(images, layout_of(images.shape[1])), "soft_labels": soft.astype(np.float64),
        "classes": np.array(names), "latents": latents.astype(np.float32),
    }  # fmt: skip
    if path.exists():
        old = read_hybrids(path)
        if old["images"].shape[1:] != new["images"].shape[1:] or old["latents"].shape[1:] != new["latents"].shape[1:]:
            found = f"found {old['images'].shape[1:]}, expected {new['images'].shape[1:]}"
            raise DataError(f"{path} holds hybrids of another model", found, "move it away first")
        together = tuple(dict.fromkeys([*old["classes"].tolist(), *names]))
        new = {
            "images": np.concatenate([old["images"], new["images"]]),
            "soft_labels": np.concatenate([_of_classes(each, together) for each in (old, new)]),
            "classes": np.array(together), "latents": np.concatenate([old["latents"], new["latents"]]),
        }  # fmt: skip
    if not len(new["classes"]):
        raise UsageError("a hybrid has a soft label", "there are no classes yet", "label images of two classes first")
    write_hybrids(path, new)
    return len(new["images"])


def _of_classes(hybrids: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """(n, K) soft labels, their columns in the order of these names."""
    found = np.zeros((len(hybrids["soft_labels"]), len(names)))
    found[:, [names.index(name) for name in hybrids["classes"].tolist()]] = hybrids["soft_labels"]
    return found
