"""EM over parts of the samples, which only add up sums, is EM over all of them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from latentcli.classifiers.mixture.expectation_maximisation import Part
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.core.labels import UNLABELLED

PARTS = 3


class Together:
    """Sums over threads that stand for processes: each of them gets its own copy, or waits for the others in vain."""

    def __init__(self) -> None:
        self.barrier, self.arrays = threading.Barrier(PARTS, timeout=60), {}

    def of(self, number: int) -> Callable[[np.ndarray], np.ndarray]:
        def add_up(array: np.ndarray) -> np.ndarray:
            self.arrays[number] = np.array(array)
            self.barrier.wait()
            total = sum(self.arrays[other] for other in range(1, PARTS)) + self.arrays[0]
            self.barrier.wait()
            return np.asarray(total, dtype=self.arrays[number].dtype)

        return add_up


def shared_out(make, points, labels, logvar) -> list[GaussianMixtureClassifier]:
    """What each of the parts comes to; the first one has many rows, the last one few."""
    ends, together = [0, len(points) // 2, len(points) - 20, len(points)], Together()

    def fit(number: int) -> GaussianMixtureClassifier:
        rows = slice(ends[number], ends[number + 1])
        return make().fit(points[rows], labels, logvar[rows], part=Part(rows, together.of(number)))

    with ThreadPoolExecutor(PARTS) as pool:
        return [*pool.map(fit, range(PARTS))]


@pytest.mark.parametrize(
    ("settings", "dimensions", "labelled"),
    [
        ({}, 3, 0.02),
        ({"n_components": 7, "covariance_type": "diag", "n_init": 2}, 3, 0.02),
        ({"n_components": 4, "covariance_type": "tied"}, 3, 0.0),
        ({"covariance_type": "spherical", "chunk_size": 50}, 3, 1.0),
        ({"max_dimensions": 4}, 9, 0.1),
    ],
    ids=["labels", "more components", "no labels", "all labelled", "plane"],
)
def test_parts_come_to_what_all_samples_come_to_at_every_iteration(settings, dimensions, labelled):
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, 900)
    points = 4 * random.standard_normal((3, dimensions))[classes] + random.standard_normal((900, dimensions))
    labels = np.where(random.random(900) < labelled, classes, UNLABELLED) if labelled else None
    logvar = random.standard_normal((900, dimensions))

    def make() -> GaussianMixtureClassifier:
        return GaussianMixtureClassifier(random_state=1, max_iter=40, tol=1e-4, **settings)

    alone = make().fit(points, labels, logvar)
    for part in shared_out(make, points, labels, logvar):
        np.testing.assert_allclose(part.log_likelihoods_, alone.log_likelihoods_, rtol=1e-9)
        mine, theirs = alone.to_params(), part.to_params()
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                np.testing.assert_allclose(theirs[name], value, rtol=1e-7, atol=1e-9, err_msg=name)
            else:
                np.testing.assert_array_equal(theirs[name], value)


def test_each_part_finds_the_same_fault():
    points = np.repeat([[0.0, 0.0], [1.0, 1.0]], 450, axis=0)
    labels = np.repeat([0, 1], 450)
    with pytest.raises(ValueError, match=r"collapsed|no spread"):
        shared_out(lambda: GaussianMixtureClassifier(covariance_type="diag"), points, labels, np.zeros_like(points))
