"""A generator of a study, a model and a prior of its latents, both trained on one task; and the images that it makes.

What it makes of its own comes beside what tells how much of that the prior does: reconstructions, which are the best
that latents can come to, and images of codes that are drawn each by itself, or of the prior that a VAE is trained with.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.experiments.cells import Cell, Result, compute
from latentcli.experiments.kept_models import in_study, kept_model, trained_once
from latentcli.experiments.latents import Run
from latentcli.hybrids.sampling import Sampler, SampleRecipe, asked_of_prior
from latentcli.models import FAMILIES, PRIORS
from latentcli.models.code_prior import CodePrior
from latentcli.models.prior import prior_for
from latentcli.models.trained import TrainedModel
from latentcli.training.config import TrainingConfig
from latentcli.training.observed import as_bytes
from latentcli.training.priors import fit_prior
from latentcli.training.train import configure

PRIOR = "prior.pth"


class Made(NamedTuple):
    """Images (N, C, H, W) uint8, and the names (N,) of the classes that they are of; None where they are of none."""

    images: np.ndarray
    classes: np.ndarray | None = None


@dataclass(frozen=True)
class Generator:
    """One training of a model, and of a prior of its latents.

    Attributes:
        run: the training of the model.
        prior_settings: of the prior and its training, by name.
        recipe: how samples are drawn; the seed is the run's.

    Raises:
        UsageError: the recipe asks for what a prior of these latents does not have.
    """

    run: Run
    prior_settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: SampleRecipe = field(default_factory=SampleRecipe)

    def __post_init__(self) -> None:
        for name in asked_of_prior(self.recipe):
            if name not in PRIORS[self.prior_family].ASKED:
                raise UsageError(
                    f"`{name}` is of a prior of codes", f"a {self.run.family} has no codes",
                    "leave it out, or take models that have: vqvae, fsq",
                )  # fmt: skip

    @property
    def has_codes(self) -> bool:
        """Whether latents are maps of codes."""
        return "codes" in FAMILIES[self.run.family].FEATURES

    @property
    def prior_family(self) -> str:
        """The name of the prior for such latents."""
        return prior_for(FAMILIES[self.run.family])

    @cached_property
    def model_identity(self) -> dict[str, Any]:
        """Everything that the model depends on, as plain values; a ``UsageError`` if a setting is wrong."""
        run = self.run
        return {"data": run.task.identity(), "family": run.family, "seed": run.seed, **run.trained_with()}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that model and prior depend on, likewise."""
        shape = self.run.task.train.shape
        return {**self.model_identity, "prior": _settled(self.prior_family, shape, self.prior_settings)}

    @cached_property
    def model(self) -> TrainedModel:
        """The model, trained unless it is kept."""
        return self._trained[0]

    @cached_property
    def prior(self) -> TrainedModel:
        """The prior of its latents, trained unless it is kept."""
        self.train_prior()
        return kept_model(self._prior_path, self.run.config.device)

    def train_model(self) -> Result:
        """How the training of the model went."""
        return self.run.facts | self._trained[1]

    @cached_property
    def _trained(self) -> tuple[TrainedModel, Result]:
        run = self.run
        return trained_once(run.planned(), run.task.train, run.path, self.model_identity, run.config.device, run.watch)

    def train_prior(self) -> Result:
        """How the training of the prior went."""
        work = Cell("prior", self.identity, self._fit_prior)
        return self.run.facts | compute(work, self._prior_path.parent, self._prior_path).result

    def _fit_prior(self) -> Result:
        run, model = self.run, self.model
        latents = model.encode(run.task.train, ["codes" if self.has_codes else model.latent_network.FEATURES[0]])
        prior = in_study(
            run.watch, self._prior_path, fit_prior, latents, model,
            device=run.config.device, **{**self.prior_settings, "seed": run.seed},
        )  # fmt: skip
        prior.save(self._prior_path)
        return {"prior_epochs": len(prior.history)}

    @property
    def _prior_path(self) -> Path:
        return self.run.path.with_name(PRIOR)

    def sample(self, count: int, classes: tuple[str, ...] | None = None, stream: int = 0) -> Made:
        """New images of the prior, of these classes in turn, or of all that it knows.

        Args:
            count: of them.
            classes: their names; None: all.
            stream: the same seed draws other images in another stream.
        """
        seed = int(np.random.default_rng([self.run.seed, stream]).integers(2**62))
        sampler = Sampler(replace(self.recipe, classes=classes, seed=seed), self.model, self.prior)
        blocks = list(sampler.blocks(count))
        images, soft_labels = (np.concatenate(parts) for parts in zip(*(block[:2] for block in blocks), strict=True))
        return Made(images, np.array(sampler.names)[soft_labels.argmax(axis=1)] if sampler.names else None)

    @property
    def of_classes(self) -> bool:
        """Whether samples are of a class each."""
        return self.recipe.guidance != 0

    def frequencies(self) -> np.ndarray:
        """(L, K) float64: how often each code occurs at each place of the training images' maps."""
        network = self.prior.network
        assert isinstance(network, CodePrior)
        return network.log_frequencies.double().exp().expand(network.config.places, -1).cpu().numpy()


def _settled(family: str, shape: Shape, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a prior and of its training, with their defaults, but for what the latents decide."""
    config = PRIORS[family].Config
    of_latents = {name: size for name, size in {"grid": (1, 1), "codes": 2, "dimensions": 1, "classes": 0}.items()
                  if name in config.OF_DATA}  # fmt: skip
    network, training = configure(config, TrainingConfig, shape, None, settings, of_latents)
    return {"model": {name: asdict(network)[name] for name in network.settable()}, "training": asdict(training)}


def reconstructions(made_by: Generator, others: ImageSet) -> Made:
    """The other real images, encoded and decoded."""
    return Made(as_bytes(made_by.model.reconstruct(others)), others.labels.texts)


def samples(made_by: Generator, others: ImageSet) -> Made:
    """Samples of the prior, where it knows classes as many of each as the others have."""
    if not made_by.of_classes:
        return made_by.sample(len(others))
    wanted = [(name, count) for name, count in zip(others.labels.names, others.labels.counts, strict=True) if count]
    parts = [made_by.sample(count, (name,), stream) for stream, (name, count) in enumerate(wanted)]
    images, classes = (np.concatenate(some) for some in zip(*parts, strict=True))
    return Made(images, classes)


def independent(made_by: Generator, others: ImageSet) -> Made:
    """Images of codes each drawn by itself, as often as it occurs at any place."""
    frequencies = made_by.frequencies()
    return _each_by_itself(made_by, np.broadcast_to(frequencies.mean(axis=0), frequencies.shape), len(others))


def of_place(made_by: Generator, others: ImageSet) -> Made:
    """Images of codes each drawn by itself, as often as it occurs at its place: the place's histogram."""
    return _each_by_itself(made_by, made_by.frequencies(), len(others))


def _each_by_itself(made_by: Generator, frequencies: np.ndarray, count: int) -> Made:
    random = np.random.default_rng(made_by.run.seed)
    codes = np.stack([random.choice(len(row), count, p=row / row.sum()) for row in frequencies], axis=1)
    grid = made_by.model.latent_network.config.grid
    return Made(made_by.model.images_of({"codes": codes.reshape(count, *grid)}))


def of_own_prior(made_by: Generator, others: ImageSet) -> Made:
    """Images of points drawn from the prior that the model was trained with."""
    blocks = Sampler(SampleRecipe(seed=made_by.run.seed), made_by.model).blocks(len(others))
    return Made(np.concatenate([block.images for block in blocks]))


@dataclass(frozen=True)
class Kind:
    """A kind of images that a generator makes beside real ones, as many as these.

    Attributes:
        title: in tables and pictures.
        make: them, given the generator and the real ones.
        of_codes: whether only models with codes have such, or only models without; None: all have.
    """

    title: str
    make: Callable[[Generator, ImageSet], Made]
    of_codes: bool | None = None


KINDS: dict[str, Kind] = {
    "reconstructions": Kind("reconstructions", reconstructions),
    "samples": Kind("samples", samples),
    "independent": Kind("independent codes", independent, of_codes=True),
    "of-place": Kind("codes by place", of_place, of_codes=True),
    "own-prior": Kind("the model's own prior", of_own_prior, of_codes=False),
}
"""By name, as in the names of cells."""
