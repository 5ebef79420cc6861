"""Row 8: models and mixtures that collapse on purpose, and others that do not: who is told so, and who is not.

Whether one has is told apart without the package's own measures. Of a VAE: whether a draw from an image's posterior is
nearer to that image's mean than to those of others. Of codes: whether most images have the same map. Of a mixture: the
share of images that one of its clusters takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch

import latentcli as lc
from latentcli.models.quantised import QuantisedAutoencoder

from .commands import Place
from .trial import Trial

TITLE = "collapse"
RUNS = 100
LOST, FOUND = 0.45, 0.25
"""How many of the other images' means are nearer to a draw: half of them where it says nothing of its image. What lies
between is counted, and not judged."""


@dataclass(frozen=True)
class Case:
    """A training, or a fit of a mixture to points (images without a family)."""

    family: str
    collapses: bool
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.family or 'mixture'}, seed {self.seed}, {self.settings}"


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Train, and compare what is told with what is so."""
    images = lc.load("digits")
    for case in trial.cases(cases(trial)):
        told, is_so = _mixture(case) if not case.family else _model(case, images)
        if is_so is None:
            trial.count("undecided")
            continue
        trial.count("collapsed" if is_so else "not collapsed")
        if told != is_so:
            trial.fail(f"{case}: {'nothing is told of it' if is_so else 'told, and it is not so'}")


def cases(trial: Trial) -> Iterator[Case]:
    """As many that collapse as not, of each family and of mixtures."""
    random = trial.random
    for number in range(RUNS):
        seed, family = int(random.integers(1000)), ("vae", "vae", "vqvae", "fsq")[number % 4]
        size = {"width": int(random.choice([32, 64])), "epochs": 15, "lr": float(random.choice([1e-3, 3e-3])),
                "backbone": str(random.choice(["mlp", "conv"])), "views": "none"}  # fmt: skip
        if family == "vae":
            size |= {"latent_dim": int(random.choice([2, 8, 16])), "components": 1, "information": 0.0}
        else:
            size |= {"stages": 1}
        yield Case(family, False, seed, size)
        yield Case(
            family, True, seed, size | ({"beta": float(10 ** random.uniform(2.5, 4))} if family == "vae" else {})
        )
        clusters, dimensions = int(random.integers(2, 9)), int(random.integers(2, 12))
        for collapses in (False, True):
            yield Case("", collapses, seed, {"clusters": clusters, "dimensions": dimensions})


def _model(case: Case, images: lc.ImageSet) -> tuple[bool, bool | None]:
    """Whether a training that has ended tells that it collapsed, and whether it did."""

    def blind(self: QuantisedAutoencoder, images: torch.Tensor) -> torch.Tensor:
        maps = seeing(self, images)
        return 0.0 * maps + maps.detach().mean(dim=(0, 2, 3), keepdim=True)

    seeing = QuantisedAutoencoder.maps_of
    patched = blind if case.collapses and case.family != "vae" else seeing
    with mock.patch.object(QuantisedAutoencoder, "maps_of", patched):
        model = lc.train(images, model=case.family, seed=case.seed, device="cpu", **case.settings)
        latents = model.encode(images.take(np.arange(0, len(images), 5)))
    told = any("collapsed" in note for note in model.notes)
    if "codes" in latents.arrays:
        _, counts = np.unique(latents.features("codes"), axis=0, return_counts=True)
        return told, bool(counts.max() > 0.9 * len(latents))
    means, spread = latents.flat, np.exp(0.5 * latents.arrays["logvar"])
    drawn = means + spread * np.random.default_rng(0).normal(size=means.shape)
    distances = np.square((drawn[:, None] - means[None]) / spread[:, None]).sum(axis=2)
    nearer = float((distances < np.diagonal(distances)[:, None]).mean())
    return told, True if nearer > LOST else False if nearer < FOUND else None


def _mixture(case: Case) -> tuple[bool, bool | None]:
    """The same of a mixture: nearly all points are in one cluster where it is to collapse, else as many in each."""
    random, clusters, dimensions = (
        np.random.default_rng(case.seed),
        case.settings["clusters"],
        case.settings["dimensions"],
    )
    centres = 12 * np.eye(max(clusters, dimensions))[:clusters, :dimensions] + random.normal(
        size=(clusters, dimensions)
    )
    shares = np.full(clusters, 0.004) if case.collapses else random.uniform(0.5, 1.5, clusters)
    shares[0] = 1.0 if case.collapses else shares[0]
    truth = random.choice(clusters, 2000, p=shares / shares.sum())
    points = (centres[truth] + random.normal(size=(2000, dimensions))).astype(np.float32)
    latents = lc.Latents(
        {"mu": points, "logvar": np.zeros_like(points)}, "a" * 64, lc.Labels.of([str(c) for c in truth])
    )
    try:
        mixture = lc.fit_mixture(latents, seed=case.seed)
    except lc.FitError:  # of a cluster of one or two points: told, and nothing is written
        return case.collapses, case.collapses
    most = float(np.bincount(mixture.predict(points).astype(int)).max()) / 2000
    return bool(mixture.notes), True if most > 0.97 else False if most < 0.93 else None
