"""Rows that come in blocks: gathered to blocks of one size, and some of them kept."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

Block = Mapping[str, np.ndarray]
"""The next rows of some arrays, by the arrays' names: equally many of each."""


def length(block: Block) -> int:
    """How many rows a block has."""
    return len(next(iter(block.values())))


def slices(count: int, size: int) -> Iterator[slice]:
    """Rows 0 … count − 1 in order, ``size`` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def evenly(count: int, most: int) -> np.ndarray:
    """At most ``most`` of ``count`` row numbers, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def gathered(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The same rows in blocks of ``size``, of which the last may have fewer.

    What is computed from a block then does not depend on how many rows a network took at once.
    """
    waiting: list[Block] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += length(block)
        while count >= size:
            whole = _joined(waiting)
            yield {name: array[:size] for name, array in whole.items()}
            count -= size
            waiting = [{name: array[size:] for name, array in whole.items()}] if count else []
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


class Kept:
    """Some rows of all that go by, such as those that a picture shows.

    Args:
        rows: their numbers, ascending.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self._seen = 0
        self._parts: list[Block] = []

    def add(self, block: Block) -> None:
        """Take in the next rows, of which copies are kept."""
        first, self._seen = self._seen, self._seen + length(block)
        here = self.rows[slice(*np.searchsorted(self.rows, (first, self._seen)))] - first
        if len(here):
            self._parts.append({name: array[here] for name, array in block.items()})

    @property
    def arrays(self) -> Block:
        """The rows that were kept, in their order; one or more must have been."""
        return _joined(self._parts)
