"""What it is worth to label the images that ``latentcli suggest`` names: accuracy beside that of images at random.

    python tests/benchmarks/suggestions.py                                 # four data sets, a training of each
    python tests/benchmarks/suggestions.py mnist --runs 3
    python tests/benchmarks/suggestions.py --latents folder                # mnist.train.npz, mnist.test.npz and so on

Latents are those of one training of each data set, without labels, or what ``latentcli encode`` wrote of its training
and test images. In each run the pool is some thousand training images, drawn anew. As many of these are labelled as
there are classes times the column's number: those that are suggested, the first without a classifier, the rest with one
that is fitted again at each column; or any, drawn at random; or at random as many of each class, which nobody can do
without knowing the labels. ``fit-graph`` with its defaults learns from them, and classifies the test images: mean over
the runs, and the worst of them.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from few_labels import remembered
from figures import ROWS, halves, train

from latentcli import LatentError, fit_graph, read_latents, suggest
from latentcli.classifiers.graph import graph_classifier
from latentcli.core.labels import UNLABELLED, Labels
from latentcli.core.latents import Latents

DATA = ("mnist", "fashion-mnist", "cifar10", "brain-mri")
PER_CLASS = (1, 2, 4, 5, 10)
RUNS, POOL = 10, 4_000


def with_labels(latents: Latents, rows: np.ndarray) -> Latents:
    """The same latents, of which only these rows have labels."""
    codes = np.full(len(latents), UNLABELLED)
    codes[rows] = latents.labels.codes[rows]
    return Latents(latents.arrays, latents.checkpoint, Labels(codes, latents.labels.names))


def suggested(pool: Latents, known: np.ndarray, count: int, random: np.random.Generator, graph: object) -> np.ndarray:
    return suggest(with_labels(pool, known), graph, count).rows  # type: ignore[arg-type]


def at_random(pool: Latents, known: np.ndarray, count: int, random: np.random.Generator, graph: object) -> np.ndarray:
    return random.choice(np.setdiff1d(np.arange(len(pool)), known), count, replace=False)


def of_each_class(
    pool: Latents, known: np.ndarray, count: int, random: np.random.Generator, graph: object
) -> np.ndarray:
    classes = range(len(pool.labels.names))
    left = np.setdiff1d(np.arange(len(pool)), known)
    each = [
        random.choice(left[pool.labels.codes[left] == code], count // len(classes), replace=False) for code in classes
    ]
    return np.concatenate(each)


WAYS = {"suggested": suggested, "at random": at_random, "at random, as many of each class": of_each_class}


def accuracies(pool: Latents, test: Latents, way: str, seed: int) -> list[float]:
    """After each of ``PER_CLASS`` labels a class; 1 / classes where the labels are all of one class."""
    random, known, graph, found = np.random.default_rng([seed, 1]), np.empty(0, int), None, []
    classes = len(pool.labels.names)
    for per_class in PER_CLASS:
        new = WAYS[way](pool, known, per_class * classes - len(known), random, graph)
        known = np.concatenate([known, new])
        try:
            graph = fit_graph(with_labels(pool, known))
            found.append(float((graph.predict(test.flat) == test.labels.texts).mean()))
        except LatentError:
            found.append(1 / classes)
    return found


def latents_of(name: str, folder: Path | None) -> tuple[Latents, Latents]:
    """Of the training and of the test images."""
    if folder is not None:
        return read_latents(folder / f"{name}.train.npz"), read_latents(folder / f"{name}.test.npz")
    images, test = halves(ROWS[name], held_out=False)
    with tempfile.TemporaryDirectory() as place:
        model, _ = train(ROWS[name], images, Path(place), 0, [])
    return model.encode(images), model.encode(test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", choices=[*DATA, []], help="all four by default")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each row")
    parser.add_argument("--pool", type=int, default=POOL, help="images that can be labelled")
    parser.add_argument("--latents", type=Path, help="a folder of latents, instead of trainings")
    chosen = parser.parse_args()
    graph_classifier.neighbours = remembered(graph_classifier.neighbours)  # type: ignore[attr-defined]
    graph_classifier.nearest = remembered(graph_classifier.nearest)  # type: ignore[attr-defined]
    print(f"| data | labelled | {' | '.join(f'{count} a class' for count in PER_CLASS)} |")
    print("|---" * (2 + len(PER_CLASS)) + "|", flush=True)
    for name in chosen.data or DATA:
        images, test = latents_of(name, chosen.latents)
        size = min(chosen.pool, len(images) * 4 // 5)
        pools = [
            images.take(np.sort(np.random.default_rng(seed).choice(len(images), size, replace=False)))
            for seed in range(chosen.runs)
        ]
        for way in WAYS:
            every = np.array([accuracies(pool, test, way, seed) for seed, pool in enumerate(pools)])
            cells = [f"{mean:.3f}, {least:.3f}" for mean, least in zip(every.mean(0), every.min(0), strict=True)]
            title = f"{ROWS[name].title}, {size:,} images" if way == "suggested" else ""
            print(f"| {title} | {way} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
