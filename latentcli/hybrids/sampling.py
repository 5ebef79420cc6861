"""New images from a prior, of a class or of any; or from the prior that the model was trained with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentcli.core import device as devices
from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import as_names, check_classes
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check, check_kind, check_number, setting
from latentcli.hybrids.completing import PARTS, Given, given
from latentcli.hybrids.making import MOST, HybridBlock, in_arrays
from latentcli.models.prior import Prior, check_prior
from latentcli.models.trained import TrainedModel
from latentcli.numerics.linear import FastLinear

MOST_ROWS, MOST_NUMBERS = 256, 2**24
"""Images that are drawn at a time, and numbers that are kept of all of them together, as of what places look back at.
Each block has its own random generator, so that more samples begin like fewer."""

OF_CODES = ("top_p", "complete")
"""What only a prior of codes can be asked for."""


@dataclass(frozen=True)
class SampleRecipe:
    """Which samples are made: the arguments of ``sample`` by the same names, where they are explained.

    With a guidance of 1.5 samples of digits and clothes are nearer to real images than with 1 or 2, of photographs than
    with 1, and far more of them are of their class (``tests/benchmarks``).
    """

    classes: tuple[str, ...] | None = None
    temperature: float = setting(1.0, between=(1e-3, 1e3))
    top_p: float = setting(1.0, between=(1e-6, 1.0))
    guidance: float = setting(1.5, between=(0.0, 100.0))
    seed: int = setting(0, between=(0, 2**63 - 1))

    def __post_init__(self) -> None:
        check(self)


class Sampler:
    """Makes samples by a recipe.

    ``names`` are the columns of their soft labels, none where they have no classes; ``chosen`` are the numbers of those
    classes that samples are made of, in turn.

    Args:
        recipe: which samples.
        model: decodes them.
        prior: of the model's latents; None: the prior that the model was trained with.
        given: codes that all samples have; None: there are none.

    Raises:
        UsageError: the recipe asks for what the prior does not have.
        ModelFileError: the prior is of another model's latents.
        DataError: a class is unknown.
    """

    def __init__(
        self, recipe: SampleRecipe, model: TrainedModel, prior: TrainedModel | None = None,
        given: Given | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.model, self._given = recipe, model, given
        self._network = None if prior is None else check_prior(prior, model)
        model.check_latents()
        _check_asked(recipe, self._network, model.name, given)
        of_any = recipe.guidance == 0 or (given is not None and recipe.classes is None)
        self.names = () if prior is None or of_any else prior.class_names
        if not self.names and recipe.guidance not in (0.0, SampleRecipe.guidance):
            known = prior is not None and prior.class_names
            raise UsageError(
                f"`guidance` is of a class, and {'an image is completed without one' if known else 'there are none'}",
                None if known else "the prior was fitted without labels",
                "say which it is of: `classes`; or leave `guidance` out" if known else "leave `guidance` out",
            )  # fmt: skip
        if recipe.classes is not None and not self.names:
            why = "`guidance` 0 leaves the class out" if prior and prior.class_names else "it was fitted without labels"
            raise UsageError("`classes` names classes that this prior is not asked for", why, "leave `classes` out")
        if recipe.classes is not None:
            check_classes(recipe.classes, self.names, "the prior", UsageError)
        chosen = self.names if recipe.classes is None else recipe.classes
        self.chosen = np.array([self.names.index(name) for name in chosen], dtype=np.int64)

    @property
    def dimensions(self) -> int:
        """D, of the latents."""
        return self.model.latent_model.dimensions if self._network is None else self._network.noise_size

    def blocks(self, count: int) -> Iterator[HybridBlock]:
        """``count`` samples, a block at a time, of the classes in turn; of codes the latents are these, (n, h·w)."""
        size = max(1, min(MOST_ROWS, self._rows_of(self._network)))
        for number, first in enumerate(range(0, count, size)):
            random, rows = np.random.default_rng([self.recipe.seed, number]), min(size, count - first)
            soft_labels = np.zeros((rows, len(self.names)))
            if self.names:
                turn = np.arange(first, first + rows) % len(self.chosen)
                soft_labels[np.arange(rows), self.chosen[turn]] = 1.0
            if self._network is None:
                latents = self.model.prior(size, random)[:rows]
                yield HybridBlock(self.model.images(latents), soft_labels, latents)
            else:
                noise = random.random((size, self.dimensions), dtype=np.float32)[:rows]
                drawn = self._drawn(self._network, noise, soft_labels)
                images = self.model.images_of({self._network.LATENTS: drawn})
                yield HybridBlock(images, soft_labels, drawn.reshape(rows, -1).astype(np.float32))

    def _rows_of(self, network: Prior | None) -> int:
        """How many images make ``MOST_NUMBERS`` numbers at a time."""
        return MOST_NUMBERS // (self.dimensions if network is None else network.values_at_once)

    @torch.inference_mode()
    @FastLinear()
    def _drawn(self, network: Prior, noise: np.ndarray, soft_labels: np.ndarray) -> np.ndarray:
        device, recipe = next(network.parameters()).device, self.recipe
        classes = torch.from_numpy(soft_labels.astype(np.float32)).to(device) if self.names else None
        fixed: dict[str, Any] = {}
        if self._given is not None:
            codes = torch.from_numpy(self._given.codes).to(device).expand(len(noise), -1, -1)
            fixed = {"given": codes, "kept": torch.from_numpy(self._given.kept)}
        with devices.memory_for(len(noise)):
            drawn = network.sample(
                torch.from_numpy(noise).to(device), classes, temperature=recipe.temperature, top_p=recipe.top_p,
                guidance=recipe.guidance if self.names else 0.0, **fixed,
            )  # fmt: skip
        return drawn.cpu().numpy()


def asked_of_prior(recipe: SampleRecipe) -> list[str]:
    """What a recipe asks for that only a prior that was fitted has."""
    names = ("classes", "temperature", "top_p", "guidance")
    return [name for name in names if getattr(recipe, name) != getattr(SampleRecipe, name)]


def _check_asked(recipe: SampleRecipe, network: Prior | None, name: str, given: Given | None) -> None:
    """Refuse what this prior, or the model's own, cannot be asked for."""
    known = () if network is None else network.ASKED
    for field in [*asked_of_prior(recipe), *(["complete"] if given is not None else [])]:
        if field in known:
            continue
        of, remedy = "a prior of codes" if field in OF_CODES else "a prior that was fitted", "leave it out"
        if network is not None:
            raise UsageError(f"`{field}` is of {of}", f"this is {network.KIND}", remedy)
        codes = ", where the model has codes" if field in OF_CODES else ""
        raise UsageError(
            f"`{field}` is of {of}, and there is none", f"{name}'s own prior knows nothing of it",
            f"{remedy}, or fit one{codes}: latentcli fit-prior DATA {name}",
        )  # fmt: skip


def sample(
    model: TrainedModel, prior: TrainedModel | None = None, count: int = 1000, *,
    classes: Sequence[str] | None = None, temperature: float = SampleRecipe.temperature,
    top_p: float = SampleRecipe.top_p, guidance: float = SampleRecipe.guidance,
    complete: ImageSet | np.ndarray | None = None, keep: str | np.ndarray = PARTS[0], seed: int = SampleRecipe.seed,
    progress: Progress = silent,
) -> dict[str, np.ndarray]:  # fmt: skip
    """New images, drawn from a prior and decoded.

    Args:
        model: decodes them.
        prior: of the model's latents, as ``fit_prior`` makes it; None: the one that the model was trained with, which
            for a VAE is its mixture; for a model of codes it draws each code by itself, and the images show nothing.
        count: of images.
        classes: of which images are made in turn; None: of all that the prior knows, and where an image is completed
            of none.
        temperature: below 1 what is likely becomes likelier, and images more alike; above 1 less.
        top_p: of each place's codes the likeliest are drawn from, as many as together have this probability; of a prior
            of codes.
        guidance: how much the class counts: 1 as in the images learned from, more exaggerates it; 0 leaves it out. A
            prior that was fitted without labels has none.
        complete: of a prior of codes: an image of which a part is kept, and the rest made anew in ``count`` ways: a
            set of one, or (C, H, W) uint8; None: all is new. Places are drawn row by row, and see of what is kept only
            what lies before them: best is the top.
        keep: its part: "top" or "left", a half, or a mask (H, W) bool. A code stays where all its pixels do.
        seed: of all draws.
        progress: told about the images.

    Returns:
        ``images`` (N, H, W) or (N, H, W, 3) uint8, and ``latents`` (N, D) float32, which of a prior of codes are the
        codes, (N, h·w); where the prior knows classes also ``soft_labels`` (N, K), all in one class, and ``classes``
        (K,): as ``read_hybrids`` gives them.

    Raises:
        UsageError: a value is out of range, or is of a prior of codes or of any, and there is none; a class is unknown,
            or there are no classes.
        ModelFileError: the prior is of another model's latents.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4"])
        >>> vqvae = lc.train(images, model="vqvae", codes=8, latent_dim=4, width=32, epochs=1)
        >>> prior = lc.fit_prior(vqvae.encode(images), vqvae, width=16, layers=1, heads=2, epochs=1)
        >>> samples = lc.sample(vqvae, prior, 3)
        >>> samples["images"].shape, samples["soft_labels"].tolist()
        ((3, 8, 8), [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    """
    check_kind("model", model, TrainedModel)
    recipe = SampleRecipe(as_names(classes), temperature, top_p, guidance, seed)
    check_number("`count`", count, 1, MOST)
    sampler = Sampler(recipe, model, prior, None if complete is None else given(complete, keep, model))
    return in_arrays(sampler.blocks(count), count, sampler.names, "sampling", progress)
