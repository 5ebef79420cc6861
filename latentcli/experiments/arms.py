"""The arms of the hybrids study: what a classifier learns from beside the same labelled images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from latentcli.artifacts.images import laid_out, layout_of
from latentcli.classifiers.base import DensityClassifier, LatentClassifier
from latentcli.classifiers.fitting import features_for, fit_graph, fit_mixture
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.hybrids import AROUND_IMAGES, LIKELIHOODS, HybridMaker, Recipe
from latentcli.hybrids.hybridize import posteriors_of
from latentcli.hybrids.sampling import Sampler, SampleRecipe
from latentcli.models.trained import TrainedModel
from latentcli.training.config import LABELLED_FRACTION
from latentcli.training.distortion import augmented_copies
from latentcli.training.mixing import Hybrids
from latentcli.training.priors import fit_prior

STUDYS, PUBLISHED, CODES = "study's", "published", "codes"
"""Models that arms use: of the study's family; as hybrids were first published with; and one with codes."""

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
        model: trains, or loads, a model of the given images, which is one of ``STUDYS``, ``PUBLISHED`` and ``CODES``.
        device: where everything runs.
    """

    labelled: ImageSet
    unlabelled: ImageSet
    seed: int
    seen: int
    count: int
    model: Callable[[ImageSet, str], TrainedModel]
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
    return Lesson(LatentSpace(given.labelled, given, which=PUBLISHED).hybrids(recipe, given.count))


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


def of_prior(given: Given) -> Lesson:
    """Samples of a prior of codes, of each class in turn, which has learned it from labels and from a graph's."""
    return Lesson(CodeSpace(given).samples(given.count))


def of_codes(given: Given) -> Lesson:
    """Hybrids of codes: at each place the code of one of two images, with their soft labels by how many each gave."""
    return Lesson(CodeSpace(given).hybrids(given.count))


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
        shares: which models of all images it needs, which arms share.
    """

    title: str
    lesson: Callable[..., Lesson]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    shares: tuple[str, ...] = ()


@dataclass(frozen=True)
class LatentSpace:
    """A model of some images, and a classifier of its latents that the labelled images name.

    Attributes:
        images: on which the model is trained, and the classifier fitted together with the labelled ones.
        given: what the arm may use.
        which: model, of ``STUDYS`` and ``PUBLISHED``.
        kind: "mixture" or "graph": the classifier that the labelled images name.
    """

    images: ImageSet
    given: Given
    which: str = STUDYS
    kind: str = "mixture"

    @cached_property
    def model(self) -> TrainedModel:
        """Trained on the images, without labels."""
        return self.given.model(self.images, self.which)

    @cached_property
    def latents(self) -> Latents:
        """Of the labelled images, followed by those of the others, whose labels are left out."""
        labelled = self.given.labelled
        return self.model.encode(labelled if self.images is labelled else followed_by(labelled, self.images))

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
        return as_hybrids(images, soft_labels, [str(name) for name in self.classifier.classes_])


@dataclass(frozen=True)
class CodeSpace:
    """Codes of the labelled images, followed by those of all others, and soft labels of these by a graph.

    The graph is of the latents of the study's own model, which tell classes apart better than codes do.
    """

    given: Given

    @cached_property
    def model(self) -> TrainedModel:
        """Has codes; trained on all images, without labels."""
        return self.given.model(self.given.unlabelled, CODES)

    @cached_property
    def latents(self) -> Latents:
        """With the labels of the labelled images."""
        return self.model.encode(followed_by(self.given.labelled, self.given.unlabelled), ["codes"])

    @cached_property
    def soft_labels(self) -> np.ndarray:
        """(N, K) of all these images, for the classes that ``latents.labels`` names."""
        space = LatentSpace(self.given.unlabelled, self.given, kind="graph")
        columns = [space.classifier.classes_.tolist().index(name) for name in self.latents.labels.occurring]
        soft_labels = space.classifier.predict_proba(features_for(space.classifier, space.latents))[:, columns]
        known = self.latents.labels.known
        soft_labels[known] = np.eye(len(columns))[self.latents.labels.codes[known]]
        return soft_labels

    def samples(self, count: int) -> Hybrids:
        """Samples of the classes in turn, of a prior that has learned from the codes and their soft labels."""
        given = self.given
        prior = fit_prior(
            self.latents, self.model, soft_labels=self.soft_labels, seed=given.seed, device=given.device
        )  # fmt: skip
        blocks = list(Sampler(SampleRecipe(seed=given.seed), self.model, prior).blocks(count))
        images, soft_labels = (np.concatenate(parts) for parts in zip(*(block[:2] for block in blocks), strict=True))
        return as_hybrids(images, soft_labels, prior.class_names)

    def hybrids(self, count: int) -> Hybrids:
        """Hybrids of two images each; of how many of the places one gives the codes is uniform in 0 … 1."""
        codes, random = self.latents.arrays["codes"], np.random.default_rng(self.given.seed)
        first, second = random.integers(len(codes), size=(2, count))
        of_first = random.random((count, *codes.shape[1:])) < random.random((count, 1, 1))
        mixed = np.where(of_first, codes[first], codes[second])
        share = of_first.mean(axis=(1, 2))[:, None]
        soft_labels = share * self.soft_labels[first] + (1 - share) * self.soft_labels[second]
        return as_hybrids(self.model.images_of({"codes": mixed}), soft_labels, self.latents.labels.occurring)


def followed_by(labelled: ImageSet, others: ImageSet) -> ImageSet:
    """The labelled images, then the others without their labels."""
    labels = labelled.labels.followed_by(others.unlabelled().labels)
    return ImageSet(np.concatenate([labelled.images, others.images]), labels)


def as_hybrids(images: np.ndarray, soft_labels: np.ndarray, classes: Sequence[str]) -> Hybrids:
    """Images (N, C, H, W) uint8 with soft labels (N, K) for the classes, as training takes them."""
    layout = layout_of(images.shape[1])
    return {"images": laid_out(images, layout), "soft_labels": soft_labels, "classes": np.array(classes)}


SPREAD = {"labelled_fraction": 0.25, "passes": 10}

ARMS: dict[str, Arm] = {
    "plain": Arm("plain CNN", alone, {"augment": False}),
    "augmented": Arm("with augmentation", alone),
    "mixup": Arm("mixup", alone, {"augment": False, "mixup": 0.2}),
    "hybrids-labelled": Arm("hybrids, VAE on the labelled", of_labelled, {"labelled_fraction": 0.75, "finish": 0.3}),
    "hybrids-unlabelled": Arm("hybrids, VAE on all images", of_unlabelled, SPREAD, shares=(STUDYS,)),
    "pseudo-labels": Arm("pseudo-labels", pseudo_labels, shares=(STUDYS,)),
    "spread-labels": Arm("spread pseudo-labels", spread_labels, SPREAD, shares=(STUDYS,)),
    "hybrids-graph": Arm("hybrids, labels of a graph", of_graph, SPREAD, shares=(STUDYS,)),
    "begun": Arm("beginning with the encoder", begun, shares=(STUDYS,)),
    "graph": Arm("the graph itself", graph, shares=(STUDYS,)),
    "augmented-mixup": Arm("augmentation and mixup", alone, {"mixup": 0.2}),
    "samples": Arm("samples of a prior of codes", of_prior, shares=(STUDYS, CODES)),
    "hybrids-codes": Arm("hybrids of codes", of_codes, shares=(STUDYS, CODES)),
    "as-published": Arm("hybrids as published (2-D)", as_published),
}
"""By name, as on the command line."""

USUAL: tuple[str, ...] = ("plain", "augmented", "mixup", "hybrids-labelled", "hybrids-unlabelled", "pseudo-labels")
"""The arms of a study by default: two baselines, mixup, and three that use a latent space."""
