"""The pictures of each kind of result, as all commands and ``latentcli plot`` draw them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.latents import Latents
from latentcli.core.stages import stage
from latentcli.formats.atomic import make_folder
from latentcli.numerics.blocks import evenly
from latentcli.numerics.metrics import MOST_CLASSES

if TYPE_CHECKING:
    from latentcli.classifiers.base import DensityClassifier, LatentClassifier
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.core.image_set import ImageSet
    from latentcli.core.labels import Labels
    from latentcli.hybrids.likelihoods import LogLikelihood
    from latentcli.inference.classification import Predictions
    from latentcli.inference.tally import Tally
    from latentcli.models.trained import TrainedModel

MANIFOLD_SIDE = 20
EXAMPLES = 20
MOST_COLUMNS = 12
"""Up to so many classes, samples of each stand in a column."""
FIELD_SIDE = 200
"""Points along each side of a plane at which likelihoods are computed."""


def folder(path: Path) -> Path:
    """A folder for pictures, made if need be; an ``OutputError`` if it cannot be made."""
    return make_folder(path)


def history(path: Path, rows: Sequence[Mapping[str, float]]) -> Path:
    """Training curves."""
    return draw("history", path, [{name: value for name, value in row.items() if name != "lr"} for row in rows])


def latent(path: Path, latents: Latents, classifier: "LatentClassifier | None" = None) -> Path:
    """The latents by class, in the order of the classifier's classes if given, with the ellipses of a mixture.

    Where it is a graph, images of no known class have the one that it gives them.
    """
    from latentcli.classifiers.graph.graph_classifier import GraphClassifier
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

    points, labels, ellipses = latents.flat, latents.labels, None
    if classifier is not None:
        labels = labels.among([str(name) for name in classifier.classes_])
    if isinstance(classifier, GaussianMixtureClassifier):
        points = classifier.transform(points)
        ellipses = {
            "weights": classifier.weights_, "means": classifier.means_, "covariances": classifier.full_covariances(),
            "component_labels": classifier.component_labels_,
        }  # fmt: skip
    if isinstance(classifier, GraphClassifier) and classifier.features is None:
        votes = np.flatnonzero(~latents.labels.known)
        if len(votes):
            labels.codes[votes] = classifier.predict_proba(points[votes]).argmax(axis=1)
    codes = labels.codes if labels.names else None
    plane = points.shape == latents.flat.shape
    return draw("latent", path, points, codes, list(labels.names), ellipses, shares=plane)


def manifold(path: Path, model: "TrainedModel", mixture: "GaussianMixtureClassifier | None" = None) -> Path:
    """The decoded plane: all of a two-dimensional latent space, else the two principal directions of the prior.

    The grid lies at the 5th to 95th percentiles of the prior along each axis; of the mixture instead, if given.

    Raises:
        UsageError: no mixture is given, and the prior has no plane.
    """
    from latentcli.figures.manifold import grid_points

    if mixture is not None:
        mean, plane = mixture.principal_plane()
    elif (prior := model.latent_model.prior_plane()) is not None:
        mean, plane = (part.detach().cpu().double().numpy() for part in prior)
    else:
        found, remedy = "a mixture of its latents has one", "name one: latentcli plot manifold VAE.PTH GMM_PARAMS.PKL"
        raise UsageError("this model's prior has no plane to draw", found, remedy)
    kind = "latent dimension" if len(mean) <= 2 else "principal direction"
    names = (f"{kind} 1 (standard deviations)", f"{kind} 2 (standard deviations)" if len(mean) > 1 else "")
    images = model.decode(mean + grid_points(MANIFOLD_SIDE) @ plane)
    return draw("manifold", path, images, MANIFOLD_SIDE, axes=names)


def reconstructions(path: Path, model: "TrainedModel", images: "ImageSet") -> Path:
    """Originals over reconstructions, evenly drawn from the set, each pair with its structural similarity."""
    from latentcli.numerics import metrics

    originals = images.images[evenly(len(images), EXAMPLES)]
    decoded = model.reconstruct(originals)
    return draw("reconstructions", path, originals, decoded, metrics.ssim_per_image(originals, decoded))


def codes(
    path: Path, model: "TrainedModel", images: "ImageSet", latents: Latents, rows: np.ndarray | None = None
) -> Path:  # fmt: skip
    """Images evenly drawn from the set, with reconstructions and code maps, and the codebook's use.

    Args:
        path, model, images: the picture, and what it is of.
        latents: of all these images; or of the ``rows`` among them, which then are drawn from.
        rows: their numbers, ascending.

    Raises:
        UsageError: the model has no codes.
    """
    import torch

    from latentcli.figures.codes import MOST_IMAGES
    from latentcli.models import FAMILIES
    from latentcli.models.quantiser import Quantiser

    if "codes" not in latents.arrays:
        families = [name for name in FAMILIES if "codes" in FAMILIES[name].FEATURES]
        raise UsageError(f"this model has no codes to draw; the families that have are {', '.join(families)}")
    some = evenly(len(latents), MOST_IMAGES)
    originals = images.images[some if rows is None else rows[some]]
    quantiser = cast(Quantiser, model.network.quantiser)
    vectors = quantiser.vectors_of(torch.arange(quantiser.size, device=model.device))
    numbers = latents.arrays["codes"]
    return draw(
        "codes", path, originals, model.decode(latents.flat[some]), numbers[some], numbers,
        vectors.detach().cpu().numpy(),
    )  # fmt: skip


def tsne(path: Path, latents: Latents, seed: int = 0) -> Path:
    """A t-SNE map of the latents, by class."""
    labels = latents.labels
    return draw("tsne", path, latents.flat, labels.codes if labels.names else None, list(labels.names), seed)


def confusion(path: Path, metrics: Mapping[str, Any]) -> Path:
    """The confusion matrix of a classification's metrics.

    Raises:
        DataError: there are too many classes for one.
    """
    if "confusion_matrix" not in metrics:
        raise DataError(f"more than {MOST_CLASSES:,} classes are too many for a confusion matrix", None,
                        "choose some: `classes`")  # fmt: skip
    title = f"accuracy {metrics['accuracy']:.4f}, macro F1 {metrics['macro_f1']:.4f}"
    return draw("confusion", path, metrics["confusion_matrix"], metrics["classes"], title)


def label_counts(path: Path, found: "Tally | Predictions") -> Path:
    """The number of images predicted for each class, beside the known numbers."""
    tally = _counted(found)
    counts = {"known": tally.known_counts} if tally.any_known else {}
    return draw("labels", path, list(tally.names), counts | {"predicted": tally.predicted_counts})


def of_training(
    where: Path, model: "TrainedModel", images: "ImageSet", latents: Latents,
    mixture: "GaussianMixtureClassifier | None" = None,
) -> list[Path]:  # fmt: skip
    """The pictures of a training run: curves, latents, the decoded plane if there is one, reconstructions."""
    where = folder(where)
    drawn = [history(where / "history.png", model.history), latent(where / "latent.png", latents, mixture)]
    on_a_plane = mixture if mixture is not None and mixture.projection_ is not None else None
    if on_a_plane is not None or model.latent_model.prior_plane() is not None:
        drawn.append(manifold(where / "manifold.png", model, on_a_plane))
    return [*drawn, reconstructions(where / "reconstructions.png", model, images)]


def shown(labels: "Labels") -> np.ndarray:
    """Numbers, ascending, of the images whose latents a picture shows: all, or 5,000 of more, labelled ones first."""
    from latentcli.figures.latent import chosen

    return np.sort(chosen(labels.codes))


def of_encoding(
    where: Path, model: "TrainedModel", images: "ImageSet", latents: Latents, rows: np.ndarray | None = None
) -> list[Path]:  # fmt: skip
    """The latents by class and, if they are codes, the images with their maps; arguments as of ``codes``."""
    drawn = [latent(folder(where) / "latent.png", latents)]
    return drawn + ([codes(where / "codes.png", model, images, latents, rows)] if "codes" in latents.arrays else [])


def of_fit(where: Path, latents: Latents, classifier: "LatentClassifier") -> list[Path]:
    """The latents with the mixture or the graph that was fitted to them."""
    return [latent(folder(where) / "latent.png", latents, classifier)]


def of_predictions(
    where: Path, found: "Tally | Predictions", classifier: "LatentClassifier | None" = None
) -> list[Path]:  # fmt: skip
    """Latents that were kept, if flat; the labels' counts; and, if the truth is known, the confusion matrix."""
    where, drawn, tally = folder(where), list[Path](), _counted(found)
    if tally.latents is not None and tally.latents.is_flat:
        drawn.append(latent(where / "predictions.png", tally.latents, classifier))
    drawn.append(label_counts(where / "labels.png", tally))
    scores = tally.scores()
    return drawn + ([confusion(where / "confusion.png", scores)] if "confusion_matrix" in scores else [])


def _counted(found: "Tally | Predictions") -> "Tally":
    from latentcli.inference.classification import Predictions

    return found.tally if isinstance(found, Predictions) else found


def of_decodings(paths: Iterable[Path], model: "TrainedModel", arrays: Mapping[str, np.ndarray]) -> list[Path]:
    """Decoded images of latents, without their originals."""
    rows = evenly(len(next(iter(arrays.values()))), EXAMPLES)
    some = {name: array[rows] for name, array in arrays.items()}
    decoded = np.concatenate([images for _, images in model.decodings(some)])
    return [draw("reconstructions", path, None, decoded) for path in paths]


def hybrids(path: Path, images: np.ndarray, soft_labels: np.ndarray, classes: Sequence[str]) -> Path:
    """The most mixed hybrids, with captions: images (N, H, W[, 3]) or (N, C, H, W) uint8, soft labels (N, K)."""
    if images.ndim == 3:
        images = images[:, np.newaxis]
    elif images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    mixed = np.sort(np.argsort(soft_labels.max(axis=1), kind="stable")[:40])
    return draw("hybrids", path, images[mixed], soft_labels[mixed], list(classes))


def samples(
    path: Path, images: np.ndarray, soft_labels: np.ndarray, classes: Sequence[str], turn: int,
    given: np.ndarray | None = None,
) -> Path:  # fmt: skip
    """The first samples, (N, C, H, W) uint8, over their classes, soft labels (N, K); K is 0 where there are none.

    Those of ``turn`` classes were made in turn: a column shows one class, and columns of a class stand side by side.
    What all were ``given``, (C, H, W), stands above them.
    """
    if not 1 < turn <= MOST_COLUMNS:
        return draw("hybrids", path, images, soft_labels, list(classes), None, given)
    columns = MOST_COLUMNS // turn * turn
    row = np.arange(len(images) // columns * columns or len(images))  # of whole rows of the picture
    order = np.lexsort((row % turn, row // columns))  # in each of them by class
    return draw("hybrids", path, images[order], soft_labels[order], list(classes), columns, given)


def hybrids_plane(
    path: Path, points: np.ndarray, soft_labels: np.ndarray, classifier: "DensityClassifier", likelihood: str,
    log_likelihood: "LogLikelihood",
) -> Path:  # fmt: skip
    """Hybrids (N, D) on the plane in which they vary most, over the likelihoods that gave their soft labels (N, K)."""
    from latentcli.hybrids.field import field

    points = classifier.coordinates(points)
    likelihoods, extent, flat = field(classifier, log_likelihood, points, FIELD_SIDE)
    names = "latent dimension 1", "latent dimension 2"
    if points.shape[1] > 2:
        names = "principal component 1 (field: a slice through the mean)", "principal component 2"
    classes, title = (
        [str(name) for name in classifier.classes_],
        f"points: their soft labels; field: by the {likelihood}",
    )
    return draw("field", path, likelihoods, extent, flat, soft_labels, classes, names, title)


def comparison(path: Path, results: Sequence[Mapping[str, Any]], columns: Sequence[Any]) -> Path:
    """Results (``data``, ``model`` and metrics) side by side, a panel for each column that some result has."""
    panels = []
    for column in columns:
        values: dict[str, dict[str, list[float]]] = {}
        for row in results:
            if column.key in row:
                of_model = values.setdefault(row["data"], {}).setdefault(row["model"], [])
                of_model.append(row[column.key] * column.scale)
        panels.append((column.title, values))
    return draw("comparison", path, [panel for panel in panels if panel[1]])


def of_latent_spaces(
    where: Path, results: Sequence[Mapping[str, Any]], columns: Sequence[Any],
    models: "Iterable[tuple[str, TrainedModel, ImageSet]]",
) -> list[Path]:  # fmt: skip
    """The ``comparison`` of a study; reconstructions and t-SNE for each of ``models`` (file name, model, images)."""
    drawn = [comparison(where / "comparison.png", results, columns)]
    for name, model, images in models:
        drawn.append(reconstructions(where / f"reconstructions-{name}.png", model, images))
        drawn.append(tsne(where / f"tsne-{name}.png", model.encode(images)))
    return drawn


def nearest(path: Path, images: np.ndarray, others: np.ndarray, distances: np.ndarray) -> Path:
    """Samples over the training image nearest to each, (N, C, H, W) uint8 both, and the distances (N,) between them."""
    return draw("reconstructions", path, images, others, distances, ("sample", "nearest image", "distance"))


def of_samples(
    where: Path, results: Sequence[Mapping[str, Any]], columns: Sequence[Any], examples: "Iterable[tuple[str, Any]]"
) -> list[Path]:
    """The ``comparison`` of a study's sets of images; samples of each model, alone and over their nearest images.

    Args:
        where: the folder.
        results: ``data``, ``model``, ``images`` and measures.
        columns: of the measures that are compared.
        examples: file name and ``experiments.samples.Examples`` of each model.
    """
    named = [{**row, "model": " ".join(dict.fromkeys([row["model"], row["images"]])).strip("– ")} for row in results]
    drawn = [comparison(where / "comparison.png", named, columns)]
    for name, found in examples:
        classes = found.classes
        drawn.append(samples(where / f"samples-{name}.png", found.images, found.soft_labels, classes, len(classes)))
        shown = found.images[: len(found.nearest)]
        drawn.append(nearest(where / f"nearest-{name}.png", shown, found.nearest, found.distances))
    return drawn


def accuracy_curve(path: Path, name: str, rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Path:
    """Accuracy against the number of labelled images, from a study's rows on the data ``name``, by title of the arm."""
    from latentcli.figures.curve import Accuracy

    curves: dict[str, dict[int, Accuracy]] = {}
    for row in rows:
        accuracy = Accuracy(row["accuracy"]["mean"], row["accuracy"]["sd"], row["seeds"])
        curves.setdefault(titles[row["arm"]], {})[row["per_class"]] = accuracy
    return draw("curve", path, curves, name)


def front(path: Path, name: str, rows: Sequence[Mapping[str, Any]], settings: Sequence[str], read: Any) -> Path:
    """Bits per image against structural similarity, from a sweep's rows on the data ``name``.

    Args:
        path: of the picture.
        name: of the data.
        rows: of points, with the means of metrics over seeds; those of continuous latents, without bits, are left out.
        settings: names of those that tell the points apart.
        read: the column of the accuracy that colours them.
    """
    from latentcli.figures.front import Size

    sizes = [
        Size(
            ", ".join(f"{setting} {row[setting]}" for setting in settings if setting in row), row["model"],
            row["bits_per_image"]["mean"], row["ssim"]["mean"], row.get(read.key, {}).get("mean"),
        )
        for row in rows if "bits_per_image" in row
    ]  # fmt: skip
    return draw("front", path, sizes, name, read.title)


@stage("drawing")
def draw(kind: str, path: Path, *arguments: Any, **named: Any) -> Path:
    """Draw one of ``FIGURES`` and save it."""
    from latentcli.figures import FIGURES, save

    save(FIGURES[kind](*arguments, **named), path)
    return path
