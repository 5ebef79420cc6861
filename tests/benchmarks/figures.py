"""Few labels, one command, several data sets.

    python tests/benchmarks/figures.py                       # every row
    python tests/benchmarks/figures.py assignment mnist-148  # some rows
    python tests/benchmarks/figures.py --seeds 3             # several trainings of each

Each training is one whole process, ``latentcli train`` as a user calls it, on images whose labels it does not see.
Then five labels of each class are drawn from the training images, 20 times; each draw fits a mixture on the
latents of all training images, and that mixture classifies the test images. Reconstructions are of the test images.
The test images are read once per training, after everything is chosen. ``--held-out`` measures on the last sixth of
the training images instead (and trains on the rest): that is what settings are chosen by.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentcli import assignment, data
from latentcli.artifacts.models import load_model
from latentcli.classifiers.fitting import fit_mixture
from latentcli.data import ImageSet
from latentcli.inference.classification import classify_latents
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics

DRAWS = 20
PER_CLASS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        title: what it is called there.
        train, test: DATA of the two halves; a named set is split by its name.
        arguments: further arguments of ``latentcli train``.
        classes: kept of the data.
    """

    title: str
    train: str
    test: str
    arguments: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None


DIGITS = ("1", "4", "8")
ASSIGNMENT = ("--latent-dim", str(assignment.LATENT_DIM))
ROWS = {
    "assignment": Row("MNIST 1/4/8, 2-D (the assignment)", "mnist", "mnist", ASSIGNMENT, DIGITS),
    "mnist-148": Row("MNIST 1/4/8", "mnist", "mnist", (), DIGITS),
    "mnist": Row("MNIST, ten digits", "mnist", "mnist"),
    "fashion-mnist": Row("Fashion-MNIST", "fashion-mnist", "fashion-mnist"),
    "digits": Row("scikit-learn's digits, 8×8", "digits", "digits"),
    "cifar10": Row("CIFAR-10 subset", "CIFAR10_subset/cifar10_train.npz", "CIFAR10_subset/cifar10_test.npz"),
    "brain-mri": Row("brain MRI, 80×80", "brain_mri/brain_mri_80_train.npz", "brain_mri/brain_mri_80_test.npz"),
}


def source(name: str) -> str:
    """A named data set, or a file in the folder of real data."""
    return name if name in data.SOURCES else str(Path(os.environ["LATENTCLI_DATA"]) / name)


def read(name: str, part: str, classes: tuple[str, ...] | None) -> ImageSet:
    """A part of a named data set, or all images of a file, which is one part itself."""
    return data.load(source(name), split=part if name in data.SOURCES else None, classes=classes)


def halves(row: Row, held_out: bool) -> tuple[ImageSet, ImageSet]:
    """Training and test images; with ``held_out`` both from the training half."""
    train = read(row.train, "train", row.classes)
    if held_out:
        cut = len(train) * 5 // 6
        return train.take(np.arange(cut)), train.take(np.arange(cut, len(train)))
    return train, read(row.test, "test", row.classes)


def train(row: Row, images: ImageSet, folder: Path, seed: int, extra: list[str]) -> tuple[TrainedModel, float]:
    """The model that ``latentcli train`` writes for these images, and the seconds the process took."""
    file, few, output = folder / "train.npz", folder / "classes.npz", folder / "vae.pth"
    np.savez(file, data=images.images)
    first = images.take(np.array([np.flatnonzero(images.labels.texts == name)[0] for name in images.class_names]))
    np.savez(few, data=first.images, labels=first.labels.texts)
    call = [sys.executable, "-m", "latentcli", "train", str(file), str(few), "-o", str(output), "-q"]
    call += ["--gmm", str(folder / "gmm_params.pkl"), "--seed", str(seed), *row.arguments, *extra]
    began = time.monotonic()
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    return load_model(output), seconds


def measure(row: Row, seed: int, held_out: bool, extra: list[str], device: str) -> dict[str, float]:
    """One training of a row, and all its metrics."""
    images, test = halves(row, held_out)
    with tempfile.TemporaryDirectory() as folder:
        model, seconds = train(row, images, Path(folder), seed, [*extra, "--device", device])
    latents, unseen = model.encode(images), model.encode(test)
    accuracy, f1 = [], []
    for draw in range(DRAWS):
        mixture = fit_mixture(latents, labels_per_class=PER_CLASS, seed=draw, device=device)
        scores = classify_latents(unseen, mixture).scores()
        accuracy.append(scores["accuracy"])
        f1.append((scores["macro_f1"] + scores["micro_f1"]) / 2)
    quality = metrics.reconstruction(test.images, model.reconstruct(test))
    return {
        "accuracy": float(np.mean(accuracy)), "worst accuracy": min(accuracy), "f1": float(np.mean(f1)),
        "worst f1": min(f1), "ssim": quality["ssim"], "1-mse": 1 - quality["mse"], "seconds": seconds,
        "images": len(images), "epochs": len(model.history),
    }  # fmt: skip


def spread(values: list[float], digits: int) -> str:
    """Mean ± standard deviation over seeds, or the one value there is."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="lines of the table; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each row")
    parser.add_argument("--held-out", action="store_true", help="measure on training images kept apart")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="passed on to latentcli train")
    chosen = parser.parse_args()
    extra = [part for setting in chosen.settings for part in ("--set", setting)]
    import torch

    machine = f"{os.cpu_count()} processors, {torch.get_num_threads()} threads"
    print(f"{machine}, Python {platform.python_version()}, torch {torch.__version__}")
    print(f"{PER_CLASS} labels per class, {DRAWS} draws; {chosen.seeds} training(s) a row; device {chosen.device}\n")
    print("| data | average F1: mean, worst draw | accuracy: mean, worst draw | SSIM | 1−MSE | training |")
    print("|---|---|---|---|---|---|")
    for name in chosen.rows or ROWS:
        runs = [measure(ROWS[name], seed, chosen.held_out, extra, chosen.device) for seed in range(chosen.seeds)]
        column = {key: [run[key] for run in runs] for key in runs[0]}
        print(
            f"| {ROWS[name].title} | {spread(column['f1'], 4)}, {min(column['worst f1']):.4f} "
            f"| {spread(column['accuracy'], 4)}, {min(column['worst accuracy']):.4f} | {spread(column['ssim'], 4)} "
            f"| {spread(column['1-mse'], 4)} | {spread(column['seconds'], 0)} s, {column['epochs'][0]} epochs of "
            f"{column['images'][0]:,} images |",
            flush=True,
        )


if __name__ == "__main__":
    main()
