"""What every row of the table has in common: how much it may try, what it has tried, and what has failed."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

Case = TypeVar("Case")


@dataclass
class Trial:
    """One run of a row.

    Attributes:
        folder: empty, for whatever it writes.
        seed: of all that is drawn.
        seconds: after which it begins no further case; None: when all are done.
        most: cases; None: all there are.
        tried: how many of each kind.
        failed: what went wrong, a line each.
    """

    folder: Path
    seed: int = 0
    seconds: float | None = None
    most: int | None = None
    tried: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def cases(self, given: Iterable[Case], shuffled: bool = True) -> Iterator[Case]:
        """Those that there is time for, in an order that the seed draws: whoever stops early has tried some of all."""
        if shuffled:
            listed = list(given)
            self.began = time.monotonic()  # what went before has only counted what there is to try
            given = (listed[row] for row in self.random.permutation(len(listed)))
        for count, case in enumerate(given):
            if count == self.most or self.is_over:
                return
            yield case

    @property
    def is_over(self) -> bool:
        return self.seconds is not None and self.spent > self.seconds

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def count(self, kind: str, times: int = 1) -> None:
        self.tried[kind] += times

    def fail(self, what: str) -> None:
        """Keep, and show at once, what went wrong."""
        self.failed.append(what)
        print(f"FAILED {what}", file=sys.stderr, flush=True)

    @property
    def told(self) -> str:
        """What was tried, as the table has it."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.tried.items())
