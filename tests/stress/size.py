"""Row 11: a million files, a hundred megapixels, ten million rows, a million hybrids, and classes of one image.

Each call is a process of its own, whose largest resident memory the system tells: it stays below a bound, which of a
table and of classes is their number's. Times are told on stderr. ``--fast`` has a hundredth of everything.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .commands import Place
from .trial import Trial

TITLE = "size"
MEMORY = 1536
"""MiB that a command may take, of which PyTorch alone takes 400."""
_LARGEST = re.compile(r"VmHWM:\s+(\d+)")
_DISTINCT = 1_000  # files of a folder; the others are links to them


@dataclass(frozen=True)
class Case:
    """Commands on something large.

    Attributes:
        name: what is large.
        make: makes it in a folder.
        lines: the calls, in turn; a code that is no 0 is what the call must end with.
        memory: MiB that each may take.
    """

    name: str
    make: Callable[[Path], object]
    lines: tuple[tuple[str, int], ...]
    memory: int = MEMORY


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Run every command of every case."""
    for case in trial.cases(cases(100 if fast else 1), shuffled=False):
        folder = place.fresh()
        began = time.monotonic()
        case.make(folder)
        print(f"{case.name}: made in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        for line, expected in case.lines:
            code, told, memory, seconds = _measured(line, folder)
            print(f"{case.name}: {line}: {seconds:.1f} s, {memory} MiB", file=sys.stderr, flush=True)
            trial.count("calls")
            if code != expected or "Traceback" in told:
                trial.fail(f"{case.name}: {line}: ended with {code}, not {expected}: {told[-500:]}")
            if memory > case.memory:
                trial.fail(f"{case.name}: {line}: {memory} MiB, more than {case.memory}")


def cases(less: int) -> Iterator[Case]:
    """All of them, with one of ``less`` of what is large."""
    files, rows, hybrids = 1_000_000 // less, 10_000_000 // less, 1_000_000 // less
    small = "--backbone mlp --set width=8 --set min_steps=0 --epochs 1"
    yield Case(f"a folder of {files:,} files", lambda folder: _folder(folder / "many", files), (
        ("encode many vae.pth -o new.npz", 0), ("classify many vae.pth gmm.pkl -o new.csv", 0),
        ("classify new.npz gmm.pkl -o again.csv", 0), (f"train many -o new.pth --no-classes {small}", 0),
    ))  # fmt: skip
    for side in (8_000, 10_000):
        side, code = int(side / less**0.5), 3 if side > 8_000 else 0  # more than 64 megapixels are refused
        yield Case(f"images of {side**2:,} pixels", lambda folder, side=side: _pictures(folder / "large", side), (
            ("classify large vae.pth gmm.pkl -o new.csv", code), ("reconstruct large vae.pth -o new.npz", code),
        ))  # fmt: skip
    yield Case(f"a table of {rows:,} rows", lambda folder: _table(folder / "labels.csv", rows), (
        ("fit-gmm photos vae.pth --labels labels.csv -o new.pkl", 0),
        ("fit-gmm photos vae.pth --labels labels.csv --strict -o new.pkl", 3),  # its rows name no image
        ("classify photos vae.pth gmm.pkl --labels labels.csv", 0),
    ), 9000)  # fmt: skip
    yield Case(f"{hybrids:,} hybrids", lambda folder: None, (
        (f"hybridize vae.pth gmm.pkl -n {hybrids} -o new.npz", 0),
        ("train-cnn train.npz --hybrids new.npz -o new.pth --set width=4 --set min_steps=0 --epochs 1", 0),
    ))  # fmt: skip
    many, some = 10_000 // less, 1_000 // less
    yield Case(f"{many:,} classes", lambda folder: _classes(folder / "all.npz", many), (
        (f"train all.npz -o new.pth --no-classes {small}", 0),
        ("fit-graph all.npz vae.pth -o new.npz", 3 if less == 1 else 0),  # twice as many images make too large a graph
        ("fit-probe all.npz vae.pth --probe knn -o probe.pth", 0),
        ("classify all.npz vae.pth probe.pth -o probe.csv --figures pictures", 0), ("info probe.pth", 0),
        ("check all.npz vae.pth -o check.csv", 0),
        ("train-cnn all.npz -o cnn.pth --set width=4 --set min_steps=0 --epochs 1", 0),
    ), 3072)  # fmt: skip
    yield Case(f"{some:,} classes", lambda folder: _classes(folder / "all.npz", some), (
        (f"train all.npz -o new.pth --gmm new.pkl {small}", 0), ("fit-graph all.npz vae.pth -o new.npz", 0),
        ("classify all.npz vae.pth new.pkl -o mixture.csv", 4), ("classify all.npz new.pth new.pkl -o mixture.csv", 0),
        ("classify all.npz vae.pth new.npz -o graph.csv --figures pictures", 0),
        ("evaluate all.npz vae.pth new.npz --json", 0), ("info new.npz", 0),
    ), 2048)  # fmt: skip
    yield Case("classes of one image", _single, (
        (f"train single.npz -o new.pth --gmm new.pkl {small}", 0), ("fit-gmm single.npz vae.pth -o new.pkl", 0),
        ("fit-graph single.npz vae.pth -o new.npz", 0), ("fit-probe single.npz vae.pth -o probe.pth", 0),
        ("train-cnn single.npz -o cnn.pth --set width=4 --set min_steps=0 --epochs 1", 0),
        ("classify single.npz vae.pth new.pkl -o new.csv", 0), ("evaluate single.npz vae.pth new.pkl", 0),
    ))  # fmt: skip


def _measured(line: str, folder: Path) -> tuple[int, str, int, float]:
    """Exit code, what stderr says, the largest memory in MiB, and seconds of a process."""
    began, said = time.monotonic(), folder / "said"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "latentcli", *line.split()], cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
        memory = 0
        try:
            while process.poll() is None:
                found = _LARGEST.search(Path(f"/proc/{process.pid}/status").read_text())
                memory = max(memory, int(found[1]) if found else 0)  # a process that has just ended tells none
                time.sleep(0.05)
        finally:
            process.kill()
    told = said.read_text(errors="replace")
    said.unlink()
    return process.returncode, told, memory // 1024, time.monotonic() - began


def _folder(folder: Path, count: int) -> None:
    """A folder of two classes; the first thousand files are distinct, the others are links to them."""
    random = np.random.default_rng(0)
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for row in range(count):
        path = folder / "ab"[row % 2] / f"{row:07}.png"
        if row < _DISTINCT:
            Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(path)
        else:
            os.link(folder / "ab"[row % 2] / f"{row % _DISTINCT:07}.png", path)


def _pictures(folder: Path, side: int) -> None:
    folder.mkdir()
    pixels = np.add.outer(np.arange(side), np.arange(side)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "grey.png", compress_level=1)
    Image.fromarray(np.stack([pixels, pixels.T, 255 - pixels], -1)).save(folder / "colour.jpg")
    Image.fromarray(pixels).save(folder / "grey.tif", compression="tiff_lzw")


def _table(path: Path, rows: int) -> None:
    """The photographs' labels, and those of many more."""
    photos = sorted((path.parent / "photos").rglob("*.png"))
    with path.open("w") as file:
        file.write("file,label\n")
        file.writelines(f"{photo.relative_to(path.parent / 'photos')},{photo.parent.name}\n" for photo in photos)
        file.writelines(f"elsewhere/{row:09}.png,{row % 10}\n" for row in range(rows - len(photos)))


def _classes(path: Path, count: int) -> None:
    """Two images of each class, alike."""
    random = np.random.default_rng(0)
    images = np.repeat(random.integers(0, 240, (count, 8, 8), np.uint8), 2, axis=0)
    images += random.integers(0, 15, images.shape, np.uint8)
    np.savez(path, data=images, labels=np.repeat([f"class {number}" for number in range(count)], 2))


def _single(folder: Path) -> None:
    with np.load(folder / "train.npz") as found:
        labels = found["labels"].copy()
        labels[labels == labels[0]] = next(each for each in np.unique(labels) if each != labels[0])
        labels[0] = found["labels"][0]
        np.savez(folder / "single.npz", data=found["data"], labels=labels)
