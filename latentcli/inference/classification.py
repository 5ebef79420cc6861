"""Labels for images, by a classifier of latents or by one of pixels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.classifiers.base import DensityClassifier, LatentClassifier
from latentcli.classifiers.fitting import features_for
from latentcli.core.errors import ModelFileError, UsageError
from latentcli.core.growing import filled
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import UNLABELLED, Labels, composed
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check_kind, check_number
from latentcli.core.stages import stage
from latentcli.inference.tally import Tally
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import Block, Kept, gathered, length, slices

if TYPE_CHECKING:
    import pandas

_CHUNK = 1_024
_CODES, _PROBABILITIES = " labels", " probabilities"
"""Beside the arrays of latents: no name of these."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predicted classes of N images, in the images' order.

    Attributes:
        labels: predicted, among the classes that the classifier knows; rejected images have none.
        probabilities: (N, C) of each class, rows summing to 1.
        known: the labels that came with the images.
        files: paths within the folder the images came from; None for arrays.
        bad_files: (path, reason) of files that could not be read.
        latents: that the classifier has read; None for a classifier of pixels.
        rejects: whether unlikely images were rejected.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> known = lc.Labels.of(["4", "8"])
        >>> found = lc.Predictions(known, np.array([[0.9, 0.1], [0.2, 0.8]]), known=known)
        >>> found.confidences.tolist(), found.scores()["accuracy"]
        ([0.9, 0.8], 1.0)
    """

    labels: Labels
    probabilities: np.ndarray
    known: Labels
    files: tuple[str, ...] | None = None
    bad_files: tuple[tuple[str, str], ...] = ()
    latents: Latents | None = None
    rejects: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def confidences(self) -> np.ndarray:
        """(N,) the probability of each image's likeliest class."""
        return self.probabilities.max(axis=1)

    @cached_property
    def tally(self) -> Tally:
        """How many images of each known class were given each label."""
        tally = Tally(self.known.names, self.labels.names, self.rejects)
        tally.add(self.known, self.labels)
        tally.latents = self.latents
        return tally

    @property
    def rejected(self) -> int | None:
        """How many images were rejected; None unless ``rejects``."""
        return self.tally.rejected

    @property
    def labelled(self) -> int | None:
        """How many images the scores are of; None where they are of all, or there are none."""
        return self.tally.labelled

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the scores are read: classes that only the data or only the classifier knows."""
        return self.tally.notes

    def scores(self) -> dict[str, Any]:
        """Accuracy, F1, precision, recall and the confusion matrix on the images whose label is known; {} without any.

        A rejected image counts as wrong.
        """
        return self.tally.scores()

    def to_csv(self, path: str | Path) -> None:
        """Write a table such as ``vae.csv``, with a row for each image, and for each unreadable file.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.write_predictions(self, path)

    def to_frame(self) -> "pandas.DataFrame":
        """A row for each image: ``file`` if there are files, ``predicted``, ``probability``, ``known``, ``p(class)`` …

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError("pandas is not installed", remedy="install it: pip install pandas") from error
        columns: dict[str, Any] = {} if self.files is None else {"file": list(self.files)}
        columns |= {"predicted": self.labels.texts, "probability": self.confidences, "known": self.known.texts}
        columns |= {f"p({name})": self.probabilities[:, code] for code, name in enumerate(self.labels.names)}
        return pandas.DataFrame(columns)


def classify(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *,
    reject_below: float | None = None, progress: Progress = silent,
) -> Predictions:  # fmt: skip
    """Label every image.

    Args:
        images: of the model's shape.
        model: encodes them; or, without a classifier, a classifier of pixels that labels them itself.
        classifier: fitted to the model's latents.
        reject_below: leave images unlabelled that are less likely than this fraction, in [0, 1], of those the
            mixture or the graph was fitted on; None rejects none.
        progress: told about the images.

    Raises:
        UsageError: ``reject_below`` without a mixture or a graph, or outside [0, 1]; or a model of latents without a
            classifier.
        ModelFileError: the classifier was not fitted on this model.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> found = lc.classify(images, vae, lc.fit_mixture(vae.encode(images)))
        >>> len(found), found.labels.names, "accuracy" in found.scores()
        (431, ('1', '4', '8'), True)
    """
    check_reader(model, classifier, reject_below)
    if classifier is None:
        found = model.probabilities(images, progress)
        return _of_pixels(found, model, images.labels, images.files, images.bad_files)
    latents = model.encode(images, classifier.features, progress)
    return classify_latents(latents, classifier, reject_below, images.bad_files)


def classifications(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *,
    reject_below: float | None = None, progress: Progress = silent,
) -> Iterator[Predictions]:  # fmt: skip
    """``classify``, some thousand images at a time, of which nothing is kept: their predictions, in their order.

    Arguments and errors are those of ``classify``, and so are the labels and probabilities.
    """
    check_reader(model, classifier, reject_below)
    if classifier is not None:
        batches = (arrays for _, arrays in model.encodings(images, classifier.features, progress))
        return classifications_of(in_blocks_of(batches, images, model, classifier), classifier, reject_below)
    files = images.files

    def of_pixels() -> Iterator[Predictions]:
        for rows, found in model.classifications(images, progress):
            yield _of_pixels(found, model, images.labels.take(rows), None if files is None else files[rows])

    return of_pixels()


def classifications_of(
    blocks: Iterable[Latents], classifier: LatentClassifier, reject_below: float | None = None
) -> Iterator[Predictions]:  # fmt: skip
    """``classify_latents`` of blocks of latents, one after another."""
    return (classify_latents(latents, classifier, reject_below) for latents in blocks)


def in_blocks_of(
    batches: Iterable[Block], images: ImageSet, model: TrainedModel, classifier: LatentClassifier
) -> Iterator[Latents]:  # fmt: skip
    """The latents of all images, which a model made a batch at a time, as many at a time as suit a classifier."""
    first = 0
    for arrays in gathered(batches, rows_in_block(classifier)):
        rows = slice(first, first + length(arrays))
        yield model.latents(arrays, images, rows)
        first = rows.stop


def in_blocks(latents: Latents, classifier: LatentClassifier) -> Iterator[Latents]:
    """Latents, as many at a time as suit a classifier."""
    for rows in slices(len(latents), rows_in_block(classifier)):
        yield latents.take(rows)


def counted(blocks: Iterable[Predictions], kept: np.ndarray | None = None) -> Tally:
    """How many images of each known class were given each label, of predictions that come in blocks, one or more.

    Args:
        blocks: of all images, in their order.
        kept: numbers of images, ascending, whose latents the tally holds; None: of none.
    """
    tally: Tally | None = None
    some, of_some = Kept(np.empty(0, int) if kept is None else kept), []
    for found in blocks:
        tally = tally or Tally(found.known.names, found.labels.names, found.rejects)
        tally.add(found.known, found.labels)
        if found.latents is not None:
            some.add({**found.latents.arrays, _CODES: found.latents.labels.codes})
            of_some = [found.latents]
    assert tally is not None  # sets without images are refused where they are read
    if of_some and len(some.rows):
        arrays = dict(some.arrays)
        labels = Labels(arrays.pop(_CODES), of_some[0].labels.names)
        tally.latents = replace(of_some[0], arrays=arrays, labels=labels, files=None)
    return tally


def whole(blocks: Iterable[Predictions], images: ImageSet) -> Predictions:
    """The predictions of all these images at once, of such that come in blocks, one or more, in their order."""
    last: list[Predictions] = []

    def arrays_of(found: Predictions) -> Block:
        last[:] = [found]
        read = {} if found.latents is None else found.latents.arrays
        return {**read, _CODES: found.labels.codes, _PROBABILITIES: found.probabilities}

    arrays = filled(map(arrays_of, blocks), len(images))
    (found,) = last
    return replace(
        found,
        labels=replace(found.labels, codes=arrays.pop(_CODES)),
        probabilities=arrays.pop(_PROBABILITIES),
        known=images.labels.in_composed_names(),
        files=images.files,
        bad_files=images.bad_files,
        latents=found.latents and replace(found.latents, arrays=arrays, labels=images.labels, files=images.files),
    )


def rows_in_block(classifier: LatentClassifier) -> int:
    """How many images a classifier is given at a time: 10,240, or fewer where features or classes are many.

    It reads 64 MiB of features then, or writes 128 of probabilities.

    Classifiers work on chunks of 1,024 points, and a graph on ten of these: what they find for an image is the same to
    the last bit however many images there are.
    """
    width = max(classifier.n_features_in_, len(classifier.classes_))
    return _CHUNK * max(1, min(10, 2**24 // (_CHUNK * width)))


@stage("classifying")
def classify_latents(
    latents: Latents, classifier: LatentClassifier, reject_below: float | None = None,
    bad_files: tuple[tuple[str, str], ...] = (),
) -> Predictions:  # fmt: skip
    """Label images by latents that hold the features which the classifier reads; otherwise as ``classify``.

    Raises:
        UsageError: the latents do not hold these features, or ``reject_below`` without a mixture or outside [0, 1].
        ModelFileError: the classifier was fitted on latents of another model.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> latents = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2).encode(images)
        >>> len(lc.classify_latents(latents, lc.fit_mixture(latents)))
        431
    """
    _check_rejection(classifier, reject_below)
    if latents.checkpoint and classifier.fitted_on_ not in ("", latents.checkpoint):
        raise ModelFileError(
            "the classifier was fitted on latents of another model",
            f"expected latents of {classifier.fitted_on_[:6]}…, found {latents.checkpoint[:6]}…",
            "encode the images with that model or encoder, or fit the classifier again",
        )
    features = features_for(classifier, latents)
    found, codes = np.empty((len(latents), len(classifier.classes_))), np.empty(len(latents), np.int64)
    for rows in slices(len(latents), rows_in_block(classifier)):
        found[rows] = classifier.predict_proba(features[rows])
        codes[rows] = found[rows].argmax(axis=1)
        if reject_below is not None and isinstance(classifier, DensityClassifier):
            codes[rows][classifier.typicality(features[rows]) < reject_below] = UNLABELLED
    labels, known = Labels(codes, _composed(classifier.classes_)), latents.labels.in_composed_names()
    return Predictions(labels, found, known, latents.files, bad_files, latents, reject_below is not None)


def _of_pixels(
    found: np.ndarray, model: TrainedModel, known: Labels, files: tuple[str, ...] | None,
    bad_files: tuple[tuple[str, str], ...] = (),
) -> Predictions:  # fmt: skip
    labels = Labels(found.argmax(axis=1).astype(np.int64), _composed(model.class_names))
    return Predictions(labels, found, known.in_composed_names(), files, bad_files)


def _composed(names: Iterable[str]) -> tuple[str, ...]:
    """Names that compare with those of data, which are composed; as they are where two of them would become one."""
    given = tuple(map(str, names))
    made = tuple(map(composed, given))
    return made if len(set(made)) == len(made) else given


def check_reader(model: TrainedModel, classifier: LatentClassifier | None, reject_below: float | None = None) -> None:
    """Raise the errors of ``classify`` before any image is read, if it cannot use these together."""
    check_kind("model", model, TrainedModel)
    if classifier is not None:
        check_kind("classifier", classifier, LatentClassifier)
    _check_rejection(classifier, reject_below)
    if classifier is None:
        model.pixel_classifier  # noqa: B018  # raises the error for other models
        return
    known = model.latent_model.FEATURES
    if classifier.features not in (None, *known):
        raise ModelFileError(
            f"the classifier reads features that this model does not have: {classifier.features!r}",
            f"expected one of: {', '.join(known)}", "fit it again on this checkpoint",
        )  # fmt: skip
    if classifier.fitted_on_ not in ("", model.fingerprint):
        raise ModelFileError(
            "the classifier was fitted on another checkpoint",
            f"expected latents of {model.name} {model.fingerprint[:6]}…, found {classifier.fitted_on_[:6]}…",
            "fit it again on this checkpoint",
        )


def _check_rejection(classifier: LatentClassifier | None, reject_below: float | None) -> None:
    if reject_below is None:
        return
    check_number("`reject_below`", float(reject_below) if isinstance(reject_below, Real) else reject_below, 0.0, 1.0)
    if not isinstance(classifier, DensityClassifier):
        raise UsageError(
            "`reject_below` needs a mixture or a graph", "other classifiers do not know how likely an image is",
            "fit a mixture: latentcli fit-gmm DATA MODEL.pth",
        )  # fmt: skip
