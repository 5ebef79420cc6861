"""Continuous against discrete latent spaces: the README's second table.

    python tests/benchmarks/latent_spaces.py                   # every row, three seeds
    python tests/benchmarks/latent_spaces.py mnist --seeds 1   # some rows
    python tests/benchmarks/latent_spaces.py --held-out        # on training images kept apart

Each row is one call of ``latentcli study latents``, as a user makes it, on a data set in ``LATENTCLI_DATA``; what is
finished is kept in the folder ``--output`` and not computed again. Models and probes see the training part only, and
the test part is measured once. Settings were chosen with ``--held-out``, which keeps a sixth of the training images
for the test and never reads the test part.
"""

import argparse
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CIFAR, MRI = "CIFAR10_subset/cifar10", "brain_mri/brain_mri_80"


@dataclass(frozen=True)
class Row:
    """One call.

    Attributes:
        data: a named set, or the beginning of the names of two files.
        arguments: of ``latentcli study latents``.
    """

    data: str
    arguments: tuple[str, ...] = ()


ROWS = {
    "mnist": Row("mnist"),
    "cifar": Row(CIFAR),
    "brain-mri-20x20": Row(MRI, ("--models", "vqvae", "--set", "epochs=60", "--set", "stages=2")),
    "brain-mri-40x40": Row(MRI, ("--models", "vqvae", "--set", "epochs=60", "--set", "stages=1")),
    "mnist-paper": Row("mnist", ("--recipe", "paper", "--label-embedding")),
    "cifar-paper": Row(CIFAR, ("--recipe", "paper")),
}


def parts(row: Row, held_out: bool, folder: Path) -> list[str]:
    """DATA and ``--test`` of a row."""
    root = Path(os.environ["LATENTCLI_DATA"])
    if row.data.startswith((CIFAR, MRI)):
        train = f"{root / row.data}_train.npz"
        return [train] if held_out else [train, "--test", f"{root / row.data}_test.npz"]
    if not held_out:
        return [row.data]
    import numpy as np

    from latentcli import data

    images = data.load(row.data, split="train")
    file = folder / f"{row.data}-train.npz"
    np.savez(file, data=images.images, labels=np.array(images.class_names)[images.labels])
    return [str(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="rows of the table; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model")
    parser.add_argument("--held-out", action="store_true", help="measure on training images kept apart")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--output", type=Path, default=Path(".benchmarks/latent_spaces"), help="where results are kept")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="passed on to the study")
    chosen = parser.parse_args()
    import torch

    print(f"{os.cpu_count()} processors, {torch.get_num_threads()} threads, device {chosen.device}, ", end="")
    print(f"Python {platform.python_version()}, torch {torch.__version__}; {chosen.seeds} seed(s)")
    for name in chosen.rows or ROWS:
        folder = chosen.output / (f"{name}-held-out" if chosen.held_out else name)
        folder.mkdir(parents=True, exist_ok=True)
        call = [sys.executable, "-m", "latentcli", "study", "latents", *parts(ROWS[name], chosen.held_out, folder)]
        call += ["--probe", "mlp,conv"]
        call += ["-o", str(folder), "--seeds", str(chosen.seeds), "--device", chosen.device, *ROWS[name].arguments]
        call += [part for setting in chosen.settings for part in ("--set", setting)]
        print(f"\n{name}\n", flush=True)
        subprocess.run(call, check=True)


if __name__ == "__main__":
    main()
