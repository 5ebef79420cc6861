"""The greedy choice of points that cover the others, against what it is by definition and against exhaustive search."""

from itertools import combinations

import numpy as np
import pytest

from latentcli.classifiers.coverage import Coverage, reach


def covered(points: np.ndarray, weights: np.ndarray, chosen: list[int], r: float) -> float:
    """The share that these points cover, by its definition, in float64."""
    distances = np.linalg.norm(points[:, None] - points[None, chosen], axis=-1)
    return float(weights @ np.exp(-(distances**2) / (2 * r**2)).max(axis=1) / weights.sum())


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 3)) * [1, 2, 0.5] + 100  # far from the origin, as latents may be


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 1, 60)


def test_scores_are_what_each_point_adds(points, weights):
    coverage = Coverage(points, weights, 0.8)
    rows, scores = coverage.choose(6)
    for count in range(1, 7):
        assert scores[:count].sum() == pytest.approx(covered(points, weights, rows[:count].tolist(), 0.8), abs=1e-5)
    assert coverage.share == pytest.approx(scores.sum(), abs=1e-5)
    assert (np.diff(scores) <= 0).all()
    assert len(set(rows.tolist())) == 6


def test_each_choice_is_the_best_one(points, weights):
    """Lazily evaluated gains choose what all gains, computed anew each time, would choose."""
    rows, _ = Coverage(points, weights, 0.8).choose(8)
    chosen: list[int] = []
    for _ in range(8):
        shares = [covered(points, weights, [*chosen, row], 0.8) if row not in chosen else 0 for row in range(60)]
        chosen.append(int(np.argmax(shares)))
    assert rows.tolist() == chosen


def test_the_greedy_choice_is_nearly_the_best_of_all(points, weights):
    rows, _ = Coverage(points[:20], weights[:20], 0.8).choose(3)
    best = max(covered(points[:20], weights[:20], list(each), 0.8) for each in combinations(range(20), 3))
    assert covered(points[:20], weights[:20], rows.tolist(), 0.8) >= (1 - 1 / np.e) * best


def test_what_has_a_label_is_covered(points, weights):
    coverage = Coverage(points, weights, 0.8)
    coverage.cover(points[:30])
    assert coverage.share == pytest.approx(covered(points, weights, [*range(30)], 0.8), abs=1e-5)
    assert not set(coverage.choose(5)[0].tolist()) & {*range(30)}


def test_the_reach_is_the_distance_to_the_tenth_neighbour():
    line = np.arange(50.0)[:, None]
    assert reach(line) == 5  # five on either side
    assert reach(line[:3]) == 2  # of fewer points the last one; the middle point has 1
    assert reach(np.zeros((20, 2))) == 1
    assert reach(line[:1]) == 1


def test_points_that_are_the_same_are_all_chosen_in_the_end():
    rows, scores = Coverage(np.zeros((4, 2)), np.ones(4), 1.0).choose(9)
    assert rows.tolist() == [0, 1, 2, 3]
    assert scores.tolist() == [1, 0, 0, 0]
