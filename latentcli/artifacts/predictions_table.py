"""``vae.parquet``: what ``vae.csv`` holds, as a table with types, a row an image."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.labels import Labels
from latentcli.formats.parquet_table import TEXT, Column, rows_writer

Rows = Iterator[tuple[str, str | None, float]]
FORMAT, VERSION = "latentcli-predictions", 1


@contextmanager
def writer(
    path: Path, named: bool, bad_files: Sequence[tuple[str, str]] = (), checkpoint: str = ""
) -> Iterator[Callable[[Labels, Sequence[str] | None, np.ndarray], None]]:
    """A function that takes labels, files and probabilities of the next images; the file is whole or not there.

    Columns are ``Predicted_Label``, null for images that were given none, and for images of files ``File`` before it
    and ``Probability`` behind it; the facts have ``class_names`` in their order, and the ``checkpoint``.

    Args:
        path: of the file.
        named: whether the images have files.
        checkpoint: fingerprint of the one whose latents were read; "" where there is none.
        bad_files: (path, reason) of files that could not be read: each has a row without label and probability.

    Raises:
        OutputError: the file cannot be written.
        UsageError: pyarrow is not installed.
    """
    columns = {"File": TEXT, "Predicted_Label": TEXT, "Probability": Column("float64")}
    columns = columns if named else {"Predicted_Label": TEXT}
    bad = deque(sorted(file for file, _ in bad_files) if named else ())
    with ExitStack() as opened:
        writers: list[Callable[[Mapping[str, Any]], None]] = []

        def begin(names: Sequence[str]) -> None:
            facts = {"format": FORMAT, "version": VERSION, "class_names": list(names), "checkpoint": checkpoint}
            writers.append(opened.enter_context(rows_writer(path, columns, facts)))

        def with_unreadable(files: Sequence[str], labels: Sequence[str | None], probabilities: Sequence[float]) -> Rows:
            for file, label, probability in zip(files, labels, probabilities, strict=True):
                while bad and bad[0] < file:  # the images keep their own order whatever it is
                    yield bad.popleft(), None, math.nan
                yield file, label, probability

        def write_named(rows: Rows) -> None:
            if some := list(rows):
                files, labels, probabilities = zip(*some, strict=True)
                given = {"File": files, "Predicted_Label": labels, "Probability": np.array(probabilities, float)}
                writers[0](given)

        def write(labels: Labels, files: Sequence[str] | None, probabilities: np.ndarray) -> None:
            if not writers:  # the first labels tell the names of the classes
                begin(labels.names)
            texts = [text or None for text in labels.texts]
            if named:
                write_named(with_unreadable(files or (), texts, probabilities.tolist()))
            else:
                writers[0]({"Predicted_Label": texts})

        yield write
        if not writers:
            begin(())
        write_named((file, None, math.nan) for file in bad)
