"""The latent space in the browser, in one call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.explore.exploration import Exploration
from latentcli.explore.fitting import kind_called, kind_of
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import material
from latentcli.explore.serving import GRAPH, LABELS, Explored, run

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel


def explore(
    images: ImageSet, model: "TrainedModel", classifier: Any = None, *, labels: str | Path = LABELS,
    output: str | Path | None = None, no_label: Sequence[str] | None = None, strict: bool = False, port: int = 0,
    no_browser: bool = False, seed: int = 0, progress: Progress = silent, tell: Callable[[str], None] = print,
) -> Explored:  # fmt: skip
    """A page of this machine's own browser, to see images by their latents, to label them and to fit a classifier.

    It is there until Ctrl-C. Labels are in their file at once; the classifier, fitted to all images, when "save" is
    pressed and at the end.

    Args:
        images: of the model's shape; their own labels count where there is no file of labels yet.
        model: of latents.
        classifier: fitted to the model's latents, or a ``TrainedModel`` that is a classifier of pixels, which is not
            fitted again. None: one is fitted as soon as images of two classes have labels.
        labels: a table ``File,Label``, as for ``load``; it is made where it is not there.
        output: the classifier's file; None: ``gmm_params.pkl``, ``graph.npz`` or ``probe.pth`` after its kind.
            Without a ``classifier`` its ending says which is fitted: a graph, or a linear probe for ``.pth``, a mixture
            for ``.pkl``. ``plane.png``, ``selection.csv`` and ``hybrids.npz`` come to lie beside it.
        no_label: names that mean no label in that table, as for ``load``.
        strict: refuse rows of it that name no image, which otherwise stay in it.
        port: of 127.0.0.1, where the page is served; 0: any that is free.
        no_browser: do not open the page, only tell its address.
        seed: of all draws.
        progress: told about the images.
        tell: told the address, and what is done at the end.

    Raises:
        UsageError: Bokeh is not installed, or the port is taken.
        DataError: the labels' file cannot be read, or is of other images.
        ModelFileError: the classifier was not fitted on this model.
        OutputError: a file cannot be written, or another run labels into the same one.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", no_classes=True)
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> found = lc.explore(images, vae, labels="labels.csv")  # doctest: +SKIP
        >>> lc.save_classifier(found.classifier, "graph.npz")  # doctest: +SKIP
    """
    target = Path(output) if output is not None else file_for(classifier)

    def prepare(progress: Progress) -> Any:
        how: dict[str, Any] = {"no_label": no_label, "strict": strict, "seed": seed, "progress": progress}
        return opened(images, model, classifier, labels, target, **how)

    return run(prepare, Path(labels), port=port, no_browser=no_browser, progress=progress, tell=tell)


@contextmanager
def opened(
    images: ImageSet, model: "TrainedModel", classifier: Any, labels: str | Path, output: Path, *,
    no_label: Sequence[str] | None = None, strict: bool = False, seed: int = 0, progress: Progress = silent,
) -> Iterator[Exploration]:  # fmt: skip
    """An exploration, whose work beside it ends with the block; arguments and errors as of ``explore``."""
    found = material(images, model, classifier, kind_called(output.suffix), seed=seed, progress=progress)
    names = () if found.reading is None else found.reading.names
    exploration = Exploration(found, Labelling(images, Path(labels), names, no_label, strict), output, seed)
    try:
        yield exploration
    finally:
        exploration.jobs.close()


def file_for(classifier: Any) -> Path:
    """Where a classifier of this kind is written if nobody says where."""
    if classifier is None or not hasattr(classifier, "to_params"):
        return GRAPH
    return {"mixture": Path("gmm_params.pkl"), "graph": GRAPH}.get(kind_of(classifier), Path("probe.pth"))
