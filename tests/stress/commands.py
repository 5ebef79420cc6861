"""The commands that write, on files so small that each call is over in a moment; and calls of them in this process."""

import contextlib
import csv
import io
import json
import mmap
import os
import re
import shlex
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import typer
from PIL import Image

import latentcli as lc
import latentcli.cli
from latentcli.cli.app import run
from latentcli.data import cache, decoding, loading
from latentcli.formats import temporaries

from .faults import Faults, injected

OLD = b"what was there before\n"

_VAE = "--backbone mlp --set width=8 --latent-dim 4 --epochs 2 --batch-size 8 --set save_every=0"
_VQVAE = "--model vqvae --set width=8 --set codes=8 --latent-dim 4 --epochs 2 --batch-size 8 --set save_every=0"
_CNN = "--set width=4 --set min_steps=0 --epochs 2 --batch-size 8 --set save_every=0"
_PRIOR = "--set width=8 --set heads=2 --set layers=1 --epochs 2 --batch-size 8 --set save_every=0"
_STUDY = "--set backbone=mlp --set width=8 --set epochs=1"

MATERIALS = {
    "vae.pth": f"train train.npz -o vae.pth --gmm gmm.pkl --labels-per-class 2 {_VAE}",
    "vqvae.pth": f"train unlabelled.npz -o vqvae.pth {_VQVAE}",
    "cnn.pth": f"train-cnn train.npz -o cnn.pth {_CNN}",
    "prior.pth": f"fit-prior train.npz vqvae.pth -o prior.pth {_PRIOR}",
    "graph.npz": "fit-graph train.npz vae.pth -o graph.npz",
    "probe.pth": "fit-probe train.npz vae.pth -o probe.pth --probe linear --set epochs=2",
    "latents.npz": "encode test.npz vae.pth -o latents.npz",
    "latents.parquet": "encode photos vae.pth -o latents.parquet",
    "hybrids.npz": "hybridize vae.pth gmm.pkl -n 8 -o hybrids.npz",
    "weights": "export vae.pth --format safetensors -o weights",
}
"""What other commands read, and the calls that make it."""

COMMANDS = {
    "train": f"train train.npz -o new.pth --gmm new.pkl --labels-per-class 2 {_VAE}",
    "train vqvae": f"train unlabelled.npz -o new.pth {_VQVAE}",
    "train --continue-from": "train train.npz -o new.pth --gmm new.pkl --labels-per-class 2 --continue-from vae.pth "
                             "--epochs 1 --set save_every=0",
    "train-cnn": f"train-cnn train.npz -o new.pth {_CNN}",
    "train-cnn --hybrids": f"train-cnn train.npz --hybrids hybrids.npz -o new.pth {_CNN}",
    "fit-prior": f"fit-prior train.npz vqvae.pth -o new.pth {_PRIOR}",
    "fit-gmm": "fit-gmm train.npz vae.pth -o new.pkl",
    "fit-graph": "fit-graph train.npz vae.pth -o new.npz",
    "fit-probe": "fit-probe train.npz vae.pth -o new.pth --probe mlp --set epochs=2",
    "fit-probe knn": "fit-probe latents.npz -o new.pth --probe knn",
    "encode": "encode test.npz vae.pth -o new.npz",
    "encode a folder": "encode photos vae.pth -o new.npz",
    "encode to a table": "encode photos vae.pth -o new.parquet",
    "encode shards": "encode shards/{00000..00001}.tar vae.pth -o new",
    "classify": "classify photos vae.pth gmm.pkl -o new.csv",
    "classify pixels": "classify test.npz cnn.pth -o new.csv",
    "classify to a table": "classify photos vae.pth graph.npz -o new.parquet",
    "classify shards": "classify shards/{00000..00001}.tar vae.pth probe.pth -o new",
    "reconstruct": "reconstruct test.npz vae.pth -o new.npz",
    "reconstruct --grid": "reconstruct latents.npz vae.pth -o new.npz --grid new.png",
    "hybridize": "hybridize vae.pth gmm.pkl -n 6 -o new.npz",
    "hybridize --folder": "hybridize vae.pth graph.npz -n 6 --folder new",
    "sample": "sample vqvae.pth prior.pth -n 6 -o new.npz",
    "sample --folder": "sample vqvae.pth prior.pth -n 6 --folder new",
    "distort": "distort train.npz -n 40 -o new.npz",
    "evaluate --report": "evaluate test.npz vae.pth gmm.pkl --report new.html",
    "classify --figures": "classify test.npz vae.pth gmm.pkl -o new.csv --figures new",
    "plot history": "plot history vae.pth -o new.png",
    "plot latent": "plot latent latents.npz vae.pth gmm.pkl -o new.svg",
    "suggest": "suggest unlabelled.npz vae.pth -n 3 -o new.csv",
    "check": "check train.npz vae.pth -o new.csv",
    "export": "export vae.pth -o new",
    "export torch": "export cnn.pth --format torch-export -o new",
    "export safetensors": "export cnn.pth --format safetensors -o new",
    "import": "import weights/weights.safetensors --like vae.pth -o new.pth",
    "study latents": f"study latents train.npz --models vae --seeds 1 --probe knn -o new {_STUDY}",
    "study hybrids": "study hybrids train.npz --per-class 2 --seeds 1 --steps 2 --arms plain,hybrids-labelled --jobs 1 "
                     f"-o new {_STUDY}",
}  # fmt: skip
"""Calls by what they are, each of whose outputs is called ``new``."""

SLOWEST = ("export", "study hybrids")
"""Those that take ten seconds."""

SLOW = (*SLOWEST, "export torch", "study latents", "evaluate --report", "classify --figures",
        "plot history", "plot latent", "reconstruct --grid")  # fmt: skip
"""Those that take longer than a second."""

TRAININGS = ("train", "train vqvae", "train --continue-from", "train-cnn", "train-cnn --hybrids", "fit-prior")
"""Those that ``--resume`` goes on with."""


@dataclass(frozen=True)
class Outcome:
    """What a call came to; ``code`` is negative where a signal ended it, and None where it ran out of time."""

    code: int | None
    out: str = ""
    err: str = ""

    @property
    def last(self) -> str:
        """The last words on stderr."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


def call(line: str | list[str], folder: Path) -> Outcome:
    """``latentcli`` in this process, in a folder."""
    words = shlex.split(line) if isinstance(line, str) else line
    temporaries._seen.clear()  # as in a process of its own
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                run(words)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            except BaseException:
                code = 1
                traceback.print_exc()
    finally:
        os.chdir(before)
    return Outcome(code, out.getvalue(), err.getvalue())


def forked(work: Callable[[], Outcome], seconds: float = 60.0, begun: Callable[[int], None] | None = None) -> Outcome:
    """What ``work`` comes to in a copy of this process, where whatever it does to the process does not matter.

    Args:
        work: to do.
        seconds: after which it is killed.
        begun: told the copy's process id.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as told:
        if not (child := os.fork()):
            code = 70
            try:
                done = work()
                told.write(done.out + "\0" + done.err)
                told.flush()
                code = 71 if done.code is None else done.code
            finally:
                os._exit(code)
        if begun is not None:
            begun(child)
        status = _waited(child, seconds)
        told.seek(0)
        out, _, err = told.read().partition("\0")
    return Outcome(None if status is None else os.waitstatus_to_exitcode(status), out, err)


def each_in_copies(
    count: int, work: Callable[[int], str | None], begun: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """What is wrong with each of 0 … count - 1, as ``work`` says, in a copy of this process; a new one after a crash.

    Args:
        count: of them.
        work: says what is wrong, or None.
        begun: called at the start of each copy.
    """
    reached = np.frombuffer(mmap.mmap(-1, 8), np.int64)

    def many() -> Outcome:
        begun()
        told = []
        for number in range(int(reached[0]), count):
            reached[0] = number
            if (wrong := work(number)) is not None:
                told.append(f"{number} {wrong}".replace("\n", " "))
        reached[0] = count
        return Outcome(0, "\n".join(told))

    while reached[0] < count:
        done = forked(many, seconds=300 + count)  # of a busy machine
        for line in done.out.splitlines():
            number, _, wrong = line.partition(" ")
            yield int(number), wrong
        if done.code != 0:
            how = "it did not come to an end" if done.code is None else f"the interpreter ended with {done.code}"
            yield int(reached[0]), f"{how} {done.err[-300:]}"
            reached[0] += 1


def _waited(child: int, seconds: float) -> int | None:
    end, pause = time.monotonic() + seconds, 0.0005
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


Listing = dict[str, bytes | None]

_TIME = re.compile(r"seconds|per_second|checksum|, s\s*$")  # in names of what is told
_TIMES = re.compile(rb',\s*"\w*(?:seconds|per_second|checksum)": "?[\w.+-]+"?')
_STRAY = re.compile(r"\.[^/]*\.tmp$|^latentcli-|\.download-")


def listing(folder: Path) -> Listing:
    """Every path below a folder, and what the regular files hold, but for how long things took."""
    return {
        str(path.relative_to(folder)): _timeless(path) if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


def _timeless(path: Path) -> bytes:
    """The bytes of a file without times, and without checksums of what has some."""
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            return json.dumps(_without_times(json.loads(content))).encode()
        if path.name == "table.csv":
            return _without_columns(list(csv.reader(io.StringIO(content.decode()))))
        if path.name == "table.md":
            return _without_columns([line.strip("|").split("|") for line in content.decode().splitlines()])
    except (ValueError, IndexError):  # it is torn, or none of ours
        return content
    return _TIMES.sub(b"", content)


def _without_columns(rows: list[list[str]]) -> bytes:
    """A table without the columns of times, by its first row."""
    kept = [place for place, name in enumerate(rows[0]) if not _TIME.search(name)]
    return repr([[row[place] for place in kept] if len(row) == len(rows[0]) else row for row in rows]).encode()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_times(each) for name, each in value.items() if not _TIME.search(name)}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


def strays(found: Mapping[str, object]) -> list[str]:
    """Temporary files among the paths, and what lies in temporary folders."""
    return [name for name in found if any(map(_STRAY.search, name.split("/")))]


@contextlib.contextmanager
def prepared_once(folder: Path) -> Iterator[None]:
    """Commands are built once; decoded images of few files are kept, too; nothing is written outside the folder."""
    assert latentcli.cli.app is not None
    environment = {"LATENTCLI_CACHE": str(folder / "cache"), "XDG_CACHE_HOME": str(folder / "home"),
                   "MPLCONFIGDIR": str(folder / "home"), "TMPDIR": str(folder / "tmp")}  # fmt: skip
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, environment))
        stack.enter_context(mock.patch.object(tempfile, "tempdir", None))
        if isinstance(app := run.__globals__["app"], typer.Typer):  # no other test has built them
            stack.enter_context(mock.patch.dict(run.__globals__, app=typer.main.get_command(app)))
        for module in (cache, decoding):
            stack.enter_context(mock.patch.multiple(module, LEAST_FILES=6, LEAST_BYTES=2**20))
        stack.enter_context(mock.patch.object(loading, "LEAST_ARCHIVE", 2**10))
        yield


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator["Place"]:
    """A place with all materials, within ``prepared_once``."""
    with prepared_once(folder):
        place = Place(folder)
        place.make()
        yield place


@dataclass(frozen=True)
class Cost:
    """What an undisturbed call took: system calls that change files, bytes written, seconds."""

    calls: int
    written: int
    seconds: float


@dataclass
class Place:
    """Folders of one run: the ``materials``, which never change, and copies of them to work in."""

    root: Path

    def __post_init__(self) -> None:
        self.materials, self.work = self.root / "materials", self.root / "work"
        self.kept, self.tmp = self.root / "cache", self.root / "tmp"
        self.undisturbed: dict[str, Listing] = {}
        self.costs: dict[str, Cost] = {}

    def make(self) -> None:
        for folder in (self.materials, self.kept, self.tmp, self.root / "home"):
            folder.mkdir(parents=True, exist_ok=True)
        images = lc.load("digits", classes=["1", "4", "8"])
        for name, rows in (("train", slice(0, 36)), ("test", slice(36, 48))):
            part = images.take(np.arange(len(images))[rows])
            arrays = {"data": part.images[:, 0], "labels": part.labels.texts}
            np.savez(self.materials / f"{name}.npz", **arrays)
            if name == "train":
                np.savez(self.materials / "unlabelled.npz", data=arrays["data"])
        for row, (image, label) in enumerate(zip(arrays["data"], arrays["labels"], strict=True)):
            path = self.materials / "photos" / str(label) / f"{row:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        self._make_shards(arrays["data"], arrays["labels"])
        for name, line in MATERIALS.items():
            done = call(line, self.materials)
            assert done.code == 0, f"{name}: {done.err}"

    def _make_shards(self, images: np.ndarray, labels: np.ndarray) -> None:
        import tarfile

        (self.materials / "shards").mkdir()
        for number in range(2):
            with tarfile.open(self.materials / "shards" / f"{number:05}.tar", "w") as tar:
                for row in range(number, len(images), 2):
                    content = io.BytesIO()
                    Image.fromarray(images[row]).save(content, "png")
                    for suffix, data in (("png", content.getvalue()), ("cls", str(labels[row]).encode())):
                        member = tarfile.TarInfo(f"{row:04}.{suffix}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))

    def fresh(self, command: str | None = None) -> Path:
        """A folder with all materials, and with an old file in the place of each file that the command writes there."""
        for folder in (self.work, self.kept, self.tmp):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.materials, self.work, copy_function=_linked)
        for folder in (self.kept, self.tmp):
            folder.mkdir()
        if command is not None:
            for name in self.expected(command):
                if "/" not in name and not (self.materials / name).exists():
                    before = self.expected(command)[name]
                    if before is not None:
                        (self.work / name).write_bytes(OLD)
        return self.work

    def listed(self) -> Listing:
        """The folder worked in by the names in it, and the folders for temporary files and decoded images."""
        below = {"cache": self.kept, "tmp": self.tmp}
        found = listing(self.work)
        for name, folder in below.items():
            found |= {f"{name}/{path}": content for path, content in listing(folder).items()}
        return found

    def cost(self, command: str) -> Cost:
        """What the undisturbed command takes."""
        self.expected(command)
        return self.costs[command]

    def expected(self, command: str) -> Listing:
        """What the undisturbed command leaves of its folder."""
        if command not in self.undisturbed:
            folder, began = self.fresh(), time.monotonic()
            with injected(Faults((self.work, self.kept, self.tmp), room=2**62)) as counted:
                done = call(COMMANDS[command], folder)
            assert done.code == 0, f"{command}: {done.err}"
            self.undisturbed[command] = listing(folder)
            written = 2**62 - (counted.room or 0)
            self.costs[command] = Cost(len(counted.calls), written, time.monotonic() - began)
        return self.undisturbed[command]


def _linked(source: str, target: str) -> None:
    """Materials are never changed; where one is, the next listing shows it. Parts tell the time of their shard."""
    shutil.copy2(source, target)
