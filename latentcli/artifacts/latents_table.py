"""``latents.parquet``: what ``latents.npz`` holds, as a table that other programs read, a row an image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.labels import UNLABELLED, Labels
from latentcli.formats import parquet_table
from latentcli.formats.parquet_table import SUFFIX, TEXT, Column, is_parquet

__all__ = ["SUFFIX", "holds", "is_parquet", "read", "writer"]

FORMAT, VERSION = "latentcli-latents", 1


@contextmanager
def writer(
    path: Path, checkpoint: str, labels: Labels, files: Sequence[str] | None = None
) -> Iterator[Callable[[Mapping[str, np.ndarray]], None]]:
    """A function that takes the next rows of each array of the latents; the file is whole or not there.

    Columns are ``file`` and ``label`` where these are known, and the arrays, each row of one flat; the facts have the
    ``checkpoint``, ``class_names`` in their order, and the shapes of the arrays' rows.

    Args:
        path: of the file.
        checkpoint, labels, files: as of ``Latents``; of all images.

    Raises:
        OutputError: the file cannot be written.
        UsageError: pyarrow is not installed.
        ValueError: there are more or fewer rows than labels, or none.
    """
    facts = {"format": FORMAT, "version": VERSION, "checkpoint": checkpoint, "class_names": list(labels.names)}
    done = 0
    with ExitStack() as opened:
        writers: list[Callable[..., None]] = []

        def write(arrays: Mapping[str, np.ndarray]) -> None:
            nonlocal done
            rows = slice(done, done + len(next(iter(arrays.values()))))
            texts: dict[str, Any] = {} if files is None else {"file": files[rows]}
            if labels.names:
                texts["label"] = [text or None for text in labels.take(np.arange(len(labels))[rows]).texts]
            if not writers:  # the first rows tell how long the arrays are
                columns = dict.fromkeys(texts, TEXT)
                columns |= {name: Column(array.dtype.name, array.shape[1:]) for name, array in arrays.items()}
                writers.append(opened.enter_context(parquet_table.rows_writer(path, columns, facts)))
            done = rows.stop
            writers[0]({**texts, **arrays})

        yield write
        if done != len(labels) or not done:
            raise ValueError(f"expected {len(labels)} rows of latents, one or more; found {done}")


def holds(path: Path) -> bool:
    """Whether this is such a file, by what it says of itself."""
    return is_parquet(path) and parquet_table.facts_of(path).get("format") == FORMAT


def read(path: Path) -> dict[str, Any]:
    """The entries that ``latents.npz`` would have, by their names; whether they fit each other is not checked.

    But ``files`` is a list: an array would give each name the room of the longest.

    Raises:
        DataError: the file is missing, damaged, changed, or of another kind.
        UsageError: pyarrow is not installed.
    """
    table = parquet_table.read(path)
    facts, columns = table.facts, table.columns
    names = facts.get("class_names")
    again = "encode again: latentcli encode DATA MODEL.pth -o FILE.parquet"
    if facts.get("format") != FORMAT or type(names) is not list or not all(type(name) is str for name in names):
        raise DataError(f"{path} holds no latents", f"expected the format {FORMAT!r}", again)
    if facts.get("version") != VERSION:
        raise DataError(f"{path} was written by another version of latentcli", None, again)
    entries: dict[str, Any] = {"checkpoint": np.asarray(str(facts.get("checkpoint", "")))}
    if (files := columns.pop("file", None)) is not None:
        entries["files"] = [text or "" for text in files]
    if (texts := columns.pop("label", None)) is not None:
        codes = {parquet_table.as_text(name): code for code, name in enumerate(names)} | {None: UNLABELLED}
        if unknown := sorted({text for text in texts if text not in codes}):
            raise DataError(f"{path} holds no latents", f"it does not name the class {unknown[0]!r}", again)
        entries |= {"labels": np.array([codes[text] for text in texts]), "class_names": np.array(names, dtype=str)}
    if unread := sorted(name for name, each in columns.items() if not isinstance(each, np.ndarray)):
        raise DataError(f"{path} holds no latents", f"the column {unread[0]} is none of theirs", again)
    return entries | columns
