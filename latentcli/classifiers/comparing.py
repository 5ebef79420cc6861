"""Which classifier reads these latents best, told by the labels that each does not see."""

import math
from dataclasses import replace

import numpy as np

from latentcli.classifiers.fitting import fit_graph, fit_mixture, fit_probe, labelled
from latentcli.core.errors import LatentError
from latentcli.core.labels import UNLABELLED, Labels
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.core.stages import stage

FOLDS = 5
"""Parts of the labels, each of which is left out once; fewer where a class has fewer labels."""

FEWEST = 3
"""Labels of the smallest class below which nothing is compared: the answers would be too few to mean anything."""

MOST_LABELS, MOST_IMAGES = 500, 10_000
"""Labels, and images in all, that are looked at: drawn by the seed."""

COMMANDS = {"mixture": "fit-gmm", "graph": "fit-graph", "linear": "fit-probe --probe linear"}
"""The classifiers that are compared, and the commands that fit them."""


@stage("comparing classifiers")
def compare_classifiers(
    latents: Latents, val: Latents | None = None, *, labels_per_class: int | None = None, seed: int = 0,
    device: str = "cpu", progress: Progress = silent,
) -> dict[str, float]:  # fmt: skip
    """How often each kind of classifier is right about labels that it does not see.

    The labels are split into five parts, or fewer, each with its share of every class. For each part every classifier
    is fitted with the others. At most 500 labels and 10,000 images are looked at.

    Args:
        latents, val, labels_per_class, seed, device: as for ``fit_mixture``.
        progress: told about the fits.

    Returns:
        accuracies by name: "mixture", "graph" and "linear" (a logistic regression); {} where a class has fewer than
        three labels. A classifier that cannot be fitted is missing.

    Raises:
        DataError, ModelFileError: as for ``fit_mixture``.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> sorted(lc.compare_classifiers(vae.encode(images), labels_per_class=5))
        ['graph', 'linear', 'mixture']
    """
    latents = labelled(latents, val, labels_per_class, seed)
    random = np.random.default_rng([seed, FOLDS])
    latents = _some(latents, random)
    parts = _folds(latents.labels, random)
    right: dict[str, list[np.ndarray]] = {name: [] for name in COMMANDS}
    with progress("comparing classifiers", len(parts) * len(COMMANDS)) as advance:
        for rows in parts:
            codes = latents.labels.codes.copy()
            codes[rows] = UNLABELLED
            seen = replace(latents, labels=Labels(codes, latents.labels.names))
            for name in COMMANDS:
                found = _predicted(name, seen, rows, seed, device)
                if found is not None:
                    right[name].append(found == latents.labels.texts[rows])
                advance(1)
    return {name: float(np.concatenate(each).mean()) for name, each in right.items() if len(each) == len(parts) > 0}


def better(accuracies: dict[str, float], labels: int) -> str | None:
    """The classifier that beats the mixture by more than one standard error of ``labels`` answers; None for none."""
    if "mixture" not in accuracies:
        return None
    best, least = max(accuracies, key=lambda name: accuracies[name]), accuracies["mixture"]
    error = math.sqrt(max(least * (1 - least), 0.01) / max(1, min(labels, MOST_LABELS)))
    return best if accuracies[best] - least > error else None


def _predicted(name: str, seen: Latents, rows: np.ndarray, seed: int, device: str) -> np.ndarray | None:
    """The classes (n,) that a classifier fitted to these latents gives to these of them (n,); None if it has none."""
    try:
        match name:
            case "mixture":
                return fit_mixture(seen, seed=seed, device=device).predict(seen.flat[rows])
            case "graph":
                return fit_graph(seen, seed=seed, device=device).predict(seen.flat[rows])
        return fit_probe(seen, probe=name, seed=seed).predict(seen.flat[rows])  # of so few labels sooner on the host
    except LatentError:
        return None


def _folds(labels: Labels, random: np.random.Generator) -> list[np.ndarray]:
    """The labelled rows of each part; none where a class has fewer than ``FEWEST``."""
    codes, counts = labels.codes, labels.counts
    folds = min(FOLDS, int(counts[counts > 0].min()))
    if folds < FEWEST:
        return []
    of = np.full(len(codes), -1)
    for code in np.flatnonzero(counts):
        rows = random.permutation(np.flatnonzero(codes == code))
        of[rows] = np.arange(len(rows)) % folds
    return [np.flatnonzero(of == fold) for fold in range(folds)]


def _some(latents: Latents, random: np.random.Generator) -> Latents:
    """At most ``MOST_LABELS`` labelled rows, of each class its share, and others up to ``MOST_IMAGES``."""
    known = random.permutation(np.flatnonzero(latents.labels.known))
    if len(known) > MOST_LABELS:
        order = np.argsort(latents.labels.codes[known], kind="stable")
        known = known[order][np.linspace(0, len(known) - 1, MOST_LABELS).astype(int)]
    others = random.permutation(np.setdiff1d(np.arange(len(latents)), known))[: max(0, MOST_IMAGES - len(known))]
    rows = np.sort(np.concatenate([known, others]))
    codes = np.where(np.isin(rows, known), latents.labels.codes[rows], UNLABELLED)
    arrays = {name: array[rows] for name, array in latents.arrays.items()}
    return Latents(arrays, latents.checkpoint, Labels(codes, latents.labels.names), shapes=latents.shapes)
