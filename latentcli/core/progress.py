"""How long work reports that it advances, without knowing who listens."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from latentcli.core.errors import OutputError

Advance = Callable[[int], None]
"""Called with the number of items done since the last call."""

OnEpoch = Callable[[Mapping[str, float]], None]
"""Called after each epoch with its metrics by name."""


class Progress(Protocol):
    """Announces a piece of work: what is being done (a present participle), and how many items it has."""

    def __call__(self, doing: str, total: int) -> AbstractContextManager[Advance]: ...


@contextmanager
def silent(doing: str, total: int) -> Iterator[Advance]:
    """Progress that nobody watches."""
    yield lambda count: None


def unwatched(row: Mapping[str, float]) -> None:
    """Metrics of epochs that nobody watches."""


class Listener:
    """Is told how a training goes; each method may be overridden, and does nothing here.

    Example:
        >>> import latentcli as lc
        >>> class Losses(lc.Listener):
        ...     def epoch_ended(self, row):
        ...         print(sorted(row)[:2])
        >>> vae = lc.train(lc.load("digits"), backbone="mlp", width=32, latent_dim=4, epochs=1, listener=Losses())
        ['epoch', 'information']
    """

    def configured(self, model: object, training: object, device: str) -> None:
        """The configurations of the model and of its training are settled, and where it runs."""

    def nothing_to_resume(self, state: Path) -> None:
        """The file to resume from does not exist: training starts at the beginning."""

    def starting_over(self, state: Path) -> None:
        """The file is the state of a run that has not ended, and this new run will replace it."""

    def preparing(self, doing: str, total: int) -> AbstractContextManager[Advance]:
        """The model prepares itself before training starts: a ``Progress``."""
        return silent(doing, total)

    def started(self, epochs: int, images: int, done: int) -> None:
        """Training starts: its epochs, the images in each, and the images trained on before it was resumed."""

    def stepped(self, images: int, loss: float) -> None:
        """A step was taken, on this many images."""

    def epoch_ended(self, row: Mapping[str, float]) -> None:
        """An epoch ended, with this row of the history."""

    def unwritten(self, problem: OutputError) -> None:
        """The log or the state of the run cannot be written now, as on a full disk; training goes on."""
