"""What may be wrong with a set of images: labels, duplicates, outliers, and images that show nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.classifiers.base import LatentClassifier
from latentcli.classifiers.doubts import doubts
from latentcli.classifiers.graph.neighbours import neighbours
from latentcli.classifiers.probes.probe import standardisation
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check_kind, check_number
from latentcli.core.stages import stage
from latentcli.inference.classification import check_reader
from latentcli.inference.suggesting import points_of
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import slices
from latentcli.numerics.likeness import correlations

KINDS = ("unreadable", "constant", "duplicate", "label", "outlier")
"""Of findings, in the order in which they are listed."""

NEIGHBOURS = 10
COMPARED = 5
"""Nearest neighbours in the latent space that an image is compared with, pixel by pixel."""

ALIKE = 0.99
"""Correlation of the pixels of two images from which on they are near duplicates: 0.987 is the largest of other pairs
among 6,000 digits of MNIST."""

FAR = 3.5
"""Deviations from which on an image is an outlier (Iglewicz & Hoaglin 1993)."""

OUTLIERS = ("far from all others", "badly reconstructed")
"""In which way an image is an outlier: whichever is the more deviations."""

_ROWS = 1_024


@dataclass(frozen=True)
class Finding:
    """One image that something may be wrong with.

    Attributes:
        kind: one of ``KINDS``.
        score: how sure it is; findings of a kind are sorted by it. ``label``: one minus the probability of the label
            that is given; ``duplicate``: the correlation of the pixels; ``outlier``: deviations from the median;
            otherwise 1.
        row: of the image among all that could be read; None for an unreadable file.
        file: its path, or the number of its row.
        other: of ``duplicate`` the row of the earlier image.
        beside: in words: that image's file; of ``label`` the likelier class; of ``unreadable`` the reason; of
            ``outlier`` one of ``OUTLIERS``.
    """

    kind: str
    score: float
    row: int | None
    file: str
    other: int | None = None
    beside: str = ""


@dataclass(frozen=True)
class Findings:
    """What was found, kind by kind, the surest first.

    Example:
        >>> import latentcli as lc
        >>> lc.Findings(()).columns
        {'File': [], 'Kind': [], 'Score': [], 'With': []}
    """

    found: tuple[Finding, ...]

    def __len__(self) -> int:
        return len(self.found)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """Those of one kind."""
        return tuple(each for each in self.found if each.kind == kind)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {kind: len(self.of(kind)) for kind in KINDS}

    @property
    def columns(self) -> Mapping[str, list[Any]]:
        """The table by columns: ``File``, ``Kind``, ``Score``, ``With``."""
        rows = [(each.file, each.kind, each.score, each.beside) for each in self.found]
        names = ("File", "Kind", "Score", "With")
        return {name: [row[column] for row in rows] for column, name in enumerate(names)}

    def to_csv(self, path: str | Path) -> None:
        """Write the table.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.write_table(self, path)


@stage("checking")
def check(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *, seed: int = 0,
    progress: Progress = silent,
) -> Findings:  # fmt: skip
    """Images that something may be wrong with: nothing is changed, and a person has to look at them.

    ``unreadable`` are files that were skipped; ``constant`` images whose pixels are all the same; ``duplicate`` an
    image that correlates by 0.99 or more with an earlier one among its five nearest neighbours, where one of them may
    have other brightness or contrast, and be moved by a pixel; ``label`` one whose label has less than half of an even
    share by the labels of all others (``classifiers.doubts``); ``outlier`` one that is far from its ten nearest
    neighbours, or that the model reconstructs badly: the mean distance, or the mean squared error, has a logarithm of
    more than 3.5 deviations above the median, which are the median absolute deviation over 0.6745.

    Args:
        images: of the model's shape, with the labels and unreadable files there are.
        model: of latents.
        classifier: of the kind that labels are judged by, with its settings, and whose features are compared: it is
            fitted again without the labels in question. None: a logistic regression of the latents.
        seed: of the split of the labels.
        progress: told about the images.

    Raises:
        ModelFileError: the model has no latent space, or the classifier was not fitted on it.
        DataError: the classifier reads codes alone.
        UsageError: more than 100,000 images, and ``usearch`` is not installed.
        FitError: the classifier cannot be fitted to four fifths of the labels.

    Source: see ``classifiers.doubts``; outliers by distance (Angiulli & Pizzuti 2002) with the modified z-score of
    Iglewicz & Hoaglin 1993.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> lc.check(images, vae).counts["unreadable"]
        0
    """
    check_kind("images", images, ImageSet)
    check_kind("model", model, TrainedModel)
    check_number("seed", seed, 0, 2**63 - 1)
    model.check_latents()
    if classifier is not None:
        check_reader(model, classifier)
    names = images.files if images.files is not None else range(len(images))

    def finding(kind: str, score: float, row: int, other: int | None = None, beside: str = "") -> Finding:
        return Finding(kind, float(score), int(row), str(names[row]), other, beside)

    found = [Finding("unreadable", 1.0, None, file, None, reason) for file, reason in images.bad_files]
    constant = _constant(images.images)
    found += [finding("constant", 1, row) for row in np.flatnonzero(constant).tolist()]
    latents = model.encode(images, classifier.features if classifier is not None else None, progress)
    points = points_of(latents, classifier)
    if len(points) > 1:
        scaled = points / standardisation(points)[1]
        near, distances = neighbours(scaled, min(NEIGHBOURS, len(points) - 1), progress)
        found += _duplicates(images.images, near[:, :COMPARED], ~constant, finding)
        apart = np.stack([_deviations(distances.mean(axis=1)), _deviations(_errors(images, model, progress))])
        for row in np.flatnonzero(apart.max(axis=0) > FAR).tolist():
            which = int(apart[:, row].argmax())
            found.append(finding("outlier", apart[which, row], row, beside=OUTLIERS[which]))
    labels = images.labels.in_composed_names()
    rows, probabilities, doubted = doubts(points, labels, classifier, seed=seed, progress=progress)
    for row, each in zip(rows[doubted], probabilities[doubted], strict=True):
        code = labels.codes[row]
        likeliest = np.where(np.arange(len(each)) == code, -1, each).argmax()
        found.append(finding("label", 1 - each[code], int(row), beside=labels.names[int(likeliest)]))
    found.sort(key=lambda each: (KINDS.index(each.kind), -each.score, -1 if each.row is None else each.row, each.file))
    return Findings(tuple(found))


def _constant(images: np.ndarray) -> np.ndarray:
    """(N,) bool: images (N, C, H, W) whose pixels are all the same."""
    flat = np.zeros(len(images), bool)
    for rows in slices(len(images), _ROWS):
        block = np.asarray(images[rows]).reshape(-1, int(np.prod(images.shape[1:])))
        flat[rows] = block.max(axis=1) == block.min(axis=1)
    return flat


def _duplicates(
    images: np.ndarray, near: np.ndarray, shows: np.ndarray, finding: Callable[..., Finding]
) -> Iterable[Finding]:  # fmt: skip
    """Of each image the earlier one that it is most like, where it is like one; ``near`` (N, k) are its neighbours."""
    pairs = np.stack([np.repeat(np.arange(len(near)), near.shape[1]), near.ravel()], axis=1)
    pairs = np.unique(np.sort(pairs[shows[pairs].all(axis=1)], axis=1), axis=0)
    scores = correlations(images, pairs)
    best: dict[int, tuple[float, int]] = {}
    for (first, second), score in zip(pairs.tolist(), scores.tolist(), strict=True):
        if score >= ALIKE and (score, -first) > best.get(second, (0.0, 0)):
            best[second] = (score, -first)
    twins = ((row, min(score, 1.0), -first) for row, (score, first) in best.items())
    return [finding("duplicate", score, row, other, finding("", 0, other).file) for row, score, other in twins]


def _errors(images: ImageSet, model: TrainedModel, progress: Progress) -> np.ndarray:
    """(N,) the mean squared error of each image's reconstruction, pixels in [0, 1]."""
    errors = np.empty(len(images))
    for rows, decoded in model.reconstructions(images, progress):
        errors[rows] = np.square(decoded - images.images[rows] / np.float32(255)).mean(axis=(1, 2, 3))
    return errors


def _deviations(values: np.ndarray) -> np.ndarray:
    """(N,) how many deviations the logarithm of each of these positive values (N,) lies above their median."""
    logs = np.log(np.maximum(values, 1e-12))
    apart = logs - np.median(logs)
    deviation = np.median(np.abs(apart)) / 0.6745
    return np.asarray(apart / deviation) if deviation > 0 else np.zeros_like(apart)
