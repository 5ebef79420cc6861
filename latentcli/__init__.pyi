"""The public names, each with the module that it is loaded from when it is first used."""

from . import pictures
from .artifacts.hybrid_dataset import HybridDataset
from .artifacts.images import read_hybrids, write_hybrids, write_images
from .artifacts.info import describe
from .artifacts.latents import read_latents, write_latents
from .artifacts.models import load_classifier, load_model, save_classifier, save_model
from .artifacts.tables import write_predictions, write_table
from .classifiers.comparing import compare_classifiers
from .classifiers.fitting import fit_graph, fit_mixture, fit_probe
from .core.errors import DataError, FitError, GateError, LatentError, ModelFileError, OutputError, UsageError
from .core.image_set import ImageSet
from .core.labels import Labels
from .core.latents import Latents
from .core.progress import Listener, Listeners
from .data.cached import cached, clear_cache
from .data.loading import load
from .estimators import LatentClassifier, VAETransformer
from .experiments.hybrids import study_hybrids
from .experiments.latents import study_latents
from .experiments.samples import study_samples
from .experiments.sweep import study_sweep
from .explore.exploring import explore
from .exports.exporting import export
from .exports.importing import import_weights
from .hybrids.hybridize import hybridize
from .hybrids.sampling import sample
from .inference.checking import Findings, check
from .inference.classification import Predictions, classify, classify_latents
from .inference.encoding import encode
from .inference.evaluation import evaluate, measure
from .inference.suggesting import Suggestions, suggest
from .inference.tally import Tally
from .models.trained import TrainedModel
from .pictures.snapshots import Snapshots
from .pictures.tensorboard import TensorBoard
from .sharded.calls import classify_shards, encode_shards
from .sharded.making import PartsDone
from .streams import classify_latents_to, classify_to, encode_to, reconstruct_to
from .training.distortion import augmented_copies
from .training.priors import fit_prior
from .training.settings import settings
from .training.train import train, train_cnn

__all__ = [
    "DataError",
    "Findings",
    "FitError",
    "GateError",
    "HybridDataset",
    "ImageSet",
    "Labels",
    "LatentClassifier",
    "LatentError",
    "Latents",
    "Listener",
    "Listeners",
    "ModelFileError",
    "OutputError",
    "PartsDone",
    "Predictions",
    "Snapshots",
    "Suggestions",
    "Tally",
    "TensorBoard",
    "TrainedModel",
    "UsageError",
    "VAETransformer",
    "augmented_copies",
    "cached",
    "check",
    "classify",
    "classify_latents",
    "classify_latents_to",
    "classify_shards",
    "classify_to",
    "clear_cache",
    "compare_classifiers",
    "describe",
    "encode",
    "encode_shards",
    "encode_to",
    "evaluate",
    "explore",
    "export",
    "fit_graph",
    "fit_mixture",
    "fit_prior",
    "fit_probe",
    "hybridize",
    "import_weights",
    "load",
    "load_classifier",
    "load_model",
    "measure",
    "pictures",
    "read_hybrids",
    "read_latents",
    "reconstruct_to",
    "sample",
    "save_classifier",
    "save_model",
    "settings",
    "study_hybrids",
    "study_latents",
    "study_samples",
    "study_sweep",
    "suggest",
    "train",
    "train_cnn",
    "write_hybrids",
    "write_images",
    "write_latents",
    "write_predictions",
    "write_table",
]
__version__: str
