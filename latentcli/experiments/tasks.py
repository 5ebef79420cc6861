"""The data sets of a study: training and test images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.data import SOURCES, load
from latentcli.formats.digests import digest
from latentcli.training.mixing import in_both

HELD_OUT = 6
"""One image in six is kept for the test, drawn at random, if the data have no test part of their own."""


@dataclass(frozen=True)
class Task:
    """One data set of a study, both parts labelled."""

    train: ImageSet
    test: ImageSet

    @property
    def name(self) -> str:
        """The data set's name, with only characters that suit a file name."""
        return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.train.name)

    def images_in_both(self) -> int:
        """The number of test images that equal a training image pixel by pixel."""
        return in_both(self.train.images, self.test.images)

    def identity(self) -> dict[str, Any]:
        """The images and labels by SHA-256."""
        return {
            part: digest({"images": images.images, "labels": images.labels.codes, "names": images.class_names})
            for part, images in (("train", self.train), ("test", self.test))
        }


def load_tasks(
    data: Sequence[str], tests: Sequence[str] = (), superclasses: str | None = None, image_size: int | None = None,
    data_root: Path | None = None, progress: Progress = silent, held_out: bool = False,
) -> list[Task]:  # fmt: skip
    """The data sets of a study, each in two parts.

    Args:
        data: names, files or folders of labelled images.
        tests: test parts, in the order of the files and folders in ``data``; of those without one a sixth is kept
            for the test. Named data sets have their own.
        superclasses: classes of CIFAR-100: "coarse" or "fine"; None if it is not among the data.
        image_size: height and width to which both parts are resized; None leaves them as they are.
        data_root: where named sets are looked up first.
        progress: told about reading.
        held_out: whether named data sets are treated as those without a test part, so that what is chosen by a study
            is not chosen by their test images.

    Raises:
        UsageError: there are more test parts than data sets that lack one, superclasses are asked of another set
            than CIFAR-100, or two sets have the same name.
        DataError: a set has no labels, or its parts do not fit each other.
    """
    if superclasses not in (None, "coarse", "fine"):
        raise UsageError(f"`superclasses` is {superclasses!r}", "expected coarse or fine")
    names = list(data)
    if superclasses is not None and not any(f"{name}-coarse" in SOURCES for name in data):
        raise UsageError(f"{superclasses} superclasses are of cifar100 alone", f"found {', '.join(data)}")
    if superclasses == "coarse":
        names = [f"{name}-coarse" if f"{name}-coarse" in SOURCES else name for name in data]
    lacking = [name for name in names if held_out or name not in SOURCES]
    if len(tests) > len(lacking):
        problem = f"{len(tests)} test parts for {len(lacking)} data sets without one"
        raise UsageError(problem, "named sets have their own")
    parts = dict(zip(lacking, tests, strict=False))
    tasks, read = [], partial(load, data_root=data_root, progress=progress)
    for name in names:
        train = read(name, image_size=image_size)
        if name in parts or name not in lacking:
            resize = image_size is not None
            test = read(parts.get(name, name), prefer="test", image_shape=train.shape, spans=train.spans, resize=resize)
        else:
            train, test = split(train)
        short = PurePath(train.name).name  # for tables and the names of files
        tasks.append(Task(replace(labelled_only(train), name=short), replace(labelled_only(test), name=short)))
        if train.class_names != test.class_names:
            raise DataError(f"the two parts of {train.name} have unlike classes")
    if len({task.name for task in tasks}) < len(tasks):
        raise UsageError("two data sets have the same name", f"found {', '.join(task.name for task in tasks)}")
    return tasks


def split(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """A set in two, training and test part: the same rows for the same number of images."""
    order = np.random.default_rng(0).permutation(len(images))
    count = len(images) // HELD_OUT
    return images.take(np.sort(order[count:])), images.take(np.sort(order[:count]))


def labelled_only(images: ImageSet) -> ImageSet:
    """The labelled images; a ``DataError`` if they have fewer than two classes."""
    if len(images.labels.occurring) < 2:
        raise DataError(f"{images.name} has no labels of two classes", "a study measures how well they are told apart")
    return images.take(images.labels.known)
