"""A result as one page: what was run, what came of it, and the images behind the numbers."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from latentcli import __version__
from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.core.stages import stage
from latentcli.formats.temporaries import temporary_folder

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier
    from latentcli.inference.classification import Predictions
    from latentcli.models.trained import TrainedModel
    from latentcli.pictures.page import Page

MOST = 10_000
"""Images, evenly drawn from all, whose predictions a page looks at."""

ON_THE_PLANE, IN_A_CELL, IN_ALL_CELLS = 2_000, 24, 1_200
"""Images that a page shows at most, so that it stays within 15 MB."""

IN_FULL_CELLS = 4
"""Images of a cell of a confusion matrix where so many cells have some that each can show only a few."""

WIDE = 30
"""Classes up to which the confusion matrix is a table; of more the most frequent confusions are listed."""

CAPTIONS = {
    "history": "Losses by epoch", "latent": "The latent space by class",
    "manifold": "The decoded plane of the latent space", "reconstructions": "Images above their reconstructions",
    "predictions": "The latent space by class, with the classifier", "labels": "Images of each class",
    "codes": "Codes of images, and how often each is used", "comparison": "The models side by side",
    "tsne": "A t-SNE map of the latents", "curve": "Accuracy against the number of labelled images",
    "front": "Bits per image against structural similarity",
    "samples": "Samples, over their classes", "nearest": "Samples, over the training image nearest to each",
}  # fmt: skip
"""Of pictures, by the beginning of their files' names."""

_PACKAGES = ("numpy", "torch", "scikit-learn", "pillow")
_OF_TRAINING = ("data", "encoder", "imported", "seed", "versions", "settings")
_APART = ("confusion_matrix", "classes")


def check_name(path: Path) -> None:
    """Raise a ``UsageError`` for the name of a report that ends in neither .html nor .htm."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"cannot write a report {str(path)!r}", "expected a name ending in .html", "such as report.html"
        )


@contextmanager
def place(figures: Path | None, report: Path | None) -> Iterator[Path | None]:
    """Where pictures are drawn: the folder that is asked for, one for a while where they are for a report; or None."""
    if figures is not None or report is None:
        yield figures
        return
    with temporary_folder() as folder:
        yield folder


@stage("writing the report")
def report(
    path: str | Path, result: Mapping[str, Any], *, title: str = "", model: "TrainedModel | None" = None,
    images: ImageSet | None = None, latents: Latents | None = None, classifier: "LatentClassifier | None" = None,
    reject_below: float | None = None, drawn: Sequence[Path] = (), table: Sequence[Sequence[object]] = (),
    command: str = "", seen: str = "",
) -> Path:  # fmt: skip
    """Write one HTML file that holds a result with its images: no script, and nothing from the network.

    It says what was run, with versions and seeds; the metrics; the images on a plane, each shown under the pointer; the
    confusion matrix, whose cells lead to their images; and the pictures. What is not given is left out.

    Args:
        path: of the page, such as report.html.
        result: metrics by name, as commands print them; with ``confusion_matrix`` and ``classes`` of all images.
        title: of the page; "" for the last part of the data's name.
        model: that made the latents, or a classifier of pixels.
        images: that the result is of; of more than 10,000 so many are looked at, evenly drawn.
        latents: instead of images, of which nothing is shown then.
        classifier: of the latents.
        reject_below: as of ``classify``, whose result it is.
        drawn: pictures as the other functions write them, by whose names they get their captions.
        table: rows of texts, the first of which is the header.
        command: as it was called.
        seen: what stands above the confusion matrix, such as that the classifier has learned from these images.

    Raises:
        UsageError: the path does not end in .html.
        OutputError: the page cannot be written.
        ModelFileError: model and classifier do not fit each other.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> mixture = lc.fit_mixture(vae.encode(images), labels_per_class=5)
        >>> metrics, _ = lc.evaluate(images, vae, mixture)
        >>> lc.pictures.report("report.html", metrics, model=vae, images=images, classifier=mixture).name
        'report.html'
    """
    from latentcli.pictures.page import Page

    path = Path(path)
    check_name(path)
    named = title or (Path(images.name).name if images is not None else "latentcli")
    page = Page(named, f"A report of latentcli {__version__}. It is one file and needs no network.")
    page.section("Results")
    page.facts({name: value for name, value in result.items() if name not in _APART})
    if table:
        page.table([str(cell) for cell in table[0]], table[1:])
    shown = _looked_at(model, images, latents, classifier, reject_below)
    _plane(page, shown, model, latents)
    if shown.found is not None and shown.found.known.any:
        _confusions(page, shown, shown.found, result, seen)
    with temporary_folder() as folder:
        pictures = [each for each in drawn if each.suffix.lower() in (".png", ".svg") and each.stem != "confusion"]
        pictures += _of_codes(folder, model, shown.images)
        if pictures:
            page.section("Pictures")
        for each in pictures:
            kind, _, of = each.stem.partition("-")
            caption = CAPTIONS.get(kind, kind) + (f": {of}" if of else "")
            page.picture(each, caption, f"{caption}. {_in_words(kind, model, result)}".strip())
    page.section("What was run")
    page.facts(_run(model, classifier, command))
    return page.save(path)


def _run(model: "TrainedModel | None", classifier: "LatentClassifier | None", command: str) -> dict[str, Any]:
    """The call, versions, and how model and classifier came to be."""
    facts: dict[str, Any] = {"command": command, "latentcli": __version__, "python": platform.python_version()}
    facts |= {name: version(name) for name in _PACKAGES}
    if model is not None:
        told = {name: value for name in _OF_TRAINING if (value := model.training.get(name)) not in (None, {}, "")}
        own = {"family": model.family, "image shape": list(model.image_shape), "fingerprint": model.fingerprint}
        facts["model"] = {**own, "trained with": told}
    if classifier is not None:
        plain = {name: value for name, value in classifier.to_params().items() if isinstance(value, str | int | float)}
        facts["classifier"] = {"kind": type(classifier).__name__, **plain}
    return facts


class _Shown(NamedTuple):
    """What a page looks at: ``rows`` (n,) of ``all`` images or latents, these images, and what is predicted of them."""

    rows: np.ndarray
    all: int
    images: ImageSet | None
    found: "Predictions | None"
    files: tuple[str, ...] | None

    def name(self, place: int) -> str:
        """The file of an image, or the number of its row."""
        return str(self.rows[place]) if self.files is None else self.files[place]


def _looked_at(
    model: "TrainedModel | None", images: ImageSet | None, latents: Latents | None,
    classifier: "LatentClassifier | None", reject_below: float | None,
) -> _Shown:  # fmt: skip
    """At most ``MOST`` of the images, or of the latents, and what is predicted of them."""
    from latentcli.inference.classification import classify, classify_latents
    from latentcli.models import PIXEL_CLASSIFIERS
    from latentcli.numerics.blocks import evenly

    if images is not None:
        rows = evenly(len(images), MOST)
        some = images.take(rows)
        reads = model is not None and (classifier is not None or model.family in PIXEL_CLASSIFIERS)
        found = classify(some, model, classifier, reject_below=reject_below) if model is not None and reads else None
        return _Shown(rows, len(images), some, found, some.files)
    rows = evenly(len(latents), MOST) if latents is not None else np.empty(0, int)
    few = latents.take(rows) if latents is not None else None
    found = None if few is None or classifier is None else classify_latents(few, classifier, reject_below)
    return _Shown(rows, len(latents or ()), None, found, None if few is None else few.files)


def _plane(page: "Page", shown: _Shown, model: "TrainedModel | None", latents: Latents | None) -> None:
    """The images on a plane, where there are latents."""
    from latentcli.models import PIXEL_CLASSIFIERS
    from latentcli.numerics.blocks import evenly

    if len(shown.rows) < 2:
        return
    places, found = evenly(len(shown.rows), ON_THE_PLANE), shown.found
    some = None if found is None or found.latents is None else found.latents.take(places)
    if some is None and latents is not None:
        some = latents.take(shown.rows[places])
    if (some is None or not some.is_flat) and shown.images and model and model.family not in PIXEL_CLASSIFIERS:
        some = model.encode(shown.images.take(places))
    if some is None or not some.is_flat:
        return
    known = some.labels
    labels = known if found is None else found.labels.take(places)
    points, how = plane(some.flat, labels.codes)
    captions = []
    for number, place in enumerate(places.tolist()):
        said = [shown.name(place)] + ([f"known: {known.texts[number]}"] if known.known[number] else [])
        if found is not None:
            said.append(f"predicted: {labels.texts[number] or 'rejected'} ({found.confidences[place]:.2f})")
        captions.append("; ".join(said))
    page.section("Images in the latent space")
    what = "predicted" if found is not None else "known"
    page.paragraph(f"{how}; colours are the {what} classes. Point at a dot, or tap it, to see its image.")
    words = f"{len(places)} images on a plane, coloured by {what} class: {how}."
    pixels = None if shown.images is None else shown.images.images[places]
    page.plane(points, labels.codes, labels.names, captions, pixels, words)


def _of_codes(folder: Path, model: "TrainedModel | None", images: ImageSet | None) -> list[Path]:
    """The picture of a model's codes, where it has some."""
    from latentcli.models import PIXEL_CLASSIFIERS
    from latentcli.pictures.results import codes

    if model is None or images is None or model.family in PIXEL_CLASSIFIERS:
        return []
    if "codes" not in model.latent_model.FEATURES:
        return []
    return [codes(folder / "codes.png", model, images, model.encode(images))]


def plane(points: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, str]:
    """Points (N, D) on a plane (N, 2), and which it is: that which tells three classes or more apart, where there are
    so many, else that of the first two principal components.

    Args:
        points: N latents.
        codes: (N,) of their classes, -1 for none.
    """
    from latentcli.numerics import planes

    points = np.asarray(points, np.float64)
    if points.shape[1] < 3:
        told = "The two latent dimensions" if points.shape[1] == 2 else "The latent dimension from left to right"
        return planes.latent(points).at(points), told
    known = codes >= 0
    if len(np.unique(codes[known])) > 2 and known.sum() > points.shape[1]:
        told = "The plane that tells the classes apart best (linear discriminants)"
        return planes.discriminant(points, codes).at(points), told
    return planes.principal(points).at(points), "The first two principal components"


def _confusions(page: "Page", shown: _Shown, found: "Predictions", result: Mapping[str, Any], seen: str) -> None:
    """The confusion matrix with the images of its cells: the surest mistakes, and of what is right the least sure."""
    scores = result if "confusion_matrix" in result else found.scores()
    if "confusion_matrix" not in scores:
        return
    names, counts = [str(name) for name in scores["classes"]], np.array(scores["confusion_matrix"])
    index = {name: place for place, name in enumerate(names)}
    cells: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(found.known.known & found.labels.known).tolist():
        pair = index.get(found.known.texts[row]), index.get(found.labels.texts[row])
        if None not in pair:
            cells.setdefault(pair, []).append(row)  # type: ignore[arg-type]
    left, kept, most = IN_ALL_CELLS, {}, int(np.clip(IN_ALL_CELLS // max(1, len(cells)), IN_FULL_CELLS, IN_A_CELL))
    for pair in sorted(cells, key=lambda each: (each[0] == each[1], -counts[each], each)):
        surest = sorted(cells[pair], key=lambda row: (-found.confidences[row], row))
        some = (surest[::-1] if pair[0] == pair[1] else surest)[: min(most, left)]
        if shown.images is None or not some:
            break
        left -= len(some)
        captions = [f"{shown.name(row)} ({found.confidences[row]:.2f})" for row in some]
        kept[pair] = (shown.images.images[np.array(some)], captions)
    page.section("Which were taken for which")
    if seen:
        page.paragraph(seen)
    if shown.images is not None and len(shown.rows) < shown.all:
        page.paragraph(f"The images are from {len(shown.rows):,} of all {shown.all:,}, evenly drawn.")
    if len(names) <= WIDE:
        page.matrix(counts, names, kept)
        return
    confused = [(row, column) for row, column in np.argwhere(counts).tolist() if row != column]
    pairs = sorted(confused, key=lambda pair: -counts[pair])
    page.paragraph(f"Of {len(names)} classes, the most frequent confusions:")
    page.confusions(counts, names, pairs[: 2 * WIDE], kept)


def _in_words(kind: str, model: "TrainedModel | None", result: Mapping[str, Any]) -> str:
    """What a picture shows, as far as numbers tell it."""
    rows = model.history if model is not None else ()
    if kind == "history" and rows:
        names = [name for name in rows[0] if name not in ("epoch", "lr", "images_per_second")]
        each = "; ".join(
            f"{name} from {rows[0][name]:.4g} to {rows[-1][name]:.4g}" for name in names if name in rows[-1]
        )
        return f"{len(rows)} epochs: {each}"
    if kind == "reconstructions" and "ssim" in result:
        return f"The mean structural similarity of all images is {result['ssim']:.3f}"
    if kind == "labels" and "confusion_matrix" in result:
        matrix = np.array(result["confusion_matrix"])
        counts = zip(result["classes"], matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist(), strict=True)
        return "; ".join(f"{name}: {known} known, {predicted} predicted" for name, known, predicted in counts)
    if kind == "codes" and "codes_used" in result:
        return f"{result['codes_used']:.0%} of the codes are used, with a perplexity of {result['perplexity']:.0f}"
    return ""
