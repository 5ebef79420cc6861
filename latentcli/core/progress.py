"""How the core reports that long work advances, without knowing who listens."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of items done since the last call."""

OnEpoch = Callable[[Mapping[str, float]], None]
"""Called after each epoch with its metrics by name."""


class Progress(Protocol):
    """Opens one piece of work: what is being done (a present participle), and how many items it has."""

    def __call__(self, doing: str, total: int) -> AbstractContextManager[Advance]: ...


@contextmanager
def silent(doing: str, total: int) -> Iterator[Advance]:
    """Progress that nobody watches."""
    yield lambda count: None


def unwatched(row: Mapping[str, float]) -> None:
    """Metrics of epochs that nobody watches."""


class Listener:
    """Who watches a training; each method may be overridden, and does nothing here.

    Example:
        >>> import latentcli as lc
        >>> class Losses(lc.Listener):
        ...     def epoch_ended(self, row):
        ...         print(sorted(row)[:2])
        >>> vae = lc.train(lc.load("digits"), backbone="mlp", width=32, latent_dim=4, epochs=1, listener=Losses())
        ['epoch', 'information']
    """

    def nothing_to_resume(self, state: Path) -> None:
        """There is no such file to go on from: training starts at the beginning."""

    def started(self, epochs: int, images: int, done: int) -> None:
        """The run's size: epochs, images in each, and images that were seen before it was resumed."""

    def stepped(self, images: int, loss: float) -> None:
        """One step was taken, of so many images."""

    def epoch_ended(self, row: Mapping[str, float]) -> None:
        """One epoch ended: its row of the history."""
