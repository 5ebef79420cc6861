"""Pictures of a model while it trains: how what it makes of the same images changes from epoch to epoch."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentcli.core.progress import InTraining, Listener
from latentcli.core.stages import stage
from latentcli.formats.atomic import atomic_write, check_folder
from latentcli.pictures import frames
from latentcli.pictures.results import folder as made

STRIP, ANIMATION = "strip.png", "training.webp"
_OF_EPOCH = "epoch-{:05}.png"
_HELD = "latentcli"
"""Of the texts in a frame's file: the row of the history that it belongs to, by which a run knows its own frames, and
the kinds of its images."""
_MILLISECONDS, _AT_THE_END = 400, 2_000
"""How long a frame is seen in the animation, and the last of them."""


class Snapshots(Listener):
    """Writes pictures of what a model in training makes of the same images.

    After 20 epochs at most, evenly spaced, the first and the last among them, ``epoch-00007.png`` shows images that are
    not learned from (or, where none are held out, some that are), their reconstructions, and samples of the model's own
    prior, drawn with the same noise each time; of a prior samples alone. When training has ended ``strip.png``
    has a row of each of these epochs, and ``training.webp`` shows them one after the other. A training that is resumed
    goes on with the pictures that there are. Of a classifier of pixels nothing is written.

    Args:
        folder: for the pictures, made if need be. Those of another training in it are replaced.

    Raises:
        OutputError: the folder cannot be written to.

    Example:
        >>> import latentcli as lc
        >>> watching = lc.Snapshots("snapshots")
        >>> vae = lc.train(lc.load("digits"), backbone="mlp", width=32, latent_dim=4, epochs=2, listener=watching)
        >>> [path.name for path in watching.written]
        ['strip.png', 'training.webp']
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        check_folder(self.folder)
        self.written: list[Path] = []
        self._model: InTraining | None = None
        self._rows: dict[int, dict[str, float]] = {}  # of this run's history, by epoch
        self._epochs = 0

    def observing(self, model: InTraining, history: Sequence[Mapping[str, float]]) -> None:
        self._model, self.written = model, []
        self._rows = {int(row["epoch"]): dict(row) for row in history}

    def started(self, epochs: int, images: int, done: int) -> None:
        self._epochs = epochs

    @stage("drawing")
    def epoch_ended(self, row: Mapping[str, float]) -> None:
        epoch = int(row["epoch"])
        self._rows[epoch] = dict(row)
        if self._model is None or epoch not in frames.due(self._epochs):
            return
        frame, kinds = frames.taken(self._model, row, self._epochs)
        if frame is not None:
            held = PngInfo()
            held.add_text(_HELD, json.dumps({"row": dict(row), "kinds": kinds}))
            _save(frame, made(self.folder) / _OF_EPOCH.format(epoch), "PNG", pnginfo=held)

    @stage("drawing")
    def ended(self) -> None:
        own: dict[int, Image.Image] = {}
        kinds: list[str] = []
        for epoch in sorted(frames.due(self._epochs) & self._rows.keys()):
            frame, held = _frame_in(self.folder / _OF_EPOCH.format(epoch))
            if frame is not None and held["row"] == self._rows[epoch]:
                own[epoch], kinds = frame, held["kinds"]
        if self._model is None or not own:
            return
        _save(frames.Layout(self._model.image_shape).strip(own, kinds), self.folder / STRIP, "PNG")
        first, *others = own.values()
        seen = [_MILLISECONDS] * len(others) + [_AT_THE_END]
        how = {"append_images": others, "duration": seen, "quality": 90, "method": 2}
        _save(first, self.folder / ANIMATION, "WEBP", save_all=True, loop=0, **how)
        self.written = [self.folder / STRIP, self.folder / ANIMATION]
        for path in self.folder.glob(_OF_EPOCH.format(0).replace("00000", "*")):
            if path.name not in map(_OF_EPOCH.format, own) and _frame_in(path)[0] is not None:
                path.unlink()  # another training's


def _frame_in(path: Path) -> tuple[Image.Image | None, dict[str, Any]]:
    """The frame in a file, and what it says of itself; None where it is no frame, or is not there."""
    try:
        with Image.open(path) as image:
            held = json.loads(image.info[_HELD])
            return image.copy(), {"row": held["row"], "kinds": held["kinds"]}
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return None, {}


def _save(picture: Image.Image, path: Path, kind: str, **how: Any) -> None:
    """Write a picture, whole or not at all."""
    encoded = io.BytesIO()
    picture.save(encoded, kind, **how)
    with atomic_write(path) as file:
        file.write(encoded.getvalue())
