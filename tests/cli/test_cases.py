"""Inputs as people have them: what becomes of each in train, classify and evaluate.

A table with a row an input. Its kinds are those that went wrong in public reports about tools like this one: junk of
systems, 12 bits in 16, transparent ink, labels by any name … Each row says what is right: what is counted, which
classes there are, what is told, and of a refusal that the way on which it names does work. The pictures are so plain
that a model of one epoch tells their classes apart: an accuracy below 1 means that something was read wrongly.
"""

import csv
import os
import re
import runpy
import shlex
import shutil
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.formats.opened_images import HAS_AVIF
from latentcli.inference import evaluation

NAMES = ("ant", "bee", "cat")
SMALL = ("--backbone", "mlp", "--set", "width=32", "--latent-dim", "8", "--epochs", "1")
ONE_STEP = ("--set", "batch_size=1024")


def drawn(count: int = 24, height: int = 8, width: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(N, height, width) uint8 and (N,) classes in turn: the left half is bright, the right one, or the upper one."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    bright = np.zeros((count, height, width), bool)
    bright[labels == 0, :, : width // 2] = True
    bright[labels == 1, :, width // 2 :] = True
    bright[labels == 2, : height // 2] = True
    bright ^= rng.random(bright.shape) < 0.04  # so that no two are the same
    return np.where(bright, 200, 20).astype(np.uint8) + rng.integers(0, 40, bright.shape, dtype=np.uint8), labels


X, Y = drawn()
TEXTS = np.array(NAMES)[Y]

Make = Callable[[], object]
Save = Callable[[np.ndarray, Path], object]


@dataclass(frozen=True)
class Case:
    """An input and what is right for it.

    Attributes:
        make: writes it into the working folder.
        told: parts of what train says on stderr, in this order; nothing else is said where there are none.
        data, test: what train reads; what classify and evaluate read, the same by default.
        options: of all commands. more: of train alone.
        code: with which train ends.
        images, tested: that train, and that classify count.
        classes: that the mixture knows; of an input without labels there are none, and no mixture.
        labelled: how many of the tested images have a label.
        accuracy: at least; None where the images do not tell the classes apart.
        told_of_test, test_code: as told and code, for classify.
        way: of a refusal: the options in its message with which the same call is right; "python" where it names
            some to run, which makes ``fixed``.
    """

    make: Make
    told: tuple[str, ...] = ()
    data: str = "set"
    test: str = ""
    options: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    code: int = 0
    images: int = 24
    tested: int | None = None
    classes: tuple[str, ...] = NAMES
    labelled: int | None = None
    accuracy: float | None = 0.9
    told_of_test: tuple[str, ...] | None = None
    test_code: int = 0
    way: str = ""
    fixed: str = ""


# ---- makers ----------------------------------------------------------------------------------------------------------


def png(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(f"{path}.png", format="PNG")


def saved_as(suffix: str, form: str | None = None, mode: str | None = None) -> Save:
    def save(pixels: np.ndarray, path: Path) -> None:
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(f"{path}{suffix}", format=form, quality=95)

    return save


def tree(
    root: str | Path = "set", save: Save | dict[int, Save] = png, rows: Iterable[int] = range(24),
    names: Sequence[str] = NAMES, pixels: tuple[np.ndarray, np.ndarray] = (X, Y),
) -> Path:  # fmt: skip
    """A folder with a sub-folder a class; ``save`` may differ from class to class."""
    for row in rows:
        label = int(pixels[1][row])
        folder = Path(root) / names[label]
        folder.mkdir(parents=True, exist_ok=True)
        (save.get(label, png) if isinstance(save, dict) else save)(pixels[0][row], folder / f"{row:02}")
    return Path(root)


def flat(root: str | Path = "set", save: Save = png, rows: Iterable[int] = range(24)) -> Path:
    Path(root).mkdir(parents=True, exist_ok=True)
    for row in rows:
        save(X[row], Path(root) / f"{row:02}")
    return Path(root)


def trees(*parts: str, root: str = "set", of: Callable[..., Path] = tree) -> Make:
    """A folder of parts: the first has 24 images, the others 6."""
    return lambda: [of(Path(root) / part, rows=range(6 if number else 24)) for number, part in enumerate(parts)]


def made(*steps: Callable[[], object]) -> Make:
    return lambda: [step() for step in steps]


def files(*names: str, content: bytes | None = None) -> Make:
    """More files in ``set``: pictures, or with this content."""

    def make() -> None:
        for name in names:
            path = Path("set") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(X[0]).save(path, "PNG") if content is None else path.write_bytes(content)

    return make


def npz(name: str = "set.npz", **arrays: object) -> Make:
    return lambda: np.savez(name, **{"data": X, "labels": TEXTS, **arrays})  # type: ignore[arg-type]


def keys(**arrays: object) -> Make:
    return lambda: np.savez("set.npz", **arrays)  # type: ignore[arg-type]


def array(make: Make, *told: str, **right: object) -> Case:
    return Case(make, told, data="set.npz", **right)  # type: ignore[arg-type]


def pixels(values: np.ndarray, *told: str, **right: object) -> Case:
    return array(npz(data=values), *told, **right)


def numbered(labels: object, *told: str, classes: tuple[str, ...] = ("0", "1", "2"), **right: object) -> Case:
    return array(npz(labels=labels), *told, classes=classes, **right)


def table(
    text: str | bytes | Callable[[], str], *told: str, of: Make = flat, encoding: str = "utf-8", **right: object
) -> Case:  # fmt: skip
    """Flat pictures, or others, and a table that labels some: ROWS stands for rows ``00.png,ant``, of all of them."""

    def make() -> None:
        content = text() if callable(text) else text
        of()
        Path("labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode(encoding))

    return Case(make, told, options=("--labels", "labels.csv"), **right)  # type: ignore[arg-type]


def rows(form: str = "{file},{label}\n", start: int = 0, numbers: Iterable[int] = range(24)) -> str:
    return "".join(
        form.format(file=f"{row:02}.png", stem=f"{row:02}", n=row + start, label=TEXTS[row], code=Y[row])
        for row in numbers
    )


def ink(make: Callable[[np.ndarray], Image.Image], **more: object) -> Save:
    """Drawings on a transparent ground: ``make`` gets which pixels are drawn."""
    return lambda pixels, path: make(pixels > 120).save(f"{path}.png", **more)


def rgba(level: int) -> Callable[[np.ndarray], Image.Image]:
    return lambda mask: Image.fromarray(np.dstack([np.full((*mask.shape, 3), level, "u1"), mask * np.uint8(255)]))


def palette(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask.astype("u1")).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    return image


def turned(tag: int, turn: Image.Transpose, suffix: str = ".jpg") -> Save:
    """Half of the pictures lie on their side in the file, and a tag says so."""
    count = iter(range(10**6))

    def save(pixels: np.ndarray, path: Path) -> None:
        image, exif = Image.fromarray(pixels), Image.Exif()
        if next(count) // 3 % 2:
            exif[0x0112] = tag
            image = image.transpose(turn)
        image.save(f"{path}{suffix}", exif=exif, **({"quality": 95} if suffix == ".jpg" else {}))

    return save


def spoilt(*which: str, content: bytes | None = None, root: str = "set") -> Make:
    """Class folders of JPEGs of which these are cut short, or hold something else."""

    def make() -> None:
        tree(root, save=saved_as(".jpg"))
        for name in which:
            for path in Path(root).glob(name):
                path.write_bytes(path.read_bytes()[:-20] if content is None else content)

    return make


def links(*names: str, of: Callable[[Path, Path], object] | None = None) -> Make:
    """Classes that are links to folders elsewhere."""

    def make() -> None:
        tree("elsewhere")
        tree("set", rows=[row for row in range(24) if NAMES[Y[row]] not in names])
        Path("set").mkdir(exist_ok=True)
        for name in names:
            (Path("set") / name).symlink_to(Path("elsewhere", name).resolve())

    return make


def archive(kind: str, inner: str = "") -> Make:
    def make() -> None:
        tree(Path("packed") / inner)
        shutil.make_archive("set", kind, "packed")

    return make


def as_bytes(classes: Sequence[bytes], files: bytes = b"%02d.png") -> Make:
    """Class folders whose names, or whose files' names, are no UTF-8."""

    def make() -> None:
        for row in range(24):
            folder = os.path.join(b"set", classes[Y[row]])  # noqa: PTH118 (paths of bytes)
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            with open(os.path.join(folder, files % row), "wb") as file:  # noqa: PTH118, PTH123
                Image.fromarray(X[row]).save(file, "PNG")

    return make


def large(width: int, height: int) -> Make:
    return lambda: [tree(), Image.new("1", (width, height)).save("set/ant/large.png")]


def one_hot(*rows: int) -> np.ndarray:
    hot = np.eye(3, dtype=int)[Y]
    hot[list(rows)] = 1
    return hot


def pixel_table() -> None:
    lines = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(X, Y, strict=True)]
    Path("set.csv").write_text("\n".join([",".join(["label", *(f"p{i}" for i in range(64))]), *lines]) + "\n")


def torch_file() -> None:
    import torch

    torch.save((torch.tensor(X), torch.tensor(Y)), "set.pt")


def objects(*images: np.ndarray) -> np.ndarray:
    found = np.empty(len(images), dtype=object)
    found[:] = list(images)
    return found


WITH_HALF = np.where(Y > 0, 1, -1)
COLOURED = np.stack([X, X // 2, 255 - X], -1)
MANY = np.kron(np.random.default_rng(0).integers(0, 2, (60, 8, 8)) * 220, np.ones((1, 1, 1))).astype("u1")
WIDE, TALL, SMALLER, LARGER = drawn(24, 8, 40), drawn(24, 40, 9), drawn(24, 4, 4), drawn(9, 300, 300)
ON_WHITE, ON_BLACK = "laid on white in 24 file(s)", "laid on black in 24 file(s)"
UNLABELLED = "has no labels, so no mixture"
NFC, NFD = [[unicodedata.normalize(form, name) for name in ("café", "naïve", "cat")] for form in ("NFC", "NFD")]
SPLITS = {f"{part}_{what}": value[:count] for part, count in (("train", 24), ("val", 6), ("test", 12))
          for what, value in (("images", X), ("labels", Y[:, None].astype("u1")))}  # fmt: skip
OF_CLASS_NUMBERS = {"classes": ("0", "1", "2")}

CASES: dict[str, Case] = {
    # 01: what systems leave beside pictures
    "01 macOS": Case(
        made(tree, files("ant/._00.png", "bee/.DS_Store", "__MACOSX/ant/._00.png", content=b"\0\5\x16\7")),
        ("3 hidden or of the system",),
    ),
    "01 network storage": Case(
        made(tree, files("ant/@eaDir/00.png/THUMB_M.png", "@eaDir/ant.png", "#recycle/old.png")),
        ("3 hidden or of the system (#recycle, @eaDir)",),
    ),
    "01 Windows": Case(
        made(tree, files("ant/Thumbs.db", "desktop.ini", "$RECYCLE.BIN/x.png", content=b"\xd0\xcf\x11\xe0")),
        ("3 hidden or of the system ($RECYCLE.BIN, Thumbs.db, desktop.ini)",),
    ),
    "01 beside a heap": Case(
        made(flat, files("@eaDir/00.png/THUMB_M.png", ".hidden.png")), ("2 hidden", UNLABELLED), classes=()
    ),
    # 02: Jupyter's copies
    "02 beside": Case(made(tree, files(".ipynb_checkpoints/a-checkpoint.png")), (".ipynb_checkpoints",)),
    "02 within": Case(
        made(tree, files("ant/.ipynb_checkpoints/a.png", "cat/.ipynb_checkpoints/b.png")), ("2 hidden",)
    ),
    "02 in a part": Case(
        made(trees("train", "test"), files("train/.ipynb_checkpoints/a.png", "train/ant/.ipynb_checkpoints/a.png")),
        ("train is read", "2 hidden"), tested=6, told_of_test=("test is read",),
    ),
    # 03: more than 8 bits
    "03 twelve bits": Case(lambda: tree(save=lambda x, path: png(x.astype("u2") * 16, path)), ("0…4095",)),
    "03 ten bits in TIFF": Case(
        lambda: tree(save=lambda x, path: saved_as(".tif")(x.astype("u2") * 4, path)), ("0…1023",)
    ),
    "03 sixteen bits": Case(lambda: tree(save=lambda x, path: png(x.astype("u2") * 257, path))),
    "03 as it is said": Case(
        lambda: tree(save=lambda x, path: png(x.astype("u2") * 16, path)), options=("--range", "4095")
    ),
    "03 floats in TIFF": Case(lambda: tree(save=lambda x, path: saved_as(".tif")((x / 255).astype("f4"), path))),
    "03 one class of twelve bits": Case(
        lambda: tree(save={1: lambda x, path: png(x.astype("u2") * 16, path)}), ("0…4095", "8 file")
    ),
    # 06: ink on a transparent ground
    "06 black ink": Case(lambda: tree(save=ink(rgba(0))), (ON_WHITE, "--background")),
    "06 grey and alpha": Case(lambda: tree(save=ink(lambda mask: rgba(0)(mask).convert("LA"))), (ON_WHITE,)),
    "06 palette": Case(lambda: tree(save=ink(palette, transparency=0)), (ON_WHITE,)),
    "06 white ink": Case(lambda: tree(save=ink(rgba(255))), (ON_BLACK,)),
    "06 a ground that is asked for": Case(
        lambda: tree(save=ink(rgba(0))), ("laid on #808080",), options=("--background", "#808080")
    ),
    "06 ink that vanishes": Case(
        lambda: tree(save=ink(rgba(0))), ("are the same", "--background"), options=("--background", "black"), code=3
    ),
    # 07: modes
    "07 CMYK": Case(lambda: tree(save=saved_as(".jpg", mode="CMYK"))),
    "07 palette": Case(lambda: tree(save=saved_as(".gif", mode="P"))),
    "07 one bit": Case(lambda: tree(save=lambda x, path: Image.fromarray(x > 120).save(f"{path}.png"))),
    "07 a class in colour": Case(lambda: tree(save={0: saved_as(".png", mode="RGB"), 1: saved_as(".bmp")})),
    # 08: EXIF
    "08 turned left": Case(lambda: tree(save=turned(6, Image.Transpose.ROTATE_90))),
    "08 turned right": Case(lambda: tree(save=turned(8, Image.Transpose.ROTATE_270))),
    "08 upside down": Case(lambda: tree(save=turned(3, Image.Transpose.ROTATE_180, ".png"))),
    # 09: what numbers mean, and axes
    "09 0…1": pixels(X / 255.0),
    "09 -1…1": pixels((X / 127.5 - 1).astype("f4"), "-1…1"),
    "09 floats to 255": pixels(X.astype("f4"), "0…255"),
    "09 whole numbers": pixels(X.astype("i8"), "int64", "0…255"),
    "09 truth": pixels(X > 120, "bool from 0 to 1 is read as 0…1"),
    "09 ones in bytes": pixels((X > 120).astype("u1"), "uint8 from 0 to 1 is read as 0…1"),
    "09 sixteen bits": pixels(X.astype("u2") * 257),
    "09 big endian": pixels((X / 255).astype(">f8")),
    "09 signed bytes": pixels((X.astype("i2") - 128).astype("i1"), "unclear", code=3, way="--range -128,127"),
    "09 standardised": pixels((X - X.mean()) / X.std(), "unclear", code=3, way=r"--range -[\d.]+,[\d.]+"),
    "09 a little over": pixels(X / X.max() * 1.04, "clip", code=3, way=r"--range [\d.]+"),
    "09 not finite": pixels(np.where(X.max() == X, np.nan, X), "not finite", "numpy.isfinite", code=3),
    "09 a stack": pixels(np.moveaxis(X, 0, -1), "(8, 8, 24) is read as 24 images of 8×8"),
    "09 a stack in colour": pixels(np.moveaxis(COLOURED, 0, -1), "is read as 24 images of 8×8×3"),
    "09 rows": pixels(X.reshape(24, -1), "(24, 64) is read as 24 images of 8×8"),
    "09 channels first": pixels(np.moveaxis(COLOURED, -1, 1)),
    "09 one channel": pixels(X[:, None]),
    "09 five axes": pixels(X[:, None, :, :, None], "data.reshape(-1, 8, 8)", code=3),
    "09 RGBA": pixels(np.concatenate([COLOURED, np.full((24, 8, 8, 1), 255, "u1")], -1), "alpha"),
    # 10: MedMNIST
    "10 three parts": array(
        keys(**SPLITS), "train", "train_images", "train_labels", tested=12, told_of_test=("test",), **OF_CLASS_NUMBERS
    ),
    "10 in colour": array(
        keys(**SPLITS | {f"{part}_images": np.repeat(SPLITS[f"{part}_images"][..., None], 3, -1)
                         for part in ("train", "val", "test")}),
        "train", tested=12, told_of_test=("test",), **OF_CLASS_NUMBERS,
    ),
    "10 the validation part": array(
        keys(**SPLITS), "val", options=("--split", "val"), images=6, accuracy=None, **OF_CLASS_NUMBERS
    ),
    "10 one part": array(
        keys(train_images=X, train_labels=Y[:, None]), "train_images", told_of_test=("train",), **OF_CLASS_NUMBERS
    ),
    "10 several labels an image": array(
        keys(train_images=X, train_labels=np.pad(one_hot(0, 1), ((0, 0), (0, 11)))), "several", code=3
    ),
    # 11: keys
    "11 positional": array(lambda: np.savez("set.npz", X, TEXTS), "images are arr_0, its labels arr_1"),
    "11 capitals": array(keys(X=X, Y=TEXTS), "images are X, its labels Y"),
    "11 singular": array(keys(image=X, label=TEXTS), "images are image, its labels label"),
    "11 targets": array(keys(images=X, targets=TEXTS), "its labels targets"),
    "11 the only other": array(keys(imgs=X, species=TEXTS), "images are imgs, its labels species"),
    "11 names of numbers": array(keys(data=X, target=Y, target_names=np.array(NAMES)), "target_names are the names"),
    "11 Keras": array(
        keys(x_train=X, y_train=TEXTS, x_test=X[:9], y_test=TEXTS[:9]), "train", tested=9, told_of_test=("test",)
    ),
    "11 masks": array(keys(images=X, masks=(X > 9).astype("u1"), labels=TEXTS)),
    "11 none": array(keys(images=X, scores=np.ones(24)), "scores (24,)", UNLABELLED, classes=()),
    "11 two that could be": array(keys(images=X, a=Y, b=Y[::-1]), "could be the labels", "a (24,)", "'labels'", code=3),
    "11 beside": Case(
        lambda: (np.save("set.npy", X), np.save("labels.npy", TEXTS)), data="set.npy",
        options=("--labels", "labels.npy")
    ),
    "11 labels alone": Case(lambda: np.save("set.npy", Y), ("--labels",), data="set.npy", code=3),
    # 14: kinds of labels
    "14 column": numbered(Y[:, None]),
    "14 row": numbered(Y[None]),
    "14 floats": numbered(Y.astype("f8")),
    "14 one-hot": numbered(np.eye(3)[Y], "one-hot"),
    "14 bytes": array(npz(labels=np.array(NAMES, "S")[Y])),
    "14 from one": numbered(Y + 1, classes=("1", "2", "3")),
    "14 truth": array(npz(labels=Y > 0), classes=("False", "True"), accuracy=0.6),
    "14 NaN": numbered(np.where(np.arange(24) > 5, Y, np.nan), "mean no label", labelled=18),
    "14 empty": array(npz(labels=np.where(np.arange(24) < 6, "", TEXTS)), "6 of 24 labels mean no label", labelled=18),
    "14 padded": array(
        npz(labels=np.where(np.arange(24) < 6, np.char.add(TEXTS, " "), TEXTS)), "'ant '"
    ),
    "14 soft": array(npz(labels=np.eye(3)[Y] * 0.7 + 0.1), "soft labels", "argmax(axis=1)", code=3),
    "14 too few": array(npz(labels=Y[:-1]), "24 images and labels of shape (23,)", code=3),
    "14 one class": array(npz(labels=0 * Y), "of one class", code=3, way="--no-classes", classes=()),
    "14 names counted from one": array(npz(labels=Y + 1, class_names=np.array(NAMES)), "labels - 1", code=3),
    "14 objects": array(npz(labels=TEXTS.astype(object)), "labels", code=3),
    # 15: parts
    "15 train, val, test": Case(
        trees("train", "val", "test"), ("train is read", "val is read"), tested=6, told_of_test=("test is read",)
    ),
    "15 other words": Case(
        trees("Training", "validation", "Testing_set"), ("train is read", "val is read"), tested=6,
        told_of_test=("test is read",),
    ),
    "15 deeper": Case(trees("train", "test", root="set/archive/Data"), ("train is read",), tested=6,
                      told_of_test=("test is read",)),
    "15 without classes": Case(trees("train", "test", of=flat), ("train is read", UNLABELLED), classes=(), tested=6,
                               told_of_test=("test is read",)),
    "15 one that is chosen": Case(
        trees("test", "train"), ("test is read",), options=("--split", "test"), told_of_test=("test is read",)
    ),
    "15 wrapped": Case(lambda: tree("set/dataset"), ("nothing but dataset/",)),
    # 17: links
    "17 every class": Case(links(*NAMES)),
    "17 one class": Case(links("bee")),
    "17 files": Case(
        made(lambda: tree("elsewhere"), lambda: [
            (Path("set", path.parent.name).mkdir(parents=True, exist_ok=True),
             Path("set", path.parent.name, path.name).symlink_to(path.resolve()))
            for path in Path("elsewhere").rglob("*.png")
        ])
    ),
    "17 the whole": Case(
        made(lambda: tree("elsewhere"), lambda: Path("set").symlink_to("elsewhere"), files("ant/x.svg")),
        ("set: passed over",),
    ),
    "17 a loop": Case(
        made(tree, lambda: Path("set/ant/again").symlink_to(Path("set").resolve())), ("set/ant/again is a link",),
        code=3,
    ),
    "17 dangling": Case(
        made(tree, lambda: Path("set/ant/gone.png").symlink_to("nowhere.png")), ("gone.png: No such file",), code=3,
        way="--max-bad 1",
    ),
    # 18: classes without pictures
    "18 empty": Case(made(tree, lambda: Path("set/dog").mkdir()), ("no images in dog",)),
    "18 texts": Case(made(tree, files("dog/readme.txt", content=b"none yet")), ("1 .txt", "no images in dog")),
    "18 missing in the test": Case(
        made(tree, lambda: tree("test", rows=np.flatnonzero(Y > 0))), test="test", tested=16,
        told_of_test=("no image is labelled ant",),
    ),
    "18 empty in the test": Case(
        made(tree, lambda: tree("test", rows=np.flatnonzero(Y > 0)), lambda: Path("test/ant").mkdir()), test="test",
        tested=16, told_of_test=("no images in ant", "no image is labelled ant"),
    ),
    # 19: unlabelled pictures in a tree of classes
    **{
        f"19 {name}": Case(
            made(tree, lambda name=name: [tree("more", rows=range(6), names=[name] * 3),  # type: ignore[misc]
                                          shutil.move(f"more/{name}", f"set/{name}")]),
            ("6 of 30 labels mean no label", "--no-label"), images=30, labelled=24,
        )
        for name in ("unlabeled", "Unlabelled", "UNKNOWN")
    },
    "19 kept as a class": Case(
        lambda: tree(names=("ant", "bee", "unknown")), options=("--no-label", ""), classes=("ant", "bee", "unknown")
    ),
    "19 loose": Case(
        made(tree, files("x.png")), ("unclear", "x.png", "--labels"), code=3
    ),
    # 20: archives, and what is none
    "20 zip": Case(archive("zip"), data="set.zip"),
    "20 tar": Case(archive("tar"), data="set.tar"),
    "20 gzip": Case(archive("gztar", "photos"), ("nothing but photos/",), data="set.tar.gz"),
    "20 a picture": Case(
        made(tree, lambda: png(X[1], Path("one"))), test="one.png", tested=1, labelled=0, told_of_test=()
    ),
    "20 pixels in a table": Case(
        pixel_table, ("64 columns of pixels",), data="set.csv", code=3, way="python", fixed="set.npz",
        classes=("0", "1", "2"),
    ),
    "20 tensors": Case(
        torch_file, ("PyTorch",), data="set.pt", code=3, way="python", fixed="set.npz", classes=("0", "1", "2")
    ),
    "20 a pickle": Case(lambda: Path("set.pkl").write_bytes(b"\x80\4N."), ("pickle",), data="set.pkl", code=3),
    "20 labels": Case(
        lambda: Path("set.csv").write_text("File,Label\n"), ("--labels set.csv",), data="set.csv", code=3
    ),
    # 21: formats
    "21 a class of GIFs": Case(lambda: tree(save={1: saved_as(".gif")})),
    "21 JFIF, JPE and JPEG": Case(
        lambda: tree(save={0: saved_as(".jfif", "JPEG"), 1: saved_as(".jpe", "JPEG"), 2: saved_as(".JPEG")})
    ),
    "21 PGM": Case(lambda: tree(save=saved_as(".pgm"))),
    "21 WebP": Case(lambda: tree(save=lambda x, path: Image.fromarray(x).save(f"{path}.webp", lossless=True))),
    "21 AVIF": Case(lambda: tree(save={0: saved_as(".avif")}) if HAS_AVIF else tree()),
    "21 called otherwise": Case(lambda: tree(save=saved_as(".jpg", "GIF"))),
    "21 without a suffix": Case(
        lambda: tree(save={1: saved_as("", "PNG")}), ("class bee", "8 files with no suffix", "rename"), code=3
    ),
    "21 a class of others": Case(
        lambda: tree(save={1: saved_as(".jp2", "JPEG2000")}), ("class bee", ".jp2", "convert"), code=3
    ),
    "21 some of others": Case(
        made(tree, files("ant/a.svg", "bee/b.svg", "bee/c.heic")), ("passed over", "2 .svg", "1 .heic")
    ),
    # 22: tables of labels
    "22 as it should be": table(lambda: "File,Label\n" + rows(), labelled=24),
    "22 some": table(lambda: "File,Label\n" + rows(numbers=range(12)), labelled=12),
    "22 semicolons": table(lambda: "filename;class\r\n" + rows("{file};{label}\r\n"), encoding="utf-8-sig"),
    "22 UTF-16": table(lambda: "path\tcategory\n" + rows("{file}\t{label}\n"), encoding="utf-16"),
    "22 an index": table(lambda: ",image,label\n" + rows("{n},{file},{label}\n")),
    "22 ids": table(lambda: "image_id,label\n" + rows("{stem},{label}\n")),
    "22 numbers": table(lambda: "id,label\n" + rows("{n},{label}\n")),
    "22 slashes": table(lambda: "File,Label\n" + rows("C:\\data\\set\\{file},{label}\n")),
    "22 its own folder": table(lambda: "File,Label\n" + rows("./set/{file},{label}\n")),
    "22 absolute": table(lambda: "File,Label\n" + rows(f"{Path.cwd()}/set/{{file}},{{label}}\n")),
    "22 quotes": table(lambda: 'sep=,\n# mine\n"File","Label"\n' + rows('"{file}", "{label}"\n')),
    "22 old Macintosh": table(lambda: "File,Label\r" + rows("{file},{label}\r")),
    "22 Latin-1": table(
        lambda: "File,Label\n" + rows().replace("cat", "Kätzchen"), "Windows-1252", encoding="latin-1",
        classes=("Kätzchen", "ant", "bee"),
    ),
    "22 empty, NaN": table(
        lambda: "File,Label\n" + rows(numbers=range(12)) + "12.png,\n13.png,nan\n14.png,unknown\n",
        "3 of 15 labels mean no label", labelled=12,
    ),
    "22 floats": table(lambda: "File,Label\n" + rows("{file},{code}.0\n"), "as whole numbers", **OF_CLASS_NUMBERS),
    "22 capitals": table(
        lambda: "File,Label\n" + rows(numbers=range(12)) + rows(numbers=range(12, 24)).replace("cat", "Cat"),
        "'Cat', 'cat'", classes=("Cat", *NAMES), accuracy=None,
    ),
    "22 stale": table(lambda: "File,Label\n" + rows() + "99.png,ant\n", "1 of 25 rows", "'99.png'", "--strict"),
    "22 stale and strict": table(
        lambda: "File,Label\n" + rows() + "99.png,ant\n", "1 of 25 rows", "00.png", more=("--strict",), code=3
    ),
    "22 rows of an array": table(
        lambda: "File,Label\n" + rows("{n},{label}\n"), of=lambda: np.savez("set.npz", data=X), data="set.npz"
    ),
    "22 rows from one": table(
        lambda: "File,Label\n" + rows("{n},{label}\n", start=1), "from 1", "subtract 1",
        of=lambda: np.savez("set.npz", data=X), data="set.npz", code=3,
    ),
    "22 twice": table(lambda: "File,Label\n" + rows() + "00.png,bee\n", "labels '00.png' again", code=3),
    "22 a workbook": table(b"PK\3\4" + bytes(99), "workbook", "save it there as CSV", code=3),
    "22 no header": table(lambda: rows(), "not the header", "File,Label", code=3),
    "22 no labels": table("File,Label\n", "labels no image", code=3),
    # 23: names
    "23 classes that are no UTF-8": Case(
        as_bytes([b"gr\xfc\xdfe", b"caf\xe9", b"plain"]), classes=("caf\udce9", "gr\udcfc\udcdfe", "plain")
    ),
    "23 files that are no UTF-8": Case(as_bytes([b"ant", b"bee", b"cat"], b"gr\xfc\xdfe %02d.png")),
    "23 odd classes": Case(
        lambda: tree(names=("a,b\n", '=SUM("x")', " 🙂%")), classes=(" 🙂%", '=SUM("x")', "a,b\n")
    ),
    "23 odd files": Case(
        made(tree, files("ant/a,b.png", "ant/new\nline.png", "bee/-x.png", "bee/[a]*?.png", "cat/" + "x" * 250 + ".png",
                         "cat/'=1+1.png")), images=30, accuracy=0.7,
    ),
    "23 composed and not": Case(
        made(lambda: tree(names=NFC), lambda: tree("test", names=NFD, rows=range(9))), test="test", tested=9,
        classes=tuple(sorted(NFC)),
    ),
    "23 capitals within": array(
        npz(labels=np.where(np.arange(24) < 12, TEXTS, np.char.title(TEXTS))), "stay apart", "'Ant', 'ant'",
        classes=("Ant", "Bee", "Cat", *NAMES), accuracy=None,
    ),
    "23 capitals": Case(
        made(tree, lambda: tree("test", names=("Ant", "Bee", "Cat"))), test="test", accuracy=0,
        told_of_test=("no class in common", "only in capitals: 'Ant' and 'ant'", "--labels"),
    ),
    "23 another language": Case(
        made(tree, lambda: tree("test", names=("Ameise", "Biene", "cat"))), test="test", accuracy=None,
        told_of_test=("does not know Ameise, Biene",),
    ),
    # 24: damage
    "24 cut short": Case(
        spoilt("ant/00.jpg"), ("1 of the 24", "ant/00.jpg: damaged"), code=3, way="--max-bad 1", images=23
    ),
    "24 empty": Case(spoilt("bee/*1.jpg", content=b""), ("of the 24",), code=3, way=r"--max-bad \d", images=23),
    "24 a page": Case(
        spoilt("cat/*5.jpg", content=b"<html>404</html>"), ("not a PNG",), code=3, way=r"--max-bad \d", images=23
    ),
    "24 a class of pointers": Case(
        spoilt("bee/*.jpg", content=b"version https://git-lfs"), ("class bee", "unreadable"), code=3,
        way="--classes ant,cat", images=16, classes=("ant", "cat"),
    ),
    "24 all": Case(spoilt("*/*.jpg"), ("24 of the 24", "mend or remove them"), code=3),
    # 25: sizes
    "25 too large": Case(large(9000, 9000), ("9,000×9,000",), code=3, way="--max-bad 1"),
    "25 far too large": Case(large(20000, 12000), ("64,000,000",), code=3, way="--max-bad 1"),
    "25 a strip": Case(large(3000, 8), ("large.png",), images=25, told_of_test=()),
    "25 a point": Case(large(1, 1), ("large.png",), images=25, told_of_test=()),
    # 26: nothing to learn from
    "26 black": array(npz(data=0 * X), "all 24", "all black", code=3),
    "26 copies": array(npz(data=X[[0] * 24]), "are the same", code=3),
    "26 one": array(npz(data=X[:1], labels=TEXTS[:1]), "one", code=3),
    "26 copies of three": array(npz(data=X[Y]), "'ant'", "fit-graph", code=5),
    "26 two": array(npz(data=X[:2], labels=TEXTS[:2]), "one labelled image", "fit-graph", code=5),
    # 27: a VQ-VAE for few patches
    "27 enough": array(npz(), more=("--model", "vqvae", "--set", "width=8"), accuracy=0.5),
    "27 six": array(
        npz(data=X[:6], labels=TEXTS[:6]), more=("--model", "vqvae", "--set", "width=8"), images=6, accuracy=0.5
    ),
    "27 white": array(npz(data=np.full_like(X, 255)), "all white", more=("--model", "vqvae"), code=3),
    "27 one": array(npz(data=X[:1], labels=TEXTS[:1]), "one", more=("--model", "vqvae"), code=3),
    # 29: sizes of arrays, and SSIM's window
    "29 as small as the window": array(npz(), more=("--loss", "ssim"), accuracy=0.6),
    "29 wide": array(npz(data=WIDE[0]), more=("--loss", "ssim"), accuracy=0.6),
    "29 tall": array(npz(data=TALL[0]), more=("--loss", "ssim"), accuracy=0.6),
    "29 in colour": array(npz(data=COLOURED), more=("--loss", "ssim"), accuracy=0.6),
    "29 too small": array(npz(data=SMALLER[0]), "4×4", code=3, way="--image-size 8"),
    "29 too large": array(
        npz(data=LARGER[0], labels=TEXTS[:9]), "300×300", code=3, way="--image-size 64", images=9, accuracy=None
    ),
    # 31: classes of few
    "31 a class of one": Case(lambda: tree(rows=[2, *np.flatnonzero(Y < 2)]), images=17),
    "31 classes of two": Case(lambda: tree(rows=range(6)), images=6),
    "31 classes of one": Case(lambda: tree(rows=range(3)), ("one labelled image", "fit-graph"), code=5),
    "31 one class": Case(
        lambda: tree(rows=range(0, 24, 3)), ("of one class",), code=3, way="--no-classes", images=8, classes=()
    ),
    # 33: other data than the model's
    "33 another size": array(
        made(npz(), npz("test.npz", data=WIDE[0])), test="test.npz", told_of_test=("8×40", "--resize"), test_code=3,
        way="--resize", accuracy=None,
    ),
    "33 resized": array(
        made(npz(), npz("test.npz", data=drawn(24, 16, 16)[0])), test="test.npz", accuracy=0.9,
        told_of_test=("16×16", "--resize"), test_code=3, way="--resize",
    ),
    "33 in colour": array(
        made(npz(), npz("test.npz", data=COLOURED)), test="test.npz", test_code=3,
        told_of_test=("colour", "data.mean(axis=-1)")
    ),
    "33 a folder of another size": array(
        made(npz(), lambda: tree("test", pixels=drawn(24, 12, 12))), test="test",
    ),
    "33 a folder in colour": array(
        made(npz(), lambda: tree("test", save=saved_as(".png", mode="RGB"))), test="test"
    ),
    # 39: many classes
    "39 sixty": array(
        npz(data=np.concatenate([MANY, MANY + 9, MANY + 20]), labels=np.tile(np.arange(60), 3)), images=180,
        classes=tuple(map(str, range(60))), accuracy=None,
    ),
    "39 of the same pictures": array(
        npz(data=np.concatenate([MANY, MANY]), labels=np.tile(np.arange(60), 2)), "fit-graph", code=5
    ),
    "39 each its own": array(npz(labels=np.arange(24)), "fit-graph", code=5),
    # 41: objects, structures, an array a picture
    "41 an array a picture": array(keys(**{f"img_{row}": x for row, x in enumerate(X)}), "numpy.stack", code=3),
    "41 pictures of unlike sizes": array(keys(data=objects(X[0], X[1, :4]), labels=Y[:2]), "objects", code=3),
    "41 objects beside": array(npz(extra=objects(X[0], X[1, :4])), "extra"),
    "41 structures": Case(
        lambda: np.save("set.npy", np.zeros(9, [("x", "u1", (8, 8)), ("y", "i8")])), ("structures",), data="set.npy",
        code=3,
    ),
    # 42: options that reach VAL
    "42 damage": Case(
        made(tree, spoilt("ant/00.jpg", root="val")), ("1 of the 24 image files of val",), more=("val",), code=3,
        way="--max-bad 1",
    ),
    "42 classes": array(
        made(npz(), npz("val.npz")), more=("val.npz",), options=("--classes", "cat,ant"), images=16,
        classes=("cat", "ant"),
    ),
    "42 no labels": array(made(npz(), keys(data=X)), "labels", more=("set.npz",), code=3),
    "42 another size": array(
        made(npz(), npz("val.npz", data=drawn(24, 16, 16)[0])), "16×16", more=("val.npz",), code=3,
        way="--resize"
    ),
    # 44: a last batch of one
    "44 twos": array(npz(data=X[:21], labels=TEXTS[:21]), more=("--batch-size", "2"), images=21),
    "44 one left over": array(npz(), more=("--batch-size", "22")),
    "44 larger than the data": array(npz(), more=("--batch-size", "1000")),
    "44 three": array(npz(data=X[:6], labels=TEXTS[:6]), more=("--batch-size", "2"), images=6),
    # 46: minus one
    "46 half of two": array(npz(labels=WITH_HALF), "8 of 24 labels mean no label: -1 (8)", code=3, way="--no-label ''",
                            classes=("-1", "1"), accuracy=0.6),
    "46 one of three": numbered(Y - 1, "8 of 24 labels mean no label", classes=("0", "1"), labelled=16),
    "46 one of three, kept": numbered(Y - 1, options=("--no-label", ""), classes=("-1", "0", "1")),
    "46 as text": array(npz(labels=(Y - 1).astype(str)), "mean no label", classes=("0", "1"), labelled=16),
    "46 as folders": Case(
        lambda: tree(names=("-1", "0", "1")), ("mean no label: -1",), classes=("0", "1"), labelled=16
    ),
    "46 in a table": table(
        lambda: "File,Label\n" + rows("{file},{label}\n").replace("ant", "-1"), "mean no label", classes=("bee", "cat"),
        labelled=16,
    ),
    "46 NaN as an integer": numbered(
        np.where(Y > 0, Y, np.iinfo("i8").min), "mean no label", classes=("1", "2"), labelled=16
    ),
    "46 several labels": array(npz(labels=one_hot(3)), "several", code=3),
    # 47: letters of other scripts, and signs
    "47 Chinese": Case(lambda: tree(names=("猫", "狗", "鸟")), classes=("狗", "猫", "鸟")),
    "47 Arabic, Hindi, Korean": Case(
        lambda: tree(names=("قطة", "बिल्ली", "고양이")),
        classes=tuple(sorted(unicodedata.normalize("NFC", name) for name in ("قطة", "बिल्ली", "고양이"))),
    ),
    "47 signs": Case(lambda: tree(names=("_private", "$a_b$", "a^2")), classes=("$a_b$", "_private", "a^2")),
}  # fmt: skip


# ---- what is held against the table ----------------------------------------------------------------------------------

QUIET_ANYWAY = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@pytest.fixture
def clean(call, monkeypatch):
    """A command that is called, and what it says: no traceback, no warning of a library's, no error of many lines."""
    monkeypatch.setattr(evaluation, "SIMPLE", {})  # which have tests of their own

    def calling(*arguments: object):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            done = call(*arguments)
        heard = [warning for warning in seen if not issubclass(warning.category, QUIET_ANYWAY)]
        assert not heard, [str(warning.message) for warning in heard]
        assert done.code in (0, 2, 3, 4, 5, 6), done.err
        assert "Traceback" not in done.err
        assert done.code == 0 or 1 <= len(done.err.partition("error: ")[2].splitlines()) <= 3, done.err
        return done

    return calling


def check_told(err: str, parts: Sequence[str] | None) -> None:
    """These parts stand in it in this order; nothing but the progress of the training does where there are none."""
    lines = [line for line in err.splitlines() if not line.startswith("epoch")]
    assert parts != () or not lines, err
    rest = "\n".join(lines)
    for part in parts or ():
        assert part in rest, f"{part!r} is not told in:\n{err}"
        rest = rest[rest.index(part) + len(part) :]


def followed(case: Case, err: str) -> tuple[str, list[str]]:
    """DATA and the options with which the refusal says that it goes."""
    if case.way == "python":
        exec(compile(err.partition("in Python: ")[2].splitlines()[0], "remedy", "exec"), {})
        return case.fixed, []
    found = re.search(case.way, err)
    assert found, f"{case.way} is not named in:\n{err}"
    return case.data, shlex.split(found[0])


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_an_input(clean, name):
    case = CASES[name]
    case.make()
    data, more = case.data, list(case.more)
    done = clean("train", data, *more, *SMALL, *case.options, "--json")
    assert done.code == case.code, done.err
    check_told(done.err, case.told)
    options, told = [*case.options], case.told if case.told_of_test is None else case.told_of_test
    if case.code:
        assert case.code != 3 or not list(Path().glob("*.pth*"))
        if not case.way:
            return
        data, way = followed(case, done.err)
        told = case.told_of_test
        done = clean("train", data, *more, *SMALL, *case.options, *way, "--json")
        assert done.code == 0, done.err
        options += ["--resize"] if way[:1] == ["--image-size"] else way
    assert done.json["images"] == case.images
    assert Path("gmm_params.pkl").exists() == bool(case.classes)
    files = ["vae.pth", *(["gmm_params.pkl"] if case.classes else [])]
    test = case.test or data
    tested = case.tested or (24 if case.test else case.images)
    if case.classes:
        done = clean("classify", test, *files, *options, "--json")
        assert done.code == case.test_code, done.err
        check_told(done.err, told)
        if case.test_code:
            if not case.way:
                return
            options += followed(case, done.err)[1]
            done = clean("classify", test, *files, *options, "--json")
        known = tested if case.labelled is None else case.labelled
        assert (done.json["images"], done.json.get("labelled", tested if known else 0)) == (tested, known)
        if known:
            assert tuple(done.json["classes"][: len(case.classes)]) == case.classes
            assert case.accuracy is None or done.json["accuracy"] >= case.accuracy
        with Path("vae.csv").open(encoding="utf-8") as table:
            assert sum(row["Predicted_Label"] != "" for row in csv.DictReader(table)) == tested
    evaluated = clean("evaluate", test, *files, *options, "--json")
    assert (evaluated.code, evaluated.json["images"]) == (0, tested), evaluated.err
    assert evaluated.json["mse"] < 0.5
    assert not case.classes or evaluated.json.get("accuracy") == done.json.get("accuracy")


# ---- calls one after the other ---------------------------------------------------------------------------------------

TRAIN, CLASSIFY = f"train set.npz {shlex.join(SMALL)}", "classify set.npz vae.pth gmm_params.pkl"
CNN = "train-cnn set.npz --set width=16 --epochs 1"
SOFT = np.eye(3)[Y] * 0.7 + 0.1


def table_of_soft_labels(separator: str = ",", point: str = ".", encoding: str = "utf-8", digits: int = 3) -> Make:
    """Flat pictures with their ``soft_labels.csv``, as a spreadsheet may have written it."""

    def make() -> None:
        npz()()
        flat("mixed")
        lines = [separator.join(("File", *NAMES))]
        for row, shares in enumerate(SOFT):
            lines.append(
                separator.join([f"{row:02}.png", *(f"{share:.{digits}f}".replace(".", point) for share in shares)])
            )
        Path("mixed/soft_labels.csv").write_bytes("\r\n".join([*lines, ""]).encode(encoding))

    return make


def mixed(**arrays: object) -> Make:
    """Labelled pictures, and soft labels of one's own."""
    return made(npz(), lambda: np.savez("mixed.npz", **{"images": X, "soft_labels": SOFT, "classes": NAMES} | arrays))


CALLS: dict[str, tuple[Make, list[tuple[str, int, tuple[str, ...]]]]] = {
    "28 a run that has ended": (npz(), [(TRAIN, 0, ()), (f"{TRAIN} --resume", 0, ("has ended",))]),
    "28 the same data elsewhere": (
        made(npz(), lambda: shutil.copy("set.npz", "moved.npz")),
        [(TRAIN, 0, ()), (f"{TRAIN} --resume".replace("set.npz", "moved.npz"), 0, ("has ended",))],
    ),
    "28 more epochs": (
        npz(),
        [
            (TRAIN, 0, ()),
            (f"{TRAIN} --epochs 2 --continue-from vae.pth -o more.pth", 0, ("gmm_params.pkl was", "--gmm")),
        ],
    ),
    "34 four points": (
        npz(data=X[:4], labels=["a", "a", "b", "b"]),
        [(TRAIN, 0, ()), ("plot tsne set.npz vae.pth", 0, ())],
    ),
    "34 two points": (
        made(npz(), npz("two.npz", data=X[:2], labels=TEXTS[:2])),
        [(TRAIN, 0, ()), ("plot tsne two.npz vae.pth", 0, ())],
    ),
    "34 one point": (
        made(npz(), npz("one.npz", data=X[:1], labels=TEXTS[:1])),
        [(TRAIN, 0, ()), ("plot tsne one.npz vae.pth", 0, ())],
    ),
    "34 copies": (
        made(npz(), npz("same.npz", data=X[[0] * 9], labels=TEXTS[[0] * 9])),
        [(TRAIN, 0, ()), ("plot tsne same.npz vae.pth", 0, ())],
    ),
    "35 stdout": (npz(), [(TRAIN, 0, ()), (f"{CLASSIFY} -o -", 0, ("images",)), (f"{CLASSIFY} -o - --json", 2, ())]),
    "35 a folder that is missing": (npz(), [(TRAIN, 0, ()), (f"{CLASSIFY} -o missing/vae.csv", 6, ("missing",))]),
    "35 a folder": (
        made(npz(), lambda: Path("place").mkdir()),
        [(TRAIN, 0, ()), (f"{CLASSIFY} -o place", 6, ("place",))],
    ),
    "35 the input": (npz(), [(TRAIN, 0, ()), (f"{CLASSIFY} -o set.npz", 2, ("set.npz is an input",))]),
    "38 a folder of a set's name": (
        lambda: tree("digits"),
        [(f"{TRAIN} --classes 1,8".replace("set.npz", "digits"), 0, ("./digits",))],
    ),
    "38 the folder itself": (
        lambda: tree("digits"),
        [(TRAIN.replace("set.npz", path), 0, ()) for path in ("./digits", "digits/")],
    ),
    "38 a file of a set's name": (npz("mnist.npz"), [(TRAIN.replace("set.npz", "mnist.npz"), 0, ())]),
    "40 a table": (table_of_soft_labels(), [(f"{CNN} --hybrids mixed", 0, ())]),
    "40 a spreadsheet's": (table_of_soft_labels(";", ",", "utf-8-sig"), [(f"{CNN} --hybrids mixed", 0, ())]),
    "40 rounded, in UTF-16": (
        table_of_soft_labels("\t", digits=1, encoding="utf-16"),
        [(f"{CNN} --hybrids mixed", 0, ())],
    ),
    "40 an array": (mixed(), [(f"{CNN} --hybrids mixed.npz", 0, ())]),
    "40 an array of percents": (mixed(soft_labels=SOFT * 100), [(f"{CNN} --hybrids mixed.npz", 3, ("sum",))]),
    "40 no table": (made(npz(), lambda: tree("mixed")), [(f"{CNN} --hybrids mixed", 3, ("soft_labels.csv",))]),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_becomes_of_calls_one_after_the_other(clean, name):
    make, calls = CALLS[name]
    make()
    for line, code, told in calls:
        done = clean(*shlex.split(line))
        assert done.code == code, done.err
        check_told(done.err, told if code == 0 or told else None)


# ---- the inputs of public reports ------------------------------------------------------------------------------------


def kinds_of_reports() -> list[str]:
    """Folders with a ``make.py`` that writes inputs, in ``cases`` beside the folder of real data sets."""
    root = os.environ.get("LATENTCLI_DATA")
    return sorted(path.parent.name for path in Path(root).parent.glob("cases/*/make.py")) if root else []


def inputs_within(folder: Path) -> list[Path]:
    """Array files, archives and folders of pictures, not those within these."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and any(inner.suffix in (".npz", ".npy", ".zip") for inner in path.iterdir()):
            found += inputs_within(path)
        elif path.is_dir() or path.suffix in (".npz", ".npy", ".zip", ".gz", ".pt", ".h5", ".mat"):
            found.append(path)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not kinds_of_reports(), reason="no cases here: LATENTCLI_DATA names no folder beside such")
@pytest.mark.parametrize("kind", kinds_of_reports())
def test_inputs_of_public_reports_are_read_or_refused(clean, monkeypatch, tmp_path, kind):
    source = Path(os.environ["LATENTCLI_DATA"]).resolve().parent / "cases"
    (tmp_path / kind).mkdir()
    monkeypatch.chdir(tmp_path / kind)
    monkeypatch.syspath_prepend(source)
    runpy.run_path(str(source / kind / "make.py"), run_name="__main__")
    tables = sorted(Path("csv").iterdir()) if Path("csv").is_dir() else []
    calls = [(f"./{path}", []) for path in inputs_within(Path()) if path.name not in ("csv", "ro", "tmp")]
    calls += [("./in", ["--labels", path]) for path in tables]
    for number, (path, options) in enumerate(calls):
        files = [f"{number}.pth", f"{number}.pkl"]
        done = clean("train", path, *SMALL, *ONE_STEP, *options, "-o", files[0], "--json", "-q")
        assert done.code in (0, 3, 5), done.err
        if done.code == 0:
            if Path("gmm_params.pkl").exists():
                Path("gmm_params.pkl").rename(files[1])
                assert clean("classify", path, *files, *options, "--json", "-q").code == 0
            else:
                files.pop()
            assert number or clean("evaluate", path, *files, "--json", "-q").code == 0
