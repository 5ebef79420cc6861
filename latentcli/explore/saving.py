"""What is written: the classifier, the picture of the plane, the list of what is selected; and labels at the end."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from latentcli.core.errors import LatentError, OutputError
from latentcli.core.labels import UNLABELLED, Labels
from latentcli.core.terminating import interruptible_once
from latentcli.explore.files import PICTURE, SELECTION
from latentcli.explore.fitting import Reading
from latentcli.explore.jobs import SAVING
from latentcli.explore.learning import Learning
from latentcli.formats.atomic import atomic_write
from latentcli.formats.csv_text import as_csv


class Saving:
    """Writes a classifier and what lies beside it.

    A file of a classifier that is older than the labels, as after a run that was killed, is written at the end, unless
    the classifier was given: then it may have been fitted otherwise, and that it is older is told.

    Args:
        learning: of the classifier.
        output: its file.
    """

    def __init__(self, learning: Learning, output: Path) -> None:
        self.learning, self.output = learning, output
        labelling, board = learning.labelling, learning.board
        is_to_know = learning.fitting is not None and labelling.path.exists()
        older = is_to_know and (not output.exists() or _written(output) < _written(labelling.path))
        unsaved = older and (learning.reading is None or not output.exists())
        self._saved_with = np.full_like(labelling.codes, UNLABELLED) if unsaved else labelling.codes
        """The labels that the classifier's file knows, where there are any that it is to know."""
        if older and not unsaved:
            board.tell(f"{output} is older than {labelling.path}: “save” fits it to these labels")

    def save(self, picture: np.ndarray, selected: Sequence[str]) -> None:
        """Write the classifier, fitted to all images, the plane as a picture, and the list of what is selected.

        Args:
            picture: (height, width) uint32 of the plane.
            selected: files; where there are none no list is written.
        """
        learning, board, labelling = self.learning, self.learning.board, self.learning.labelling
        labels, ready, folder = labelling.labels, learning.whole, self.output.parent

        def saved() -> tuple[Reading | None, list[Path]]:
            found, written = self._write_classifier(labels, ready)
            written.append(_write_picture(folder / PICTURE, picture))
            if selected:
                written.append(_write_list(folder / SELECTION, selected))
            return found, written

        def apply(result: tuple[Reading | None, list[Path]]) -> None:
            found, written = result
            if found is not None:
                self._saved_with = labels.codes
                if labels.codes is labelling.codes:
                    learning.take(found, labels.codes)
            board.tell(f"saved: {', '.join(map(str, [labelling.path, *written]))}")

        try:
            labelling.save()
        except LatentError as error:
            board.refuse(error)
        learning.jobs.submit("saving", saved, apply, board.refuse, SAVING)

    def _write_classifier(self, labels: Labels, ready: Reading | None) -> tuple[Reading | None, list[Path]]:
        """Write the classifier of these labels, which is fitted first unless it is ready; nothing where none can be."""
        from latentcli.artifacts.models import save_classifier

        fitting = self.learning.fitting
        if fitting is None or len(labels.occurring) < 2:
            return None, []
        found = ready or fitting.whole(labels)
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
        learning, labelling = self.learning, self.learning.labelling
        written, unwritten = list[Path](), None
        if not labelling.is_written:
            try:
                labelling.save_somewhere()
                written.append(labelling.path)
            except OutputError as error:
                unwritten = error
        try:
            with suppress(KeyboardInterrupt), interruptible_once():
                learning.jobs.finish(SAVING)
                labels = labelling.labels
                if not np.array_equal(labels.codes, self._saved_with):
                    found, files = self._write_classifier(labels, learning.whole)
                    written += files
                    if found is not None:
                        learning.take(found, labels.codes)
        finally:
            learning.jobs.close()
            if unwritten is not None:
                raise unwritten
        return written


def _written(path: Path) -> int:
    """When a file was written."""
    return path.stat().st_mtime_ns


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
