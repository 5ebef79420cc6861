"""The front of a trade-off against all pairs of points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from latentcli.numerics.front import non_dominated

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


def dominates(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(points)
def test_what_no_other_point_dominates_is_left_each_once_by_rising_cost(given):
    costs, gains = np.array(given, dtype=float).T
    front = non_dominated(costs, gains)
    expected = {point for point in given if not any(dominates(other, point) for other in given)}
    assert [given[row] for row in front] == sorted(expected)
    assert all(given.index(given[row]) == row for row in front)  # of equal points the first


def test_a_point_without_a_gain_is_no_choice():
    assert non_dominated(np.array([1.0, 2.0, 3.0]), np.array([np.nan, 0.5, 0.7])).tolist() == [1, 2]
    assert non_dominated(np.array([]), np.array([])).tolist() == []
