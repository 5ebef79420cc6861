"""Row 2: files that were changed at random, read by every reader: refused, or read, and nothing else happens.

Mutations know what they change: members of archives are changed below their checksums, numbers become those at the
edges of their ranges, operations of pickles are moved. A copy of this process reads them, with no more memory than 512
MB beyond what it has; an audit hook counts whatever runs code. An interpreter that crashes is found by its number.
"""

import io
import os
import pickle
import pickletools
import resource
import struct
import sys
import tarfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import latentcli as lc
from latentcli.core.errors import LatentError
from latentcli.data import cifar, idx
from latentcli.formats import csv_text, npz_reader, pickle_reader
from latentcli.formats.schemas import TRAINING_STATE

from .commands import COMMANDS, Outcome, Place, call, each_in_copies, forked
from .trial import Trial

TITLE = "fuzzing"
CORPUS = Path(__file__).with_name("corpus")
MEMORY = 512 * 2**20
SECONDS = 2.0
_AT_ONCE = 2_500  # inputs of one copy of this process
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_CODE = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class",
         "socket.connect", "webbrowser.open")  # fmt: skip
"""Audit events that no reading of a file raises."""


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file.

    Attributes:
        name: of the kind.
        suffix: of the files.
        corpus: whole files.
        read: a file, of which the content is also given.
        inside: its members, if it is an archive, are changed as well.
        asked: inputs of a whole run.
    """

    name: str
    suffix: str
    corpus: Sequence[bytes]
    read: Callable[[Path, bytes], Any]
    expected: tuple[type[Exception], ...] = (LatentError,)
    on_disk: bool = True
    asked: int = 5_000


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Let each reader read changed files in turn, until the time is up, or as many as are asked were read."""
    found = readers(place)
    for reader in found:  # loads what is loaded at first use
        for content in reader.corpus:
            _read(reader, place.work / f"whole{reader.suffix}", content)
    rounds = range(max(reader.asked for reader in found) // _AT_ONCE)
    turns = [reader for each in rounds for reader in found if each * _AT_ONCE < reader.asked]
    for turn, reader in enumerate(trial.cases(turns, shuffled=False)):
        _fuzz(trial, reader, place.work, seed=trial.seed * 1_000_003 + turn, count=50 if fast else _AT_ONCE)
    for path in sorted(CORPUS.glob("*")):
        reader = next(each for each in found if path.name.startswith(each.name.replace(" ", "-")))
        _once(trial, reader, place.work, path.read_bytes(), path.name)


def _fuzz(trial: Trial, reader: Reader, folder: Path, seed: int, count: int) -> None:
    """Have a copy of this process read changed files."""
    path, events = folder / f"changed{reader.suffix}", _Events()

    def read(number: int) -> str | None:
        content = mutated(reader.corpus, np.random.default_rng([seed, number]))
        events.clear()
        began = time.process_time()
        error = _read(reader, path, content)
        if error is not None:
            return f"{type(error).__name__}: {str(error)[:200]}"
        if events:
            return f"it ran code: {', '.join(events[:3])}"
        seconds = time.process_time() - began
        return f"it took {seconds:.1f} s" if seconds > SECONDS else None

    def begun() -> None:
        warnings.simplefilter("ignore")
        _limit_memory()
        events.watch()

    for number, wrong in each_in_copies(count, read, begun):
        trial.fail(f"{reader.name}, input {seed}:{number}: {wrong}")
    trial.count(reader.name, count)


def _once(trial: Trial, reader: Reader, folder: Path, content: bytes, name: str) -> None:
    """One file that was kept because it once was read wrongly."""

    def read() -> Outcome:
        _limit_memory()
        error = _read(reader, folder / f"kept{reader.suffix}", content)
        return Outcome(0 if error is None else 1, "" if error is None else f"{type(error).__name__}: {error}")

    done = forked(read)
    trial.count("kept")
    if done.code:
        trial.fail(f"{name}: {done.code} {done.out}")


def _read(reader: Reader, path: Path, content: bytes) -> Exception | None:
    """Read the content as a file; an error that is no right refusal."""
    if reader.on_disk:
        path.write_bytes(content)
    try:
        reader.read(path, content)
    except reader.expected:
        return None
    except (Exception, RecursionError) as error:
        return error
    return None


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


class _Events(list[str]):
    """Events of this process that run code, once it watches."""

    def watch(self) -> None:
        sys.addaudithook(lambda event, given: self.append(f"{event} {given!r:.80}") if event in _CODE else None)


# ---- changes ---------------------------------------------------------------------------------------------------------


def mutated(corpus: Sequence[bytes], random: np.random.Generator) -> bytes:
    """One of the files with some changes, also within the members of an archive, whose checksums are right then."""
    content = corpus[int(random.integers(len(corpus)))]
    if content[:2] == b"PK" and random.random() < 0.7:
        with suppress(Exception):
            return _with_member_changed(content, corpus, random)
    if content[:1] == b"\x80" and random.random() < 0.5:
        with suppress(Exception):
            content = _with_operations_moved(content, random)
    for _ in range(int(random.choice([1, 1, 1, 2, 3, 8]))):
        content = _changed(content, corpus, random)
    return content


def _changed(content: bytes, corpus: Sequence[bytes], random: np.random.Generator) -> bytes:
    data = bytearray(content or b"\0")
    at, size = int(random.integers(len(data))), int(random.choice([1, 2, 4, 8, 16, 64]))
    match int(random.integers(9)):
        case 0:
            data[at] ^= 1 << int(random.integers(8))
        case 1:
            data[at] = int(random.integers(256))
        case 2:
            data[at : at + size] = random.bytes(size)
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = data[int(random.integers(len(data))) :][:size]
        case 5:
            width = int(random.choice([1, 2, 4, 8]))
            edge = _EDGES[int(random.integers(len(_EDGES)))] % 256**width
            data[at : at + width] = edge.to_bytes(width, "little" if random.random() < 0.7 else "big")
        case 6:
            del data[at:]
        case 7:
            other = corpus[int(random.integers(len(corpus)))]
            data[at:] = other[int(random.integers(len(other))) :]
        case _:
            text = (b"-1", b"99999999999999999999", b"nan", b"1e999", b"\xff\xfe", b'"', b"\0", b",,,,", b"((((", b"\r")
            data[at : at + size] = text[int(random.integers(len(text)))]
    return bytes(data)


def _with_member_changed(content: bytes, corpus: Sequence[bytes], random: np.random.Generator) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(each.filename, archive.read(each)) for each in archive.infolist()]
    row = int(random.integers(len(members)))
    if random.random() < 0.5:  # the pickle, where there is one
        row = next((place for place, (name, _) in enumerate(members) if name.endswith("data.pkl")), row)
    name, data = members[row]
    match int(random.integers(8)):
        case 0:
            del members[row]
        case 1:
            members.append((name, data))
        case 2:
            members[row] = (name.replace("/", "/../") if "/" in name else f"../{name}", data)
        case _:
            if data[:1] == b"\x80" and random.random() < 0.5:
                data = _with_operations_moved(data, random)
            members[row] = (name, _changed(data, [each for _, each in members if each] or [b"\0"], random))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if random.random() < 0.1 else zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return file.getvalue()


def _with_operations_moved(content: bytes, random: np.random.Generator) -> bytes:
    """A pickle with one of its operations twice, or left out, or in another's place."""
    ends = [position for _, _, position in pickletools.genops(content)] + [len(content)]
    parts = [content[begin:end] for begin, end in pairwise(ends)]
    one, other = (int(each) for each in random.integers(1, len(parts), 2))
    match int(random.integers(3)):
        case 0:
            parts.insert(other, parts[one])
        case 1:
            del parts[one]
        case _:
            parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


# ---- readers ---------------------------------------------------------------------------------------------------------


class _Runs:
    """Pickled as a call: whoever unpickles it naively makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def readers(place: Place) -> list[Reader]:
    """All readers, with whole files to begin with, and some that attack."""
    folder = place.fresh()
    made = {name: (folder / name).read_bytes() for name in (
        "prior.pth", "gmm.pkl", "graph.npz", "latents.npz",
        "latents.parquet", "hybrids.npz", "train.npz", "weights/weights.safetensors",
    )}  # fmt: skip
    golden = Path(__file__).parents[1] / "golden"  # these are small
    made |= {name: (golden / name).read_bytes() for name in ("vae.pth", "vqvae.pth", "cnn.pth", "probe.pth")}
    images = lc.load("digits", classes=["1", "4"]).images[:12, 0]
    attack = pickle.dumps(_Runs(folder / "attacked"))
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], "filenames": ["a", "b"]}
    state = folder / "run.partial"
    lc.train(
        lc.load(str(folder / "train.npz")),
        backbone="mlp",
        width=8,
        latent_dim=4,
        epochs=1,
        batch_size=8,
        save_every=0,
        state=state,
    )
    assert call(COMMANDS["encode shards"], folder).code == 0
    tars = [path.read_bytes() for path in sorted((folder / "shards").glob("*.tar"))]
    tables = [
        b"File,Label\na.png,cat\nb.png,dog\n", "sep=;\nimage;class\n\"a;1.png\";caf\u00e9\n".encode("cp1252"),
        "filename\tlabel\nx\ty\n".encode("utf-16"), b'# comment\n"File","Label"\n0,1\n1,\n',
        b'[{"file": "a.png", "label": 1}]', b'{"a.png": "cat", "b.png": "dog"}',
    ]  # fmt: skip
    model = lc.load_model(golden / "vae.pth", "cpu")

    def image(path: Path, content: bytes) -> None:
        lc.load([str(path)], image_shape=(1, 8, 8), cache_dir=None)

    def labels(path: Path, content: bytes) -> None:
        lc.load(str(folder / "photos"), labels=path, image_shape=(1, 8, 8))

    def loaded(path: Path, content: bytes) -> None:
        lc.load(str(path))

    def packed(path: Path, content: bytes) -> None:
        lc.load(str(path), image_shape=(1, 8, 8))

    unsafe = (pickle_reader.UnsafePickle,)
    return [
        Reader("pickle", ".pkl", [made["gmm.pkl"], pickle.dumps(batch, 2), attack, pickle.dumps([attack, {"a": 1.5}])],
               lambda _, content: pickle_reader.loads(content), unsafe, on_disk=False, asked=1_000_000),
        Reader("mixture", ".pkl", [made["gmm.pkl"], attack], lambda path, _: lc.load_classifier(path)),
        Reader("checkpoint", ".pth", [made[f"{name}.pth"] for name in ("vae", "vqvae", "cnn", "prior")],
               lambda path, _: lc.load_model(path, "cpu"), asked=100_000),
        Reader("probe", ".pth", [made["probe.pth"]], lambda path, _: lc.load_classifier(path), asked=100_000),
        Reader("graph", ".npz", [made["graph.npz"]], lambda path, _: lc.load_classifier(path)),
        Reader("state", ".partial", [state.read_bytes()], lambda path, _: TRAINING_STATE.read(path, "start again")),
        Reader("latents", ".npz", [made["latents.npz"]], lambda path, _: lc.read_latents(path), asked=40_000),
        Reader("hybrids", ".npz", [made["hybrids.npz"]], lambda path, _: lc.read_hybrids(path), asked=30_000),
        Reader("npz of images", ".npz", [made["train.npz"], made["hybrids.npz"], _deflated(images)], loaded,
               asked=30_000),
        Reader("npy", ".npy", [_npy(images), _npy(images.astype(np.float32) / 16), _npy(np.zeros((2, 3), "U3"))],
               lambda path, _: npz_reader.read_npy(path), (npz_reader.UnsafeArrays, LatentError, OSError),
               asked=95_000),
        Reader("npy of images", ".npy", [_npy(images), _npy(np.asfortranarray(images))], loaded),
        Reader("IDX", "-images-idx3-ubyte", [_idx(images), _gzipped(_idx(images))], lambda path, _: idx.read(path)),
        Reader("CIFAR", ".bin", [pickle.dumps(batch, 2), pickle.dumps(batch, 4)],
               lambda path, content: cifar._batch(cifar._unpickle(content, path), cifar._CIFAR10, path), on_disk=False),
        Reader("CSV of labels", ".csv", tables[:4], labels),
        Reader("JSON of labels", ".json", tables[4:], labels),
        Reader("CSV", ".csv", tables[:4], lambda path, _: csv_text.read_table(path, lambda cells: "File" in cells)),
        Reader("tar of shards", ".tar", tars, packed),
        Reader("tar of a folder", ".tar", [_tar(images), _tar(images, gz=True)], packed),
        Reader("zip of a folder", ".zip", [_zip(images)], packed),
        Reader("parquet of latents", ".parquet", [made["latents.parquet"]], lambda path, _: lc.read_latents(path)),
        Reader("parquet of images", ".parquet", [_parquet(images)], packed),
        Reader("safetensors", ".safetensors", [made["weights/weights.safetensors"]],
               lambda path, _: lc.import_weights(path, model)),
        *(Reader(f"image {kind}", f".{kind}", _pictures(images, kind), image)
          for kind in ("png", "jpg", "bmp", "tiff", "gif", "webp", "ppm")),
        Reader("any file", ".bin", [made["vae.pth"], made["gmm.pkl"], made["latents.npz"], made["graph.npz"],
               made["latents.parquet"]], lambda path, _: lc.describe(path)),
    ]  # fmt: skip


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _deflated(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x_train=images, y_train=np.arange(len(images)) % 2, class_names=np.array(["a", "b"]))
    return file.getvalue()


def _idx(images: np.ndarray) -> bytes:
    return b"\0\0\x08\x03" + struct.pack(">3I", *images.shape) + images.tobytes()


def _gzipped(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content) + packer.flush()


def _pictures(images: np.ndarray, kind: str) -> list[bytes]:
    found = []
    for array in (images[0], np.stack([images[1]] * 3, -1)):
        file = io.BytesIO()
        Image.fromarray(array).save(file, {"jpg": "jpeg"}.get(kind, kind))
        found.append(file.getvalue())
    return found


def _tar(images: np.ndarray, gz: bool = False) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if gz else "w") as archive:
        for row, content in enumerate(_pictures(images, "png") * 2):
            member = tarfile.TarInfo(f"set/{'ab'[row % 2]}/{row}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _zip(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for row, content in enumerate(_pictures(images, "png") * 2):
            archive.writestr(f"set/{'ab'[row % 2]}/{row}.png", content)
    return file.getvalue()


def _parquet(images: np.ndarray) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet

    pictures = [{"bytes": content, "path": f"{row}.png"} for row, content in enumerate(_pictures(images, "png") * 2)]
    file = io.BytesIO()
    parquet.write_table(arrow.table({"image": pictures, "label": [0, 1, 0, 1]}), file)
    return file.getvalue()
