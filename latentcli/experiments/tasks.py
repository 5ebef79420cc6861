"""The data sets of a study: images to learn from, and images to be measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.data import SOURCES, load
from latentcli.formats.digests import digest
from latentcli.training.mixing import in_both

HELD_OUT = 6
"""One image of so many is kept for the test, drawn at random, where a file has no test part of its own."""


@dataclass(frozen=True)
class Task:
    """One data set of a study, both parts labelled."""

    train: ImageSet
    test: ImageSet

    @property
    def name(self) -> str:
        """Of the data set, fit for the name of a file."""
        return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.train.name)

    def images_in_both(self) -> int:
        """How many test images are in the training part, too, pixel by pixel."""
        return in_both(self.train.images, self.test.images)

    def identity(self) -> dict[str, Any]:
        """The images and labels by SHA-256."""
        return {
            part: digest({"images": images.images, "labels": images.labels.codes, "names": images.class_names})
            for part, images in (("train", self.train), ("test", self.test))
        }


def load_tasks(
    data: Sequence[str],
    tests: Sequence[str] = (),
    superclasses: str | None = None,
    image_size: int | None = None,
    data_root: Path | None = None,
    progress: Progress = silent,
) -> list[Task]:
    """The data sets of a study, each in two parts.

    Args:
        data: names, files or folders of labelled images.
        tests: the test parts of those of them that have none by their name, in their order; of the others that
            lack one a sixth is kept.
        superclasses: "coarse" or "fine", of CIFAR-100; None where it was not said.
        image_size: height and width that both parts are brought to; None leaves them as they are.
        data_root: where named sets are looked up first.
        progress: told about reading.

    Raises:
        UsageError: more test parts than data sets that lack one, or superclasses of another set than CIFAR-100.
        DataError: a set has no labels, or its parts do not fit each other.
    """
    if superclasses not in (None, "coarse", "fine"):
        raise UsageError(f"`superclasses` is {superclasses!r}", "expected coarse or fine")
    names = list(data)
    if superclasses is not None and not any(f"{name}-coarse" in SOURCES for name in data):
        raise UsageError(f"{superclasses} superclasses are of cifar100 alone", f"found {', '.join(data)}")
    if superclasses == "coarse":
        names = [f"{name}-coarse" if f"{name}-coarse" in SOURCES else name for name in data]
    lacking = [name for name in names if name not in SOURCES]
    if len(tests) > len(lacking):
        raise UsageError(
            f"{len(tests)} test parts for {len(lacking)} data sets without one", "named sets have their own"
        )
    parts = dict(zip(lacking, tests, strict=False))
    tasks = []
    for name in names:
        read = partial(load, data_root=data_root, progress=progress)
        train = read(name, split="train", image_size=image_size)
        if name in SOURCES or name in parts:
            resize = image_size is not None
            test = read(parts.get(name, name), split="test", image_shape=train.shape, resize=resize)
        else:
            train, test = split(train)
        tasks.append(Task(labelled_only(train), labelled_only(test)))
        if train.class_names != test.class_names:
            raise DataError(f"the two parts of {train.name} have unlike classes")
    if len({task.name for task in tasks}) < len(tasks):
        raise UsageError("two data sets have the same name", f"found {', '.join(task.name for task in tasks)}")
    return tasks


def split(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Training and test part of a set that has only one: the same for the same number of images."""
    order = np.random.default_rng(0).permutation(len(images))
    count = len(images) // HELD_OUT
    return images.take(np.sort(order[count:])), images.take(np.sort(order[:count]))


def labelled_only(images: ImageSet) -> ImageSet:
    """The labelled images.

    Raises:
        DataError: there are none of two classes or more.
    """
    if len(images.labels.occurring) < 2:
        raise DataError(f"{images.name} has no labels of two classes", "a study measures how well they are told apart")
    return images.take(images.labels.known)
