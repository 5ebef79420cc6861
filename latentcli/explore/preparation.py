"""What is done before there is something to explore, for the windows that wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentcli.core.progress import Advance, Progress

if TYPE_CHECKING:
    from latentcli.explore.exploration import Exploration


@dataclass
class Preparation:
    """What is done before there is something to explore; the page shows it.

    Attributes:
        doing: a present participle; ``done`` of ``total`` items, 0 where these are not counted.
        exploration: what came of it.
        error: what it failed with.
    """

    doing: str = "starting"
    done: int = 0
    total: int = 0
    exploration: "Exploration | None" = None
    error: BaseException | None = None

    def progress(self, also: Progress) -> Progress:
        """A ``Progress`` that this one shows, and that another one is told, too."""

        @contextmanager
        def shown(doing: str, total: int) -> Iterator[Advance]:
            self.doing, self.done, self.total = doing, 0, total
            with also(doing, total) as advance:

                def both(count: int) -> None:
                    self.done += count
                    advance(count)

                yield both

        return shown
