"""Speed beside scikit-learn's label spreading, and beside a plain loop around torchvision's ResNet-18.

    python tests/benchmarks/peers_speed.py [--quick]

Prints a Markdown table; both sides take turns in one process, and ratios are those of the pairs.

Labels: ``fit_graph(method="spreading")`` and ``LabelSpreading`` with the same ten neighbours and α 0.9, five labels of
each of ten classes, from points to everybody's probabilities. Ours also leaves labels out to calibrate these.

Features: a folder of JPEG photographs (noise with structure, 320×240) to the 512 numbers of a ResNet-18 whose weights
are random, since speed does not depend on them: ``load`` and ``encode``; and ``ImageFolder``, a ``DataLoader`` with as
many workers as there are processors, torchvision's transforms as its pages have them, and the network in evaluation
mode without its last layer, in batches of whichever size of 8 to 64 suits it best here.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
import torchvision
from PIL import Image
from sklearn.semi_supervised import LabelSpreading
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

import latentcli
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents

PHOTOGRAPHS, CLASSES = 192, 10


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def row(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], pairs: int) -> None:
    """Measure both in turn, and print a line of the table."""
    ours(), theirs()
    found = [(seconds(ours), seconds(theirs)) for _ in range(pairs)]
    own, other = (statistics.median(column) for column in zip(*found, strict=True))
    ratios = sorted(theirs / ours for ours, theirs in found)
    middle = statistics.median(ratios)
    print(f"| {what} | {own:.2f} | {other:.2f} | {middle:.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f}) |", flush=True)


def labels(count: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Both ways of spreading labels over so many points of 32 dimensions."""
    random = np.random.default_rng(0)
    classes = np.arange(count) % CLASSES
    points = (random.normal(scale=2.0, size=(CLASSES, 32))[classes] + random.normal(size=(count, 32))).astype("f4")
    known = np.where(np.arange(count) < 5 * CLASSES, classes, -1)
    latents = Latents({"mu": points}, "", Labels(known, tuple("0123456789")), None, {})
    spreading = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.9)
    return lambda: latentcli.fit_graph(latents, method="spreading"), lambda: spreading.fit(points, known)


def photographs(folder: Path) -> None:
    """JPEG files in one class."""
    random = np.random.default_rng(0)
    (folder / "all").mkdir()
    for number in range(PHOTOGRAPHS):
        small = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        small.resize((320, 240)).save(folder / "all" / f"{number:05}.jpg", quality=90)


def features(folder: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Both ways from files to features."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    weights = folder.parent / "resnet18.pth"
    torch.save(network.state_dict(), weights)

    def ours() -> Any:
        images = latentcli.load(folder, image_size=224, no_cache=True)
        return latentcli.encode(images, f"torchvision:resnet18={weights}", device="cpu")

    network.fc = torch.nn.Identity()
    prepared = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip

    @torch.no_grad()
    def loop(size: int) -> Any:
        loader = DataLoader(ImageFolder(str(folder), prepared), size, num_workers=os.cpu_count() or 1)
        return torch.cat([network(images) for images, _ in loader])

    best = min((8, 16, 32, 64), key=lambda size: seconds(lambda: loop(size)))
    return ours, lambda: loop(best)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="few points, one pair")
    quick = options.parse_args().quick
    print(
        f"{os.cpu_count()} CPUs ({platform.machine()}), load {os.getloadavg()[0]:.1f}; torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    print("| what | latentcli, s | peer, s | ratio: median (lowest–highest) |\n|---|---|---|---|")
    for count in (2_000,) if quick else (10_000, 60_000):
        row(f"label spreading, {count:,} × 32", *labels(count), 1 if quick else 3)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "photographs"
        folder.mkdir()
        photographs(folder)
        row(f"features of {PHOTOGRAPHS} photographs by ResNet-18", *features(folder), 1 if quick else 5)


if __name__ == "__main__":
    main()
