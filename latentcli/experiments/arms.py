"""The arms of the hybrids study: what a classifier is given beside the same few labelled images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.training.config import SHARE

if TYPE_CHECKING:
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.core.image_set import ImageSet
    from latentcli.core.latents import Latents
    from latentcli.hybrids import Posteriors, Recipe
    from latentcli.models.base import LatentModel
    from latentcli.training.mixing import Hybrids

MOST_CONFIDENT = 0.95
"""Images of less are no pseudo-labels: the usual threshold (Sohn et al. 2020)."""


@dataclass(frozen=True)
class Given:
    """What an arm may use.

    Attributes:
        labelled: the few images, all of them labelled.
        unlabelled: all images of the training part, without labels.
        seed: of all randomness.
        count: how many images the arm may add.
        model: trains, or finds, a model of these images; the published one, or the study's.
        device: where everything runs.
    """

    labelled: "ImageSet"
    unlabelled: "ImageSet"
    seed: int
    count: int
    model: Callable[["ImageSet", bool], "LatentModel"]
    device: str = "cpu"


Added = Callable[[Given], "Hybrids | None"]
"""Images with soft labels that go beside the labelled ones."""


@dataclass(frozen=True)
class Arm:
    """One way to train a classifier.

    Attributes:
        title: in tables and pictures.
        settings: of the classifier, where they are not its own.
        added: what it is given beside the labelled images; None: nothing.
        share: of the images that it sees those that are labelled, where something is added.
        passes: where labelled images are many the share grows, to half at most, until it sees each so often.
        finish: of its steps the last that see labelled images alone.
        once: as many may be added as it sees; else the study's number.
        shares_model: it needs the model of all images, which it shares with others.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    added: Added | None = None
    share: float = SHARE
    passes: int = 0
    finish: float = 0.0
    once: bool = False
    shares_model: bool = False

    def recipe(self, labelled: int, seen: int) -> dict[str, Any]:
        """What can be said in plain values of how it trains: results of another are results of another arm.

        Args:
            labelled: how many images are.
            seen: how many images the classifier sees in all.
        """
        share = max(self.share, min(SHARE, self.passes * labelled / seen))
        count = {"count": round((1 - share) * (1 - self.finish) * seen)} if self.once else {}
        return {"settings": dict(self.settings), "share": share, "finish": self.finish, **count}


@dataclass(frozen=True)
class LatentSpace:
    """A model of some images, and the mixture that the few labels name.

    Attributes:
        images: that the mixture is fitted on, beside the labelled ones.
        given: the rest.
        published: whether the model is the published one.
    """

    images: "ImageSet"
    given: Given
    published: bool = False

    @cached_property
    def model(self) -> "LatentModel":
        """Trained on the images, without labels."""
        return self.given.model(self.images, self.published)

    @cached_property
    def latents(self) -> "Latents":
        """Of the labelled images, and of the others behind them."""
        from latentcli import inference
        from latentcli.core.latents import Latents

        few = self.given.labelled
        both = few.images if self.images is few else np.concatenate([few.images, self.images.images])
        return Latents(inference.encode(self.model, both), "")

    @property
    def names(self) -> np.ndarray:
        """Of the classes of the latents, "" where there is no label."""
        few = self.given.labelled.names_of_labels()
        return np.append(few, np.full(len(self.latents) - len(few), ""))

    @cached_property
    def mixture(self) -> "GaussianMixtureClassifier":
        """Fitted on the latents, of which the labels of the few are known."""
        from latentcli.classifiers import CLASSIFIERS

        mixture = CLASSIFIERS["gmm"](device=self.given.device, random_state=self.given.seed)
        return mixture.fit(self.latents.flat, self.names, self.latents.posterior_variances)

    @property
    def posteriors(self) -> "Posteriors":
        """Of the study's own images, whose few labels are known."""
        from latentcli.hybrids import Posteriors

        return Posteriors(self.latents.flat, self.latents.posterior_variances, self.names)

    def hybrids(self, recipe: "Recipe") -> "Hybrids":
        """Images decoded from it; those that are drawn around images are drawn around the study's own."""
        from latentcli import inference
        from latentcli.hybrids import AROUND_IMAGES, LIKELIHOODS, make

        around = self.posteriors if recipe.strategy in AROUND_IMAGES else None
        likelihood, space = LIKELIHOODS[recipe.likelihood](self.mixture, around), inference.LatentSpace(self.model)
        blocks = list(make(recipe, self.mixture, likelihood, space, self.given.count, around))
        images, soft_labels = (
            np.concatenate([getattr(block, name) for block in blocks]) for name in ("images", "soft_labels")
        )
        return self.with_soft_labels(images, soft_labels)

    def with_soft_labels(self, images: np.ndarray, soft_labels: np.ndarray) -> "Hybrids":
        """Images (N, C, H, W) uint8, and (N, classes) how much of each of the mixture's classes they are."""
        from latentcli.artifacts.images import laid_out, layout_of

        classes = np.array([str(name) for name in self.mixture.classes_])
        return {"images": laid_out(images, layout_of(images.shape[1])), "soft_labels": soft_labels, "classes": classes}


def of_labelled(given: Given) -> "Hybrids":
    """Hybrids of a model that has seen only the labelled images and distorted copies: mixed in its latent space.

    There are half as many of these as of hybrids, or more.
    """
    from latentcli.hybrids import Recipe
    from latentcli.training.distortion import augmented_copies

    many = augmented_copies(given.labelled, given.count // 2, given.seed)
    return LatentSpace(many, replace(given, labelled=many)).hybrids(Recipe("mixup", seed=given.seed))


def of_unlabelled(given: Given) -> "Hybrids":
    """Hybrids of a model that has seen all images, without labels: around these, with what their neighbours say."""
    from latentcli.hybrids import Recipe

    return LatentSpace(given.unlabelled, given).hybrids(Recipe("posterior", "neighbours", seed=given.seed))


def as_published(given: Given) -> "Hybrids":
    """The recipe that hybrids were first published with: points from N(0, I), in a latent space of two dimensions."""
    from latentcli.hybrids import Recipe

    recipe = Recipe("prior", "class-gaussian", seed=given.seed)
    return LatentSpace(given.labelled, given, published=True).hybrids(recipe)


def pseudo_labels(given: Given) -> "Hybrids":
    """The unlabelled images themselves, with the classes that the mixture is sure of."""
    return labelled_by("mixture", given, MOST_CONFIDENT)


def spread_labels(given: Given) -> "Hybrids":
    """The unlabelled images themselves, each with the soft label that a hybrid would have in its place."""
    return labelled_by("neighbours", given, 0.0)


def labelled_by(likelihood: str, given: Given, threshold: float) -> "Hybrids":
    """Unlabelled images with soft labels; with a threshold those that are surer, each wholly of its likeliest class."""
    from latentcli import inference
    from latentcli.hybrids import LIKELIHOODS

    space = LatentSpace(given.unlabelled, given)
    random = np.random.default_rng(given.seed)
    rows = np.sort(random.permutation(len(given.unlabelled))[: given.count])
    images = given.unlabelled.images[rows]
    latents = inference.features(space.model, images, space.model.FEATURES[0])
    probabilities = np.exp(LIKELIHOODS[likelihood](space.mixture, space.posteriors)(latents))
    if threshold:
        sure = probabilities.max(axis=1) >= threshold
        images, probabilities = images[sure], np.eye(probabilities.shape[1])[probabilities[sure].argmax(axis=1)]
    return space.with_soft_labels(images, probabilities)


ARMS: dict[str, Arm] = {
    "plain": Arm("plain CNN", {"augment": False}),
    "augmented": Arm("with augmentation"),
    "mixup": Arm("mixup", {"augment": False, "mixup": 0.2}),
    "hybrids-labelled": Arm("hybrids, VAE on the labelled", added=of_labelled, share=0.75, finish=0.3),
    "hybrids-unlabelled": Arm(
        "hybrids, VAE on all images", added=of_unlabelled, share=0.25, passes=10, once=True, shares_model=True
    ),
    "pseudo-labels": Arm("pseudo-labels", added=pseudo_labels, shares_model=True),
    "spread-labels": Arm(
        "spread pseudo-labels", added=spread_labels, share=0.25, passes=10, once=True, shares_model=True
    ),
    "augmented-mixup": Arm("augmentation and mixup", {"mixup": 0.2}),
    "as-published": Arm("hybrids as published (2-D)", added=as_published),
}
"""By name, as on the command line."""

USUAL = ("plain", "augmented", "mixup", "hybrids-labelled", "hybrids-unlabelled", "pseudo-labels")
"""Those of a study that names none: two baselines, mixup, and what a latent space adds."""
