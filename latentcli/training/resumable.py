"""A training run that can be stopped at any moment and resumed: its state, its log and its signals."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from latentcli.core.errors import OutputError
from latentcli.core.progress import Listener
from latentcli.core.stages import stage
from latentcli.formats import locks
from latentcli.formats.atomic import atomic_write, check_writable
from latentcli.formats.schemas import TRAINING_STATE
from latentcli.models.base import Model
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples
from latentcli.training.identity import check_same
from latentcli.training.loop import Callbacks, Interrupted, Run


@stage("training")
def fit(
    network: Model, examples: np.ndarray | Examples, config: TrainingConfig, *, identity: Mapping[str, Any],
    fresh: bool = True, state: Path | None = None, resume: bool = True, log: Path | None = None,
    listener: Listener | None = None,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a network in place.

    SIGINT and SIGTERM stop it between two steps, and what was trained so far is kept in ``state``.

    Args:
        network, examples, config, fresh: as ``Run`` takes them.
        identity: of the run, kept with its state: no other run resumes from it.
        state: file of the state that an interrupted run resumes from; it stays when the run ends. None keeps none.
        resume: whether to resume from that file if it exists.
        log: file with one JSON object an epoch: its row of the history, and the images per second.
        listener: is told how the run goes.

    Returns:
        the history, one row an epoch.

    Raises:
        FitError, Interrupted: as ``Run.fit``; the state was saved.
        UsageError: the state is that of a run with other settings or data.
        ModelFileError: the file of the state is damaged, unsafe, or of an unknown version.
        OutputError: the log cannot be written, nor the state of a run that stops; or another run is writing it.
    """
    listener = listener or Listener()
    if log is not None:
        check_writable(log)
    with locks.exclusive(state) if state is not None else nullcontext():
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
            if state is not None:
                TRAINING_STATE.write(state, {"state": {"identity": dict(identity), "run": values}})

        run = Run(network, examples, config, saved, fresh, listener.preparing)
        lines = _Log(log, run.history, listener)
        try:
            with stop_requests() as interrupted:
                return run.fit(Callbacks(
                    listener.started, lines.on_step, lines.on_epoch, save, listener.unwritten, interrupted
                ))  # fmt: skip
        except Interrupted as stop:
            raise Interrupted(f"{stop}" + ("" if state is None else "; `resume` goes on from there")) from None


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
    """Yield a function that says whether SIGINT or SIGTERM came; a second signal has its usual effect.

    Only the main thread of a process can handle signals: in any other nothing changes, and the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore()

    for number in before:
        signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    finally:
        restore()
