"""A training run as a person sees it, and the signals that stop it."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from latentcli.cli import console
from latentcli.formats.atomic import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from latentcli.models.base import Model
    from latentcli.training.config import TrainingConfig
    from latentcli.training.examples import Examples


@contextmanager
def signals() -> Iterator[Callable[[], bool]]:
    """Within the block SIGINT and SIGTERM only raise a flag, so that a run stops between two steps.

    A second signal is taken as it always is.
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watch:
    """Shows a run on stderr (a bar on a terminal, a line an epoch elsewhere) and keeps ``metrics.jsonl``.

    Args:
        log: the file with one JSON object an epoch: the history's row and the images per second.
        rows: the history so far, when a run is resumed.
    """

    def __init__(self, log: Path, rows: list[dict[str, float]]) -> None:
        self.log = log
        self.rows: list[Mapping[str, float]] = list(rows)
        self.epochs = self.images = self.seen = self.seen_before = 0
        self.began = self.epoch_began = time.monotonic()
        self.bar: Any = console.progress_bar("speed", "losses") if console.watched() else None
        self.task: Any = None

    def __enter__(self) -> "Watch":
        (self.bar or nullcontext()).__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        (self.bar or nullcontext()).__exit__(*exception)

    def start(self, epochs: int, images: int, done: int) -> None:
        """The run's size: epochs, images in each, and images done before it was resumed."""
        self.epochs, self.images, self.began = epochs, images, time.monotonic()
        self.epoch_began = self.began
        if self.bar is not None:
            self.task = self.bar.add_task("training", total=epochs * images, completed=done, speed="", losses="")

    def step(self, images: int, loss: float) -> None:
        """One step was taken."""
        self.seen += images
        if self.bar is not None:
            speed = self.seen / max(time.monotonic() - self.began, 1e-9)
            self.bar.update(self.task, advance=images, speed=f"{speed:,.0f} images/s", losses=f"loss {loss:.4g}")

    def epoch(self, row: Mapping[str, float]) -> None:
        """One epoch ended."""
        now = time.monotonic()
        speed = (self.seen - self.seen_before) / max(now - self.epoch_began, 1e-9)
        self.epoch_began, self.seen_before = now, self.seen
        self.rows.append({**row, "images_per_second": round(speed, 1)})
        with atomic_write(self.log) as file:
            file.write("".join(json.dumps(row) + "\n" for row in self.rows).encode())
        if self.bar is None:
            left = (now - self.began) / self.seen * (self.epochs * self.images - row["epoch"] * self.images)
            losses = "  ".join(f"{name} {value:.5g}" for name, value in row.items() if name not in ("epoch", "lr"))
            console.note(f"epoch {row['epoch']:.0f}/{self.epochs}  {losses}  {speed:,.0f} images/s  {clock(left)} left")


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def epochs(doing: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Shows the epochs of a short fit by their rows: one changing line on a terminal, a line an epoch elsewhere."""

    def figures(row: Mapping[str, float]) -> str:
        return "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")

    if not console.watched():
        yield lambda row: console.note(f"epoch {row['epoch']:.0f}  {figures(row)}")
        return
    with console.progress_bar("figures") as bar:
        task = bar.add_task(doing, total=None, figures="")
        yield lambda row: bar.update(task, completed=row["epoch"], figures=figures(row))


def fit(
    model: "Model",
    examples: "np.ndarray | Examples",
    config: "TrainingConfig",
    output: Path,
    identity: Mapping[str, Any],
    state: dict[str, Any] | None,
    again: str = "the same call with --resume",
) -> list[dict[str, float]]:
    """Train a model in place, watched, stoppable and resumable.

    Args:
        model: on its device.
        examples: as ``Run`` takes them.
        config: of the loop.
        output: the checkpoint to be; the state of the run and ``metrics.jsonl`` lie beside it.
        identity: of the run, kept with its state.
        state: to go on from; None begins.
        again: what goes on where the run is interrupted, for the message.

    Returns:
        the history, one row an epoch.

    Raises:
        FitError: the loss is not finite.
        Interrupted: by a signal, after the state was saved.
    """
    from latentcli.artifacts import checkpoint
    from latentcli.training.loop import Callbacks, Interrupted, Run

    def save_state(state: dict[str, Any]) -> None:
        checkpoint.save_state(partial(output), {"identity": dict(identity), "run": state})

    run = Run(model, examples, config, state)
    try:
        with signals() as interrupted, Watch(log(output), run.history) as watch:
            return run.fit(Callbacks(watch.start, watch.step, watch.epoch, save_state, interrupted))
    except Interrupted:
        console.note(f"interrupted at step {run.step} of {run.total_steps}; {again} goes on from there")
        raise


def log(output: Path) -> Path:
    """Where the figures of each epoch are kept."""
    return output.with_name("metrics.jsonl")


def partial(output: Path) -> Path:
    """Where the state of an unfinished run is kept."""
    return output.with_name(f"{output.name}.partial")


def state_to_resume(output: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The saved state of the run that would have written ``output``; None when there is none.

    Raises:
        ModelFileError: its file is corrupt.
        UsageError: it was saved by a run with other settings or data.
    """
    from latentcli.artifacts import checkpoint
    from latentcli.cli.configuration import check_identity

    if not partial(output).exists():
        console.note(f"nothing to resume: there is no {partial(output)}; training starts at the beginning")
        return None
    saved = checkpoint.load_state(partial(output))
    check_identity(saved["identity"], identity)
    return saved["run"]


def summary(model: "Model", history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """What a training run came to: the figures of the epoch whose weights are kept.

    That is the best by validation loss, as the loop has it, and the last one where nothing was held out.
    """
    from latentcli.models.backbones import count_parameters

    validated = [row for row in reversed(history) if "val_loss" in row]
    best = min(validated, key=lambda row: row["val_loss"], default=history[-1])
    figures = {name: value for name, value in best.items() if name not in ("epoch", "lr")}
    return {
        "epochs": len(history), "best_epoch": int(best["epoch"]), "parameters": count_parameters(model), **figures,
    }  # fmt: skip
