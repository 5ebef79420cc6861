"""Row 1: what cannot be right, given to every command that takes such a thing.

A table of inputs by the place they stand in, made in a folder beside right ones, and a table of commands with that
place. Each call ends with the exit code of its kind, in a message of three lines at most, without a traceback; nothing
is written, and nothing that was there is changed.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from .bad_table import ENVIRONMENT, FILES, LINES, MISSING, Make
from .commands import Outcome, Place, call
from .trial import Trial

TITLE = "bad inputs"

State = dict[str, tuple[int, int]]

COMMANDS: dict[str, tuple[str, ...]] = {
    "model": (
        "encode test.npz {}", "classify test.npz {} gmm.pkl", "reconstruct test.npz {}", "evaluate test.npz {}",
        "fit-gmm train.npz {}", "fit-graph train.npz {}", "fit-probe train.npz {}", "hybridize {} gmm.pkl",
        "plot history {}", "plot manifold {}", "train train.npz --epochs 1 --continue-from {}", "export {}",
        "import weights/weights.safetensors --like {}", "suggest train.npz {}", "check train.npz {}",
        "sample {} prior.pth", "fit-prior train.npz {}", "train-cnn train.npz --from {}",
    ),
    "classifier": (
        "classify test.npz vae.pth {}", "evaluate test.npz vae.pth {}", "hybridize vae.pth {}",
        "plot latent test.npz vae.pth {}", "export vae.pth {}", "suggest train.npz vae.pth {}",
        "check train.npz vae.pth {}", "classify latents.npz {}",
    ),
    "prior": ("sample vqvae.pth {}", "evaluate test.npz vqvae.pth --prior {}"),
    "data": (
        "train {} --epochs 1", "encode {} vae.pth", "classify {} vae.pth gmm.pkl", "reconstruct {} vae.pth",
        "evaluate {} vae.pth gmm.pkl", "fit-gmm {} vae.pth", "fit-graph {} vae.pth", "fit-probe {} vae.pth",
        "train-cnn {} --epochs 1", "distort {}", "check {} vae.pth", "suggest {} vae.pth", "fit-prior {} vqvae.pth",
        "study latents {}", "study hybrids {}", "plot reconstructions {} vae.pth", "plot latent {} vae.pth",
        "hybridize vae.pth gmm.pkl --near {}", "train train.npz {} --epochs 1",
    ),
    "one image": (
        "train {} --epochs 1", "fit-gmm {} vae.pth", "train-cnn {} --epochs 1", "fit-prior {} vqvae.pth",
        "study latents {}",
    ),
    "labels": (
        "fit-gmm unlabelled.npz vae.pth --labels {}", "train unlabelled.npz --epochs 1 --labels {}",
        "train-cnn unlabelled.npz --epochs 1 --labels {}", "evaluate unlabelled.npz vae.pth gmm.pkl --labels {}",
        "check unlabelled.npz vae.pth --labels {}", "fit-probe unlabelled.npz vae.pth --labels {}",
        "classify unlabelled.npz vae.pth gmm.pkl --labels {}",
    ),
    "latents": (
        "fit-gmm {}", "fit-graph {}", "fit-probe {}", "classify {} probe.pth", "reconstruct {} vae.pth",
        "plot latent {} vae.pth", "suggest {} probe.pth", "info {}",
    ),
    "hybrids": ("train-cnn train.npz --epochs 1 --hybrids {}",),
    "weights": ("import {} --like vae.pth",), "file": ("info {}",),
    "output": (
        "encode test.npz vae.pth -o {}", "classify test.npz vae.pth gmm.pkl -o {}", 
        "reconstruct test.npz vae.pth -o {}",
        "train train.npz --epochs 1 -o {}", "fit-gmm train.npz vae.pth -o {}",
        "fit-graph train.npz vae.pth -o {}", "fit-probe train.npz vae.pth -o {}", "hybridize vae.pth gmm.pkl -o {}",
        "train-cnn train.npz --epochs 1 -o {}", "sample vqvae.pth prior.pth -o {}", "distort train.npz -o {}",
        "suggest unlabelled.npz vae.pth -o {}", "check train.npz vae.pth -o {}",
        "import weights/weights.safetensors --like vae.pth -o {}", "fit-prior train.npz vqvae.pth -o {}",
    ),
}  # fmt: skip
"""By what stands at ``{}``."""

CODES = {
    "model": (4, 2), "classifier": (4, 2), "prior": (4, 2), "data": (3, 2), "one image": (3, 2), "labels": (3, 2),
    "latents": (3, 2, 4), "hybrids": (3, 2), "weights": (4, 3, 2), "file": (4, 3, 2), "output": (6, 2), "line": (2,),
    "environment": (0, 2, 3, 6),
}  # fmt: skip
"""Which exit codes are right for which kind; 2 where a file is known to be of another kind."""


@dataclass(frozen=True)
class Bad:
    """Something wrong: where it stands, its name in the folder, and what makes it; None: nothing does."""

    place: str
    name: str
    make: Make | None = None
    codes: tuple[int, ...] = ()


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Give each to each command."""
    folder = place.fresh()
    table = inputs()
    for bad in table:
        if bad.make is not None:
            bad.make(folder / "bad" / bad.name)
    calls = [(bad, line.format(_quoted(bad))) for bad in table for line in COMMANDS.get(bad.place, ("{}",))]
    trial.count("inputs", len(table))
    for bad, line in trial.cases(calls):
        before = _state(folder)
        done = _called(bad, line, folder)
        trial.count("calls")
        for what in judged(done, bad.codes or CODES[bad.place]):
            trial.fail(f"{line}: {what}")
        after = _state(folder)
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name) and done.code:
                trial.fail(f"{line}: {name} was {'changed' if name in before else 'written'}")
        if before != after:
            _put_back(place, folder, before, after)


def _quoted(bad: Bad) -> str:
    if bad.place in ("line", "environment"):
        return bad.name
    name = bad.name if bad.make is None else f"bad/{bad.name}"
    return "'" + name.replace("'", "'\\''") + "'"


def _called(bad: Bad, line: str, folder: Path) -> Outcome:
    if bad.place != "environment":
        return call(line, folder)
    setting, _, line = line.partition(" ")
    name, _, value = setting.partition("=")
    with mock.patch.dict(os.environ, {name: value}):
        return call(line, folder)


def _state(folder: Path) -> State:
    """Size and time of everything in a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (0, 0) if path.is_dir() else (status.st_size, status.st_mtime_ns)
    return found


def _put_back(place: Place, folder: Path, before: State, after: State) -> None:
    for name in sorted({*after} - {*before}, reverse=True):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for name in before:
        source = place.materials / name
        if before[name] != after.get(name) and source.is_file():
            shutil.copyfile(source, folder / name)


def judged(done: Outcome, codes: tuple[int, ...]) -> Iterator[str]:
    """What is wrong with how it ended."""
    if "Traceback" in done.err:
        yield f"a traceback: {done.err.strip()[-500:]}"
        return
    if done.code not in codes:
        yield f"exit code {done.code}, not {codes}: {done.err.strip()[:300]!r}"
        return
    if done.code == 0:
        return
    message = done.err[done.err.find("error: ") :] if "error: " in done.err else ""
    if not message:
        yield f"no error is told: {done.err!r}"
    if len(message.splitlines()) > 3:
        yield f"more than three lines: {message!r}"
    if "\x1b" in done.err or "\0" in done.err:
        yield f"control characters: {done.err!r}"


def inputs() -> list[Bad]:
    """All of them."""
    found = [Bad(place, f"{name}", make) for place, makers in FILES.items() for name, make in makers.items()]
    for place, names in MISSING.items():
        found += [Bad(place, name) for name in names]
    found += [Bad("line", line, codes=(code,)) for code, lines in LINES.items() for line in lines]
    found += [Bad("environment", line) for line in ENVIRONMENT]
    return found
