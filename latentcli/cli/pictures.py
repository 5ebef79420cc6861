"""Which pictures belong to which result; every command and ``latentcli plot`` draw through here."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from latentcli.core.errors import OutputError, UsageError
from latentcli.core.latents import Latents

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.core.image_set import ImageSet
    from latentcli.hybrids.likelihoods import LogLikelihood
    from latentcli.models.base import LatentModel

MANIFOLD_SIDE = 20
EXAMPLES = 20
FIELD_SIDE = 200
"""Places a side at which the likelihoods of a plane are computed."""


def folder(path: Path) -> Path:
    """The folder that ``--figures`` names, made if need be.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}", error.strerror) from error
    return path


def history(path: Path, rows: Sequence[Mapping[str, float]]) -> Path:
    """Training curves."""
    return draw("history", path, [{name: value for name, value in row.items() if name != "lr"} for row in rows])


def latent(path: Path, latents: "Latents", labeller: "LatentClassifier | None") -> Path:
    """The latents by class, those of a classifier when there is one; with the ellipses of a mixture."""
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

    points, labels, names = latents.flat, latents.labels, list(latents.class_names)
    drawn = None
    if labeller is not None:
        known = [str(name) for name in labeller.classes_]
        if labels is not None:
            renumbered = np.array([known.index(name) if name in known else -1 for name in names] + [-1])
            labels = renumbered[labels]
        names = known
    if isinstance(labeller, GaussianMixtureClassifier):
        points = labeller.transform(points)
        drawn = {
            "weights": labeller.weights_, "means": labeller.means_, "covariances": labeller.full_covariances(),
            "component_labels": labeller.component_labels_,
        }  # fmt: skip
    return draw("latent", path, points, labels, names, drawn, shares=points.shape == latents.flat.shape)


def manifold(path: Path, model: "LatentModel", mixture: "GaussianMixtureClassifier | None" = None) -> Path:
    """The decoded plane: of a latent space with two dimensions all of it, else its prior's two principal directions.

    The grid lies at the 5th to 95th percentiles of the prior along each axis; of a mixture, where there is one.

    Raises:
        UsageError: there is no mixture, and the prior has no plane.
    """
    from latentcli import inference
    from latentcli.figures.manifold import grid_points

    if mixture is not None:
        mean, plane = mixture.principal_plane()
    elif (prior := model.prior_plane()) is not None:
        mean, plane = (part.detach().cpu().double().numpy() for part in prior)
    else:
        raise UsageError(
            "this model's prior is not spread over a plane",
            "a mixture of its latents is",
            "name one: latentcli plot manifold VAE.PTH GMM_PARAMS.PKL",
        )
    kind = "latent dimension" if len(mean) <= 2 else "principal direction"
    names = (f"{kind} 1 (standard deviations)", f"{kind} 2 (standard deviations)" if len(mean) > 1 else "")
    images = inference.decode(model, mean + grid_points(MANIFOLD_SIDE) @ plane)
    return draw("manifold", path, images, MANIFOLD_SIDE, axes=names)


def reconstructions(path: Path, model: "LatentModel", images: "ImageSet") -> Path:
    """Originals over reconstructions, evenly drawn from the set, each pair with its structural similarity."""
    from latentcli import inference
    from latentcli.numerics import metrics

    rows = _evenly(len(images), EXAMPLES)
    originals = images.images[rows]
    decoded = inference.reconstruct(model, originals)
    return draw("reconstructions", path, originals, decoded, metrics.ssim_per_image(originals, decoded))


def codes(path: Path, model: "LatentModel", images: "ImageSet", latents: "Latents") -> Path:
    """Images with their reconstructions and maps of codes, evenly drawn from the set, and the use of the codebook.

    Raises:
        UsageError: the model has no codes.
    """
    import torch

    from latentcli import inference
    from latentcli.figures.codes import MOST_IMAGES
    from latentcli.models import FAMILIES
    from latentcli.models.quantiser import Quantiser

    if "codes" not in latents.arrays:
        families = [name for name in FAMILIES if "codes" in FAMILIES[name].FEATURES]
        raise UsageError(f"this model has no codes to draw; the families that have are {', '.join(families)}")
    rows = _evenly(len(images), MOST_IMAGES)
    quantiser = cast(Quantiser, model.quantiser)
    vectors = quantiser.vectors_of(torch.arange(quantiser.size, device=inference.device_of(model)))
    numbers = latents.arrays["codes"]
    return draw(
        "codes", path, images.images[rows], inference.decode(model, latents.flat[rows]), numbers[rows], numbers,
        vectors.detach().cpu().numpy(),
    )  # fmt: skip


def tsne(path: Path, latents: "Latents", seed: int) -> Path:
    """Which latents are near to each other, by class."""
    return draw("tsne", path, latents.flat, latents.labels, list(latents.class_names), seed)


def confusion(path: Path, result: Mapping[str, Any]) -> Path:
    """The confusion matrix of a classification's figures."""
    title = f"accuracy {result['accuracy']:.4f}, macro F1 {result['macro_f1']:.4f}"
    return draw("confusion", path, result["confusion_matrix"], result["classes"], title)


def label_counts(path: Path, classes: Sequence[str], predicted: np.ndarray, truth: np.ndarray | None) -> Path:
    """How many images of each class were predicted, beside the known ones."""
    counts = {} if truth is None else {"known": [int((truth == name).sum()) for name in classes]}
    return draw(
        "labels", path, list(classes), counts | {"predicted": [int((predicted == name).sum()) for name in classes]}
    )


def of_training(
    where: Path, rows: Sequence[Mapping[str, float]], model: "LatentModel", images: "ImageSet", latents: "Latents",
    mixture: "GaussianMixtureClassifier | None",
) -> list[Path]:  # fmt: skip
    """All that a training run shows: curves, latents, the decoded plane, reconstructions."""
    where = folder(where)
    drawn = [history(where / "history.png", rows), latent(where / "latent.png", latents, mixture)]
    on_a_plane = mixture if mixture is not None and mixture.projection_ is not None else None
    if on_a_plane is not None or model.prior_plane() is not None:
        drawn.append(manifold(where / "manifold.png", model, on_a_plane))
    return [*drawn, reconstructions(where / "reconstructions.png", model, images)]


def of_encoding(where: Path | None, model: "LatentModel", images: "ImageSet", latents: "Latents") -> list[Path]:
    """The latents by class and, where they are codes, the images with their maps."""
    if where is None:
        return []
    drawn = [latent(folder(where) / "latent.png", latents, None)]
    return drawn + ([codes(where / "codes.png", model, images, latents)] if "codes" in latents.arrays else [])


def of_mixture(where: Path, latents: "Latents", mixture: "GaussianMixtureClassifier") -> list[Path]:
    """The latents with the mixture that was fitted to them."""
    return [latent(folder(where) / "latent.png", latents, mixture)]


def of_predictions(
    where: Path,
    known: "Latents | ImageSet",
    classes: Iterable[Any],
    predicted: np.ndarray,
    result: Mapping[str, Any],
    labeller: Any,
) -> list[Path]:
    """The counts of the labels and, where the truth is known, the confusion matrix; of latents these as well."""
    where, names = folder(where), [str(name) for name in classes]
    truth = known.names_of_labels() if known.labels is not None else None
    drawn = [latent(where / "predictions.png", known, labeller)] if isinstance(known, Latents) else []
    drawn.append(label_counts(where / "labels.png", names, predicted, truth))
    return drawn + ([confusion(where / "confusion.png", result)] if "confusion_matrix" in result else [])


def of_reconstructions(where: Path | None, grid: Path | None, model: "LatentModel", images: "ImageSet") -> list[Path]:
    """Originals over reconstructions, wherever they are asked for."""
    return [reconstructions(path, model, images) for path in _targets(where, grid)]


def of_decodings(
    where: Path | None, grid: Path | None, model: "LatentModel", arrays: Mapping[str, np.ndarray]
) -> list[Path]:
    """Decoded images of latents, without their originals, wherever they are asked for."""
    from latentcli import inference

    rows = _evenly(len(next(iter(arrays.values()))), EXAMPLES)
    some = {name: array[rows] for name, array in arrays.items()}
    decoded = np.concatenate([images for _, images in inference.decodings_of_arrays(model, some)])
    return [draw("reconstructions", path, None, decoded) for path in _targets(where, grid)]


def _targets(where: Path | None, grid: Path | None) -> list[Path]:
    targets: Iterable[Path | None] = (grid, folder(where) / "reconstructions.png" if where else None)
    return [path for path in targets if path is not None]


def of_hybrids(
    grid: Path | None,
    figures: Path | None,
    images: np.ndarray,
    soft_labels: np.ndarray,
    points: np.ndarray,
    mixture: "GaussianMixtureClassifier",
    likelihood: str,
    log_likelihood: "LogLikelihood",
) -> list[Path]:
    """The most mixed of the hybrids with captions, and where all of them lie.

    Args:
        grid: where the captions go, if anywhere.
        figures: the folder of both pictures, if any.
        images, soft_labels: of the hybrids.
        points: (N, d) where they lie, in the space of the mixture's means.
        mixture: whose classes they are.
        likelihood, log_likelihood: what the soft labels are by: its name, and itself.
    """
    classes = [str(name) for name in mixture.classes_]
    mixed = np.sort(np.argsort(soft_labels.max(axis=1), kind="stable")[:40])
    targets = [grid, None if figures is None else folder(figures) / "hybrids.png"]
    written = [draw("hybrids", path, images[mixed], soft_labels[mixed], classes) for path in targets if path]
    if figures is not None:
        written.append(_field(figures / "hybrids-plane.png", soft_labels, points, mixture, likelihood, log_likelihood))
    return written


def _field(
    path: Path,
    soft_labels: np.ndarray,
    points: np.ndarray,
    mixture: "GaussianMixtureClassifier",
    likelihood: str,
    log_likelihood: "LogLikelihood",
) -> Path:
    """The likelihoods over the plane in which these points vary most, through their mean."""
    from latentcli.hybrids.field import field

    likelihoods, extent, flat = field(mixture, log_likelihood, points, FIELD_SIDE)
    names = "latent dimension 1", "latent dimension 2"
    if points.shape[1] > 2:
        names = "principal component 1 (field: a slice through the mean)", "principal component 2"
    classes, title = [str(name) for name in mixture.classes_], f"points: their soft labels; field: by the {likelihood}"
    return draw("field", path, likelihoods, extent, flat, soft_labels, classes, names, title)


def _evenly(count: int, most: int) -> np.ndarray:
    """At most ``most`` of ``count`` row numbers, spread over all of them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def draw(kind: str, path: Path, *arguments: Any, **named: Any) -> Path:
    """Draw one of ``FIGURES`` and save it."""
    from latentcli.figures import FIGURES, save

    save(FIGURES[kind](*arguments, **named), path)
    return path
