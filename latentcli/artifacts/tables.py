"""CSV files: predicted labels, and the files that could not be read."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from latentcli.artifacts import predictions_table
from latentcli.core.errors import printable
from latentcli.core.labels import Labels
from latentcli.formats.atomic import atomic_write
from latentcli.formats.csv_text import PREDICTIONS, as_csv
from latentcli.formats.parquet_table import SUFFIX

_ROWS = 10_000  # that are text at a time


class Tabular(Protocol):
    """What is a table: ``inference.suggesting.Suggestions`` and others."""

    @property
    def columns(self) -> Mapping[str, Sequence[object]]: ...


def write_table(found: Tabular, target: str | Path | IO[str]) -> None:
    """Write the columns of what was found as CSV, fractions with six digits.

    Args:
        found: such as what ``suggest`` returns.
        target: a path, written whole or not at all, or a text stream.

    Raises:
        OutputError: the file cannot be written.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> lc.write_table(lc.Suggestions(np.array([7]), np.array([0.25]), 0.5), "next.csv")
        >>> with open("next.csv") as table:
        ...     print(table.read(), end="")
        File,Label,Score
        7,,0.25
    """
    columns = found.columns
    with _csv_writer(Path(target) if isinstance(target, str) else target) as write:
        write([[*columns]])
        write([_text(cell) for cell in row] for row in zip(*columns.values(), strict=True))


def _text(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


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


def write_predictions(predictions: Labelling, target: str | Path | IO[str]) -> None:
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
    with predictions_writer(target, predictions.files is not None, predictions.bad_files) as write:
        write(predictions)


def write_labels(
    target: Path | IO[str],
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
    if files is not None and probabilities is None:
        raise ValueError("images of a folder need probabilities")
    with labels_writer(target, files is not None, bad_files) as write:
        write(labels, files, probabilities)


@contextmanager
def labels_writer(
    target: Path | IO[str], named: bool, bad_files: Sequence[tuple[str, str]] = ()
) -> Iterator[Callable[..., None]]:
    """Write ``vae.csv`` like ``write_labels``, but the next rows at a time: nothing is kept but unreadable files.

    Args:
        target: a path, written whole or not at all, or a text stream.
        named: whether the images have files.
        bad_files: as for ``write_labels``.

    Yields:
        a function of the next labels, files and probabilities, as for ``write_labels``.

    Raises:
        OutputError: the file cannot be written.
    """
    bad = deque(sorted([file, "", ""] for file, _ in bad_files) if named else ())

    def good(
        labels: Sequence[str | None] | np.ndarray, files: Sequence[str] | None, probabilities: np.ndarray | None
    ) -> Iterator[list[str]]:
        if not named:
            yield from ([label or ""] for label in labels)
            return
        for file, label, value in zip(files or (), labels, () if probabilities is None else probabilities, strict=True):
            while bad and bad[0][0] < file:  # the images keep their own order whatever it is
                yield bad.popleft()
            yield [file, label or "", f"{value:.6g}"]

    with _csv_writer(target) as write:
        write([[*PREDICTIONS[named]]])
        yield lambda labels, files=None, probabilities=None: write(good(labels, files, probabilities))
        write(bad)


@contextmanager
def predictions_writer(
    target: str | Path | IO[str], named: bool, bad_files: Sequence[tuple[str, str]] = ()
) -> Iterator[Callable[[Labelling], None]]:
    """Write what ``write_predictions`` writes, of the next images at a time, whose own ``bad_files`` do not count."""
    target = Path(target) if isinstance(target, str) else target
    if isinstance(target, Path) and target.suffix.lower() == SUFFIX:
        with ExitStack() as opened:
            writers: list[Callable[..., None]] = []

            def write_rows(found: Labelling) -> None:
                if not writers:  # the first images tell what encoded them
                    latents = getattr(found, "latents", None)
                    checkpoint = latents.checkpoint if latents else ""
                    table = predictions_table.writer(target, named, bad_files, checkpoint)
                    writers.append(opened.enter_context(table))
                writers[0](found.labels, found.files, found.confidences)

            yield write_rows
        return
    with labels_writer(target, named, bad_files) as write:
        yield lambda found: write(found.labels.texts, found.files, found.confidences)


def write_bad_files(path: Path, bad_files: Sequence[tuple[str, str]]) -> None:
    """Write ``bad_files.csv``: the path and the reason of each file that could not be read.

    Raises:
        OutputError: the file cannot be written.
    """
    with _csv_writer(path) as write:
        write([["File", "Reason"], *map(list, bad_files)])


@contextmanager
def _csv_writer(target: Path | IO[str]) -> Iterator[Callable[[Iterable[Sequence[str]]], None]]:
    """A function that writes the next rows as UTF-8; bytes of file names that are no UTF-8 appear as ``\\udcNN``."""
    if isinstance(target, Path):
        with atomic_write(target) as file:
            yield lambda rows: _in_pieces(rows, lambda data: file.write(data))
        return
    on_terminal = target.isatty()  # a file name may hold the escapes that program a terminal

    def show(data: bytes) -> None:
        text = data.decode()
        target.write(printable(text, keep="\n") if on_terminal else text)

    yield lambda rows: _in_pieces(rows, show)


def _in_pieces(rows: Iterable[Sequence[str]], write: Callable[[bytes], object]) -> None:
    rows = iter(rows)
    while some := list(islice(rows, _ROWS)):
        write(as_csv(some).encode("utf-8", "backslashreplace"))
