"""Every command on many images that are mapped from the disk: memory beside the mapping, and time.

    python tests/benchmarks/beyond_memory.py [--images 1000000] [--of npy|folder] [--only reading,train]

Images are 64×64 pixels in colour, of ten classes that a small model tells apart, in one ``.npy`` file, or as PNG files
in a folder for each class, which the first reading decodes. Of each command the most anonymous memory is given that its
process held at any time (``RssAnon`` of ``/proc/PID/status``, looked at each 10 ms), of which the pages of mapped files
are none, the seconds, and those of a processor, which other work on the same machine makes no longer; and how much of
the first a process holds that only loads the package. Linux alone.
"""

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

SIDE, CLASSES, ROUND = 64, 10, 2_000
LABELLED = 100  # images of each class whose labels a classifier sees

READ = "import sys, latentcli as lc; lc.load(sys.argv[1], labels=sys.argv[2] or None)"
ONLY_LOADED = "import latentcli as lc; lc.train, lc.load, lc.fit_mixture; import torch, sklearn"


def drawn(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images (n, H, W, 3) and classes (n,), some at a time: each is its class's pattern, shifted, in noise."""
    patterns = np.random.default_rng(0).integers(0, 2, (CLASSES, 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2) * 160
    for start in range(0, count, ROUND):
        rng = np.random.default_rng([1, start])
        classes = np.arange(start, min(count, start + ROUND)) * CLASSES // count
        noise = rng.integers(0, 96, (len(classes), SIDE, SIDE, 3))
        yield (patterns[classes] + noise).astype(np.uint8), classes


def written(folder: Path, count: int, of: str) -> tuple[Path, Path | None]:
    """The data, and the labels of some images where these are not the folder's own."""
    if of == "folder":
        from PIL import Image

        number = 0
        for images, classes in drawn(count):
            for image, label in zip(images, classes, strict=True):
                path = folder / "images" / f"class {label}" / f"{number:08d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path, compress_level=1)
                number += 1
        return folder / "images", None
    mapped = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (count, SIDE, SIDE, 3))
    labels, start = np.full(count, -1), 0
    for images, classes in drawn(count):
        mapped[start : start + len(images)] = images
        labels[start : start + len(images)] = classes
        start += len(images)
    mapped.flush()
    keep = np.zeros(count, bool)
    for label in range(CLASSES):
        keep[np.flatnonzero(labels == label)[:LABELLED]] = True
    np.save(folder / "labels.npy", np.where(keep, labels, -1))
    return folder / "images.npy", folder / "labels.npy"


def measured(call: Sequence[str], folder: Path) -> tuple[float, float, float, str]:
    """The most anonymous memory in MiB, the seconds, those of a processor, and what went wrong, if anything."""
    began, most, before = time.monotonic(), 0, resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "LATENTCLI_CACHE": str(folder / "cache")}
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen([sys.executable, *call], cwd=folder, stdout=log, stderr=log, env=environment)
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                most = max(most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")))
            except (OSError, TypeError):  # it has ended
                pass
            time.sleep(0.01)
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        log.seek(0)
        lines = log.read().splitlines()
    wrong = next((line for line in lines if line.startswith(("error", "Traceback"))), "it was killed")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return most / 1024, seconds, used, "" if process.returncode == 0 else wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--of", choices=("npy", "folder"), default="npy")
    parser.add_argument("--folder", type=Path, help="where the images are made; by default a temporary one")
    parser.add_argument("--only", default="", metavar="A,B,…", help="these commands only, in their own order")
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else None
    if not Path("/proc/self/status").exists():
        parser.error("anonymous memory is measured by /proc, which Linux has")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        folder = Path(place).resolve()  # which commands run in
        data, labels = written(folder, arguments.images, arguments.of)
        named = [] if labels is None else ["--labels", str(labels)]
        size = arguments.images * SIDE * SIDE * 3 / 2**20
        print(
            f"{arguments.images:,} images of {SIDE}×{SIDE} in colour, {size:,.0f} MiB as bytes, {arguments.of}; ",
            end="",
        )
        print(f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}\n")
        print("| command | anonymous memory, MiB | seconds | of a processor |\n|---|---|---|---|", flush=True)
        model = ["--backbone", "mlp", "--set", "width=64", "--set", "views=none", "--latent-dim", "8", "--epochs", "1"]
        cnn = ["--set", "width=8", "--epochs", "1", "--set", "min_steps=0"]
        few, near = ["--labels-per-class", "20"], ["--strategy", "posterior", "--near", str(data)]
        both = [str(data), "vae.pth", "gmm_params.pkl"]
        calls: dict[str, list[str]] = {
            "the package alone": ["-c", ONLY_LOADED],
            "reading": ["-c", READ, str(data), str(labels or "")],
            "reading again": ["-c", READ, str(data), str(labels or "")],
            **{
                name: ["-m", "latentcli", name.split()[0], *call, "-q"] for name, call in {
                    "train": [str(data), *named, *model, *few],
                    "train-cnn": [str(data), *named, *cnn],
                    "encode": [str(data), "vae.pth"],
                    "fit-gmm": [str(data), "vae.pth", *named, *few],
                    "fit-graph": [str(data), "vae.pth", *named, *few],
                    "classify": both,
                    "classify cnn.pth": [str(data), "cnn.pth"],
                    "evaluate": [*both, *named],
                    "reconstruct": [str(data), "vae.pth"],
                    "hybridize": ["vae.pth", "gmm_params.pkl", "-n", "10000", *near],
                }.items()
            },
        }  # fmt: skip
        for name, call in calls.items() if only is None else ((each, calls[each]) for each in calls if each in only):
            memory, seconds, used, wrong = measured(call, folder)
            print(
                f"| {name} | {memory:,.0f} | {seconds:,.1f} | {used:,.1f}{f' ({wrong})' if wrong else ''} |", flush=True
            )
            for large in ("vae_reconstructed.npz", "latents.npz"):
                (folder / large).unlink(missing_ok=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)


if __name__ == "__main__":
    main()
