"""CSV files: predicted labels, and the files that could not be read."""

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from latentcli.artifacts import predictions_table
from latentcli.core.errors import printable
from latentcli.core.labels import Labels
from latentcli.formats.atomic import atomic_write
from latentcli.formats.csv_text import as_csv
from latentcli.formats.parquet_table import SUFFIX


class Labelling(Protocol):
    """The parts of ``inference.classification.Predictions`` that are written."""

    @property
    def labels(self) -> Labels: ...

    @property
    def confidences(self) -> np.ndarray: ...

    @property
    def files(self) -> tuple[str, ...] | None: ...

    @property
    def bad_files(self) -> tuple[tuple[str, str], ...]: ...


def write_predictions(predictions: Labelling, target: str | Path | TextIO) -> None:
    """Write ``vae.csv``, or a table ``vae.parquet``: one row per image, with a row for each unreadable file as well.

    Args:
        predictions: of images.
        target: a path, written whole or not at all, or a text stream.

    Raises:
        OutputError: the file cannot be written.
        UsageError: its name ends in ``.parquet``, and pyarrow is not installed.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.write_predictions(lc.classify(images, vae, lc.fit_mixture(vae.encode(images))), "vae.csv")
        >>> with open("vae.csv") as table:
        ...     print(next(table), end="")
        Predicted_Label
    """
    if isinstance(target, str | Path) and Path(target).suffix.lower() == SUFFIX:
        latents = getattr(predictions, "latents", None)
        facts = (predictions.files is not None, predictions.bad_files, latents.checkpoint if latents else "")
        with predictions_table.writer(Path(target), *facts) as write:
            write(predictions.labels, predictions.files, predictions.confidences)
        return
    write_labels(
        Path(target) if isinstance(target, str) else target, predictions.labels.texts, files=predictions.files,
        probabilities=predictions.confidences, bad_files=predictions.bad_files,
    )  # fmt: skip


def write_labels(
    target: Path | TextIO,
    labels: Sequence[str | None] | np.ndarray,
    *,
    files: Sequence[str] | None = None,
    probabilities: np.ndarray | None = None,
    bad_files: Sequence[tuple[str, str]] = (),
) -> None:
    """Write ``vae.csv``: one row per image, under ``Predicted_Label`` or ``File,Predicted_Label,Probability``.

    Args:
        target: a path, written whole or not at all, or a text stream.
        labels: names of the predicted classes; None or "" for an image that was given none.
        files: paths within the folder the images came from, in its order; None for arrays.
        probabilities: (N,) of the predicted class, in [0, 1]; only for folders, and needed there.
        bad_files: (path, reason) of files that could not be read: each has a row without a label.

    Raises:
        OutputError: the file cannot be written.
    """
    if files is None:
        _write_csv(target, [["Predicted_Label"], *([label or ""] for label in labels)])
        return
    if probabilities is None:
        raise ValueError("images of a folder need probabilities")
    good = [
        [file, label or "", f"{value:.6g}"] for file, label, value in zip(files, labels, probabilities, strict=True)
    ]
    bad = sorted([file, "", ""] for file, _ in bad_files)
    rows = heapq.merge(good, bad, key=lambda row: row[0])  # keeps the images' own order whatever it is
    _write_csv(target, [["File", "Predicted_Label", "Probability"], *rows])


def write_bad_files(path: Path, bad_files: Sequence[tuple[str, str]]) -> None:
    """Write ``bad_files.csv``: the path and the reason of each file that could not be read.

    Raises:
        OutputError: the file cannot be written.
    """
    _write_csv(path, [["File", "Reason"], *map(list, bad_files)])


def _write_csv(target: Path | TextIO, rows: Sequence[Sequence[str]]) -> None:
    """Rows as UTF-8; bytes of file names that are no UTF-8 appear as ``\\udcNN``."""
    data = as_csv(rows).encode("utf-8", "backslashreplace")
    if isinstance(target, Path):
        with atomic_write(target) as file:
            file.write(data)
        return
    text = data.decode()
    if target.isatty():  # a file name may hold the escapes that program a terminal
        text = printable(text, keep="\n")
    target.write(text)
