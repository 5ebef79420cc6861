"""Every kind of figure: same arrays, same bytes; names of users are shown as they are; matplotlib is left alone."""

import hashlib
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from latentcli.core.errors import OutputError, UsageError
from latentcli.figures import FIGURES, format_of, save
from latentcli.figures.front import Size
from latentcli.figures.style import look

random = np.random.default_rng(0)
NASTY = ["$x_1$", "a_b^c\\frac", "an unreasonably long name that nobody can read at all", "two\nlines", "猫\x07"]
IMAGES = random.random((9, 1, 8, 8))
POINTS = random.normal(size=(60, 3))
ARGUMENTS = {
    "history": ([{"epoch": 1, "loss": 2.0, "$x_1$": 3.0}],),
    "latent": (POINTS, np.arange(60) % 5, NASTY),
    "manifold": (IMAGES, 3),
    "reconstructions": (IMAGES[:5], IMAGES[:5], np.ones(5)),
    "confusion": (np.eye(5, dtype=int), NASTY),
    "hybrids": (IMAGES[:5], np.full((5, 5), 0.2), NASTY),
    "field": (np.full((6, 8, 5), 0.2), (-1.0, 1.0, -2.0, 2.0), POINTS[:, :2], np.full((60, 5), 0.2), NASTY),
    "curve": ({name: {1: (0.55, 0.07, 2), 5: (0.7, 0.0, 1), 1000: (0.9, 0.05, 5)} for name in NASTY},),
    "labels": (NASTY, {"$x$": np.arange(5)}),
    "codes": (IMAGES[:5], IMAGES[:5], np.arange(80).reshape(5, 4, 4), np.arange(80).reshape(5, 4, 4), np.eye(80)),
    "tsne": (POINTS, np.arange(60) % 5, NASTY),
    "front": (
        [Size(name, "vq_vae", 10.0**place, 0.2 * place, None if place else 0.5) for place, name in enumerate(NASTY)],
    ),
    "comparison": ([("$x_1$", {name: {"a_b^c\\frac": [1.0, 2.0], "$y$": [0.5]} for name in NASTY})],),
}
TITLED = ("confusion", "curve", "field", "front")


def draw(kind):
    return FIGURES[kind](*ARGUMENTS[kind], **({"title": NASTY[0]} if kind in TITLED else {}))


def test_every_kind_is_tested_here():
    assert set(ARGUMENTS) == set(FIGURES)


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize("kind", FIGURES)
def test_the_same_arrays_give_the_same_bytes_whatever_the_user_has_set(kind, suffix, tmp_path):
    save(draw(kind), tmp_path / f"a.{suffix}")
    with matplotlib.rc_context({"font.size": 31, "axes.facecolor": "red", "savefig.dpi": 33, "svg.hashsalt": None}):
        save(draw(kind), tmp_path / f"b.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()
    assert first.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


@pytest.mark.parametrize("kind", FIGURES)
def test_all_type_is_at_least_nine_points_and_no_mathematics(kind):
    from matplotlib.text import Text

    figure = draw(kind)
    with look():  # as when it is saved
        figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert texts
    assert all(text.get_fontsize() >= 9 and not text.get_parse_math() for text in texts)
    assert not any("\n" in text.get_text() or "\x07" in text.get_text() for text in texts)


def undrawn(figure) -> set:
    """Labels of ticks beyond the ends of their axes: these exist, but are not drawn."""
    found = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.majorTicks, *axis.minorTicks):
            if not low <= tick.get_loc() <= high:
                found |= {tick.label1, tick.label2}
    return found


@pytest.mark.parametrize("kind", FIGURES)
def test_no_text_is_clipped(kind):
    from matplotlib.text import Text

    figure = draw(kind)
    with look():  # as when it is saved
        figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    for text in set(texts) - undrawn(figure):
        box = text.get_window_extent()
        assert box.x0 >= -1, text.get_text()
        assert box.y0 >= -1, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 1, text.get_text()
        assert box.y1 <= figure.bbox.y1 + 1, text.get_text()


def test_drawing_leaves_the_settings_alone_and_never_imports_pyplot():
    code = """
import sys
import latentcli.figures as figures
import matplotlib
before = matplotlib.rcParams.copy()
import pathlib, tempfile
figure = figures.FIGURES["confusion"]([[1]], ["a"])
with tempfile.TemporaryDirectory() as folder:
    figures.save(figure, pathlib.Path(folder) / "a.svg")
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_registry_alone_does_not_import_matplotlib():
    code = "import sys, latentcli.figures as f; list(f.FIGURES); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.png.txt"])
def test_another_suffix_is_a_wrong_call_and_writes_nothing(name, tmp_path):
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        save(draw("confusion"), tmp_path / name)
    assert not list(tmp_path.iterdir())
    assert format_of(tmp_path / "A.PNG") == "png"


def test_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError):
        save(draw("confusion"), tmp_path / "nowhere" / "a.png")


def test_a_figure_that_cannot_be_rendered_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = draw("confusion")
    monkeypatch.setattr(figure, "savefig", lambda file, **_: (file.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        save(figure, path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"
