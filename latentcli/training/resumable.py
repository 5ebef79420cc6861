"""A training run that can be stopped at any moment and resumed: its state, its log and its signals."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core import processes
from latentcli.core.errors import OutputError
from latentcli.core.processes import ProcessLost
from latentcli.core.progress import Listener, Listeners
from latentcli.core.stages import stage
from latentcli.core.terminating import at_first, ending
from latentcli.formats import locks
from latentcli.formats.atomic import atomic_write, check_writable
from latentcli.formats.schemas import TRAINING_STATE
from latentcli.models.base import Model
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples
from latentcli.training.identity import check_same
from latentcli.training.loop import Callbacks, Interrupted, Run
from latentcli.training.observed import Draw, Observed


@stage("training")
def fit(
    network: Model, examples: np.ndarray | Examples, config: TrainingConfig, *, identity: Mapping[str, Any],
    fresh: bool = True, state: Path | None = None, resume: bool = True, log: Path | None = None,
    listener: Listener | None = None, draw: Draw | None = None,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a network in place.

    SIGINT, SIGTERM and SIGHUP stop it between two steps, and what was trained so far is kept in ``state``. Where there
    are several processes, one of them that gets such a signal stops all, at the same step. The first one alone writes
    and is listened to; it resumes with any number of processes. ``state`` is a file that all of them can read.

    Args:
        network, examples, config, fresh: as ``Run`` takes them.
        identity: of the run, kept with its state: no other run resumes from it.
        state: file of the state that an interrupted run resumes from; it stays when the run ends. None keeps none.
        resume: whether to resume from that file if it exists.
        log: file with one JSON object an epoch: its row of the history, and the images per second.
        listener: is told how the run goes, and may look at the network.
        draw: of samples, for those who look at a network that is no model of latents, see ``Observed``.

    Returns:
        the history, one row an epoch.

    Raises:
        FitError, Interrupted: as ``Run.fit``; the state was saved.
        UsageError: the state is that of a run with other settings or data.
        ModelFileError: the file of the state is damaged, unsafe, or of an unknown version.
        OutputError: the log cannot be written, nor the state of a run that stops; or another run is writing it.
        ProcessLost: another process has ended.
    """
    first = processes.is_first()
    listener, log = (Listeners(listener or Listener()), log) if first else (Listener(), None)
    if log is not None:
        check_writable(log)
    with locks.exclusive(state) if state is not None and first else nullcontext():
        saved = None
        if state is not None and not resume and state.exists():
            listener.starting_over(state)
        if state is not None and resume:
            if state.exists():
                content = TRAINING_STATE.read(state, "start again without `resume`")["state"]
                check_same(content["identity"], identity)
                saved = content["run"]
            else:
                listener.nothing_to_resume(state)

        def save(values: dict[str, Any]) -> None:
            if state is not None and writes():
                TRAINING_STATE.write(state, {"state": {"identity": dict(identity), "run": values}})

        if processes.count() > 1:
            device = next(network.parameters()).device.type
            processes.check_alike(json.dumps([identity, saved and saved["step"], device], sort_keys=True, default=str))
        writes = processes.is_first
        run = Run(network, examples, config, saved, fresh, listener.preparing)
        lines = _Log(log, run.history, listener)
        listener.observing(Observed(network, run.examples, draw), tuple(run.history))
        try:
            with stop_requests() as interrupted:
                try:
                    history = run.fit(Callbacks(
                        listener.started, lines.on_step, lines.on_epoch, save, listener.unwritten,
                        lambda: processes.any_of(interrupted()),
                    ))  # fmt: skip
                except ProcessLost as lost:
                    if run.device.type == "cpu":  # CUDA still waits for it
                        writes = processes.speaks
                        save(run.state())
                    raise _without(lost, run, state) from lost
        except Interrupted as stop:
            processes.together()  # the state is written
            raise Interrupted(f"{stop}" + ("" if state is None else "; `resume` goes on from there")) from None
        listener.ended()
        return history


def _without(lost: ProcessLost, run: Run, state: Path | None) -> ProcessLost:
    """The error that ends a run that has lost a process."""
    kept = "no state was asked for"
    if state is not None and run.device.type == "cpu":
        kept = f"the state after step {run.step} of {run.total_steps} was kept"
    elif state is not None:
        kept = f"the state was last kept within the {run.config.save_every:g} seconds before"
    remedy = None if state is None else "go on with `resume`, and any number of processes"
    return ProcessLost(lost.problem, kept, remedy)


class _Log:
    """The metrics of each epoch: the whole file is replaced with each epoch, so that it is never half written."""

    def __init__(self, path: Path | None, rows: list[dict[str, float]], listener: Listener) -> None:
        self.path, self.rows, self.listener = path, list(rows), listener
        self.images, self.began = 0, time.monotonic()

    def on_step(self, images: int, loss: float) -> None:
        self.images += images
        self.listener.stepped(images, loss)

    def on_epoch(self, row: Mapping[str, float]) -> None:
        now = time.monotonic()
        speed = round(self.images / max(now - self.began, 1e-9), 1)
        self.images, self.began = 0, now
        self.rows.append({**row, "images_per_second": speed})
        if self.path is not None:
            try:
                with atomic_write(self.path) as file:
                    file.write("".join(json.dumps(row) + "\n" for row in self.rows).encode())
            except OutputError as problem:
                self.listener.unwritten(problem)
        self.listener.epoch_ended(row)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGINT, SIGTERM or SIGHUP came; a second signal has its usual effect.

    Only the main thread of a process can handle signals: in any other nothing changes, and the answer is always no.
    """
    received: list[bool] = []
    with at_first((signal.SIGINT, *ending()), lambda: received.append(True)):
        yield lambda: bool(received)
