"""Keys that go through what the page shows, without a browser."""

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="the page is made with Bokeh, which is not installed")

from bokeh import layouts
from bokeh.document import Document

from latentcli.explore.page import Page
from latentcli.inference.checking import Finding


@pytest.fixture
def page(exploration) -> Page:
    return Page(Document(), layouts.column(), exploration)


def seen(page: Page, key: str, count: int) -> list[int]:
    """The images that are looked at as a key is pressed so often."""
    found = []
    for _ in range(count):
        page.press(key)
        found.append(page.explored.current)
    return found


def test_arrows_go_through_all_that_was_found_although_an_image_may_be_there_twice(page, exploration):
    exploration.view = "trouble"
    exploration.findings = [
        Finding("duplicate", 1.0, 5, "5", 3), Finding("outlier", 9.0, 8, "8"), Finding("outlier", 8.0, 5, "5"),
        Finding("outlier", 7.0, 5, "5"), Finding("label", 1.0, 4, "4"),
    ]  # fmt: skip
    assert seen(page, "ArrowRight", 6) == [5, 8, 5, 5, 4, 4]
    assert "label" in page.parts.counted.text
    assert seen(page, "ArrowLeft", 5) == [5, 5, 8, 5, 5]
    assert "duplicate" in page.parts.counted.text


def test_arrows_go_through_the_nearest_of_one_image(page, exploration):
    exploration.look_at(7)
    exploration.look_through("near")
    expected = exploration.nearest(7)
    assert seen(page, "ArrowRight", 4) == expected[1:5].tolist()
    np.testing.assert_array_equal(exploration.gallery(), expected)
    exploration.look_at(9)  # by the pointer
    np.testing.assert_array_equal(exploration.gallery(), exploration.nearest(9))
