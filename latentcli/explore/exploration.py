"""What is explored, and what a person does with it: all that the page shows, without the page."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.core.errors import LatentError, UsageError
from latentcli.core.labels import UNLABELLED
from latentcli.explore import between, colouring, drawing, plane
from latentcli.explore.board import Board
from latentcli.explore.files import HYBRIDS, map_beside
from latentcli.explore.jobs import FITTING, LOOKING, Jobs
from latentcli.explore.labelling import Labelling
from latentcli.explore.learning import Learning
from latentcli.explore.material import Material
from latentcli.explore.saving import Saving

if TYPE_CHECKING:
    from latentcli.inference.checking import Finding, Findings

VIEWS = {
    "selection": "Selected, least certain first", "near": "Nearest to this image", "between": "Between two images",
    "trouble": "Trouble",
}  # fmt: skip

NEAREST, NAMED = 36, 10
"""Images in the view of neighbours, and unreadable files whose names are told."""


@dataclass
class Between:
    """A path from one image to another, or a point of the plane: what is decoded now.

    Attributes:
        points: (n, D) latents.
        images: (n, C, H, W) uint8 of them.
        soft: (n, K) soft labels; None without a classifier.
        ends: rows of the images at both ends, of a path.
    """

    points: np.ndarray
    images: np.ndarray
    soft: np.ndarray | None
    ends: tuple[int, int] | None = None


class Exploration:
    """A person at work on the latent space of images: what is selected, labelled, fitted and shown.

    All methods are called on one thread; work that takes longer goes on beside it, and ``poll`` takes what it found.

    Args:
        of: what is explored.
        labelling: of its images.
        output: the classifier's file.
        seed: of all draws.

    Attributes:
        board: what the person is told.
        learning, saving: of the classifier.
        current: row of the image that is looked at; ``near_to`` of that whose neighbours one of the views shows.
        selected: (N,) bool; ``excluded``: those of them that were taken out again, one by one.
        colouring, view, plane_kind: names of what is shown; ``wanted_plane`` of a plane that is laid out now.
    """

    def __init__(self, of: Material, labelling: Labelling, output: Path, seed: int = 0) -> None:
        self.images, self.model, self.latents, self.points = of.images, of.model, of.latents, of.latents.points
        self.labelling, self.output, self.seed = labelling, output, seed
        self.board, self.jobs = Board(), Jobs()
        for note in of.images.notes:
            self.board.tell(note)
        self._tell_notes(trouble=False)
        self.learning = Learning(of, labelling, self.board, self.jobs, seed)
        self.saving = Saving(self.learning, output)
        self.current, self.near_to, self.view, self.colouring = 0, 0, "selection", "class"
        self.selected, self.excluded = np.zeros(len(of.images), bool), np.zeros(len(of.images), bool)
        self.between: Between | None = None
        self.ends: list[int] = []
        self.findings: list[Finding] = []
        self.following = False
        self.planes = plane.kinds_for(of.latents.flat.shape[1])
        self.plane_kind = self.wanted_plane = next(iter(self.planes))
        self.plane = plane.make(self.plane_kind, of.latents.flat)
        self.painter = drawing.Painter(self.plane.points)
        self._gallery: tuple[Any, np.ndarray] = ((), np.empty(0, np.int64))

    # What there is.

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes: those of the labels, in an order that never changes."""
        return self.labelling.names

    @property
    def keys(self) -> dict[str, str]:
        """Which key gives which class: names that are digits their own; others those that are left, 1 first, 0 last."""
        named = {name: name for name in self.names if len(name) == 1 and name in "0123456789"}
        left = [key for key in "1234567890" if key not in named]
        return named | dict(zip(left, [name for name in self.names if name not in named], strict=False))

    def file(self, row: int) -> str:
        """What an image is called: its file, or its number."""
        return f"image {row}" if self.images.files is None else self.images.files[row]

    def label(self, row: int) -> str:
        """The label of an image; "" for none."""
        code = int(self.labelling.codes[row])
        return "" if code == UNLABELLED else self.names[code]

    def reconstruction(self, row: int) -> np.ndarray:
        """(C, H, W) uint8: what the model makes of an image."""
        found = self.model.reconstruct(self.images.images[row : row + 1])
        return np.asarray(np.round(found[0] * 255), np.uint8)

    @property
    def targets(self) -> np.ndarray:
        """(n,) rows of the images that a label is given to: the selected ones, or else the one looked at."""
        rows = np.flatnonzero(self.selected & ~self.excluded)
        return rows if self.selected.any() else np.array([self.current])

    # Looking and choosing.

    def look_at(self, row: int, within: bool = False) -> None:
        """Look at an image; ``within`` the gallery, which then shows what it shows."""
        near_to = self.near_to if within else row
        if (row, near_to) != (self.current, self.near_to):
            self.current, self.near_to = row, near_to
            self.board.version += 1

    def select(self, rows: np.ndarray, more: bool = False) -> None:
        """Select these images, and no others, or ``more``; the view shows them, least certain first."""
        if not more:
            self.selected = np.zeros(len(self), bool)
            self.excluded = np.zeros(len(self), bool)
        else:
            self.selected = self.selected.copy()
        self.selected[rows] = True
        self.view, self.following = "selection", False
        if len(rows):
            self.current = int(self.learning.by_uncertainty(np.asarray(rows))[0])
        self.board.version += 1

    def toggle(self, row: int) -> None:
        """Take a selected image out, or in again; select one that is not."""
        self.selected = self.selected.copy()
        self.excluded = self.excluded.copy()
        if not self.selected[row]:
            self.selected[row] = True
        else:
            self.excluded[row] = not self.excluded[row]
        self.current = row
        self.board.version += 1

    def gallery(self) -> np.ndarray:
        """(n,) rows of the images that the view shows, in its order."""
        near_to = self.near_to if self.view == "near" else None
        of = (self.view, self.selected, self.learning.reading, self.findings, near_to)
        seen = self._gallery[0]
        if len(seen) != len(of) or any(one is not other for one, other in zip(seen, of, strict=True)):
            self._gallery = of, self._shown()
        return self._gallery[1]

    def _shown(self) -> np.ndarray:
        match self.view:
            case "near":
                return self.nearest(self.near_to)
            case "trouble":
                return np.array([each.row for each in self.findings], np.int64)
            case "between":
                return np.empty(0, np.int64)
        return self.learning.by_uncertainty(np.flatnonzero(self.selected))

    def look_through(self, view: str) -> None:
        """Show one of ``VIEWS``."""
        self.view, self.near_to = view, self.current
        if view == "trouble":
            self._check()
        self.board.version += 1

    def _check(self) -> None:
        """Look for images that something may be wrong with, as ``latentcli check`` lists them."""
        from latentcli.inference.checking import check

        images, model = replace(self.images, labels=self.labelling.labels), self.model

        def apply(found: "Findings") -> None:
            self.findings = [each for each in found.found if each.row is not None]
            counts = ", ".join(f"{count:,} {kind}" for kind, count in found.counts.items() if count)
            self.board.tell(f"looked for trouble: {counts or 'none'}")
            if bad := [each.file for each in found.of("unreadable")]:
                self.board.tell(f"unreadable: {', '.join(bad[:NAMED])}{', …' * (len(bad) > NAMED)}", trouble=True)

        def looked() -> "Findings":
            return check(images, model, seed=self.seed, progress=self.jobs.progress)

        self.jobs.submit("looking for trouble", looked, apply, self.board.refuse, LOOKING)

    def nearest(self, row: int, count: int = NEAREST) -> np.ndarray:
        """(count,) rows of the images whose latents are nearest to that of an image, itself first."""
        points = self.latents.flat
        squares = np.empty(len(points), np.float32)
        for start in range(0, len(points), 65_536):
            apart = points[start : start + 65_536] - points[row]
            squares[start : start + 65_536] = np.einsum("nd,nd->n", apart, apart)
        squares[row] = -1
        rows = np.argpartition(squares, min(count, len(points)) - 1)[:count]
        return rows[np.argsort(squares[rows], kind="stable")]

    def next_suggestion(self) -> None:
        """Select the image whose label would help most, and go on with the next one after its label."""
        found = self.learning.suggestions
        left = found[found != self.current] if len(found) > 1 else found
        if not len(left):
            done = bool(self.labelling.labels.known.all())
            self.board.tell("every image has a label" if done else "what to label next is being chosen")
            return
        self.select(left[:1])
        self.following = True

    # Labels, and the classifier of them.

    def give(self, name: str | None) -> None:
        """Label what is selected; None takes the labels away."""
        self._label(lambda: self.labelling.give(self.targets, name), note=name is not None)
        if self.following:
            self.next_suggestion()

    def add_class(self, name: str) -> None:
        """A new class."""
        try:
            self.labelling.add_class(name)
        except LatentError as error:
            self.board.refuse(error)
        self.board.version += 1

    def undo(self) -> None:
        self._label(self.labelling.undo, look=True)

    def redo(self) -> None:
        self._label(self.labelling.redo, look=True)

    def _label(self, do: Callable[[], Any], note: bool = False, look: bool = False) -> None:
        reading, rows, before = self.learning.reading, self.targets, self.labelling.codes
        try:
            change = do()
        except LatentError as error:
            self.board.refuse(error)
            return
        self._tell_notes()
        if change is None:
            self.board.version += 1
            return
        if look:  # what is typed next is meant for these
            self.select(change.rows)
        if note and reading is not None:
            self.learning.note(reading, rows, before)
        self.learning.guesses.forget(change.rows[change.after == UNLABELLED])
        self.board.tell(change.told)
        if self.labelling.unwritten is not None:
            self.board.tell(f"not written: {self.labelling.unwritten}; the next label tries again", trouble=True)
        self.learning.suggest()
        self.learning.fit()

    def _tell_notes(self, trouble: bool = True) -> None:
        """Tell what the labelling has to tell."""
        for note in self.labelling.notes:
            self.board.tell(note, trouble)
        self.labelling.notes.clear()

    # The plane.

    @property
    def marked(self) -> np.ndarray | None:
        """(n,) rows of the images with a label, where these are few among the others."""
        rows = np.flatnonzero(self.labelling.codes != UNLABELLED)
        return rows if len(rows) < min(5_000, len(self) // 2) else None

    def picture(
        self, x: tuple[float, float], y: tuple[float, float], size: tuple[int, int]
    ) -> np.ndarray:  # fmt: skip
        """(height, width) uint32: the plane within these ranges, the lowest row first."""
        index, colours, _ = colouring.coloured(self.colouring, self.labelling.labels, self.learning.reading)
        shown = self.selected & ~self.excluded if self.selected.sum() > 1 else None
        return self.painter.draw(index, colours, x, y, size, shown, self.marked)

    def choose_plane(self, kind: str) -> None:
        """Show another plane."""
        codes, flat = colouring.classes(self.labelling.labels, self.learning.reading), self.latents.flat
        kept = map_beside(self.labelling.path)

        def apply(found: plane.Plane) -> None:
            self.plane, self.plane_kind = found, kind
            self.wanted_plane = kind
            self.painter = drawing.Painter(found.points)
            self.board.version += 1

        def refuse(error: Exception) -> None:
            self.wanted_plane = self.plane_kind
            self.board.refuse(error)

        self.wanted_plane = kind
        if kind == "tsne":
            self.board.tell("t-SNE is computed once, and kept: this may take a minute or two")
        work: Callable[[], plane.Plane] = lambda: plane.make(kind, flat, codes, kept=kept, seed=self.seed)  # noqa: E731
        self.jobs.submit("laying out the plane", work, apply, refuse, LOOKING if kind == "tsne" else FITTING)

    def ellipses(self) -> list[tuple[np.ndarray, int]]:
        """Outlines (64, 2) of a mixture's components on the plane, each with the code of its class in ``names``."""
        from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

        mixture = None if self.learning.reading is None else self.learning.reading.classifier
        if not isinstance(mixture, GaussianMixtureClassifier) or self.plane.linear is None:
            return []
        means, covariances = mixture.means_, mixture.full_covariances()
        if mixture.projection_ is not None:
            directions = mixture.projection_.directions
            means, covariances = mixture.inverse_transform(means), directions.T @ covariances @ directions
        classes = [self.labelling.code(str(name)) for name in mixture.classes_]
        outlines = self.plane.ellipses(means, covariances)
        return [(outline, classes[code]) for outline, code in zip(outlines, mixture.component_labels_, strict=True)]

    # Between the images.

    def decode(self, x: float, y: float) -> None:
        """Decode what lies at a point of the plane."""
        self._show(self.plane.latent_at(x, y, self.points)[None])

    def mark_end(self) -> None:
        """The image looked at is an end of a path; the second one decodes it."""
        self.ends = [*self.ends[-1:], self.current] if self.ends[-1:] != [self.current] else self.ends
        if len(self.ends) == 2:
            first, last = self.ends
            self._show(between.path(self.points[first], self.points[last]), (first, last))
        else:
            self.board.tell(f"a path begins at {self.file(self.current)}: choose its other end")
        self.board.version += 1

    def _show(self, points: np.ndarray, ends: tuple[int, int] | None = None) -> None:
        valid, images = between.decoded(self.model, points)
        reader = None if self.learning.reading is None else self.learning.reading.classifier
        self.between = Between(valid, images, between.soft_labels(self.model, reader, valid), ends)
        self.view = "between"
        self.board.version += 1

    def keep(self, which: np.ndarray | None = None) -> None:
        """Add what is decoded now, or ``which`` of its images, to ``hybrids.npz``."""
        shown, path = self.between, self.output.with_name(HYBRIDS)
        try:
            if shown is None or shown.soft is None or self.learning.reading is None:
                raise UsageError("there is no hybrid to keep", "decode one, and label images of two classes first")
            rows = np.arange(len(shown.images)) if which is None else which
            if which is None and shown.ends is not None:
                rows = rows[1:-1]  # the ends are images
            count = between.keep(
                path, shown.images[rows], shown.soft[rows], self.learning.reading.names, shown.points[rows]
            )  # fmt: skip
        except LatentError as error:
            self.board.refuse(error)
            return
        self.board.tell(f"{path} holds {count:,} hybrids")

    # Time, and the end.

    def poll(self) -> None:
        """Take what other programs and finished work have changed."""
        self.jobs.poll()
        told = self.labelling.synchronise()
        if told is not None:
            self.board.tell(told, trouble=True)
            self.learning.suggest()
            self.learning.fit()

    def save(self) -> None:
        """Write the classifier, fitted to all images, the plane as a picture, and the selection as a list of files."""
        selected = [self.labelling.files[row] for row in self.targets] if self.selected.any() else []
        self.saving.save(self.picture(*drawing.limits(self.plane.points), (1200, 1000)), selected)
        self._tell_notes()
