"""Row 10: names of files and of classes as file systems allow them, through every output and back.

A folder's classes and files have them; what is written names each as it is, or so that it is found again: the table of
predictions is the next command's labels, and gives the same. Nothing reaches a terminal that could program it, no cell
is a spreadsheet's formula, and no page holds markup that a name brought.
"""

import csv
import json
import os
import re
import shutil
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

import latentcli as lc

from .commands import Place, call
from .trial import Trial

TITLE = "names"

NAMES = (
    "line\nbreak", "carriage\rreturn", "tab\tname", "esc\x1b[31mred", "\x1b]0;title\x07", "bell\x07", "back\x08space",
    "-dash", "--help", "-", "a" * 200, "é" * 100, unicodedata.normalize("NFC", "Å café"),
    unicodedata.normalize("NFD", "Å café"), "=cmd()", "+1+1", "@SUM(1)", "-2+3", "\t=1", "'quoted", '"double"', "a,b",
    "a;b", "a|b", "\u202etxt.exe", "עברית", "العربية", "日本語", "emoji 😀", "zero\u200bwidth", "non\u00a0break",
    "<script>alert(1)", "<img src=x onerror=alert(1)>",
    "&amp;", "%41", "100%", "{0}", "$HOME", "`id`", "~", "#hash", "back\\slash", "\\udc80",
    os.fsdecode(b"no \xff\xfe UTF-8"), "nan", "None", "-1", "unknown", "1e5", "01", "1.0", "true", " leading",
    "trailing ",
    "train", "CON", "a*b?", "[a]", "\u2028line", "\x7f", "nul",
)  # fmt: skip
"""Each is the name of a class, and of files."""
_NO_CLASSES = {"train", "-1", "unknown", "nan"}
"""What folders called so mean: a part, or no label."""
_FORMULA = tuple("=+-@\t\r")


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Names of classes, a few at a time; then names of files."""
    names = [name for name in NAMES if name not in _NO_CLASSES]
    order = trial.random.permutation(len(names))
    for rows in trial.cases(np.array_split(order, max(1, len(order) // 6))):
        folder = place.fresh()
        _classes(trial, folder, [names[row] for row in rows])
    if not fast or not trial.failed:
        _files(trial, place.fresh())
    if find_spec("bokeh") is not None:
        _explored(trial, place.fresh())


def _picture(path: Path, level: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 60, (8, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((noise + level).astype(np.uint8)).save(path, "png")


def _classes(trial: Trial, folder: Path, names: list[str]) -> None:
    for row, name in enumerate(names):
        for seed in range(4):
            _picture(folder / "set" / name / f"{seed}.png", 30 * row, 10 * row + seed)
    trial.count("names of classes", len(names))
    told = _called(trial, folder, names, (
        "encode set vae.pth -o new.npz", "fit-graph set vae.pth -o new_graph.npz -k 3",
        "fit-probe set vae.pth --probe knn -o new.pth", "classify set vae.pth new.pth -o new.csv --json",
        "classify set vae.pth new_graph.npz -o new.parquet", "evaluate set vae.pth new.pth --report new.html",
        "classify set vae.pth new.pth -o other.csv --figures new", "info new.npz new.pth new_graph.npz",
        "encode set vae.pth -o new_table.parquet", "check set vae.pth -o new_check.csv",
        "hybridize vae.pth new_graph.npz -n 6 --folder hybrids",
    ))  # fmt: skip
    if not told:
        return
    expected = {unicodedata.normalize("NFC", name) for name in names}  # what looks the same is one class
    found = {
        "new.npz": lc.read_latents(folder / "new.npz").class_names,
        "new_table.parquet": lc.read_latents(folder / "new_table.parquet").class_names,
        "new.pth": tuple(lc.load_classifier(folder / "new.pth").classes_.tolist()),
        "new_graph.npz": tuple(lc.load_classifier(folder / "new_graph.npz").classes_.tolist()),
        "--json": tuple(json.loads(told["classify set vae.pth new.pth -o new.csv --json"])["classes"]),
    }
    for where, classes in found.items():
        if sorted(map(_same, classes)) != sorted(map(_same, expected)):
            trial.fail(f"{where}: {classes!r} of {sorted(expected)!r}")
    labels = lc.load(str(folder / "set")).labels.texts
    predictions = lc.classify(lc.load(str(folder / "set")), lc.load_model(folder / "vae.pth"),
                              lc.load_classifier(folder / "new.pth")).labels.texts  # fmt: skip
    again = lc.load(str(folder / "set"), labels=folder / "new.csv", no_classes=False).labels.texts
    if [_same(each) for each in again] != [_same(each) for each in predictions]:
        odd = [(one, other) for one, other in zip(again, predictions, strict=True) if _same(one) != _same(other)]
        trial.fail(f"new.csv as --labels: {odd[:3]!r} (of {sorted({*labels})!r})")
    _harmless(trial, folder, names)


def _files(trial: Trial, folder: Path) -> None:
    """Files of all these names, flat; those that suffixes make odd are called so before them."""
    names = [name for name in NAMES if len(os.fsencode(f"{name}.png")) < 256]
    for row, name in enumerate(names):
        _picture(folder / "set" / f"{name}.png", 2 * row, row)
    trial.count("names of files", len(names))
    if not _called(trial, folder, names, (
        "encode set vae.pth -o new.npz", "classify set vae.pth graph.npz -o new.csv",
        "classify set vae.pth graph.npz -o new.parquet", "encode set vae.pth -o new_table.parquet",
        "suggest set vae.pth -n 100 -o new_list.csv", "evaluate set vae.pth --report new.html",
    )):  # fmt: skip
        return
    images = lc.load(str(folder / "set"))
    if sorted(map(_same, images.files or ())) != sorted(_same(f"{name}.png") for name in names):
        trial.fail(f"files: {sorted({*(images.files or ())} ^ {f'{name}.png' for name in names})!r}")
    for latents in ("new.npz", "new_table.parquet"):
        if [*map(_same, lc.read_latents(folder / latents).files or ())] != [*map(_same, images.files or ())]:
            trial.fail(f"{latents} names other files")
    found = lc.load(str(folder / "set"), labels=folder / "new.csv").labels.texts
    expected = lc.classify(images, lc.load_model(folder / "vae.pth"), lc.load_classifier(folder / "graph.npz"))
    odd = [(file, one, other) for file, one, other in zip(images.files or (), found, expected.labels.texts, strict=True)
           if one != other]  # fmt: skip
    if odd:
        trial.fail(f"new.csv as --labels gives others: {odd[:3]!r}")
    _harmless(trial, folder, names)


def _explored(trial: Trial, folder: Path) -> None:
    """Every file labelled by hand, each as another class: the table that it is in, the page, and the classifier."""
    from bokeh.document import Document
    from bokeh.models import Div
    from bokeh.models.layouts import Column

    from latentcli.explore.exploration import Exploration
    from latentcli.explore.labelling import Labelling
    from latentcli.explore.material import material
    from latentcli.explore.page import Page

    names = [name for name in NAMES if len(os.fsencode(f"{name}.png")) < 256]
    for row, name in enumerate(names):
        _picture(folder / "set" / f"{name}.png", 2 * row, row)
    images = lc.load(str(folder / "set"))
    explored = Exploration(
        material(images, lc.load_model(folder / "vae.pth")), Labelling(images, folder / "new.csv"), folder / "new.npz"
    )
    files = list(images.files or ())
    page = Page(Document(), Column(children=[Div()]), explored)
    try:
        for row, file in enumerate(files):
            explored.select(np.array([row]))
            explored.look_at(row)
            explored.give(file.removesuffix(".png"))
            page.tick()
            trial.count("labels by hand")
            for part in page.parts.whole.select({"type": Div}):
                if re.search(r"<script>alert|<img src=x|[\x00-\x08\x0b-\x1f\x7f\u202e\u2028]", part.text):
                    trial.fail(f"the page holds what {file!r} brought: {part.text[:300]!r}")
        explored.save()
        explored.jobs.finish()
    finally:
        explored.jobs.close()
    given = [_same(each) for each in explored.labelling.labels.texts]
    again = [_same(each) for each in lc.load(str(folder / "set"), labels=folder / "new.csv").labels.texts]
    refused = _NO_CLASSES - {"train"} | {"{0}"}  # which is only a folder's; and what a table would have as a list
    odd = [
        (file, one, other) for file, one, other in zip(files, given, again, strict=True)
        if one != other or (one == "") != (file.removesuffix(".png") in refused)
    ]  # fmt: skip
    if odd:
        trial.fail(f"labels by hand are read as others: {odd[:3]!r}")
    classes = {_same(str(name)) for name in lc.load_classifier(folder / "new.npz").classes_}
    if classes != {*given} - {""}:
        trial.fail(f"the classifier of labels by hand has other classes: {sorted(classes ^ {*given})!r}")
    _harmless(trial, folder, names)


def _called(trial: Trial, folder: Path, names: list[str], lines: tuple[str, ...]) -> dict[str, str]:
    """What each call says on stdout; nothing where one has failed."""
    told = {}
    for line in lines:
        done = call(line, folder)
        trial.count("calls")
        if done.code:
            trial.fail(f"{line}: {done.code} {done.err.strip()[-400:]!r} of {names!r}")
            return {}
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e\u2028]", done.err):
            trial.fail(f"{line}: control characters on stderr: {done.err!r}")
        told[line] = done.out
    return told


def _harmless(trial: Trial, folder: Path, names: list[str]) -> None:
    """Tables have no formulas, pages no markup of names."""
    for path in [*folder.glob("new*.csv"), *folder.glob("hybrids/*.csv")]:
        with path.open(newline="", encoding="utf-8") as file:
            for cells in csv.reader(file):
                for cell in cells:
                    if cell.startswith(_FORMULA) and not re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell):
                        trial.fail(f"{path.name}: a spreadsheet would run {cell!r}")
    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        if "<script>alert" in text or "<img src=x" in text or "\x1b" in text:
            trial.fail(f"{page.name} holds what a name of {names!r} brought")
    shutil.rmtree(folder / "set")


def _same(name: str) -> str:
    """A name as outputs may spell it: bytes that are no UTF-8 as ``\\udcNN``."""
    return name.encode("utf-8", "backslashreplace").decode()
