"""Which images to label next: those that stand for many that are uncertain and unlike what is labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import entr

from latentcli.classifiers.base import LatentClassifier
from latentcli.classifiers.checks import check_finite
from latentcli.classifiers.coverage import Coverage, reach
from latentcli.classifiers.fitting import features_of
from latentcli.classifiers.probes.probe import standardisation
from latentcli.core.errors import DataError
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check_kind, check_number
from latentcli.core.stages import stage
from latentcli.inference.classification import classify_latents

MOST = 10_000
"""Images without a label that are compared with one another, all pairs of them: of more, so many drawn by the seed."""

LEAST = 0.5
"""How much an image counts that the classifier is sure of; one that it knows nothing about counts 1. A classifier may
be sure and wrong: with 0 in its place the accuracy on brain MRI was no higher (0.778, and 0.779 with 0.5; means over
budgets), and a mixture, which is nearly always sure, would hide most images."""


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Images whose labels would help most, the best first.

    Attributes:
        rows: (n,) their numbers among all images, from 0.
        scores: (n,) in [0, 1], descending: how much each adds to ``covered``, given those before it.
        covered: in [0, 1]: how well the images without a label are covered by those with one, now.
        labels: (n,) what the classifier predicts; None without one.
        confidences: (n,) its probability of that class; None without one.
        files: paths within the folder the images came from; None for arrays.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> lc.Suggestions(np.array([7]), np.array([0.25]), 0.5).columns["File"]
        ['7']
    """

    rows: np.ndarray
    scores: np.ndarray
    covered: float
    labels: Labels | None = None
    confidences: np.ndarray | None = None
    files: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> Mapping[str, list[Any]]:
        """The table by columns: ``File`` (a path, or a row's number), ``Label``, which is empty, ``Score``, and what
        the classifier predicts. With its labels filled in it is a file for ``labels``."""
        files = list(self.files) if self.files is not None else [str(row) for row in self.rows.tolist()]
        found: dict[str, list[Any]] = {"File": files, "Label": [""] * len(self), "Score": self.scores.tolist()}
        if self.labels is not None and self.confidences is not None:
            found |= {"Predicted_Label": self.labels.texts.tolist(), "Probability": self.confidences.tolist()}
        return found

    def to_csv(self, path: str | Path) -> None:
        """Write the table.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.write_table(self, path)


@stage("choosing images")
def suggest(
    latents: Latents, classifier: LatentClassifier | None = None, count: int = 20, *, seed: int = 0,
    progress: Progress = silent,
) -> Suggestions:  # fmt: skip
    """The images without a label whose labels would help most: an image at a time, that which covers most of the rest.

    An image covers others by exp(−d² / 2 r²): d is their distance, in units of each dimension's deviation, and r the
    median distance of images to their tenth neighbours. What an image adds is how much better all others are covered
    than by images that have a label or were chosen before it. These others count (1 + H) / 2, where H in [0, 1] is the
    entropy of the classifier's probabilities over that of even ones; without a classifier all count alike, which needs
    no label at all.

    Args:
        latents: of N images, with the labels there are.
        classifier: fitted to these labels; reads features that the latents hold. None: there is none yet.
        count: how many images to name; all that have no label where these are fewer.
        seed: of the draw of 10,000 images where more have no label.
        progress: told about the comparison.

    Raises:
        DataError: every image has a label, or latents are codes or not finite.
        UsageError: the latents do not hold the features that the classifier reads; ``count`` is out of range.
        ModelFileError: the classifier was fitted on latents of another model.

    Source: uncertainty herding (Bae, Oliveira & Sutherland 2025), without a classifier MaxHerding (Bae, Noh &
    Sutherland 2024); the lower bound of the weights is our own.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> first = lc.suggest(vae.encode(images).unlabelled(), count=3)
        >>> len(first), first.covered, bool(first.scores[0] >= first.scores[2] > 0)
        (3, 0.0, True)
    """
    check_kind("latents", latents, Latents)
    check_number("`count`", count, 1, MOST)
    check_number("seed", seed, 0, 2**63 - 1)
    free = np.flatnonzero(~latents.labels.known)
    if not len(free):
        remedy = "leave labels out, such as with `no_classes`, or give images that have none"
        raise DataError("every image has a label: there is none to suggest", f"found {len(latents)} labels", remedy)
    some = free if len(free) <= MOST else np.sort(np.random.default_rng(seed).choice(free, MOST, replace=False))
    found = None if classifier is None else classify_latents(latents.take(some), classifier)
    points = points_of(latents, classifier)
    scale = standardisation(points)[1]
    scaled = points[some] / scale
    weights = np.ones(len(some)) if found is None else LEAST + (1 - LEAST) * uncertainty(found.probabilities)
    coverage = Coverage(scaled, weights, reach(scaled))
    coverage.cover(points[latents.labels.known] / scale)
    covered = coverage.share
    chosen, scores = coverage.choose(count, progress)
    rows = some[chosen]
    predicted = None if found is None else found.labels.take(chosen)
    confidences = None if found is None else found.confidences[chosen]
    files = None if latents.files is None else tuple(latents.files[row] for row in rows)
    return Suggestions(rows, scores, covered, predicted, confidences, files)


def uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1]: the entropy of probabilities (N, C) over log C; 1 of even ones, 0 of one that is sure."""
    return np.asarray(entr(probabilities).sum(axis=1) / max(np.log(probabilities.shape[1]), 1e-300))


def points_of(latents: Latents, classifier: LatentClassifier | None) -> np.ndarray:
    """(N, D) floats that distances are measured between: what the classifier reads, or of codes their vectors.

    Raises:
        DataError: there are codes alone, or they are not finite.
        UsageError: the latents do not hold the features that the classifier reads.
    """
    points = features_of(latents, classifier.features if classifier is not None else None)
    if points.dtype.kind != "f":
        points = latents.flat
    if points.dtype.kind != "f":
        found = f"found {points.dtype}, which are codes: names without an order"
        raise DataError("images are compared by numbers with distances between them", found, "encode them with a model")
    check_finite(points)
    return points
