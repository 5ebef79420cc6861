"""Latent spaces side by side: how well a probe reads them, how well images come back, in how many bits.

One cell of the study is one training of one family on one data set with one seed, and a probe fitted to the latents
of the training images; it is measured once, on test images that neither has seen. A control gives the same probe the
pixels themselves.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.experiments.cells import Cell, Result
from latentcli.experiments.recipes import recipe
from latentcli.files import digest

if TYPE_CHECKING:
    from latentcli.data import ImageSet
    from latentcli.training.loop import Callbacks

PIXELS = "pixels"
"""The control: no model, the probe reads the images."""


@dataclass(frozen=True)
class Protocol:
    """What all cells of a study share.

    Attributes:
        recipe: a name in ``recipes.RECIPES``.
        probe: a registered kind of probe.
        label_embedding: also train a VQ-VAE that is shown the labels, and measure what leaks.
        device: where everything runs.
        settings: of models or training, that go before the recipe's; for trials.
    """

    recipe: str = "best"
    probe: str = "mlp"
    label_embedding: bool = False
    device: str = "cpu"
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Task:
    """One data set of a study, both parts labelled."""

    train: "ImageSet"
    test: "ImageSet"

    @property
    def name(self) -> str:
        """Of the data set, fit for the name of a file."""
        return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.train.name)

    def identity(self) -> dict[str, Any]:
        """The images and labels by SHA-256."""
        return {
            half: digest({"images": images.images, "labels": images.labels, "names": images.class_names})
            for half, images in (("train", self.train), ("test", self.test))
        }


def cells(
    tasks: Sequence[Task], families: Sequence[str], seeds: int, protocol: Protocol, folder: Path,
    watch: "Callable[[], Callbacks]",
) -> list[Cell]:  # fmt: skip
    """All cells of a study: for each data set and seed the control, then each family.

    Args:
        tasks: the data sets.
        families: registered model families.
        seeds: how many, from 0.
        protocol: shared by all.
        folder: of the study; checkpoints go to its ``models``.
        watch: makes the listener of a training run.
    """
    made = []
    for task in tasks:
        images = task.identity()
        for seed in range(seeds):
            for family in (PIXELS, *families):
                identity = {
                    "data": images, "family": family, "seed": seed, "recipe": protocol.recipe,
                    "probe": protocol.probe, "settings": dict(protocol.settings),
                    "label_embedding": protocol.label_embedding,
                }  # fmt: skip
                if family != PIXELS:
                    identity["how"] = asdict(recipe(protocol.recipe, family, task.train.shape))
                name = f"{task.name}-{family}-{seed}"
                made.append(Cell(name, identity, _work(task, family, seed, protocol, folder / "models", name, watch)))
    return made


def _work(
    task: Task, family: str, seed: int, protocol: Protocol, folder: Path, name: str, watch: "Callable[[], Callbacks]"
) -> Callable[[], Result]:
    def work() -> Result:
        about = {"data": task.train.name, "family": family, "seed": seed}
        if family == PIXELS:
            pixels = [
                images.images.reshape(len(images), -1).astype(np.float32) / 255 for images in (task.train, task.test)
            ]
            return about | probed(task, *pixels, protocol, seed, {})
        return about | trained(task, family, seed, protocol, folder / f"{name}.pth", watch())

    return work


def probed(
    task: Task, train: np.ndarray, test: np.ndarray, protocol: Protocol, seed: int, settings: dict[str, Any]
) -> Result:
    """Accuracy on the test images of a probe fitted to features of the training images.

    Args:
        task: whose labels they are.
        train, test: (N, F) features.
        protocol: names the probe.
        seed: of the probe.
        settings: of the probe.
    """
    from latentcli import metrics
    from latentcli.classifiers import CLASSIFIERS

    names = [np.array([*half.class_names, ""])[half.labels] for half in (task.train, task.test)]
    began = time.monotonic()
    probe = CLASSIFIERS[protocol.probe](random_state=seed, device=protocol.device, **settings).fit(train, names[0])
    seconds = time.monotonic() - began
    scores = metrics.classification(names[1], probe.predict(test), list(task.train.class_names))
    return {"accuracy": scores["accuracy"], "macro_f1": scores["macro_f1"], "probe_seconds": seconds}


def trained(
    task: Task, family: str, seed: int, protocol: Protocol, path: Path, callbacks: "Callbacks"
) -> Result:  # fmt: skip
    """Train a model, keep it, and measure it and a probe of its latents on the test images."""
    from latentcli import checkpoint, inference, metrics
    from latentcli import device as devices
    from latentcli.models import FAMILIES, create
    from latentcli.models.backbones import count_parameters
    from latentcli.training.config import TrainingConfig
    from latentcli.training.loop import Run

    plan, own = recipe(protocol.recipe, family, task.train.shape), dict(protocol.settings)
    of_training = {name: value for name, value in own.items() if name in TrainingConfig.__dataclass_fields__}
    of_model = {name: value for name, value in own.items() if name not in of_training}
    config = FAMILIES[family].Config.for_data(task.train.shape, None, **(dict(plan.model) | of_model))
    training = TrainingConfig(**(dict(plan.training) | of_training | {"seed": seed}))
    network = create(family, config, seed, devices.resolve(protocol.device))
    began = time.monotonic()
    history = Run(network, task.train.images, training).fit(callbacks)
    seconds = time.monotonic() - began
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(
        path,
        checkpoint.Checkpoint(
            family, asdict(config), task.train.shape, task.train.class_names, network.state_dict(),
            {"seed": seed, "settings": asdict(training), "history": history},
        ),
    )  # fmt: skip
    name = network.FEATURES[0]
    scores = probed(
        task, *(inference.features(network, half.images, name) for half in (task.train, task.test)),
        protocol, seed, dict(plan.probe),
    )  # fmt: skip
    quality = metrics.reconstruction(task.test.images, inference.reconstruct(network, task.test.images))
    measures = network.measures(inference.encode(network, task.test.images))
    return {
        **scores, **quality, **measures, "training_seconds": seconds, "epochs": len(history),
        "parameters": count_parameters(network),
    }  # fmt: skip


def leaks(task: Task, seed: int, protocol: Protocol, callbacks: "Callbacks") -> Result:
    """What a probe reads in codes made with labels: the three accuracies of ``label_embedding``.

    ``leaked``: labels given when the probe is fitted and when it is tested. ``labels_at_fitting``: when it is fitted
    only. ``without_labels``: never, though the model was trained with them.
    """
    from latentcli import device as devices
    from latentcli import inference
    from latentcli.batches import generator_for
    from latentcli.experiments.label_embedding import LabelledVQVAE, labelled
    from latentcli.models.backbones import initialise
    from latentcli.training.config import TrainingConfig
    from latentcli.training.loop import Run

    plan = recipe(protocol.recipe, "vqvae", task.train.shape)
    config = LabelledVQVAE.Config.for_data(task.train.shape, None, **plan.model)
    network = LabelledVQVAE(config, len(task.train.class_names))
    initialise(network, generator_for(seed, "weights"))
    network.to(devices.resolve(protocol.device))
    training = TrainingConfig(**(dict(plan.training) | {"seed": seed}))
    Run(network, labelled(task.train.images, task.train.labels), training).fit(callbacks)
    shown, hidden = (
        [inference.features(network, labelled(half.images, labels), network.FEATURES[0]) for half, labels in halves]
        for halves in (
            [(half, half.labels) for half in (task.train, task.test)],
            [(half, None) for half in (task.train, task.test)],
        )
    )
    pairs = {
        "leaked": (shown[0], shown[1]), "labels_at_fitting": (shown[0], hidden[1]),
        "without_labels": (hidden[0], hidden[1]),
    }  # fmt: skip
    accuracies = {
        name: probed(task, *pair, protocol, seed, dict(plan.probe))["accuracy"] for name, pair in pairs.items()
    }
    return {"data": task.train.name, "seed": seed, **accuracies}
