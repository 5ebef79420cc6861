"""Models and classifiers from their files, matched to each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.artifacts import checkpoint, graphs, parameters, probes
from latentcli.classifiers import CLASSIFIERS
from latentcli.classifiers.base import DensityClassifier
from latentcli.core import device as devices
from latentcli.core.errors import ModelFileError, UsageError, printable
from latentcli.core.stages import stage
from latentcli.formats import own_files
from latentcli.models import PRIORS
from latentcli.models.prior import check_prior, prior_for
from latentcli.models.trained import TrainedModel

if TYPE_CHECKING:
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier


READERS = {"mixture": parameters.read_classifier, "graph": graphs.read, "probe": probes.read}
NAMED = {".npz": "graph", ".pth": "probe"}
"""What a file that is missing or damaged would be by its name, which tells which command makes it."""


def save_model(model: TrainedModel, path: str | Path) -> None:
    """Write a checkpoint, whole or not at all: the same model gives the same bytes, whatever the path.

    Raises:
        OutputError: the file cannot be written.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.save_model(vae, "vae.pth")
        >>> lc.load_model("vae.pth").fingerprint == vae.fingerprint
        True
    """
    checkpoint.write(Path(path), model)


@stage("reading models")
def load_model(path: str | Path, device: str = "auto") -> TrainedModel:
    """A model from the file that ``save_model`` wrote, ready for use.

    Args:
        path: of ``vae.pth`` or ``cnn.pth``.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, or no checkpoint of a known version.
        UsageError: there is no such device, or it is a file of another kind, such as a mixture.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> vae.save("vae.pth")
        >>> lc.load_model("vae.pth", device="cpu").class_names
        ('1', '4', '8')
    """
    return _read(path, device)


def _read(path: str | Path, device: str, makes: str | None = None) -> TrainedModel:
    """The model of a checkpoint, on a device; ``makes`` as of ``checkpoint.read``."""
    where = devices.resolve(device)
    model = checkpoint.read(Path(path), makes)
    model.network.to(where)
    return model


def load_latent_model(path: str | Path, device: str = "auto") -> TrainedModel:
    """A model of latents; arguments and errors as for ``load_model``.

    Raises:
        ModelFileError: also if it is a classifier of pixels.
    """
    model = load_model(path, device)
    model.check_latents()
    return model


@stage("reading models")
def load_prior(path: str | Path, model: TrainedModel, device: str = "auto") -> TrainedModel:
    """A prior of this model's latents; arguments and errors as for ``load_model``.

    Raises:
        ModelFileError: also if it is no prior, or one of another model's latents.
    """
    again = f"latentcli fit-prior DATA {model.name}"
    if (found := own_files.kind_of(Path(path))) not in (None, *own_files.PLACES[own_files.MODEL]):
        expected = PRIORS[prior_for(model.latent_network)].KIND
        raise ModelFileError(f"{printable(str(path))} is a {found}", f"expected {expected}", f"fit one: {again}")
    prior = _read(path, device, again)
    check_prior(prior, model)
    return prior


def save_classifier(classifier: Any, path: str | Path) -> None:
    """Write a fitted mixture as ``gmm_params.pkl``, a graph as ``graph.npz``, a probe as ``probe.pth``: whole or not.

    Raises:
        UsageError: it does not say which checkpoint's latents it was fitted on.
        OutputError: the file cannot be written.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.save_classifier(lc.fit_probe(vae.encode(images), probe="knn"), "probe.pth")
        >>> lc.load_classifier("probe.pth", vae).classes_.tolist()
        ['1', '4', '8']
    """
    params = classifier.to_params()
    if not params.get("checkpoint"):
        expected = "a classifier's file is read beside the checkpoint whose latents it was fitted on"
        raise UsageError("this classifier names no checkpoint", expected, "fit it on latents that a model encoded")
    write = {"gmm": parameters.write_classifier, "graph": graphs.write}.get(params["kind"], probes.write)
    write(Path(path), params)


@stage("reading models")
def load_classifier(path: str | Path, model: TrainedModel | None = None) -> Any:
    """A fitted mixture, graph or probe from its file, which is known by its content.

    Args:
        path: of ``gmm_params.pkl``, ``graph.npz`` or ``probe.pth``.
        model: whose latents it is to read; None accepts a classifier that was fitted on any model.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, no classifier, or fitted on another model's latents; or
            the model has no latents.
        UsageError: it is a file of another kind, such as a model.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.save_classifier(lc.fit_mixture(vae.encode(images)), "gmm_params.pkl")
        >>> mixture = lc.load_classifier("gmm_params.pkl", vae)
        >>> len(lc.classify(images, vae, mixture))
        431
    """
    path = Path(path)
    kind = own_files.check_place(path, own_files.CLASSIFIER) or NAMED.get(path.suffix.lower())
    kind = kind or ("probe" if probes.is_archive(path) else "mixture")
    known = {}
    if model is not None:
        model.check_latents()
        known = {"fitted_on": model.fingerprint, "checkpoint": model.name}
    params = READERS[kind](path, **known)
    if params["kind"] not in CLASSIFIERS:
        expected = f"expected one of {', '.join(CLASSIFIERS)}, found {params['kind'][:40]!r}"
        remedy = "where another package adds this kind, install it"
        raise ModelFileError(f"{printable(str(path))} holds a classifier of an unknown kind", expected, remedy)
    try:
        return CLASSIFIERS[params["kind"]].from_params(params)
    except (UsageError, ModelFileError) as error:  # the class cannot be imported, or refuses the parameters
        again = error.remedy
        if isinstance(error, ModelFileError) and kind in own_files.CLASSIFIERS:
            again = f"fit it again: {own_files.command(kind, path, 'vae.pth' if model is None else model.name)}"
        raise ModelFileError(f"{printable(str(path))}: {error.problem}", error.found, again) from error


def load_mixture(path: str | Path, model: TrainedModel | None = None) -> "GaussianMixtureClassifier":
    """A fitted mixture; arguments and errors as for ``load_classifier``.

    Raises:
        ModelFileError: also if it is another classifier.
    """
    # An archive never holds a mixture, and a message about a damaged probe would not help here.
    found = None if probes.is_archive(Path(path)) else load_classifier(path, model)
    if isinstance(found, DensityClassifier):
        mixture: GaussianMixtureClassifier = found  # type: ignore[assignment]
        return mixture
    why, remedy = "other classifiers tell classes apart, but have no density to draw points from", "fit a mixture"
    raise ModelFileError(f"{printable(str(path))} is no mixture", why, f"{remedy}: {_command('fit-gmm', model)}")


def load_density_classifier(path: str | Path, model: TrainedModel | None = None) -> DensityClassifier:
    """A fitted mixture or graph: what hybrids are made with; arguments and errors as for ``load_classifier``.

    Raises:
        ModelFileError: also if it is another classifier.
    """
    archive = probes.is_archive(Path(path)) and own_files.kind_of(Path(path)) != "graph"
    found = None if archive else load_classifier(path, model)
    if isinstance(found, DensityClassifier):
        return found
    why = "a probe or a network tells classes apart, but has no points to draw"
    remedy = f"fit one: {_command('fit-gmm', model)}; or {_command('fit-graph', model)}"
    raise ModelFileError(f"{printable(str(path))} is no mixture and no graph", why, remedy)


def _command(name: str, model: TrainedModel | None) -> str:
    checkpoint_name = "vae.pth" if model is None else model.name
    return f"latentcli {name} DATA {checkpoint_name}" + (" -o gmm_params.pkl" if name == "fit-gmm" else "")
