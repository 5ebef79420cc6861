"""The arms of the hybrids study: what a classifier learns from beside the same labelled images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from latentcli.artifacts.images import laid_out, layout_of
from latentcli.classifiers.base import DensityClassifier, LatentClassifier
from latentcli.classifiers.fitting import fit_graph, fit_mixture
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.hybrids import AROUND_IMAGES, LIKELIHOODS, HybridMaker, Recipe
from latentcli.hybrids.hybridize import posteriors_of
from latentcli.models.trained import TrainedModel
from latentcli.training.config import LABELLED_FRACTION
from latentcli.training.distortion import augmented_copies
from latentcli.training.mixing import Hybrids

MOST_CONFIDENT = 0.95
"""The least probability of a pseudo-label: the usual threshold (Sohn et al. 2020)."""


@dataclass(frozen=True)
class Given:
    """What an arm may use.

    Attributes:
        labelled: the labelled images.
        unlabelled: all images of the training part, without labels.
        seed: of all randomness.
        seen: number of images that the classifier sees in all its steps, with repetitions.
        count: number of images to add, for arms that do not choose it themselves.
        model: trains, or loads, a model of the given images: the published one (True), or the study's (False).
        device: where everything runs.
    """

    labelled: ImageSet
    unlabelled: ImageSet
    seed: int
    seen: int
    count: int
    model: Callable[[ImageSet, bool], TrainedModel]
    device: str = "cpu"


@dataclass(frozen=True)
class Lesson:
    """What a classifier learns from beside the labelled images, and how.

    Attributes:
        hybrids: images with soft labels, or None.
        labelled_fraction: fraction of labelled images among those it sees, if there are hybrids.
        finish: fraction of its steps, at the end, in which it sees labelled images only.
        settings: of the classifier that differ from its defaults.
        start: a model with whose encoder it begins, or None.
        reader: a model and a classifier of its latents, which then are measured themselves; or None.
    """

    hybrids: Hybrids | None = None
    labelled_fraction: float = LABELLED_FRACTION
    finish: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: TrainedModel | None = None
    reader: tuple[TrainedModel, LatentClassifier] | None = None


def alone(given: Given, **settings: Any) -> Lesson:
    """Nothing but the labelled images."""
    return Lesson(settings=settings)


def of_labelled(given: Given, labelled_fraction: float, finish: float) -> Lesson:
    """Hybrids of a model of the labelled images and their distorted copies: mixed in its latent space.

    There are at least half as many copies as hybrids.
    """
    many = augmented_copies(given.labelled, given.count // 2, given.seed)
    space = LatentSpace(many, replace(given, labelled=many))
    return Lesson(space.hybrids(Recipe("mixup", seed=given.seed), given.count), labelled_fraction, finish)


def of_unlabelled(given: Given, labelled_fraction: float, passes: int) -> Lesson:
    """Hybrids of a model of all images, drawn around these and labelled by their neighbours; each is seen once."""
    fraction = at_least(labelled_fraction, passes, given)
    recipe = Recipe("posterior", "neighbours", seed=given.seed)
    hybrids = LatentSpace(given.unlabelled, given).hybrids(recipe, round((1 - fraction) * given.seen))
    return Lesson(hybrids, fraction)


def of_graph(given: Given, labelled_fraction: float, passes: int) -> Lesson:
    """Hybrids of a model of all images, drawn around these, with the soft labels of a graph of them."""
    fraction = at_least(labelled_fraction, passes, given)
    space = LatentSpace(given.unlabelled, given, kind="graph")
    recipe = Recipe("posterior", seed=given.seed)
    return Lesson(space.hybrids(recipe, round((1 - fraction) * given.seen)), fraction)


def begun(given: Given) -> Lesson:
    """Nothing but the labelled images; the classifier begins with the encoder of a model of all images."""
    return Lesson(start=LatentSpace(given.unlabelled, given).model)


def graph(given: Given) -> Lesson:
    """No classifier of pixels: the graph of all images itself."""
    space = LatentSpace(given.unlabelled, given, kind="graph")
    return Lesson(reader=(space.model, space.classifier))


def as_published(given: Given) -> Lesson:
    """Hybrids as first published: points from N(0, I), in a latent space of two dimensions."""
    recipe = Recipe("prior", "class-gaussian", seed=given.seed)
    return Lesson(LatentSpace(given.labelled, given, published=True).hybrids(recipe, given.count))


def pseudo_labels(given: Given) -> Lesson:
    """The unlabelled images themselves, with the classes that the mixture predicts confidently."""
    space = LatentSpace(given.unlabelled, given)
    images, probabilities = space.soft_labelled("mixture", given.count)
    sure = probabilities.max(axis=1) >= MOST_CONFIDENT
    classes = np.eye(probabilities.shape[1])[probabilities[sure].argmax(axis=1)]
    return Lesson(space.with_soft_labels(images[sure], classes))


def spread_labels(given: Given, labelled_fraction: float, passes: int) -> Lesson:
    """The unlabelled images themselves, each with the soft label that a hybrid at its latent would have."""
    fraction = at_least(labelled_fraction, passes, given)
    space = LatentSpace(given.unlabelled, given)
    soft_labelled = space.soft_labelled("neighbours", round((1 - fraction) * given.seen))
    return Lesson(space.with_soft_labels(*soft_labelled), fraction)


def at_least(fraction: float, passes: int, given: Given) -> float:
    """The labelled fraction, raised to at most half until each labelled image is seen this number of times."""
    return max(fraction, min(LABELLED_FRACTION, passes * len(given.labelled) / given.seen))


@dataclass(frozen=True)
class Arm:
    """One way to train a classifier.

    Attributes:
        title: in tables and pictures.
        lesson: what it learns from, given what it may use and the recipe's values; raises FitError or
            NoPointAccepted if the labelled images are too few.
        recipe: plain values, which identify its results.
        shares_model: whether it needs the model of all images, which arms share.
    """

    title: str
    lesson: Callable[..., Lesson]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    shares_model: bool = False


@dataclass(frozen=True)
class LatentSpace:
    """A model of some images, and a classifier of its latents that the labelled images name.

    Attributes:
        images: on which the model is trained, and the classifier fitted together with the labelled ones.
        given: what the arm may use.
        published: whether the model is the published one.
        kind: "mixture" or "graph": the classifier that the labelled images name.
    """

    images: ImageSet
    given: Given
    published: bool = False
    kind: str = "mixture"

    @cached_property
    def model(self) -> TrainedModel:
        """Trained on the images, without labels."""
        return self.given.model(self.images, self.published)

    @cached_property
    def latents(self) -> Latents:
        """Of the labelled images, followed by those of the others, whose labels are left out."""
        labelled = self.given.labelled
        if self.images is labelled:
            return self.model.encode(labelled)
        both = np.concatenate([labelled.images, self.images.images])
        labels = labelled.labels.followed_by(self.images.unlabelled().labels)
        return self.model.encode(ImageSet(both, labels))

    @cached_property
    def classifier(self) -> DensityClassifier:
        """Fitted on the latents, with the labels of the labelled images."""
        if self.kind == "graph":
            return fit_graph(self.latents, seed=self.given.seed)
        return fit_mixture(self.latents, seed=self.given.seed, device=self.given.device)

    def hybrids(self, recipe: Recipe, count: int) -> Hybrids:
        """Hybrids by a recipe; a strategy that draws around images draws around those of ``latents``."""
        around = posteriors_of(self.latents) if recipe.strategy in AROUND_IMAGES else None
        blocks = list(HybridMaker(recipe, self.classifier, self.model, around).blocks(count))
        images = np.concatenate([block.images for block in blocks])
        return self.with_soft_labels(images, np.concatenate([block.soft_labels for block in blocks]))

    def soft_labelled(self, likelihood: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Some of the unlabelled images (n, C, H, W) uint8, and their soft labels (n, K)."""
        random = np.random.default_rng(self.given.seed)
        rows = np.sort(random.permutation(len(self.given.unlabelled))[:count])
        images = self.given.unlabelled.images[rows]
        log_likelihood = LIKELIHOODS[likelihood](
            self.classifier, posteriors_of(self.latents).first(self.classifier.n_features_in_)
        )
        return images, np.exp(log_likelihood(self.model.encode(images).flat))

    def with_soft_labels(self, images: np.ndarray, soft_labels: np.ndarray) -> Hybrids:
        """Images (N, C, H, W) uint8 with soft labels (N, K) for the classes, as training takes them."""
        classes = np.array([str(name) for name in self.classifier.classes_])
        return {"images": laid_out(images, layout_of(images.shape[1])), "soft_labels": soft_labels, "classes": classes}


SPREAD = {"labelled_fraction": 0.25, "passes": 10}

ARMS: dict[str, Arm] = {
    "plain": Arm("plain CNN", alone, {"augment": False}),
    "augmented": Arm("with augmentation", alone),
    "mixup": Arm("mixup", alone, {"augment": False, "mixup": 0.2}),
    "hybrids-labelled": Arm("hybrids, VAE on the labelled", of_labelled, {"labelled_fraction": 0.75, "finish": 0.3}),
    "hybrids-unlabelled": Arm("hybrids, VAE on all images", of_unlabelled, SPREAD, shares_model=True),
    "pseudo-labels": Arm("pseudo-labels", pseudo_labels, shares_model=True),
    "spread-labels": Arm("spread pseudo-labels", spread_labels, SPREAD, shares_model=True),
    "hybrids-graph": Arm("hybrids, labels of a graph", of_graph, SPREAD, shares_model=True),
    "begun": Arm("beginning with the encoder", begun, shares_model=True),
    "graph": Arm("the graph itself", graph, shares_model=True),
    "augmented-mixup": Arm("augmentation and mixup", alone, {"mixup": 0.2}),
    "as-published": Arm("hybrids as published (2-D)", as_published),
}
"""By name, as on the command line."""

USUAL = ("plain", "augmented", "mixup", "hybrids-labelled", "hybrids-unlabelled", "pseudo-labels")
"""The arms of a study by default: two baselines, mixup, and three that use a latent space."""
