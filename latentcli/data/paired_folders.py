"""Folders whose pictures belong together one by one, such as ``images`` and ``masks``, and are no classes.

So are data for segmentation laid out, and those that make one picture of another. By their names alone: one of them or
more are called as pictures are, all others as what was drawn over these, and the rest of their names is the same.
"""

import re
from collections.abc import Sequence

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
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
        words = {*re.findall(r"[^\W\d_]+", apart)}
        if not words & (_PICTURES | _DRAWN):
            return [], []
        (drawn if words & _DRAWN else pictures).append(name)
        rests.add(frozenset(words - _PICTURES - _DRAWN - _ANY))
    same = len(rests - {frozenset()}) <= 1
    return (pictures, drawn) if pictures and drawn and same else ([], [])
