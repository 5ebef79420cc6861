"""Row 6: every command again, with one and with two threads, in folders of other names, and under other locales, time
zones and hash seeds: the same bytes.

What holds the time that something took is compared without it. Trainings on another number of threads add up in another
order: of these alone losses are compared, which rounding changes little.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .commands import COMMANDS, SLOW, Place, call, listing, prepared_once
from .trial import Trial

TITLE = "determinism"

VARIANTS: dict[str, dict[str, str]] = {
    "once": {},
    "again": {},
    "two threads": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    "C locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Turkish, Kathmandu": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"},
    "hash seed 1": {"PYTHONHASHSEED": "1"},
    "hash seed 4242": {"PYTHONHASHSEED": "4242", "TZ": "Pacific/Apia"},
    "umask and columns": {"COLUMNS": "20", "NO_COLOR": "1", "TERM": "dumb", "MPLBACKEND": "Agg"},
}
"""Environments by what they are; the working folder is another one in each."""

BY_ROUNDING = ("train", "train vqvae", "train --continue-from", "train-cnn", "train-cnn --hybrids", "fit-prior",
               "fit-probe", "study latents")  # fmt: skip
"""Commands whose sums of gradients are as the number of threads: the README promises the same bytes for the same."""
_ROUNDING = 1e-4

_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from stress.determinism import told; told(*sys.argv[2:])"


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Run all commands in each variant, each in a process of its own, and compare with the first."""
    commands = [name for name in COMMANDS if not (fast and name in SLOW)]
    expected: dict[str, dict[str, str]] = {}
    of_once: dict[str, list[float]] = {}
    for row, (variant, environment) in enumerate(trial.cases(VARIANTS.items(), shuffled=False)):
        folder = place.root / f"variant {row} {'x' * (7 * row)}"
        arguments = [str(Path(__file__).parents[1]), str(place.materials), str(folder), *commands]
        threads = {"OMP_NUM_THREADS": "1", "LATENTCLI_CACHE": str(folder / "cache"), "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *arguments], env=os.environ | threads | environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        if done.returncode:
            trial.fail(f"{variant}: {done.stderr[-500:]}")
            continue
        found, losses = json.loads(done.stdout.splitlines()[-1])
        expected, of_once = expected or found, of_once or losses
        for command in commands:
            trial.count("calls")
            if variant == "two threads" and command in BY_ROUNDING:
                trial.count("trainings of them compared by their losses")
                alike = found[command].keys() == expected[command].keys() and losses[command]
                if not alike or not np.allclose(losses[command], of_once[command], rtol=_ROUNDING):
                    trial.fail(f"{command}, {variant}: losses {losses[command]}, not {of_once[command]}")
                continue
            unlike = [name for name in sorted({*found[command], *expected[command]})
                      if found[command].get(name) != expected[command].get(name)]  # fmt: skip
            if unlike:
                trial.fail(f"{command}, {variant}: {', '.join(unlike[:4])} of other bytes than {next(iter(VARIANTS))}")


def told(materials: str, folder: str, *commands: str) -> None:
    """Run commands in copies of the materials, and print the SHA-256 of each file that each writes; and its losses."""
    found, losses = {}, {}
    with prepared_once(Path(folder)):
        for command in commands:
            place = Path(folder) / "work"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(materials, place)
            done = call(COMMANDS[command], place)
            assert done.code == 0, f"{command}: {done.err}"
            written = {
                name: content for name, content in listing(place).items() if not (Path(materials) / name).exists()
            }
            if command in BY_ROUNDING:
                models = [place / name for name in sorted(written) if name.endswith(".pth")]
                losses[command] = [*_losses([torch.load(each, weights_only=True) for each in models])]
            found[command] = {name: hashlib.sha256(content or b"").hexdigest() for name, content in written.items()}
    print(json.dumps([found, losses]))


def _losses(value: object) -> Iterator[float]:
    """Those of all epochs that a model's file tells of."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from [each] if name == "loss" and isinstance(each, float) else _losses(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _losses(each)
