"""A training run as a person sees it: a bar on a terminal, a line an epoch elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.cli import console
from latentcli.core.errors import OutputError
from latentcli.core.progress import Advance, Listener, Listeners

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel


class TrainingProgress(Listener):
    """Shows a training on stderr."""

    def __init__(self) -> None:
        self.epochs = self.images = self.seen = self.seen_before = 0
        self.began = self.epoch_began = time.monotonic()
        self.bar: Any = console.progress_bar("speed", "losses") if console.watched() else None
        self.task: Any = None
        self.unwritable: set[str] = set()

    def __enter__(self) -> "TrainingProgress":
        (self.bar or nullcontext()).__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        (self.bar or nullcontext()).__exit__(*exception)

    def configured(self, model: object, training: object, device: str) -> None:
        console.detail(f"{model}\n{training}\non {device}")

    def nothing_to_resume(self, state: Path) -> None:
        console.note(f"nothing to resume: there is no {state}; training starts at the beginning")

    def starting_over(self, state: Path) -> None:
        console.note(f"{state} is of a run that has not ended, and will be replaced: --resume would go on from there")

    @contextmanager
    def preparing(self, doing: str, total: int) -> Iterator[Advance]:
        if self.bar is None:
            console.note(f"{doing}: {total}")
            yield lambda count: None
            return
        task = self.bar.add_task(doing, total=total, speed="", losses="")
        yield lambda count: self.bar.update(task, advance=count)
        self.bar.remove_task(task)

    def started(self, epochs: int, images: int, done: int) -> None:
        self.epochs, self.images, self.began = epochs, images, time.monotonic()
        self.epoch_began = self.began
        if done:
            console.note(f"training goes on after {done / images:.1f} of {epochs} epochs")
        if self.bar is not None:
            self.task = self.bar.add_task("training", total=epochs * images, completed=done, speed="", losses="")

    def stepped(self, images: int, loss: float) -> None:
        self.seen += images
        if self.bar is not None:
            speed = self.seen / max(time.monotonic() - self.began, 1e-9)
            self.bar.update(self.task, advance=images, speed=f"{speed:,.0f} images/s", losses=f"loss {loss:.4g}")

    def epoch_ended(self, row: Mapping[str, float]) -> None:
        now = time.monotonic()
        speed = (self.seen - self.seen_before) / max(now - self.epoch_began, 1e-9)
        self.epoch_began, self.seen_before = now, self.seen
        if self.bar is None:
            left = (now - self.began) / max(self.seen, 1) * (self.epochs - row["epoch"]) * self.images
            losses = "  ".join(f"{name} {value:.5g}" for name, value in row.items() if name not in ("epoch", "lr"))
            console.note(f"epoch {row['epoch']:.0f}/{self.epochs}  {losses}  {speed:,.0f} images/s  {clock(left)} left")

    def unwritten(self, problem: OutputError) -> None:
        if str(problem) not in self.unwritable:
            self.unwritable.add(str(problem))
            console.note(f"{problem.problem}: {problem.found}; training goes on without it")


class Watched:
    """Who is told of a training besides the person at the terminal, checked before any work: what options ask for.

    Args:
        snapshots, tensorboard: folders, as ``--snapshots`` and ``--tensorboard`` name them.
        given: every file and folder that the command reads.

    Raises:
        UsageError: TensorBoard is not installed; or snapshots would lie among the images that are read.
        OutputError: a folder cannot be written to.
    """

    def __init__(self, snapshots: Path | None, tensorboard: Path | None, given: Sequence[Path | str | None]) -> None:
        from latentcli.cli import inputs
        from latentcli.pictures.snapshots import Snapshots
        from latentcli.pictures.tensorboard import TensorBoard

        self.watching: list[Snapshots | TensorBoard] = []
        if snapshots is not None:
            inputs.check_apart(snapshots, "--snapshots", given)
            self.watching.append(Snapshots(snapshots))
        if tensorboard is not None:
            self.watching.append(TensorBoard(tensorboard))

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """The listener of a training, which shows its progress on stderr as well."""
        with TrainingProgress() as shown:
            yield Listeners(shown, *self.watching)

    @property
    def written(self) -> list[Path]:
        """What they have written."""
        return [path for each in self.watching for path in each.written]


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def epochs(doing: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Shows the epochs of a short fit by their rows: one changing line on a terminal, a line an epoch elsewhere."""

    def metrics(row: Mapping[str, float]) -> str:
        return "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")

    if not console.watched():
        yield lambda row: console.note(f"epoch {row['epoch']:.0f}  {metrics(row)}")
        return
    with console.progress_bar("metrics") as bar:
        task = bar.add_task(doing, total=None, metrics="")
        yield lambda row: bar.update(task, completed=row["epoch"], metrics=metrics(row))


def outputs(checkpoint: Path) -> tuple[Path, Path]:
    """Beside a checkpoint to be: the log of its epochs, and the state that an unfinished training goes on from.

    Raises:
        OutputError: the checkpoint cannot be written.
    """
    from latentcli.formats.atomic import check_writable, is_stream

    if is_stream(checkpoint):
        found = "the log and the state of its training lie beside it"
        raise OutputError(f"cannot write a model to the stream {checkpoint}", found, "name a file")
    check_writable(checkpoint)
    return checkpoint.with_name(f"{checkpoint.stem}.metrics.jsonl"), checkpoint.with_name(f"{checkpoint.name}.partial")


def save(model: "TrainedModel", checkpoint: Path) -> None:
    """Write a checkpoint; where that fails, write it to the folder for temporary files, so that no run is lost.

    Raises:
        OutputError: the checkpoint cannot be written; it says where the model is.
    """
    from latentcli.artifacts.models import save_model
    from latentcli.formats.atomic import write_or_rescue

    write_or_rescue(checkpoint, partial(save_model, model), "the model is")


def kept(
    model: "TrainedModel", ended: "TrainedModel | None", checkpoint: Path, watched: Watched, figures: Path | None
) -> list[Path]:
    """Write what a training came to, unless it had ended before, and delete its state; the paths that were written.

    Args:
        model, ended: the result, and what ``finished`` has found.
        checkpoint: where it goes.
        watched: who has written more.
        figures: folder for the curves; None: they are not drawn.

    Raises:
        OutputError: a file cannot be written.
    """
    from latentcli import pictures

    log, state = outputs(checkpoint)
    written = list[Path]()
    if ended is None:
        save(model, checkpoint)
        written = [checkpoint, log, *watched.written]
    else:
        console.note(f"nothing to resume: the run of {checkpoint} has ended; it stays as it is")
    if figures is not None:
        written.append(pictures.history(pictures.folder(figures) / "history.png", model.history))
    state.unlink(missing_ok=True)
    return written


def finished(checkpoint: Path, state: Path, device: str) -> "TrainedModel | None":
    """The model of the run to be resumed, where that has ended: its checkpoint is there, and no state any more."""
    from latentcli.artifacts.models import load_model

    return load_model(checkpoint, device) if checkpoint.exists() and not state.exists() else None


def summary(model: "TrainedModel") -> dict[str, Any]:
    """What a training run came to: the metrics of the epoch whose weights are kept."""
    from latentcli.models.backbones import count_parameters
    from latentcli.numerics.history import kept

    rows: Sequence[Mapping[str, float]] = model.history
    best = rows[kept(rows)]
    metrics = {name: value for name, value in best.items() if name not in ("epoch", "lr")}
    return {
        "epochs": len(rows), "best_epoch": int(best["epoch"]), "parameters": count_parameters(model.network), **metrics,
    }  # fmt: skip
