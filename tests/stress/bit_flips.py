"""Row 3: a single bit of a file that the product wrote is flipped: a reader finds it, or reads what it read before.

Tables in CSV, pictures and weights for other programs have no checksum, since these, and people, change them: they are
not in this row.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import latentcli as lc
from latentcli.core.errors import LatentError
from latentcli.data import load
from latentcli.experiments.cells import Cell, finished
from latentcli.formats.schemas import TRAINING_STATE

from .commands import COMMANDS, Place, call, each_in_copies
from .trial import Trial

TITLE = "bit flips"
FLIPS = 2_000

Read = Callable[[Path], Any]


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Flip bits, spread over the whole of each file, each at a place of its stretch that is drawn."""
    for name, path, read in trial.cases(files(place, fast), shuffled=False):
        beside = kept(path)
        content = beside[path][0]
        expected = plain(read(path))
        ends = np.linspace(0, 8 * len(content), (20 if fast else FLIPS) + 1).astype(np.int64)
        bits = [int(trial.random.integers(begin, max(end, begin + 1))) for begin, end in pairwise(ends)]

        def flip(
            row: int, path: Path = path, read: Read = read, expected: Any = expected, bits: list[int] = bits,
            beside: Kept = beside,
        ) -> str | None:  # fmt: skip
            content, times = beside[path]
            flipped = bytearray(content)
            flipped[bits[row] // 8] ^= 1 << bits[row] % 8
            path.write_bytes(flipped)
            os.utime(path, ns=times)  # as a disk flips it: nothing but the bit has changed
            try:
                return None if same(plain(read(path)), expected) else "it is read, and is not what it was"
            except LatentError:
                return None
            except Exception as error:
                return f"{type(error).__name__}: {error}"
            finally:
                if path.parent.name == "images":  # a cache mends itself
                    put_back(beside)

        for row, wrong in each_in_copies(len(bits), flip):
            trial.fail(f"{name}, bit {bits[row]}: {wrong}")
        put_back(beside)
        trial.count("files")
        trial.count("flips", len(bits))


Kept = dict[Path, tuple[bytes, tuple[int, int]]]


def kept(path: Path) -> Kept:
    """The files beside a path, and itself, with their times."""
    found = [each for each in path.parent.iterdir() if each.is_file()]
    return {each: (each.read_bytes(), (each.stat().st_atime_ns, each.stat().st_mtime_ns)) for each in found}


def put_back(files: Kept) -> None:
    for path, (content, times) in files.items():
        path.write_bytes(content)
        os.utime(path, ns=times)


def files(place: Place, fast: bool = False) -> Iterator[tuple[str, Path, Read]]:
    """Files of each kind that the product writes, and what reads each."""
    folder = place.fresh()
    readers: dict[str, Read] = {
        "vae.pth": lc.load_model, "vqvae.pth": lc.load_model, "cnn.pth": lc.load_model, "prior.pth": lc.load_model,
        "gmm.pkl": lc.load_classifier, "graph.npz": lc.load_classifier, "probe.pth": lc.load_classifier,
        "latents.npz": lc.read_latents, "latents.parquet": lc.read_latents, "hybrids.npz": lc.read_hybrids,
    }  # fmt: skip
    for name, read in readers.items():
        yield name, folder / name, read
    for command, name, read in (
        ("reconstruct", "new.npz", _loaded), ("distort", "new.npz", _loaded), ("sample", "new.npz", _loaded),
        ("encode shards", "new/part-00000.parquet", lambda path: lc.read_latents(path.parent)),
        ("encode shards", "new/part-00000.json", lambda path: _parts(path.parent)),
        ("classify shards", "new/part-00000.json", lambda path: _parts(path.parent)),
    ):  # fmt: skip
        folder = place.fresh()
        assert call(COMMANDS[command], folder).code == 0
        yield f"{command}: {name}", folder / name, read
    folder = place.fresh()
    state = folder / "run.partial"
    images = lc.load(str(folder / "train.npz"))
    lc.train(images, backbone="mlp", width=8, latent_dim=4, epochs=1, batch_size=8, save_every=0, state=state)
    if state.exists():
        yield "vae.pth.partial", state, lambda path: TRAINING_STATE.read(path, "start again")
    if not fast:
        assert call(COMMANDS["study latents"], folder).code == 0
        for path in sorted((folder / "new" / "cells").glob("*.json"))[:2]:
            kept = json.loads(path.read_bytes())
            cell = Cell(kept["name"], kept["identity"], dict)
            yield f"study: {path.name}", path, lambda path, cell=cell: finished(path.parents[1], cell)
    folder = place.fresh()
    assert call(COMMANDS["encode a folder"], folder).code == 0
    for path in sorted((place.kept / "images").iterdir()):
        if path.suffix in (".json", ".bytes"):
            yield f"cache: {path.suffix}", path, lambda path: _loaded(folder / "photos")


def _loaded(path: Path) -> Any:
    found = load(str(path))
    return np.array(found.images), found.labels.codes, found.labels.names, found.files


def _parts(folder: Path) -> Any:
    """What is told of the parts; a damaged one is an error."""
    found = lc.describe(folder)
    if found["damaged"]:
        raise lc.DataError(str(found["damaged"]))
    return found


def plain(value: Any) -> Any:
    """What a reader gave, as values that ``same`` can compare."""
    if isinstance(value, lc.TrainedModel):
        return {**value.entries(), "fingerprint": value.fingerprint}
    if hasattr(value, "to_params"):
        return value.to_params()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the last bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [*one] == [*other] and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))
