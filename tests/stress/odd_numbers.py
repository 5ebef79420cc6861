"""Row 7: gradients that are no numbers, infinite, huge or zero at a step that is drawn; learning rates from 1e-9 to 10;
images that are constant, black, all the same, or of one pixel that differs.

Each training ends well, or with exit code 3 or 5; no file holds a number that is not finite; and where one ended with
5, ``--resume`` goes on from the last good weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import latentcli as lc
from latentcli.core.errors import LatentError
from latentcli.formats.schemas import TRAINING_STATE
from latentcli.training import steps

from .commands import COMMANDS, TRAININGS, Outcome, Place, call
from .trial import Trial

TITLE = "odd numbers"
VALUES = {"NaN": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "3e38": 3e38, "-1e30": -1e30, "1e-45": 1e-45}
RATES = tuple(10.0**power for power in range(-9, 2))
FSQ = "train unlabelled.npz --model fsq --set width=8 --epochs 2 --batch-size 8 --set save_every=0 -o new.pth"
FAMILIES = {**{name: COMMANDS[name] for name in TRAININGS}, "train fsq": FSQ}


@dataclass(frozen=True)
class Case:
    """A training, and what is odd in it."""

    line: str
    name: str
    value: str = ""
    step: int = 0
    everywhere: bool = False

    def __str__(self) -> str:
        odd = f", {'all gradients' if self.everywhere else 'a gradient'} {self.value} at step {self.step}"
        return self.name + (odd if self.value else "")


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Train."""
    for case in trial.cases(cases(trial, place)):
        folder = place.fresh()
        _images(folder)
        done = _trained(case, folder, trial)
        trial.count("trainings")
        if done.code not in ((0, 5) if case.value else (0, 3, 5)):
            trial.fail(f"{case}: exit code {done.code}: {done.err.strip()[-400:]}")
        for what in _not_finite(folder):
            trial.fail(f"{case}: {what}")
        if done.code == 5 and (folder / "new.pth.partial").exists() and case.value:
            trial.count("stopped")
            again = call(f"{case.line} --resume", folder)
            if again.code:
                trial.fail(f"{case}: --resume ended with {again.code}: {again.err.strip()[-400:]}")
            trial.count("resumed")
        elif done.code == 5 and case.value and "saved" in done.err:
            trial.fail(f"{case}: no state is left: {done.err.strip()[-300:]}")


def cases(trial: Trial, place: Place) -> Iterator[Case]:
    """A hundred injections, learning rates, and images."""
    random = trial.random
    for name, line in FAMILIES.items():
        for value in (*VALUES, "zero"):
            for _ in range(2):
                yield Case(line, name, value, int(random.integers(0, 9)), bool(random.random() < 0.3))
        for rate in RATES:
            yield Case(f"{line} --lr {rate:g}", f"{name} --lr {rate:g}")
        if "latents" not in line:
            for images in IMAGES:
                data = line.replace("train.npz", f"'{images}.npz'").replace("unlabelled.npz", f"'{images}.npz'")
                yield Case(data, f"{name} of {images} images")


def _trained(case: Case, folder: Path, trial: Trial) -> Outcome:
    if not case.value:
        return call(case.line, folder)
    real, count = steps.backward, iter(range(10**9))

    def backward(losses: object, model: torch.nn.Module) -> object:
        found = real(losses, model)
        if next(count) == case.step:
            gradients = [each.grad for each in model.parameters() if each.grad is not None]
            chosen = gradients if case.everywhere else [gradients[int(trial.random.integers(len(gradients)))]]
            for gradient in chosen:
                if case.value == "zero":
                    gradient.zero_()
                else:
                    gradient.view(-1)[int(trial.random.integers(gradient.numel()))] = VALUES[case.value]
        return found

    with mock.patch.object(steps, "backward", backward):
        return call(case.line, folder)


def _not_finite(folder: Path) -> Iterator[str]:
    """Files that hold numbers that are not finite, or that cannot be read any more."""
    for path in folder.glob("new*"):
        try:
            if path.suffix == ".pth":
                weights = lc.load_model(path, "cpu").network.state_dict()
            elif path.suffix == ".partial":
                weights = TRAINING_STATE.read(path, "start again")["state"]
            elif path.suffix == ".pkl":
                weights = lc.load_classifier(path).to_params()
            else:
                continue
        except LatentError as error:
            yield f"{path.name}: {error}"
            continue
        if not _finite(weights):
            yield f"{path.name} holds numbers that are not finite"


def _finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    return True


IMAGES = {
    "constant": lambda rows: np.full_like(rows, 7), "black": np.zeros_like,
    "white": lambda rows: np.full_like(rows, 255),
    "equal": lambda rows: np.repeat(rows[:1], len(rows), 0), "two": lambda rows: rows[[0, 1] * (len(rows) // 2)],
    "checkered": lambda rows: np.broadcast_to(np.indices(rows.shape[1:]).sum(0) % 2 * 255, rows.shape).astype(np.uint8),
    "one that differs": lambda rows: np.where(np.arange(len(rows))[:, None, None] == 0, rows, 0).astype(np.uint8),
    "a pixel that differs": lambda rows: np.pad(rows[:, :1, :1], ((0, 0), (0, 7), (0, 7))),
}  # fmt: skip
"""Of right images (N, 8, 8), odd ones."""


def _images(folder: Path) -> None:
    with np.load(folder / "train.npz") as right:
        rows, labels = right["data"], right["labels"]
    for name, change in IMAGES.items():
        np.savez(folder / f"{name}.npz", data=change(rows), labels=labels)
