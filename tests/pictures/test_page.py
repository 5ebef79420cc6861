"""The page of a report: nothing of a user's is HTML, nothing is loaded, and it says in words what it shows."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from latentcli.pictures.page import SIDE, Page

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "line\nend", "\u202egnp.exe", "' onclick='x", "שלום",
)  # fmt: skip


class Elements(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (len(HOSTILE), 1, 12, 12)).astype(np.uint8)


@pytest.fixture
def page(images, tmp_path) -> str:
    """A page of all parts, each with hostile names."""
    page = Page(HOSTILE[0], HOSTILE[1])
    page.section(HOSTILE[1])
    page.paragraph(HOSTILE[0])
    page.facts({HOSTILE[1]: {HOSTILE[4]: HOSTILE[0]}, "list": [*HOSTILE], "nothing": None})
    page.table([*HOSTILE], [HOSTILE], HOSTILE[0])
    Image.fromarray(images[0, 0]).save(tmp_path / "picture.png")
    page.picture(tmp_path / "picture.png", HOSTILE[0], HOSTILE[1])
    page.gallery(images, HOSTILE)
    codes = np.array([0, 1, 2, 3, 4, -1])
    page.plane(np.random.default_rng(1).normal(size=(6, 2)), codes, HOSTILE, HOSTILE, images, HOSTILE[1])
    counts = np.arange(36).reshape(6, 6)
    page.matrix(counts, HOSTILE, {(0, 1): (images[:1], HOSTILE[:1]), (1, 1): (images, HOSTILE)})
    page.confusions(counts, HOSTILE, [(0, 1), (2, 3)], {})
    return page.html()


def test_names_are_text_and_never_html(page):
    found = Elements(page)
    tags = {tag for tag, _ in found.found}
    assert not tags & {"script", "iframe", "object", "embed", "form", "link", "base", "svg"}
    assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
    words = "".join(found.words)
    assert HOSTILE[0] in words
    assert HOSTILE[1] in words
    assert "line\\nend" in words
    assert "\u202e" not in page


def test_nothing_is_loaded_and_a_policy_says_so(page):
    found = Elements(page)
    sources = [attributes["src"] for tag, attributes in found.found if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    links = [attributes["href"] for _, attributes in found.found if "href" in attributes]
    assert all(link.startswith("#") for link in links)
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = [each["content"] for tag, each in found.found if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_each_image_has_its_words_and_each_link_its_place(page):
    found = Elements(page)
    images = [attributes for tag, attributes in found.found if tag == "img"]
    assert all(attributes["alt"] for attributes in images)
    places = {attributes["id"] for _, attributes in found.found if "id" in attributes}
    assert {attributes["href"][1:] for tag, attributes in found.found if tag == "a" and "href" in attributes} <= places
    assert len([tag for tag, _ in found.found if tag == "h1"]) == 1
    assert ("html", {"lang": "en"}) in found.found


def test_a_cell_leads_to_its_images(page):
    found = Elements(page)
    links = {attributes.get("href"): attributes for tag, attributes in found.found if tag == "a"}
    assert links["#cell-1-1"]["aria-label"] == f"7 images of {HOSTILE[1]} predicted as {HOSTILE[1]}"
    assert "#cell-5-5" not in links
    assert page.index('id="cell-0-1"') < page.index('id="cell-1-1"')


def test_points_lie_where_they_are_and_show_their_images(images):
    page = Page("plane")
    page.section("plane")
    points = np.array([[0.0, 0.0], [1.0, 2.0], [0.5, 1.0]])
    page.plane(points, np.array([0, 11, -1]), [str(name) for name in range(12)], ["a", "b", "c"], images[:3])
    marks = re.findall(
        r'class="p ([^"]*)" tabindex="-1" style="left:([\d.]+)%;top:([\d.]+)%"><i class="([^"]*)"', page.html()
    )
    assert [(left, top, mark) for _, left, top, mark in marks] == [
        ("2.0", "98.0", "c0"), ("98.0", "2.0", "c1 square"), ("50.0", "50.0", ""),
    ]  # fmt: skip
    assert [side.split() for side, *_ in marks] == [["u"], ["l"], []]  # no image leaves the plane
    one = Page("one")
    one.section("one")
    one.plane(np.zeros((2, 2)), np.zeros(2, int), ["a"], ["x", "y"])  # one place: no division by nothing
    assert "nan" not in one.html()


@pytest.mark.parametrize(("shape", "kind"), [((1, 28, 28), "png"), ((3, 16, 16), "png"), ((3, 200, 100), "jpeg")])
def test_images_are_small_and_what_they_are(shape, kind):
    image = np.random.default_rng(0).integers(0, 255, (1, *shape)).astype(np.uint8)
    page = Page("images")
    page.section("images")
    page.gallery(image, ["one"])
    kinds, data = re.search(r'src="data:image/(\w+);base64,([^"]+)"', page.html()).groups()
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert (kinds, shown.format.lower()) == (kind, kind)
        assert max(shown.size) == min(SIDE, max(shape))
        if kind == "png":
            pixels = np.asarray(shown)
            np.testing.assert_array_equal(pixels, image[0, 0] if shape[0] == 1 else image[0].transpose(1, 2, 0))


def test_the_same_parts_give_the_same_bytes(page, images, tmp_path):
    one, two = (Page("same") for _ in range(2))
    for each in (one, two):
        each.section("part")
        each.gallery(images, HOSTILE)
    assert one.save(tmp_path / "one.html").read_bytes() == two.save(tmp_path / "two.html").read_bytes()
