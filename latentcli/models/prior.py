"""What all priors have in common: models of the latents of another model, of classes and of all, to draw new ones."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.core.errors import ModelFileError
from latentcli.core.latents import Latents
from latentcli.core.settings import check_kind
from latentcli.models import PRIORS
from latentcli.models.base import LatentModel, Model
from latentcli.numerics.shared_batches import drawn

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel


class Prior(Model):
    """p(latents | class), of the latents of a model that is trained already.

    A class may be known in part: its embedding is the mean of the classes' by their probabilities, and what is missing
    to 1 is "no class". Classes are hidden at random in training (Ho & Salimans 2022), so that it knows p(latents), too.
    Settings of all priors are ``classes``, ``width`` of their embeddings, and ``drop_class``.
    """

    ASKED: ClassVar[tuple[str, ...]]
    """What samples may be asked for: arguments of ``hybrids.sampling.sample``."""

    LATENTS: ClassVar[str]
    """The array of latents that it makes."""

    embeddings: "Embeddings"

    @classmethod
    @abstractmethod
    def examples(cls, latents: Latents, model: "TrainedModel") -> np.ndarray:
        """What it learns from, a row an image.

        Raises:
            UsageError: the model's latents are of another kind.
            ModelFileError: they are of another model; or this one has no latent space.
            DataError: they are not latents of this model.
        """

    @classmethod
    @abstractmethod
    def sizes(cls, model: "TrainedModel") -> dict[str, Any]:
        """The settings that a model's latents decide."""

    @classmethod
    @abstractmethod
    def begun(cls, rows: np.ndarray, config: Any, model: "TrainedModel") -> dict[str, Tensor]:
        """What it knows of these examples before training, by names in its ``state_dict``."""

    @property
    @abstractmethod
    def noise_size(self) -> int:
        """How many random numbers an image is made of."""

    @property
    @abstractmethod
    def values_at_once(self) -> int:
        """How many numbers are kept while an image is drawn."""

    @abstractmethod
    def sample(self, *of: Any, **how: Any) -> Tensor:
        """Latents of N images, as ``LATENTS`` has them.

        Args:
            of: noise (N, ``noise_size``), uniform in [0, 1): all randomness, the same noise gives the same latents; and
                classes (N, K), probabilities to draw from; None: from all classes.
            how: what a recipe asks for, by names in ``ASKED``.

        Raises:
            ModelFileError: a number is not finite.
        """

    def phase(self, progress: float) -> Hashable:
        return ()

    def hidden(self, classes: Tensor | None, generator: torch.Generator) -> Tensor | None:
        """Probabilities (N, K), in training some rows 0."""
        if classes is None or not self.training or not self.config.drop_class:
            return classes
        kept = drawn(
            lambda rows: classes.new_empty(rows, 1).bernoulli_(1 - self.config.drop_class, generator=generator),
            len(classes),
        )
        return classes * kept

    def condition(self, count: int, classes: Tensor | None) -> Tensor:
        """(count, width): what stands for the class, of probabilities (count, K) that may sum to less than 1."""
        nothing = self.embeddings.no_class.expand(count, -1)
        if classes is None or not self.config.classes:
            return nothing
        return classes @ self.embeddings.classes + (1 - classes.sum(dim=1, keepdim=True)) * nothing


class Embeddings(nn.Module):
    """Vectors of this width that stand for things, some of each name; drawn from N(0, ½²).

    Those of codes begin near 0, since codes have vectors of their own.
    """

    start: Tensor
    codes: Tensor
    rows: Tensor
    columns: Tensor
    classes: Tensor
    no_class: Tensor

    def __init__(self, counts: Mapping[str, int], width: int) -> None:
        super().__init__()
        for name, count in counts.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(count, width)))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw them anew."""
        with torch.no_grad():
            for name, vectors in self.named_parameters():
                vectors.normal_(0.0, 0.02 if name == "codes" else 0.5, generator=generator)


def check_own(latents: Latents, model: "TrainedModel") -> None:
    """Raise a ``ModelFileError`` where latents name another model, and a ``UsageError`` where they are none."""
    check_kind("latents", latents, Latents)
    if latents.checkpoint not in ("", model.fingerprint):
        raise ModelFileError(
            "these are latents of another checkpoint",
            f"expected latents of {model.name} {model.fingerprint[:6]}…, found {latents.checkpoint[:6]}…",
            f"encode the images with it: latentcli encode DATA {model.name}",
        )


def prior_for(family: type[LatentModel] | LatentModel) -> str:
    """The name in ``PRIORS`` of the prior for the latents of a family: of maps of codes, or of points."""
    return "transformer" if "codes" in family.FEATURES else "flow"


def check_prior(prior: "TrainedModel", model: "TrainedModel") -> Prior:
    """The network of a prior of this model's latents.

    Raises:
        ModelFileError: it is no prior, or one of another model's latents; or the model has no latent space.
    """
    again = f"fit one: latentcli fit-prior DATA {model.name}"
    wanted = PRIORS[prior_for(model.latent_network)]
    network = getattr(prior, "network", prior)
    if not isinstance(network, Prior):
        kind = getattr(network, "KIND", f"a {type(network).__name__}")
        raise ModelFileError(f"{getattr(prior, 'name', 'the prior')} is {kind}", f"expected {wanted.KIND}", again)
    sizes = wanted.sizes(model)
    fits = isinstance(network, wanted) and all(getattr(network.config, name) == size for name, size in sizes.items())
    if prior.fitted_on != model.fingerprint or not fits:
        raise ModelFileError(
            f"{prior.name} was fitted on another checkpoint",
            f"expected latents of {model.name} {model.fingerprint[:6]}…, found {prior.fitted_on[:6]}…", again,
        )  # fmt: skip
    if len({*prior.class_names}) != network.config.classes or len(prior.class_names) != network.config.classes:
        raise ModelFileError(
            f"{prior.name} does not name the classes that it knows",
            f"expected {network.config.classes} different names, found {len(prior.class_names)}", again,
        )  # fmt: skip
    return network
