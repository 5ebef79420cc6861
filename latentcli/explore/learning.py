"""The classifier that follows the labels: fitted again after each, and what it says is to be labelled next."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from latentcli.core.labels import UNLABELLED, composed
from latentcli.explore.board import Board
from latentcli.explore.fitting import Guesses, Reading, changed, wilson
from latentcli.explore.jobs import FITTING, LOOKING, SAVING, Jobs
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import Material

if TYPE_CHECKING:
    from latentcli.inference.suggesting import Suggestions

SUGGESTED = 24


class Learning:
    """What a classifier makes of the images, as labels come.

    Args:
        of: what is explored.
        labelling: of its images.
        board: where messages go.
        jobs: beside which fits are made.
        seed: of all draws.

    Attributes:
        reading: what the classifier makes of all images; None where there is none.
        fitting: of the classifier; None where it is one of pixels.
        guesses: what it had said of images before they were labelled.
        suggestions: (n,) rows of the images whose labels would help most.
    """

    def __init__(self, of: Material, labelling: Labelling, board: Board, jobs: Jobs, seed: int = 0) -> None:
        self.latents, self.fitting, self.reading = of.latents, of.fitting, of.reading
        self.labelling, self.board, self.jobs, self.seed = labelling, board, jobs, seed
        self.guesses, self.suggestions = Guesses(), np.empty(0, np.int64)
        self._fitted_to: np.ndarray | None = None  # the labels of the reading
        if (fitting := of.fitting) is not None:
            jobs.submit("finding neighbours", lambda: fitting.prepare(jobs.progress), lambda _: None, board.refuse)
        self.suggest()
        if self.reading is None and len(labelling.labels.occurring) > 1:
            self.fit()

    @property
    def accuracy(self) -> tuple[int, int, float, float]:
        """Of the latest labels given how many the classifier had said before, how many they are, and the interval."""
        right, count = self.guesses.counts
        return right, count, *wilson(right, count)

    @property
    def whole(self) -> Reading | None:
        """The reading, where it is of all images and of these labels."""
        known = self._fitted_to is self.labelling.codes and self.reading is not None and self.reading.whole
        return self.reading if known else None

    def probabilities(self, row: int) -> list[tuple[str, float]]:
        """Classes of an image and their probabilities, the likeliest first."""
        if self.reading is None:
            return []
        values = self.reading.probabilities[row]
        return [(self.reading.names[code], float(values[code])) for code in np.argsort(-values, kind="stable")]

    def by_uncertainty(self, rows: np.ndarray) -> np.ndarray:
        """(n,) these rows, the images that it is least certain of first."""
        if self.reading is None:
            return rows
        return rows[np.argsort(-self.reading.uncertainty(rows), kind="stable")]

    def note(self, reading: Reading, rows: np.ndarray, before: np.ndarray) -> None:
        """Remember whether a reading had been right about images ``rows`` (n,) that have got their first label.

        Args:
            reading: as it was when they were labelled.
            rows: of the images that a label was given to.
            before: (N,) codes of all images before.
        """
        codes, names = self.labelling.codes, self.labelling.names
        first = rows[(before[rows] == UNLABELLED) & (codes[rows] != UNLABELLED)]
        given = np.array(names)[codes[first]]
        said = np.array([*map(composed, reading.names)])[reading.codes[first]]
        if len(first) and given[0] in reading.names:  # of a class that it does not know yet it could not be right
            self.guesses.note(first, said == given)

    def take(self, reading: Reading, codes: np.ndarray) -> None:
        """From now on this is what the classifier makes of the images; it was fitted to these labels (N,)."""
        self.reading, self._fitted_to = reading, codes

    def fit(self, whole: bool = False) -> None:
        """Fit the classifier again: to the core, or to all images."""
        fitting, labels = self.fitting, self.labelling.labels
        if fitting is None:
            if whole:
                self.board.tell("a classifier of pixels is trained by: latentcli train-cnn DATA --labels labels.csv")
            return
        if len(labels.occurring) < 2:
            if whole:
                self.board.tell("a classifier needs labels of two classes or more", trouble=True)
            return
        began, codes = time.monotonic(), labels.codes

        def fitted() -> Reading:
            return fitting.whole(labels) if whole else fitting.quick(labels)

        def apply(reading: Reading) -> None:
            took = f"in {time.monotonic() - began:.1f} s"
            if whole and codes is not self.labelling.codes:
                self.board.tell(f"fitted to all images {took}, but there are other labels since")
                return
            count = changed(self.reading, reading)
            self.board.tell(f"fitted {'to all images ' * whole}{took}: {count:,} changed class")
            self.take(reading, codes)
            self.suggest()

        name = "fitting to all images" if whole else "fitting"
        self.jobs.submit(name, fitted, apply, self.board.refuse, SAVING if whole else FITTING)

    def suggest(self) -> None:
        """Choose what to label next, as ``latentcli suggest`` lists it; meanwhile what is left of the last choice."""
        from latentcli.inference.suggesting import suggest

        labels = self.labelling.labels
        self.suggestions = self.suggestions[~labels.known[self.suggestions]]
        self.board.version += 1
        latents = replace(self.latents, labels=labels)
        reader = None if self.reading is None else self.reading.classifier
        if labels.known.all():
            return

        def apply(found: "Suggestions") -> None:
            rows = found.rows
            self.suggestions = rows[self.labelling.codes[rows] == UNLABELLED]
            self.board.version += 1

        def chosen() -> "Suggestions":
            return suggest(latents, reader, SUGGESTED, seed=self.seed, progress=self.jobs.progress)

        self.jobs.submit("choosing what to label next", chosen, apply, self.board.refuse, LOOKING)
