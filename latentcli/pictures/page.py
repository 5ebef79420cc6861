"""One HTML file that holds all that it shows: no script, nothing from the network, names of users as text alone.

A browser is told so by a content security policy, too. Images are within the file, each with a text alternative; what
is shown under the pointer, or the finger, is done by the style sheet. The same parts give the same bytes.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentcli.core.errors import printable
from latentcli.figures.style import PALETTE
from latentcli.formats.atomic import atomic_write

SIDE = 64
"""Pixels a side of a small image at most."""

PHOTO = 32 * 32 * 3
"""Values of a small image from which on it is a JPEG, which is a third as long as the PNG of a photograph."""

SHAPES = ("", "square", "diamond", "ring")
"""Shapes of points: discs for the first ten classes, squares for the next ten, and so on."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_COLOURS = "".join(f".c{place}{{--c:{colour}}}" for place, colour in enumerate(PALETTE))
_STYLE = f"""
:root{{color-scheme:light}}*{{box-sizing:border-box}}
body{{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:64rem;margin:0 auto;padding:1rem}}
h1{{font-size:1.6rem;line-height:1.2}}h2{{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid #ccc}}
h3{{font-size:1rem}}a{{color:#0b5394}}
nav a{{display:inline-block;margin-right:1rem}}
table{{border-collapse:collapse}}th,td{{padding:.2rem .6rem;text-align:left;vertical-align:top}}
.wide{{overflow-x:auto}}.facts th{{font-weight:400;color:#555}}.facts td{{overflow-wrap:anywhere}}
.grid th,.grid td{{border:1px solid #ccc}}.grid td{{text-align:right}}caption{{text-align:left;color:#555}}
figure{{margin:1rem 0}}figure>img{{max-width:100%;height:auto}}figcaption{{color:#555;font-size:.9rem}}
.gallery{{display:flex;flex-wrap:wrap;gap:.5rem;padding:0;margin:.5rem 0;list-style:none}}
.gallery li{{width:6rem;font-size:.75rem;line-height:1.2;overflow-wrap:anywhere}}
.small{{width:4rem;height:4rem;object-fit:contain;image-rendering:pixelated;background:#eee;display:block}}
.matrix td{{padding:0;text-align:center;min-width:2.4rem}}.matrix td a,.matrix td span{{display:block;padding:.3rem}}
.matrix a{{color:inherit;text-decoration:underline dotted}}.dark{{color:#fff}}
.cell{{display:none;border-left:4px solid #0072B2;padding-left:1rem}}.cell:target{{display:block}}
.plane{{position:relative;width:100%;max-width:44rem;aspect-ratio:1;border:1px solid #ccc}}
.p{{position:absolute;width:9px;height:9px;margin:-4.5px;outline:0}}.p:hover,.p:focus{{z-index:2}}
.p i,.key i{{display:block;width:9px;height:9px;border-radius:50%;background:var(--c,#8c8c8c);opacity:.75}}
.p .square,.key .square{{border-radius:0}}.p .diamond,.key .diamond{{border-radius:0;transform:rotate(45deg) scale(.8)}}
.p .ring,.key .ring{{background:none;border:2px solid var(--c,#8c8c8c)}}
.plane b{{position:absolute;transform:translate(-50%,-50%);z-index:1;pointer-events:none;max-width:9rem;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap;text-shadow:0 0 3px #fff,0 0 3px #fff,0 0 3px #fff}}
@media(max-width:40rem){{.p i{{width:6px;height:6px}}}}
.p:focus i{{outline:2px solid #000}}
.p span{{display:none;position:absolute;left:12px;top:12px;width:9rem;padding:.4rem;font-size:.75rem;line-height:1.2;
color:#222;background:#fff;border:1px solid #888;overflow-wrap:anywhere}}
.p.l span{{left:auto;right:12px}}.p.u span{{top:auto;bottom:12px}}.p:hover span,.p:focus span{{display:block}}
.key{{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;list-style:none;font-size:.85rem}}
.key li{{display:flex;align-items:center;gap:.3rem;overflow-wrap:anywhere}}
{_COLOURS}
@media print{{body{{max-width:none;font-size:11pt}}.wrong{{display:block}}figure,.gallery li,tr{{break-inside:avoid}}
nav{{display:none}}*{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}}}
""".strip()


def text(value: object) -> str:
    """What is shown for a value: its text, of which nothing is HTML, with control characters escaped."""
    return html.escape(printable(str(value)), quote=True)


def number(value: object) -> str:
    """A number as people read it, and any other value as its text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if 1e-4 <= abs(value) < 1e4 else f"{value:.4g}"


class Page:
    """A page in the making, part by part.

    Args:
        title: of the page.
        summary: a sentence or two below it.
    """

    def __init__(self, title: str, summary: str = "") -> None:
        self._title, self._summary = title, summary
        self._sections: list[tuple[str, list[str]]] = []

    def section(self, title: str) -> None:
        """Begin a part of the page; all that follows belongs to it."""
        self._sections.append((title, []))

    def _add(self, part: str) -> None:
        self._sections[-1][1].append(part)

    def paragraph(self, words: str) -> None:
        """A paragraph."""
        self._add(f"<p>{text(words)}</p>")

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Names and values, of which mappings are laid out as further rows."""
        rows = "".join(
            f'<tr><th scope="row">{text(name)}</th><td dir="auto">{text(number(value))}</td></tr>'
            for name, value in _flat(facts)
        )
        self._add(f'<div class="wide"><table class="facts">{rows}</table></div>')

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
        """A table; the first cell of a row is its name."""
        head = "".join(f'<th scope="col">{text(cell)}</th>' for cell in header)
        body = "".join(
            f'<tr><th scope="row" dir="auto">{text(row[0])}</th>'
            + "".join(f"<td>{text(number(cell))}</td>" for cell in row[1:]) + "</tr>"
            for row in rows
        )  # fmt: skip
        said = f"<caption>{text(caption)}</caption>" if caption else ""
        self._add(f'<div class="wide"><table class="grid">{said}<tr>{head}</tr>{body}</table></div>')

    def picture(self, path: Path, caption: str, alternative: str) -> None:
        """A picture of a file, with what it shows in words for those who do not see it."""
        kind = "svg+xml" if path.suffix.lower() == ".svg" else "png"
        source = f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
        image = f'<img src="{source}" alt="{text(alternative)}">'
        self._add(f"<figure>{image}<figcaption>{text(caption)}</figcaption></figure>")

    def gallery(self, images: np.ndarray, captions: Sequence[str]) -> None:
        """Small images (N, C, H, W) uint8, a caption below each."""
        self._add(_gallery(images, captions))

    def plane(
        self, points: np.ndarray, codes: np.ndarray, names: Sequence[str], captions: Sequence[str],
        images: np.ndarray | None = None, alternative: str = "",
    ) -> None:  # fmt: skip
        """Points of a plane by class, whose name stands amid them; under the pointer each shows its image and caption.

        Args:
            points: (N, 2), finite.
            codes: (N,) indices into ``names``, -1 for none.
            names: of the classes.
            captions: (N,) of the points.
            images: (N, C, H, W) uint8; None: there are none.
            alternative: what the plane shows, in words.
        """
        low, high = points.min(axis=0), points.max(axis=0)
        spread = np.where(high > low, high - low, 1)
        places = 2 + 96 * (points - low) / spread
        marks = []
        for row, (x, y) in enumerate(places.tolist()):
            side = ("l" if x > 60 else "") + (" u" if y < 40 else "")
            shown = "" if images is None else _small(images[row], captions[row])
            marks.append(
                f'<a class="p {side}" tabindex="-1" style="left:{x:.1f}%;top:{100 - y:.1f}%">'
                f'<i class="{_mark(int(codes[row]))}"></i><span dir="auto">{shown}{text(captions[row])}</span></a>'
            )
        present = np.unique(codes[codes >= 0]).tolist()
        for code in present:
            x, y = np.median(places[codes == code], axis=0).tolist()
            marks.append(f'<b dir="auto" style="left:{x:.1f}%;top:{100 - y:.1f}%">{text(names[code])}</b>')
        key = "".join(f'<li dir="auto"><i class="{_mark(code)}"></i>{text(names[code])}</li>' for code in present)
        self._add(f'<div class="plane" role="group" aria-label="{text(alternative)}">{"".join(marks)}</div>')
        self._add(f'<ul class="key">{key}</ul>')

    def matrix(
        self, counts: np.ndarray, names: Sequence[str], cells: Mapping[tuple[int, int], tuple[Any, Any]]
    ) -> None:
        """A confusion matrix (K, K), whose cells lead to their images.

        Args:
            counts: rows are the true classes, columns the predicted ones.
            names: of the classes.
            cells: images (n, C, H, W) uint8 of a cell and their captions, by row and column.
        """
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        head = "".join(f'<th scope="col" dir="auto">{text(name)}</th>' for name in names)
        rows = []
        for row, name in enumerate(names):
            written = [f'<tr><th scope="row" dir="auto">{text(name)}</th>']
            for column in range(len(names)):
                count, share = int(counts[row, column]), float(shares[row, column])
                shown = f"<span>{count:,}</span>" if count else "<span>·</span>"
                if (row, column) in cells:
                    said = text(f"{count} images of {names[row]} predicted as {names[column]}")
                    shown = f'<a href="#cell-{row}-{column}" aria-label="{said}">{count:,}</a>'
                dark = ' class="dark"' if share > 0.55 else ""
                written.append(f'<td{dark} style="background:rgba(0,84,136,{share:.2f})">{shown}</td>')
            rows.append("".join([*written, "</tr>"]))
        caption = "<caption>Rows are the true classes, columns the predicted ones; a number shows its images.</caption>"
        table = f'<table class="grid matrix">{caption}<tr><th></th>{head}</tr>{"".join(rows)}</table>'
        self._add(f'<div class="wide">{table}</div>')
        self._cells(counts, names, cells)

    def confusions(
        self, counts: np.ndarray, names: Sequence[str], pairs: Sequence[tuple[int, int]],
        cells: Mapping[tuple[int, int], tuple[Any, Any]],
    ) -> None:  # fmt: skip
        """Some cells of a confusion matrix as a list; arguments are those of ``matrix``, and which cells."""
        items = []
        for row, column in pairs:
            said = text(f"{names[row]}, predicted as {names[column]}: {int(counts[row, column]):,}")
            link = f'<a href="#cell-{row}-{column}">{said}</a>' if (row, column) in cells else said
            items.append(f'<li dir="auto">{link}</li>')
        self._add(f"<ol>{''.join(items)}</ol>")
        self._cells(counts, names, cells)

    def _cells(
        self, counts: np.ndarray, names: Sequence[str], cells: Mapping[tuple[int, int], tuple[Any, Any]]
    ) -> None:  # fmt: skip
        for (row, column), (images, captions) in cells.items():
            title = f"{names[row]}, predicted as {names[column]}: {len(captions)} of {int(counts[row, column]):,}"
            shown = f'<h3 dir="auto">{text(title)}</h3>{_gallery(images, captions)}'
            kind = "right" if row == column else "wrong"  # mistakes are printed, what is right is not
            self._add(f'<div class="cell {kind}" id="cell-{row}-{column}">{shown}</div>')

    def html(self) -> str:
        """The whole page."""
        links = "".join(f'<a href="#s{place}">{text(title)}</a>' for place, (title, _) in enumerate(self._sections))
        parts = [
            f'<section id="s{place}"><h2>{text(title)}</h2>{"".join(parts)}</section>'
            for place, (title, parts) in enumerate(self._sections)
        ]
        return (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{text(self._title)}</title><style>{_STYLE}</style></head><body>"
            f"<h1>{text(self._title)}</h1><p>{text(self._summary)}</p><nav>{links}</nav>{''.join(parts)}</body></html>\n"
        )

    def save(self, path: Path) -> Path:
        """Write the page, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_write(path) as file:
            file.write(self.html().encode("utf-8", "backslashreplace"))
        return path


def _flat(facts: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name} · ")
        elif value is not None and value != "":
            is_list = isinstance(value, list | tuple)
            found.append((f"{before}{name}".replace("_", " "), ", ".join(map(number, value)) if is_list else value))
    return found


def _mark(code: int) -> str:
    if code < 0:
        return ""
    return f"c{code % len(PALETTE)} {SHAPES[code // len(PALETTE) % len(SHAPES)]}".strip()


def _gallery(images: np.ndarray, captions: Sequence[str]) -> str:
    items = (
        f'<li dir="auto">{_small(image, caption)}{text(caption)}</li>'
        for image, caption in zip(images, captions, strict=True)
    )
    return f'<ul class="gallery">{"".join(items)}</ul>'


def _small(image: np.ndarray, alternative: str) -> str:
    """An image (C, H, W) uint8 as an element, at most ``SIDE`` pixels a side."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    picture, file = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO()
    if max(picture.size) > SIDE:
        picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    photo = picture.mode == "RGB" and 3 * picture.size[0] * picture.size[1] >= PHOTO
    kind = "jpeg" if photo else "png"
    picture.save(file, kind, **({"quality": 80} if photo else {"optimize": True}))
    source = base64.b64encode(file.getvalue()).decode()
    return f'<img class="small" src="data:image/{kind};base64,{source}" alt="{text(alternative)}">'
