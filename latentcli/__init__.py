"""Image classification, reconstruction and generation through the latent space of variational autoencoders.

    import latentcli as lc

    images  = lc.load("mnist", classes=["1", "4", "8"])
    vae     = lc.train(images, latent_dim=2, seed=0)
    latents = vae.encode(images)
    mixture = lc.fit_mixture(latents, labels_per_class=5)
    found   = lc.classify(lc.load("mnist", split="test", classes=["1", "4", "8"]), vae, mixture)
    print(found.scores())

Whatever the command line does, these functions do, and the same call gives the same bytes. Names are loaded when they
are first used: ``import latentcli`` alone loads neither torch nor scikit-learn. Import it before torch: it sets how
many threads torch starts, and how they wait for each other, unless the environment says so (``numerics.threads``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentcli.numerics import threads

if TYPE_CHECKING:
    from latentcli import pictures
    from latentcli.artifacts.hybrid_dataset import HybridDataset
    from latentcli.artifacts.images import read_hybrids, write_hybrids, write_images
    from latentcli.artifacts.info import describe
    from latentcli.artifacts.latents import read_latents, write_latents
    from latentcli.artifacts.models import load_classifier, load_model, save_classifier, save_model
    from latentcli.artifacts.tables import write_predictions
    from latentcli.classifiers.fitting import fit_mixture, fit_probe
    from latentcli.cli import main
    from latentcli.core.errors import (
        DataError,
        FitError,
        GateError,
        LatentError,
        ModelFileError,
        OutputError,
        UsageError,
    )
    from latentcli.core.image_set import ImageSet
    from latentcli.core.labels import Labels
    from latentcli.core.latents import Latents
    from latentcli.data.loading import load
    from latentcli.estimators import LatentClassifier, VAETransformer
    from latentcli.experiments.hybrids import study as study_hybrids
    from latentcli.experiments.latents import study as study_latents
    from latentcli.hybrids.making import hybridize
    from latentcli.inference.classification import Predictions, classify
    from latentcli.inference.evaluation import evaluate
    from latentcli.models.trained import TrainedModel
    from latentcli.training.distortion import augmented_copies
    from latentcli.training.resumable import Listener
    from latentcli.training.settings import settings
    from latentcli.training.train import train, train_cnn

__version__ = "0.1.0"

_WHERE = {
    "artifacts.hybrid_dataset": ("HybridDataset",),
    "artifacts.images": ("read_hybrids", "write_hybrids", "write_images"),
    "artifacts.info": ("describe",),
    "artifacts.latents": ("read_latents", "write_latents"),
    "artifacts.models": ("load_classifier", "load_model", "save_classifier", "save_model"),
    "artifacts.tables": ("write_predictions",),
    "classifiers.fitting": ("fit_mixture", "fit_probe"),
    "cli": ("main",),
    "core.errors": (
        "DataError", "FitError", "GateError", "LatentError", "ModelFileError", "OutputError", "UsageError",
    ),
    "core.image_set": ("ImageSet",),
    "core.labels": ("Labels",),
    "core.latents": ("Latents",),
    "data.loading": ("load",),
    "estimators": ("LatentClassifier", "VAETransformer"),
    "experiments.hybrids": ("study_hybrids=study",),
    "experiments.latents": ("study_latents=study",),
    "hybrids.making": ("hybridize",),
    "inference.classification": ("Predictions", "classify"),
    "inference.evaluation": ("evaluate",),
    "models.trained": ("TrainedModel",),
    "pictures": ("pictures=",),
    "training.distortion": ("augmented_copies",),
    "training.resumable": ("Listener",),
    "training.settings": ("settings",),
    "training.train": ("train", "train_cnn"),
}  # fmt: skip
"""Modules and their public names; "name=attribute" where these differ, without attribute for the module itself."""

_NAMES = {
    name.partition("=")[0]: (f"{__name__}.{module}", name.partition("=")[2] if "=" in name else name)
    for module, names in _WHERE.items()
    for name in names
}

__all__ = ["__version__", *sorted(_NAMES)]

threads.settle()


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _NAMES[name]
    found = import_module(module)
    globals()[name] = found = getattr(found, attribute) if attribute else found
    return found


def __dir__() -> list[str]:
    return __all__
