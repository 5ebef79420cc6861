"""Accuracy against the number of labels, of the classifiers that read one model's latents.

    python tests/benchmarks/few_labels.py                            # every row of figures.py, and photographs
    python tests/benchmarks/few_labels.py fashion-mnist --seeds 3    # some rows, several trainings of each
    python tests/benchmarks/few_labels.py cifar10 --device cuda --set width=4096 --set epochs=200
    python tests/benchmarks/few_labels.py mnist --seeds 3 --keep DIR # each training's figures; a second run goes on

Each training is one whole ``latentcli train`` on images whose labels it does not see, as in ``figures.py``. Then 1, 5
and 50 labels of each class are drawn from the training images, 20 times each; each draw fits a mixture, a graph and a
logistic regression to the latents of the training images, and these classify the test images: mean and worst draw.
Beside them are the nearest neighbours of all labels. ``--held-out`` measures on the last sixth of the training images
instead, by which settings are chosen.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from figures import ROWS, Row, halves, spread, train
from sklearn.neighbors import KNeighborsClassifier

from latentcli import fit_graph, fit_mixture, fit_probe
from latentcli.classifiers.graph import graph_classifier
from latentcli.core.latents import Latents
from latentcli.experiments.cells import Cell, run
from latentcli.numerics import metrics

DRAWS = 20
LABELS = (1, 5, 50)
FITS: dict[str, Callable[..., Any]] = {
    "mixture": fit_mixture, "graph": fit_graph, "linear": partial(fit_probe, probe="linear"),
}  # fmt: skip


def remembered(search: Callable[..., Any]) -> Callable[..., Any]:
    """The same search, done once for the same points: here they are those of every draw."""
    known: dict[bytes, Any] = {}

    def found(*points: Any, **how: Any) -> Any:
        key = hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in points[:2])).digest()
        if key not in known:
            known[key] = search(*points, **how)
        return known[key]

    return found


def accuracies(latents: Latents, unseen: Latents, labels: int, draws: int) -> dict[str, list[float]]:
    """By classifier, how often it is right about the unseen images, draw by draw."""
    found: dict[str, list[float]] = {name: [] for name in FITS}
    for draw in range(draws):
        for name, fit in FITS.items():
            predicted = fit(latents, labels_per_class=labels, seed=draw).predict(unseen.flat)
            found[name].append(float((predicted == unseen.labels.texts).mean()))
    return found


def measure(row: Row, seed: int, held_out: bool, extra: list[str], draws: int) -> dict[str, Any]:
    """One training of a row, and all its figures."""
    images, test = halves(row, held_out)
    with tempfile.TemporaryDirectory() as folder:
        model, seconds = train(row, images, Path(folder), seed, extra)
    latents, unseen = model.encode(images), model.encode(test)
    counts = [count for count in LABELS if count <= images.labels.counts.min()]
    near = KNeighborsClassifier(10).fit(latents.flat, latents.labels.codes)
    return {
        "by labels": {str(count): accuracies(latents, unseen, count, draws) for count in counts},
        "neighbours": float(near.score(unseen.flat, unseen.labels.codes)),
        "ssim": metrics.reconstruction(test.images, model.reconstruct(test))["ssim"], "seconds": seconds,
        "epochs": len(model.history), "images": len(images),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="lines of the table; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each row")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of the labels")
    parser.add_argument("--held-out", action="store_true", help="measure on training images kept apart")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="passed on to latentcli train")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep each training's figures, and go on from those there"
    )
    chosen = parser.parse_args()
    extra = [part for setting in chosen.settings for part in ("--set", setting)]
    graph_classifier.neighbours = remembered(graph_classifier.neighbours)  # type: ignore[attr-defined]
    graph_classifier.nearest = remembered(graph_classifier.nearest)  # type: ignore[attr-defined]
    print(f"| data | labels a class | {' | '.join(FITS)} | all labels, nearest neighbours | SSIM | training |")
    print("|---" * (5 + len(FITS)) + "|")
    extra += ["--device", chosen.device]
    for name in chosen.rows or ROWS:
        how = {"held out": chosen.held_out, "settings": extra, "draws": chosen.draws}
        trainings = [
            Cell(
                f"{name} {seed}", {"row": name, "seed": seed} | how,
                partial(measure, ROWS[name], seed, chosen.held_out, extra, chosen.draws),
            )
            for seed in range(chosen.seeds)
        ]  # fmt: skip
        with tempfile.TemporaryDirectory() as unkept:
            runs = run(trainings, chosen.keep or Path(unkept))
        for count in runs[0]["by labels"]:
            cells = []
            for fit in FITS:
                every = [each["by labels"][count][fit] for each in runs]
                cells.append(f"{spread([float(np.mean(each)) for each in every], 4)}, {min(map(min, every)):.4f}")
            column = {key: [each[key] for each in runs] for key in ("neighbours", "ssim", "seconds")}
            print(
                f"| {ROWS[name].title} | {count} | {' | '.join(cells)} | {spread(column['neighbours'], 4)} "
                f"| {spread(column['ssim'], 4)} | {spread(column['seconds'], 0)} s, {runs[0]['epochs']} epochs of "
                f"{runs[0]['images']:,} images |",
                flush=True,
            )


if __name__ == "__main__":
    main()
