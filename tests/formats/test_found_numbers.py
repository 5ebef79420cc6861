"""What is usual among numbers, and what the ends far from all others are."""

import numpy as np
import pytest

from latentcli.formats.found_numbers import found_in
from latentcli.formats.pixel_values import Span, crowded, hint

LEVELS = np.linspace(1000, 1200, 32)


def of(away: float, share: float, count: int = 3200, levels: np.ndarray = LEVELS) -> np.ndarray:
    """Numbers of these levels, of which a share is one that is far away."""
    others = round(count * (1 - share))
    return np.concatenate([np.resize(levels, others), np.full(count - others, away)]).astype("f4")


@pytest.mark.parametrize(("away", "share", "is_apart"), [
    (0.0, 0.75, True), (0.0, 0.76, False), (806.0, 0.5, True), (807.0, 0.5, False),
    (9000.0, 0.25, True), (9000.0, 0.26, False), (1395.0, 0.1, False), (1405.0, 0.1, True),
])  # fmt: skip
def test_an_end_is_apart_where_few_enough_numbers_are_far_enough_away(away, share, is_apart):
    """Of the least up to three quarters, farther than the span of those between; of the largest a quarter."""
    found = found_in(of(away, share))
    assert found.unusual == ([away] if is_apart else [])
    assert len(found.usual) == (round(3200 * (1 - share)) if is_apart else 3200)


def test_black_under_few_levels_is_none_that_is_apart():
    assert found_in(of(0.0, 0.5, levels=LEVELS[:16])).unusual == []
    assert found_in(of(0.0, 0.5, levels=LEVELS[:17])).unusual == [0.0]


def test_bytes_have_no_end_that_is_apart():
    numbers = np.concatenate([np.arange(200, 232), np.zeros(10)])
    assert found_in(numbers.astype("u1")).unusual == []
    assert found_in(numbers.astype("u2")).unusual == [0.0]


@pytest.mark.parametrize(("low", "high", "clips"), [
    (-0.1, 1.4, True), (-0.49, 1.99, True), (-0.5, 1.4, False), (-0.1, 2.0, False),
])  # fmt: skip
def test_only_numbers_nearly_from_0_to_1_are_to_be_clipped(low, high, clips):
    numbers = np.linspace(low, high, 4096)
    assert ("clip them" in hint(found_in(numbers))) == clips
    assert "clip them" not in hint(found_in(np.arange(2)))


@pytest.mark.parametrize(("numbers", "span", "told"), [
    (np.arange(60_000, 61_001), Span(0, 65_535), "60005 to 60995, become levels 233 to 237 of 255"),
    (np.arange(-500, 501), Span(-1000, 64_535), "-495 to 495, become levels 2 to 6 of 255"),
    (np.linspace(0.2, 0.9, 1001), Span(0, 100), "0.2035 to 0.8965, become levels 1 to 2 of 255"),
    (np.full(1001, 3), Span(0, 65_535), ""), (np.arange(40_000), Span(0, 65_535), ""),
])  # fmt: skip
def test_numbers_that_become_nearly_one_level_are_told_with_these_levels(numbers, span, told):
    found = crowded(found_in(numbers), span)
    assert (told in found, bool(found)) == (True, bool(told)), found


def test_narrow_floats_are_told_too():
    numbers = np.append(np.linspace(0.40, 0.41, 1001), [0.0, 1.0])
    assert "0.40005 to 0.40995, become levels 102 to 105 of 255" in crowded(found_in(numbers), Span(0, 1))


@pytest.mark.parametrize("numbers", [np.append(np.full(4096, 700), 9_000), np.full(4096, 700)])
def test_of_numbers_that_are_nearly_all_one_a_hint_holds_them_all(numbers):
    assert hint(found_in(numbers)).endswith(f"`range` {numbers.max()}")


@pytest.mark.parametrize("most", [0, 1, 2, 5, 100])
def test_a_sample_is_evenly_spread_from_the_first_number_to_the_last(most):
    sample = found_in(np.arange(5), most=most).sample
    assert sample.tolist() == {0: [0], 1: [0], 2: [0, 4]}.get(most, [0, 1, 2, 3, 4])
