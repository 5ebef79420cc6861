"""What TensorBoard shows of a training: its losses, what the model makes of images, and their latents."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import UsageError, printable
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import InTraining, Listener
from latentcli.core.stages import stage
from latentcli.formats.atomic import check_folder, make_folder, output_errors
from latentcli.numerics.blocks import evenly
from latentcli.pictures import frames

INSTALL = "pip install 'latentcli[tensorboard]'"
MOST_POINTS, MOST_NUMBERS = 1_000, 500_000
"""Images whose latents are handed to the projector, and numbers of all of these: it reads them as text."""
THUMB = 64
"""Pixels of a side of an image there, at most."""
_TAG = "latents"


class TensorBoard(Listener):
    """Writes events that TensorBoard shows (``tensorboard --logdir DIR``).

    These are the losses and the learning rate of each epoch, pictures of what the model makes of the same images after
    20 epochs at most, as ``Snapshots`` has them, and at the end the latents of at most 1,000 images that are not
    learned from, with these images and their labels, for the projector. A training that is resumed goes on with its
    curves; a new one hides those of another in the folder.

    Args:
        folder: for the events, made if need be; of runs in sub-folders TensorBoard shows all.

    Raises:
        UsageError: the package tensorboard is not installed.
        OutputError: the folder cannot be written to.

    Example:
        >>> import latentcli as lc
        >>> try:
        ...     watching = lc.TensorBoard("runs/first")
        ...     vae = lc.train(lc.load("digits"), backbone="mlp", width=32, epochs=1, listener=watching)
        ... except lc.UsageError as missing:
        ...     assert "tensorboard" in str(missing)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open = _summary_writer()
        check_folder(self.folder)
        self.written: list[Path] = []
        self._writer: Any = None
        self._model: InTraining | None = None
        self._epochs, self._last = 0, 0

    def observing(self, model: InTraining, history: Sequence[Mapping[str, float]]) -> None:
        self._model, self._last = model, len(history)
        make_folder(self.folder)
        with output_errors(self.folder):
            new = not any(self.folder.glob("events.out.tfevents.*"))
            self._writer = self._open(str(self.folder), purge_step=len(history) + 1)
        self.written = [self.folder]
        for row in history if new else ():
            self._scalars(row)

    def started(self, epochs: int, images: int, done: int) -> None:
        self._epochs = epochs

    @stage("drawing")
    def epoch_ended(self, row: Mapping[str, float]) -> None:
        self._last = int(row["epoch"])
        self._scalars(row)
        if self._model is not None and self._last in frames.due(self._epochs):
            frame, _ = frames.taken(self._model, row, self._epochs)
            if frame is not None:
                self._write("add_image", "pictures", np.atleast_3d(np.asarray(frame)), self._last, dataformats="HWC")
        self._write("flush")

    @stage("drawing")
    def ended(self) -> None:
        found = None if self._model is None else self._model.latents(MOST_POINTS)
        if found is not None:
            import torch

            images, latents = found
            points = latents.flat
            rows = evenly(len(points), min(MOST_POINTS, max(2, MOST_NUMBERS // points.shape[1])))
            shutil.rmtree(self.folder / f"{self._last:05}" / _TAG, ignore_errors=True)  # an earlier run's
            self._write(
                "add_embedding", points[rows], _names(images, rows), torch.from_numpy(_thumbs(images.images[rows])),
                self._last, _TAG,
            )  # fmt: skip
        self._write("close")
        self._writer = None

    def _scalars(self, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            if name != "epoch":
                kind, of = ("val", name.removeprefix("val_")) if name.startswith("val_") else ("train", name)
                self._write("add_scalar", name if name == "lr" else f"{of}/{kind}", value, int(row["epoch"]))

    def _write(self, name: str, *arguments: Any, **named: Any) -> None:
        """Call the writer, where it could be opened; where it fails it is given up."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        with output_errors(self.folder):
            getattr(writer, name)(*arguments, **named)
        self._writer = writer


def _summary_writer() -> Any:
    """PyTorch's own class, which needs the package tensorboard.

    Raises:
        UsageError: it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("`tensorboard` needs the package tensorboard", "it is not installed", INSTALL) from error
    return SummaryWriter


def _names(images: ImageSet, rows: np.ndarray) -> list[str] | None:
    """The labels of these images; None where there are none."""
    labels = images.labels.take(rows)
    return [printable(text) or "unlabelled" for text in map(str, labels.texts)] if labels.any else None


def _thumbs(images: np.ndarray) -> np.ndarray:
    """(N, C, side, side) float32 in [0, 1]: small squares, as the projector takes them."""
    step = -(-max(images.shape[2:]) // THUMB)
    small = images[:, :, ::step, ::step].astype(np.float32) / 255
    height, width = small.shape[2:]
    side = max(height, width)
    return np.pad(small, ((0, 0), (0, 0), (0, side - height), (0, side - width)))
