"""Continuous against discrete latent spaces, classifiers with and without hybrids, sizes, and samples: four studies.

    python tests/benchmarks/studies.py                         # every row, with all its seeds
    python tests/benchmarks/studies.py latents-mnist --seeds 1 # some rows
    python tests/benchmarks/studies.py --held-out              # on training images kept apart

Each row is one call of ``latentcli study``, as a user makes it, on a data set in ``LATENTCLI_DATA``; what is finished
is kept in the folder ``--output`` and not computed again. Models, probes and classifiers see the training part only,
and the test part is measured once. Settings were chosen with ``--held-out``, which keeps a sixth of the training
images for the test and never reads the test part; rows of ``study sweep`` do so always.
"""

import argparse
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CIFAR, MRI = "CIFAR10_subset/cifar10", "brain_mri/brain_mri_80"
MRI_LATENTS = ("--probe", "mlp,conv", "--models", "vqvae", "--set", "epochs=60", "--set")
SIZES = ("--probe", "linear", "--set", "width=256", "--over", "model=vqvae,fsq", "--over", "codes=64,512", "--over")
WHOLE_SIZES = (
    "--probe", "linear", "--over", "model=vqvae,fsq", "--over", "codes=64,512", "--over", "stages=2,3",
    "--over", 'levels="8,6,5","5,5,5,5"',
)  # fmt: skip
WITH_MIXUP_OF_BOTH_KINDS = "plain,augmented,mixup,augmented-mixup,hybrids-labelled,hybrids-unlabelled,pseudo-labels"
OF_GRAPH = (
    "--arms", "plain,augmented,mixup,hybrids-graph,begun,graph", "--set", "epochs=150", "--set", "batch_size=128",
    "--set", "width=1024", "--set", "backbone=resnet",
)  # fmt: skip
SHORTER = ("--steps", "250", "--per-class")


@dataclass(frozen=True)
class Row:
    """One call.

    Attributes:
        data: a named set, or the beginning of the names of two files.
        arguments: of ``latentcli study NAME``, where the row is called NAME-….
        seeds: repetitions.
        images: so many of the training images alone, drawn by chance, where the test part is not read; None: all.
    """

    data: str
    arguments: tuple[str, ...]
    seeds: int = 3
    images: int | None = None


ROWS = {
    "latents-mnist": Row("mnist", ("--probe", "mlp,conv")),
    "latents-cifar": Row(CIFAR, ("--probe", "mlp,conv")),
    "latents-brain-mri-20x20": Row(MRI, (*MRI_LATENTS, "stages=2")),
    "latents-brain-mri-40x40": Row(MRI, (*MRI_LATENTS, "stages=1")),
    "latents-mnist-paper": Row("mnist", ("--recipe", "paper", "--label-embedding")),
    "latents-cifar10-paper": Row(CIFAR, ("--recipe", "paper", "--label-embedding")),
    "sweep-mnist": Row(
        "mnist", (*SIZES, 'levels="8,6,5","5,5,5,5"', "--over", "stages=2,3", "--set", "epochs=8"), 1, 3_000
    ),
    "sweep-cifar": Row(CIFAR, (*SIZES, 'levels="8,6,5"', "--over", "stages=2,3", "--set", "epochs=6"), 1, 1_800),
    "sweep-mnist-whole": Row("mnist", WHOLE_SIZES, 1),
    "sweep-cifar-whole": Row(CIFAR, WHOLE_SIZES, 1),
    "sweep-brain-mri": Row(MRI, (*SIZES, 'levels="8,6,5"', "--set", "stages=2", "--set", "epochs=4"), 1, 800),
    "hybrids-mnist": Row("mnist", ("--arms", WITH_MIXUP_OF_BOTH_KINDS), 5),
    "hybrids-mnist-spread-labels": Row("mnist", ("--arms", "spread-labels", "--per-class", "5,10,50"), 5),
    "hybrids-mnist-as-published": Row("mnist", ("--arms", "as-published", "--per-class", "5,20,100")),
    "hybrids-fashion-mnist": Row("fashion-mnist", (*SHORTER, "5,50,500")),
    "hybrids-cifar": Row(CIFAR, (*SHORTER, "5,50,500")),
    "hybrids-brain-mri-graph": Row(
        MRI, ("--steps", "1000", "--per-class", "5,50,300", "--image-size", "40", *OF_GRAPH)
    ),
    "hybrids-fashion-mnist-graph": Row(
        "fashion-mnist",
        (
            "--per-class",
            "5,50,500",
            *OF_GRAPH[:2],
            "--set",
            "epochs=7",
            "--set",
            "batch_size=256",
            "--set",
            "width=1024",
            "--set",
            "backbone=resnet",
        ),
    ),
    "hybrids-cifar-graph": Row(
        CIFAR,
        (
            "--per-class",
            "5,50",
            "--arms",
            "mixup,plain,augmented,hybrids-graph,graph",
            "--set",
            "encoder=efficientnet-lite0",
        ),
    ),
    "samples-digits": Row("digits", ()),
    "samples-mnist": Row("mnist", ()),
    "samples-fashion-mnist": Row("fashion-mnist", ()),
    "samples-brain-mri-20x20": Row(MRI, ("--set", "epochs=60", "--set", "stages=2")),
    "samples-cifar": Row(CIFAR, ()),
    "hybrids-brain-mri": Row(MRI, (*SHORTER, "5,50,300", "--image-size", "40", "--set", "max_epochs=100")),
    "latents-cifar-paper": Row("cifar100", ("--recipe", "paper", "--label-embedding")),  # last: it may be downloaded
}


def parts(row: Row, held_out: bool, folder: Path) -> list[str]:
    """DATA and ``--test`` of a row."""
    root = Path(os.environ["LATENTCLI_DATA"])
    of_files = row.data.startswith((CIFAR, MRI))
    train = f"{root / row.data}_train.npz" if of_files else row.data
    if not held_out:
        return [train, *(["--test", f"{root / row.data}_test.npz"] if of_files else [])]
    import numpy as np

    import latentcli as lc

    images = lc.load(train, prefer="train")
    rows = np.random.default_rng(0).permutation(len(images))[: row.images]
    file = folder / f"{Path(row.data).name}.npz"
    lc.write_images(file, images.take(np.sort(rows)))
    return [str(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="rows of the tables; all by default")
    parser.add_argument("--seeds", type=int, help="repetitions, other than a row's own")
    parser.add_argument("--held-out", action="store_true", help="measure on training images kept apart")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--output", type=Path, default=Path(".benchmarks/studies"), help="where results are kept")
    chosen, others = parser.parse_known_args()
    import torch

    print(f"{os.cpu_count()} processors, {torch.get_num_threads()} threads, device {chosen.device}, ", end="")
    print(f"Python {platform.python_version()}, torch {torch.__version__}")
    for name in chosen.rows or ROWS:
        row, folder = ROWS[name], chosen.output / (f"{name}-held-out" if chosen.held_out else name)
        folder.mkdir(parents=True, exist_ok=True)
        study = name.split("-")[0]
        call = [sys.executable, "-m", "latentcli", "study", study]
        call += [*parts(row, chosen.held_out or study == "sweep", folder), *row.arguments, *others]
        call += ["-o", str(folder), "--seeds", str(chosen.seeds or row.seeds), "--device", chosen.device]
        print(f"\n{name}\n", flush=True)
        subprocess.run(call, check=True)


if __name__ == "__main__":
    main()
