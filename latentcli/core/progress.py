"""How long work reports that it advances, without knowing who listens."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from latentcli.core.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

    from latentcli.core.image_set import ImageSet, Shape
    from latentcli.core.latents import Latents

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


class InTraining(Protocol):
    """A model in training, to be looked at: all that it shows is of the weights of that moment, and changes nothing."""

    @property
    def image_shape(self) -> "Shape":
        """Channels, height and width of its images."""

    def pictures(self, most: int) -> "Mapping[str, np.ndarray]":
        """Images (n, C, H, W) uint8 with n ≤ ``most``, by what they are; nothing where the model makes no images.

        Those called "image" are the same each time, and of them are the "reconstruction"s: images that are not learned
        from, or, where none are held out, some that are. Each "sample" is drawn with the same noise each time.
        """

    def latents(self, most: int) -> "tuple[ImageSet, Latents] | None":
        """At most so many of these images, and their latents; None where the model has none."""


class Listener:
    """Is told how a training goes; each method may be overridden, and does nothing here.

    An ``OutputError`` that one of them raises does not end the training: ``unwritten`` is told of it.

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

    def observing(self, model: InTraining, history: Sequence[Mapping[str, float]]) -> None:
        """Before the first step: what the model may be looked at with, from now on and after any epoch, and the rows of
        the epochs that it was trained before it was resumed."""

    def started(self, epochs: int, images: int, done: int) -> None:
        """Training starts: its epochs, the images in each, and the images trained on before it was resumed."""

    def stepped(self, images: int, loss: float) -> None:
        """A step was taken, on this many images."""

    def epoch_ended(self, row: Mapping[str, float]) -> None:
        """An epoch ended, with this row of the history."""

    def ended(self) -> None:
        """Training has ended, and the model has the weights that it keeps."""

    def unwritten(self, problem: OutputError) -> None:
        """The log or the state of the run, or what a listener makes of it, cannot be written now, as on a full disk;
        training goes on."""


class Listeners(Listener):
    """Several listeners as one; each is told in this order.

    Example:
        >>> import latentcli as lc
        >>> both = lc.Listeners(lc.Listener(), lc.Snapshots("snapshots"))
        >>> vae = lc.train(lc.load("digits"), backbone="mlp", width=32, latent_dim=4, epochs=1, listener=both)
    """

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def _tell(self, name: str, *told: Any) -> None:
        for listener in self.listeners:
            try:
                getattr(listener, name)(*told)
            except OutputError as problem:
                self.unwritten(problem)

    def configured(self, model: object, training: object, device: str) -> None:
        self._tell("configured", model, training, device)

    def nothing_to_resume(self, state: Path) -> None:
        self._tell("nothing_to_resume", state)

    def starting_over(self, state: Path) -> None:
        self._tell("starting_over", state)

    @contextmanager
    def preparing(self, doing: str, total: int) -> Iterator[Advance]:
        with ExitStack() as stack:
            advances = [stack.enter_context(listener.preparing(doing, total)) for listener in self.listeners]

            def advance_all(count: int) -> None:
                for advance in advances:
                    advance(count)

            yield advance_all

    def observing(self, model: InTraining, history: Sequence[Mapping[str, float]]) -> None:
        self._tell("observing", model, history)

    def started(self, epochs: int, images: int, done: int) -> None:
        self._tell("started", epochs, images, done)

    def stepped(self, images: int, loss: float) -> None:
        self._tell("stepped", images, loss)

    def epoch_ended(self, row: Mapping[str, float]) -> None:
        self._tell("epoch_ended", row)

    def ended(self) -> None:
        self._tell("ended")

    def unwritten(self, problem: OutputError) -> None:
        for listener in self.listeners:
            listener.unwritten(problem)
