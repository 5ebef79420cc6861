"""What is explored, and what a person does with it: all that the page shows, without the page."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.core.errors import LatentError, OutputError, UsageError
from latentcli.core.labels import UNLABELLED, Labels, composed
from latentcli.core.terminating import interruptible_once
from latentcli.explore import between, drawing, plane
from latentcli.explore.files import HYBRIDS, PICTURE, SELECTION, map_beside
from latentcli.explore.fitting import Guesses, Reading, changed, wilson
from latentcli.explore.jobs import FITTING, LOOKING, SAVING, Jobs
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import Material
from latentcli.formats.atomic import atomic_write
from latentcli.formats.csv_text import as_csv

if TYPE_CHECKING:
    from latentcli.inference.checking import Finding, Findings
    from latentcli.inference.suggesting import Suggestions

COLOURINGS = {
    "class": "class: the label, or else the prediction",
    "label": "label: grey where there is none",
    "probability": "probability of the likeliest class",
    "error": "error: where prediction and label differ",
    "typicality": "typicality: how like the others",
}
VIEWS = {
    "selection": "Selected, least certain first", "near": "Nearest to this image", "between": "Between two images",
    "trouble": "Trouble",
}  # fmt: skip

SUGGESTED, NEAREST = 24, 36
NAMED = 10
"""Unreadable files whose names are told."""


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
        version: a number that is larger after each change of anything that is shown.
        told: messages for the person, the latest last: each whether it is of trouble, and its text.
        current: row of the image that is looked at; ``near_to`` of that whose neighbours one of the views shows.
        selected: (N,) bool; ``excluded``: those of them that were taken out again, one by one.
        colouring, view, plane_kind: names of what is shown; ``wanted_plane`` of a plane that is laid out now.
    """

    def __init__(self, of: Material, labelling: Labelling, output: Path, seed: int = 0) -> None:
        self.images, self.model, self.latents, self.fitting = of.images, of.model, of.latents, of.fitting
        self.points = of.latents.points
        self.labelling, self.output, self.seed = labelling, output, seed
        self.reading, self.guesses, self.jobs = of.reading, Guesses(), Jobs()
        self.version, self.current, self.near_to, self.view = 0, 0, 0, "selection"
        self.told: list[tuple[bool, str]] = []
        self.selected, self.excluded = np.zeros(len(of.images), bool), np.zeros(len(of.images), bool)
        self.colouring = "class"
        self.between: Between | None = None
        self.ends: list[int] = []
        self.suggestions = np.empty(0, np.int64)
        self.findings: list[Finding] = []
        self.following = False
        self._fitted_to: np.ndarray | None = None  # the labels of the reading
        is_to_know = of.fitting is not None and labelling.path.exists()
        older = is_to_know and (not output.exists() or _written(output) < _written(labelling.path))
        unsaved = older and (of.reading is None or not output.exists())
        self._saved_with = np.full_like(labelling.codes, UNLABELLED) if unsaved else labelling.codes
        """The labels that the classifier's file knows, where there are any that it is to know."""
        self.planes = plane.kinds_for(of.latents.flat.shape[1])
        self.plane_kind = self.wanted_plane = next(iter(self.planes))
        self.plane = plane.make(self.plane_kind, of.latents.flat)
        self.painter = drawing.Painter(self.plane.points)
        for note in (*of.images.notes, *labelling.notes):
            self.tell(note)
        labelling.notes.clear()
        if older and not unsaved:
            self.tell(f"{output} is older than {labelling.path}: “save” fits it to these labels")
        self._gallery: tuple[Any, np.ndarray] = ((), np.empty(0, np.int64))
        if (fitting := of.fitting) is not None:
            self.jobs.submit(
                "finding neighbours", lambda: fitting.prepare(self.jobs.progress), lambda _: None, self.refuse
            )
        self._suggest()
        if self._can_fit and self.reading is None:
            self.fit()

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

    def probabilities(self, row: int) -> list[tuple[str, float]]:
        """Classes of an image and their probabilities, the likeliest first."""
        if self.reading is None:
            return []
        values = self.reading.probabilities[row]
        return [(self.reading.names[code], float(values[code])) for code in np.argsort(-values, kind="stable")]

    def reconstruction(self, row: int) -> np.ndarray:
        """(C, H, W) uint8: what the model makes of an image."""
        found = self.model.reconstruct(self.images.images[row : row + 1])
        return np.asarray(np.round(found[0] * 255), np.uint8)

    def code(self, name: str) -> int:
        """Of a class of the classifier among ``names``; ``UNLABELLED`` where that is none of them."""
        name = composed(name)
        return self.names.index(name) if name in self.names else UNLABELLED

    def colour(self, code: int) -> drawing.Colour:
        """Of a class."""
        return _palette(code + 1)[code]

    @property
    def targets(self) -> np.ndarray:
        """(n,) rows of the images that a label is given to: the selected ones, or else the one looked at."""
        rows = np.flatnonzero(self.selected & ~self.excluded)
        return rows if self.selected.any() else np.array([self.current])

    @property
    def accuracy(self) -> tuple[int, int, float, float]:
        """Of the latest labels given how many the classifier had said before, how many they are, and the interval."""
        right, count = self.guesses.counts
        return right, count, *wilson(right, count)

    @property
    def _can_fit(self) -> bool:
        return self.fitting is not None and len(self.labelling.labels.occurring) > 1

    def tell(self, text: str, trouble: bool = False) -> None:
        """A message for the person."""
        self.told = [*self.told[-19:], (trouble, text)]
        self.version += 1

    def refuse(self, error: Exception) -> None:
        """The message of an error, which is raised where it is none that a person can do something about."""
        if not isinstance(error, LatentError):
            self.tell(f"{type(error).__name__}: {error}; the terminal has more of it", trouble=True)
            raise error
        self.tell(" · ".join(part for part in (error.problem, error.found, error.remedy) if part), trouble=True)

    # Looking and choosing.

    def look_at(self, row: int, within: bool = False) -> None:
        """Look at an image; ``within`` the gallery, which then shows what it shows."""
        near_to = self.near_to if within else row
        if (row, near_to) != (self.current, self.near_to):
            self.current, self.near_to = row, near_to
            self.version += 1

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
            self.current = int(self._by_uncertainty(np.asarray(rows))[0])
        self.version += 1

    def toggle(self, row: int) -> None:
        """Take a selected image out, or in again; select one that is not."""
        self.selected = self.selected.copy()
        self.excluded = self.excluded.copy()
        if not self.selected[row]:
            self.selected[row] = True
        else:
            self.excluded[row] = not self.excluded[row]
        self.current = row
        self.version += 1

    def gallery(self) -> np.ndarray:
        """(n,) rows of the images that the view shows, in its order."""
        of = (self.view, self.selected, self.reading, self.findings, self.near_to if self.view == "near" else None)
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
        return self._by_uncertainty(np.flatnonzero(self.selected))

    def look_through(self, view: str) -> None:
        """Show one of ``VIEWS``."""
        self.view, self.near_to = view, self.current
        if view == "trouble":
            self._check()
        self.version += 1

    def _check(self) -> None:
        """Look for images that something may be wrong with, as ``latentcli check`` lists them."""
        from latentcli.inference.checking import check

        images, model = replace(self.images, labels=self.labelling.labels), self.model

        def apply(found: "Findings") -> None:
            self.findings = [each for each in found.found if each.row is not None]
            counts = ", ".join(f"{count:,} {kind}" for kind, count in found.counts.items() if count)
            self.tell(f"looked for trouble: {counts or 'none'}")
            if bad := [each.file for each in found.of("unreadable")]:
                self.tell(f"unreadable: {', '.join(bad[:NAMED])}{', …' * (len(bad) > NAMED)}", trouble=True)

        def looked() -> "Findings":
            return check(images, model, seed=self.seed, progress=self.jobs.progress)

        self.jobs.submit("looking for trouble", looked, apply, self.refuse, LOOKING)

    def _by_uncertainty(self, rows: np.ndarray) -> np.ndarray:
        if self.reading is None:
            return rows
        return rows[np.argsort(-self.reading.uncertainty(rows), kind="stable")]

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
        left = self.suggestions[self.suggestions != self.current] if len(self.suggestions) > 1 else self.suggestions
        if not len(left):
            done = bool(self.labelling.labels.known.all())
            self.tell("every image has a label" if done else "what to label next is being chosen")
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
            self.refuse(error)
        self.version += 1

    def undo(self) -> None:
        self._label(self.labelling.undo, look=True)

    def redo(self) -> None:
        self._label(self.labelling.redo, look=True)

    def _label(self, do: Callable[[], Any], note: bool = False, look: bool = False) -> None:
        reading, rows, before = self.reading, self.targets, self.labelling.codes
        try:
            change = do()
        except LatentError as error:
            self.refuse(error)
            return
        for told in self.labelling.notes:
            self.tell(told, trouble=True)
        self.labelling.notes.clear()
        if change is None:
            self.version += 1
            return
        if look:  # what is typed next is meant for these
            self.select(change.rows)
        if note and reading is not None:
            first = rows[(before[rows] == UNLABELLED) & (self.labelling.codes[rows] != UNLABELLED)]
            given = np.array(self.names)[self.labelling.codes[first]]
            said = np.array([*map(composed, reading.names)])[reading.codes[first]]
            if len(first) and given[0] in reading.names:  # of a class that it does not know yet it could not be right
                self.guesses.note(first, said == given)
        self.guesses.forget(change.rows[change.after == UNLABELLED])
        self.tell(change.told)
        if self.labelling.unwritten is not None:
            self.tell(f"not written: {self.labelling.unwritten}; the next label tries again", trouble=True)
        self._suggest()
        self.fit()

    def fit(self, whole: bool = False) -> None:
        """Fit the classifier again: to the core, or to all images."""
        fitting, labels = self.fitting, self.labelling.labels
        if fitting is None:
            if whole:
                self.tell("a classifier of pixels is trained by: latentcli train-cnn DATA --labels labels.csv")
            return
        if len(labels.occurring) < 2:
            if whole:
                self.tell("a classifier needs labels of two classes or more", trouble=True)
            return
        began, codes = time.monotonic(), labels.codes

        def fitted() -> Reading:
            return fitting.whole(labels) if whole else fitting.quick(labels)

        def apply(reading: Reading) -> None:
            took = f"in {time.monotonic() - began:.1f} s"
            if whole and codes is not self.labelling.codes:
                self.tell(f"fitted to all images {took}, but there are other labels since")
                return
            self.tell(f"fitted {'to all images ' * whole}{took}: {changed(self.reading, reading):,} changed class")
            self.reading, self._fitted_to = reading, codes
            self._suggest()

        name = "fitting to all images" if whole else "fitting"
        self.jobs.submit(name, fitted, apply, self.refuse, SAVING if whole else FITTING)

    def _suggest(self) -> None:
        """Choose what to label next, as ``latentcli suggest`` lists it; meanwhile what is left of the last choice."""
        from latentcli.inference.suggesting import suggest

        labels = self.labelling.labels
        self.suggestions = self.suggestions[~labels.known[self.suggestions]]
        self.version += 1
        latents, reader = (
            replace(self.latents, labels=labels),
            None if self.reading is None else self.reading.classifier,
        )
        if labels.known.all():
            return

        def apply(found: "Suggestions") -> None:
            rows = found.rows
            self.suggestions = rows[self.labelling.codes[rows] == UNLABELLED]
            self.version += 1

        def chosen() -> "Suggestions":
            return suggest(latents, reader, SUGGESTED, seed=self.seed, progress=self.jobs.progress)

        self.jobs.submit("choosing what to label next", chosen, apply, self.refuse, LOOKING)

    # The plane.

    def colours(self) -> tuple[np.ndarray, np.ndarray, list[tuple[str, int]]]:
        """Of each image (N,) which colour it has, the colours (K,) packed, and what they mean, for a legend."""
        codes, count = self.labelling.codes, len(self.names)
        palette = [*_palette(count), drawing.NONE]
        named = [(name, code) for code, name in enumerate(self.names)]
        match self.colouring:
            case "probability" | "typicality":
                values = None if self.reading is None else self.reading.typicality
                if self.colouring == "probability" and self.reading is not None:
                    values = self.reading.probabilities.max(axis=1)
                if values is None:
                    return np.zeros(len(self), np.int16), drawing.packed([drawing.NONE]), [("not known", 0)]
                index = (np.clip(values, 0, 1) * (drawing.STEPS - 1)).astype(np.int16)
                return index, drawing.SCALE, [("0", 0), ("½", drawing.STEPS // 2), ("1", drawing.STEPS - 1)]
            case "error":
                index = np.full(len(self), 2, np.int16)
                if self.reading is not None:
                    known = codes != UNLABELLED
                    index[known] = self._predicted()[known] != codes[known]
                colours = drawing.packed([drawing.RIGHT, drawing.WRONG, drawing.NONE])
                return index, colours, [("right", 0), ("wrong", 1), ("no label", 2)]
            case "label":
                return codes % (count + 1), drawing.packed(palette), [*named, ("no label", count)]
        shown = np.where(codes == UNLABELLED, self._predicted(), codes)
        return shown % (count + 1), drawing.packed(palette), [*named, ("no class", count)]

    def _predicted(self) -> np.ndarray:
        """(N,) codes, in ``names``, of the likeliest classes; ``UNLABELLED`` without a classifier."""
        if self.reading is None:
            return np.full(len(self), UNLABELLED)
        return np.array([self.code(name) for name in self.reading.names])[self.reading.codes]

    @property
    def marked(self) -> np.ndarray | None:
        """(n,) rows of the images with a label, where these are few among the others."""
        rows = np.flatnonzero(self.labelling.codes != UNLABELLED)
        return rows if len(rows) < min(5_000, len(self) // 2) else None

    def picture(
        self, x: tuple[float, float], y: tuple[float, float], size: tuple[int, int]
    ) -> np.ndarray:  # fmt: skip
        """(height, width) uint32: the plane within these ranges, the lowest row first."""
        index, colours, _ = self.colours()
        shown = self.selected & ~self.excluded if self.selected.sum() > 1 else None
        return self.painter.draw(index, colours, x, y, size, shown, self.marked)

    def choose_plane(self, kind: str) -> None:
        """Show another plane."""
        labels, flat = self._predicted(), self.latents.flat
        codes = np.where(self.labelling.codes == UNLABELLED, labels, self.labelling.codes)
        kept = map_beside(self.labelling.path)

        def apply(found: plane.Plane) -> None:
            self.plane, self.plane_kind = found, kind
            self.wanted_plane = kind
            self.painter = drawing.Painter(found.points)
            self.version += 1

        def refuse(error: Exception) -> None:
            self.wanted_plane = self.plane_kind
            self.refuse(error)

        self.wanted_plane = kind
        if kind == "tsne":
            self.tell("t-SNE is computed once, and kept: this may take a minute or two")
        work: Callable[[], plane.Plane] = lambda: plane.make(kind, flat, codes, kept=kept, seed=self.seed)  # noqa: E731
        self.jobs.submit("laying out the plane", work, apply, refuse, LOOKING if kind == "tsne" else FITTING)

    def ellipses(self) -> list[tuple[np.ndarray, int]]:
        """Outlines (64, 2) of a mixture's components on the plane, each with the code of its class in ``names``."""
        from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

        mixture = None if self.reading is None else self.reading.classifier
        if not isinstance(mixture, GaussianMixtureClassifier) or self.plane.directions is None:
            return []
        means, covariances = mixture.means_, mixture.full_covariances()
        if mixture.projection_ is not None:
            directions = mixture.projection_.directions
            means, covariances = mixture.inverse_transform(means), directions.T @ covariances @ directions
        classes = [self.code(str(name)) for name in mixture.classes_]
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
            self.tell(f"a path begins at {self.file(self.current)}: choose its other end")
        self.version += 1

    def _show(self, points: np.ndarray, ends: tuple[int, int] | None = None) -> None:
        valid, images = between.decoded(self.model, points)
        reader = None if self.reading is None else self.reading.classifier
        self.between = Between(valid, images, between.soft_labels(self.model, reader, valid), ends)
        self.view = "between"
        self.version += 1

    def keep(self, which: np.ndarray | None = None) -> None:
        """Add what is decoded now, or ``which`` of its images, to ``hybrids.npz``."""
        shown, path = self.between, self.output.with_name(HYBRIDS)
        try:
            if shown is None or shown.soft is None or self.reading is None:
                raise UsageError("there is no hybrid to keep", "decode one, and label images of two classes first")
            rows = np.arange(len(shown.images)) if which is None else which
            if which is None and shown.ends is not None:
                rows = rows[1:-1]  # the ends are images
            count = between.keep(
                path, shown.images[rows], shown.soft[rows], self.reading.names, shown.points[rows]
            )  # fmt: skip
        except LatentError as error:
            self.refuse(error)
            return
        self.tell(f"{path} holds {count:,} hybrids")

    # Time, and the end.

    def poll(self) -> None:
        """Take what other programs and finished work have changed."""
        self.jobs.poll()
        told = self.labelling.synchronise()
        if told is not None:
            self.tell(told, trouble=True)
            self._suggest()
            self.fit()

    def save(self) -> None:
        """Write the classifier, fitted to all images, the plane as a picture, and the selection as a list of files."""
        labels, ready = self.labelling.labels, self._whole_reading()
        picture, selection = self._whole_picture(), [self.labelling.files[row] for row in self.targets]
        folder, chosen = self.output.parent, bool(self.selected.any())

        def saved() -> tuple[Reading | None, list[Path]]:
            found, written = self._write_classifier(labels, ready)
            written.append(_write_picture(folder / PICTURE, picture))
            if chosen:
                written.append(_write_list(folder / SELECTION, selection))
            return found, written

        def apply(result: tuple[Reading | None, list[Path]]) -> None:
            found, written = result
            if found is not None:
                self._saved_with = labels.codes
                if labels.codes is self.labelling.codes:
                    self.reading, self._fitted_to = found, labels.codes
            self.tell(f"saved: {', '.join(map(str, [self.labelling.path, *written]))}")

        try:
            self.labelling.save()
        except LatentError as error:
            self.refuse(error)
        self.jobs.submit("saving", saved, apply, self.refuse, SAVING)

    def _whole_reading(self) -> Reading | None:
        """The reading, where it is of all images and of these labels."""
        known = self._fitted_to is self.labelling.codes and self.reading is not None and self.reading.whole
        return self.reading if known else None

    def _write_classifier(self, labels: Labels, ready: Reading | None) -> tuple[Reading | None, list[Path]]:
        """Write the classifier of these labels, which is fitted first unless it is ready; nothing where none can be."""
        from latentcli.artifacts.models import save_classifier

        if self.fitting is None or len(labels.occurring) < 2:
            return None, []
        found = ready or self.fitting.whole(labels)
        save_classifier(found.classifier, self.output)
        return found, [self.output]

    def finish(self) -> list[Path]:
        """The end: labels and classifier are in their files; which of these were written now.

        The classifier is not written where no label has changed since it was written, or since the beginning, nor
        after a signal that comes meanwhile.

        Raises:
            OutputError: one cannot be written; labels that cannot be are in a file elsewhere, which it names.
            DataError, FitError: the classifier cannot be fitted to all images.
        """
        written, unwritten = list[Path](), None
        if not self.labelling.is_written:
            try:
                self.labelling.save_somewhere()
                written.append(self.labelling.path)
            except OutputError as error:
                unwritten = error
        try:
            with suppress(KeyboardInterrupt), interruptible_once():
                self.jobs.finish(SAVING)
                labels = self.labelling.labels
                if not np.array_equal(labels.codes, self._saved_with):
                    found, files = self._write_classifier(labels, self._whole_reading())
                    self.reading, written = found or self.reading, [*written, *files]
        finally:
            self.jobs.close()
            if unwritten is not None:
                raise unwritten
        return written

    def _whole_picture(self) -> np.ndarray:
        x, y = drawing.limits(self.plane.points)
        return self.picture(x, y, (1200, 1000))


def _written(path: Path) -> int:
    """When a file was written."""
    return path.stat().st_mtime_ns


def _palette(count: int) -> list[drawing.Colour]:
    """Colours of so many classes; after the tenth they repeat."""
    from latentcli.figures.style import PALETTE

    found: list[drawing.Colour] = []
    for code in range(count):
        text = PALETTE[code % len(PALETTE)]
        found.append((int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)))
    return found


def _write_list(path: Path, files: Sequence[str]) -> Path:
    """A table of files."""
    with atomic_write(path) as file:
        file.write(as_csv([["File"], *([each] for each in files)]).encode("utf-8", "backslashreplace"))
    return path


def _write_picture(path: Path, picture: np.ndarray) -> Path:
    """A picture of the plane, its lowest row first, on white, as a PNG file."""
    from PIL import Image

    pixels = np.ascontiguousarray(picture[::-1]).view(np.uint8).reshape(*picture.shape, 4)
    shown = np.where(pixels[..., 3:] > 0, pixels[..., :3], 255).astype(np.uint8)
    with atomic_write(path) as file:
        Image.fromarray(shown).save(file, "png")
    return path
