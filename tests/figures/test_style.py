"""How names and images of users are shown."""

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.text import Text

from latentcli.core.errors import DataError
from latentcli.figures import comparison, confusion, curve, labels, latent, save, style


@given(st.text(max_size=80), st.integers(3, 40))
def test_shown_text_is_one_printable_line(text, limit):
    line = style.shown(text, limit)
    assert line.translate(dict.fromkeys(map(ord, "\u200c\u200d"))).isprintable()
    assert style.width(line) <= limit
    if text.isascii() and text.isprintable():
        assert len(line) <= limit


def test_long_names_keep_both_ends():
    assert style.shown("Salmonella enteritidis, strain 7", 15) == "Salmone…train 7"
    assert style.shown("short") == "short"


def test_what_has_no_glyph_is_escaped(install):
    assert style.shown("a\U000f0000") == "a\\U000f0000"
    assert style.shown("Größe λ") == "Größe λ"
    assert style.shown("\U000f0001" * 5, 24) == "\\U000f0001…\\U000f0001"


def write_font(path, family, letters):
    """A font in which each of the letters is a box of its own width."""
    builder = FontBuilder(1000)
    names = [".notdef", *(f"uni{ord(letter):04X}" for letter in letters)]
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, 700), (850, 700), (850, 0)):
        pen.lineTo(corner)
    pen.closePath()
    box = pen.glyph()
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, box))
    builder.setupHorizontalMetrics({name: (900 + 10 * row, 50) for row, name in enumerate(names)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs fonts, as a system has them that matplotlib's own list does not name, beside DejaVu's; until the end."""
    manager, paths = font_manager.fontManager, []
    kept = list(manager.ttflist)
    manager.ttflist[:] = [font for font in kept if font.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(paths))

    def forget():
        style._families.cache_clear()
        style._family_of.cache_clear()

    def installing(family, letters):
        paths.append(str(tmp_path / f"{family}.ttf"))
        write_font(paths[-1], family, letters)
        forget()

    forget()
    yield installing
    manager.ttflist[:] = kept
    manager._findfont_cached.cache_clear()
    forget()


SCRIPTS = {
    "Chinese": "\u732b\u72d7",
    "Korean": "\uac00\ub098",
    "Devanagari": "\u0915\u0916",
    "Ethiopic": "\u12a0\u12a1",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_installed_font_that_has_the_letters_shows_them(install, script, tmp_path):
    name = SCRIPTS[script]
    assert style.shown(name) == "".join(f"\\u{ord(letter):04x}" for letter in name)
    install("Zz No Color Emoji", name)
    assert style.shown(name).startswith("\\u")
    install(f"Zz {script}", name)
    assert style.shown(name) == name
    figure = labels.draw([name, "plain"], {"_known": [1, 2], "$x$": [3, 4]})
    texts = {text.get_text(): text.get_fontfamily() for text in figure.findobj(Text)}
    assert texts[name] == ["DejaVu Sans", f"Zz {script}"]
    assert texts["plain"] == ["DejaVu Sans"]
    install("Noto Sans", name[:1])
    assert [style._family_of(letter) for letter in name] == ["Noto Sans", f"Zz {script}"]


def test_letters_of_all_pictures_are_drawn_without_a_warning(install, tmp_path, caplog, recwarn):
    names = [*SCRIPTS.values(), "\u0642\u0637\u0629", "_private", "$a_b$", "x^2"]
    codes = np.arange(80) % len(names)
    points = np.random.default_rng(0).normal(size=(80, 2)) + 5 * codes[:, None]
    for family in ("none", "Zz Sans"):
        if family != "none":
            install(family, "".join(SCRIPTS.values()))
        for figure in (latent.draw(points, codes, names), confusion.draw(np.eye(8, dtype=int), names)):
            with style.look():
                figure.draw_without_rendering()
        save(latent.draw(points, codes, names), tmp_path / f"{family}.png")
    assert (tmp_path / "Zz Sans.png").read_bytes() != (tmp_path / "none.png").read_bytes()
    assert not [str(warning.message) for warning in recwarn]
    assert not caplog.records


def test_names_are_in_legends_as_they_are():
    names = ["_private", "__x", "$a_b$", "a_b^c"]
    for figure in (
        latent.draw(np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 4, names),
        labels.draw(["a"], {name: [1] for name in names}),
        curve.draw({name: {1: curve.Accuracy(0.5, 0.1, 2)} for name in names}),
        comparison.draw([("x", {"set": {name: [1.0] for name in names}})]),
    ):
        (found,) = figure.legends
        assert [text.get_text() for text in found.get_texts()] == names
        assert not any(text.get_parse_math() for text in found.get_texts())


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("\u732b", 2), ("\uac00\uac00", 4), ("e\u0301", 1), ("\u0915\u093f\u0916\u094d", 3), ("", 0)],
)
def test_widths_are_those_of_the_letters_that_are_seen(text, width):
    assert style.width(text) == width


def test_long_names_in_wide_letters_are_cut_to_their_room(install):
    install("Zz Wide", SCRIPTS["Chinese"])
    assert style.shown("\u732b" * 20, 9) == "\u732b\u732b…\u732b\u732b"
    assert style.shown("\u732b" * 12, 24) == "\u732b" * 12


def test_names_that_look_the_same_are_numbered():
    assert style.shown_names(["a b", "a\nb", "c"]) == ["a b (0)", "a b (1)", "c"]


def test_a_hundred_classes_look_unlike_each_other():
    looks = {(style.colour(index), style.marker(index)) for index in range(100)}
    assert len(looks) == 100
    assert style.colour(-1) not in style.PALETTE


@pytest.mark.parametrize(
    ("shape", "room", "size"),
    [((28, 28), 128, (112, 112)), ((8, 8), 128, (128, 128)), ((256, 128), 128, (128, 64)), ((9, 20), 100, (45, 100))],
)
def test_images_are_enlarged_by_whole_numbers_only(shape, room, size):
    assert style.tile_size(*shape, room) == size


def test_pixels():
    grey = np.array([[[0.0, 1.0, 0.5, 2.0]]])
    assert style.as_pixels(grey).tolist() == [[[0] * 3, [255] * 3, [128] * 3, [255] * 3]]
    colour = np.zeros((3, 2, 4), dtype=np.uint8)
    assert style.as_pixels(colour).shape == (2, 4, 3)


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 8, 8), (2, 4, 8, 8)])
def test_what_is_no_set_of_images_is_refused(shape):
    with pytest.raises(DataError, match="nothing to draw"):
        style.check_images(np.zeros(shape))
