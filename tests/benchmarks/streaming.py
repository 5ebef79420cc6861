"""Memory of commands that write as they go: of few images and of many, and what one more image adds.

    python tests/benchmarks/streaming.py [--images 200000]

Labelled blobs of three sizes, 28×28 pixels, lie in a mapped file. Each command reads it in a process of its own, of
which the most anonymous memory at any time is told: pages of mapped files, which the system takes back when it needs
room, are no part of it. Linux only, as it is read from /proc.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SMALL = ["--backbone", "mlp", "--set", "width=64", "--latent-dim", "8", "--epochs", "2"]
FEWER = 10  # times
COMMANDS = {
    "classify DATA vae.pth gmm_params.pkl": "classify {data} vae.pth gmm_params.pkl --labels {labels} -o {n}.csv",
    "classify DATA vae.pth graph.npz": "classify {data} vae.pth graph.npz --labels {labels} -o {n}.csv",
    "encode DATA vae.pth": "encode {data} vae.pth --labels {labels} -o latents{n}.npz",
    "classify latents.npz graph.npz": "classify latents{n}.npz graph.npz -o {n}.csv",
    "fit-gmm latents.npz": "fit-gmm latents{n}.npz --labels-per-class 20 -o {n}.pkl",
    "fit-gmm DATA vae.pth": "fit-gmm {data} vae.pth --labels {labels} --labels-per-class 20 -o {n}.pkl",
    "reconstruct latents.npz vae.pth": "reconstruct latents{n}.npz vae.pth -o {n}.npz",
    "reconstruct DATA vae.pth": "reconstruct {data} vae.pth --labels {labels} -o {n}.npz",
    "evaluate DATA vae.pth gmm_params.pkl": "evaluate {data} vae.pth gmm_params.pkl --labels {labels}",
}


def make(folder: Path, count: int) -> None:
    """``COUNT.npy`` and their labels, ``labelsCOUNT.npy``."""
    images = np.lib.format.open_memmap(folder / f"{count}.npy", "w+", np.uint8, (count, 28, 28))
    labels = np.arange(count) % 3
    y, x = np.mgrid[:28, :28]
    for first in range(0, count, 5_000):
        random, rows = np.random.default_rng(first), slice(first, min(first + 5_000, count))
        of, size = labels[rows], (rows.stop - first, 1, 1)
        across, down = (8 + 6 * of + random.normal(size=len(of)), 14 + random.normal(0, 2, len(of)))
        squares = (x - across.reshape(size)) ** 2 + (y - down.reshape(size)) ** 2
        blobs = 200 * np.exp(-squares / (2 * (2 + of + random.random(len(of))).reshape(size) ** 2))
        images[rows] = blobs + random.integers(0, 50, images[rows].shape)
    images.flush()
    np.save(folder / f"labels{count}.npy", labels)


def run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds of a command, and the most MiB of anonymous memory that it was seen to have."""
    start, most = time.monotonic(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "latentcli", *arguments, "-q"], cwd=folder, stdout=subprocess.PIPE
    )
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
        most = max(most, *map(int, found), 0)
        time.sleep(0.02)
    if process.wait():
        sys.exit(f"latentcli {' '.join(arguments)} ended with code {process.returncode}")
    return time.monotonic() - start, most / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000, help="of the larger set")
    parser.add_argument("--only", default="", help="commands that begin so")
    options = parser.parse_args()
    few, many = options.images // FEWER, options.images
    print(f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"| command | MiB of {few:,} images | of {many:,} | bytes for one more | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (2_000, few, many):
            make(folder, count)
        run(folder, "train", "2000.npy", "--labels", "labels2000.npy", *SMALL)
        run(folder, "fit-graph", "2000.npy", "vae.pth", "--labels", "labels2000.npy", "--labels-per-class", "5")
        for title, command in COMMANDS.items():
            if title.startswith(options.only) or title.startswith("encode"):
                calls = [command.format(data=f"{n}.npy", labels=f"labels{n}.npy", n=n) for n in (few, many)]
                (_, less), (seconds, more) = (run(folder, *call.split()) for call in calls)
                each = (more - less) * 2**20 / (many - few)
                print(f"| `{title}` | {less:,.0f} | {more:,.0f} | {each:,.0f} | {seconds:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
