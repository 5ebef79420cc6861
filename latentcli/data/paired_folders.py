"""Folders whose pictures belong together one by one, such as ``images`` and ``masks``, and are no classes; and files.

So are data for segmentation laid out, and those that make one picture of another. By their names alone: one of them or
more are called as pictures are, all others as what was drawn over these, and the rest of their names is the same. So
are files of one folder: ``1.png`` and ``1_mask.png``, ``img.png`` and ``seg.png``.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from latentcli.data.foreign import suffix_of

_PICTURES = {
    "image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "rgb", "frame", "frames",
    "input", "inputs", "original", "originals", "raw", "scan", "scans", "slices", "tiles", "patches", "jpegimages",
}  # fmt: skip
_DRAWN = {
    "mask", "masks", "label", "labels", "annotation", "annotations", "annot", "annots", "anno", "annos", "segmentation",
    "segmentations", "segmentationclass", "segmentationobject", "seg", "segs", "semantic", "instance", "instances",
    "gt", "gts", "truth", "groundtruth", "groundtruths", "target", "targets", "output", "outputs", "contour",
    "contours", "outline", "outlines", "edges", "trimap", "trimaps", "matte", "mattes", "depth", "depths", "labelmap",
    "labelmaps", "roi", "rois", "overlay", "overlays", "visualization", "visualizations",
}  # fmt: skip
_ANY = {
    "train", "training", "val", "valid", "validation", "test", "testing", "jpeg", "jpg", "png", "tif", "tiff", "bmp",
    "ground", "class", "object", "left", "bit", "fine", "coarse", "binary", "full", "all", "set", "data", "dataset",
    "folder", "files", "dir",
}  # fmt: skip
"""Words of names of folders, in lower case; the last ones tell nothing."""


def paired(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folders of pictures and those of what was drawn over them, among these; none, where others are among them."""
    pictures, drawn, rests = list[str](), list[str](), set[frozenset[str]]()
    for name in names:
        words = {*re.findall(r"[^\W\d_]+", _apart(name).lower())}
        if not words & (_PICTURES | _DRAWN):
            return [], []
        (drawn if words & _DRAWN else pictures).append(name)
        rests.add(frozenset(words - _PICTURES - _DRAWN - _ANY))
    same = len(rests - {frozenset()}) <= 1
    return (pictures, drawn) if pictures and drawn and same else ([], [])


def drawn_over(files: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The files that are called as what was drawn over others of their folder, each with one of these.

    The rest of the two names is the same, but for a number behind that of what was drawn, and words behind the other's.

    Returns:
        these; and the patterns of ``fnmatch`` for their names, none where these are of other files or folders, too.
    """
    text = "\n".join(files).lower()  # of a million files none may have such a word
    occurring = [word for word in _DRAWN if word in text]
    if not occurring:
        return {}, []
    called = [(path, *path.rpartition("/")[::2]) for path in files]
    drawn_words = {
        path: found for path, _, name in called
        if any(word in name.lower() for word in occurring) and (found := _word_of_drawn(name)) is not None
    }  # fmt: skip
    if not drawn_words:
        return {}, []
    folders = {path.rpartition("/")[0] for path in drawn_words}
    pictures: dict[tuple[str, tuple[str, ...]], str] = {}
    for path, folder, name in called:
        if folder in folders and path not in drawn_words:
            rest = _rest(name)
            for words in range(len(rest), 0 if rest else -1, -1):
                pictures.setdefault((folder, rest[:words]), path)
    over: dict[str, str] = {}
    for path in drawn_words:
        folder, _, name = path.rpartition("/")
        rest = _rest(name)
        unnumbered = rest[:-1] if len(rest) > 1 and rest[-1].isdecimal() else rest
        if picture := pictures.get((folder, rest)) or pictures.get((folder, unnumbered)):
            over[path] = picture
    patterns = sorted({drawn_words[path] for path in over})
    kept = {part for path in files for part in (path.split("/") if path not in over else path.split("/")[:-1])}
    clear = not any(fnmatchcase(part, pattern) for part in kept for pattern in patterns)
    return over, patterns if clear else []


def _apart(name: str) -> str:
    """A name with its words apart: ``groundTruth`` becomes ``ground_Truth``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)


def _rest(name: str) -> tuple[str, ...]:
    """The words and numbers of a file's name that say neither that it is a picture nor that it was drawn over one."""
    words = re.findall(r"[^\W_]+", _apart(name[: len(name) - len(suffix_of(name))]).lower())
    return tuple(word for word in words if word not in _PICTURES | _DRAWN | {"ground"})


def _word_of_drawn(name: str) -> str | None:
    """A pattern of the word, in a file's name, that says that it was drawn over another; None where there is none."""
    stem = name[: len(name) - len(suffix_of(name))]
    for found in re.finditer(r"(?P<before>^|[ _.-])(?P<word>[A-Za-z]+)", _apart(stem)):
        if found["word"].lower() in _DRAWN:
            before = found["before"] if f"{found['before']}{found['word']}" in stem else ""
            return f"{'' if not before and stem.startswith(found['word']) else '*'}{before}{found['word']}*"
    return None
