"""The latent space in the browser, in one call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.explore.exploration import Exploration
from latentcli.explore.files import GRAPH, LABELS
from latentcli.explore.fitting import kind_of
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import material
from latentcli.explore.serving import Explored, run
from latentcli.formats import own_files

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
            Without a ``classifier`` its ending says which is fitted: a graph for ``.npz``, a linear probe for ``.pth``,
            a mixture for ``.pkl``. ``plane.png``, ``selection.csv`` and ``hybrids.npz`` come to lie beside it.
        no_label: names that mean no label in that table, as for ``load``.
        strict: refuse rows of it that name no image, which otherwise stay in it.
        port: of 127.0.0.1, where the page is served; 0: any that is free.
        no_browser: do not open the page, only tell its address.
        seed: of all draws.
        progress: told about the images.
        tell: told the address, and what is done at the end.

    Raises:
        UsageError: Bokeh is not installed, the port is taken, or this is a notebook; ``labels`` does not end in
            ``.csv``, or ``output`` as the file of such a classifier does.
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
    usual = file_for(classifier)
    target = Path(output or usual)
    own_files.called(target, None if _kind(classifier) is None else own_files.called(usual))

    def prepare(progress: Progress) -> Any:
        how: dict[str, Any] = {"no_label": no_label, "strict": strict, "seed": seed, "progress": progress}
        return opened(images, model, classifier, labels, target, **how)

    return run(prepare, Path(labels), target, port=port, no_browser=no_browser, progress=progress, tell=tell)


@contextmanager
def opened(
    images: ImageSet, model: "TrainedModel", classifier: Any, labels: str | Path, output: Path, *,
    no_label: Sequence[str] | None = None, strict: bool = False, seed: int = 0, progress: Progress = silent,
) -> Iterator[Exploration]:  # fmt: skip
    """An exploration, whose work beside it ends with the block; arguments and errors as of ``explore``."""
    read = _kind(classifier) is not None
    names = [] if classifier is None else map(str, classifier.classes_ if read else classifier.class_names)
    labelling = Labelling(images, Path(labels), [*names], no_label, strict)  # it may refuse, and the rest takes long
    made = "graph" if read else own_files.called(output)
    found = material(images, model, classifier, "linear" if made == "probe" else made, seed=seed, progress=progress)
    exploration = Exploration(found, labelling, output, seed)
    try:
        yield exploration
    finally:
        exploration.jobs.close()


def file_for(classifier: Any) -> Path:
    """Where a classifier of this kind is written if nobody says where."""
    names = {None: GRAPH, "graph": GRAPH, "mixture": Path("gmm_params.pkl")}
    return names.get(_kind(classifier), Path("probe.pth"))


def _kind(classifier: Any) -> str | None:
    """The kind of a classifier of latents; None where there is none, as where it is one of pixels."""
    return kind_of(classifier) if hasattr(classifier, "to_params") else None
