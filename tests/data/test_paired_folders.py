"""Folders of images and of what was drawn over them are no two classes, whatever they are called; others are."""

import shutil

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.data.paired_folders import paired


@pytest.mark.parametrize(
    ("pictures", "drawn"),
    [
        ("images", "masks"), ("imgs", "labels"), ("image", "annotations"), ("img", "segmentation"),
        ("JPEGImages", "SegmentationClass/SegmentationObject"), ("cell_images", "cell_masks"), ("CXR_scans", "gt"),
        ("train_images", "train_masks"), ("Images", "GroundTruth"), ("imagesTr", "labelsTr"), ("rgb", "depth"),
        ("input", "target"), ("Original", "Ground truth"), ("images png", "ManualMasks/overlays"),
    ],
)  # fmt: skip
def test_pairs_are_known_by_name(pictures, drawn):
    assert paired([*pictures.split("/"), *drawn.split("/")]) == (pictures.split("/"), drawn.split("/"))


@pytest.mark.parametrize(
    "names",
    ["images photos", "masks labels", "with_mask without_mask", "images cats", "cat_images dog_masks", "x y",
     "mask hat", "images", "cats dogs", "target no_target", "images masks cats", "truth lie", "edges corners"],
)  # fmt: skip
def test_classes_are_no_pairs(names):
    assert paired(names.split()) == ([], [])


def put(folder, *names):
    for row, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.arange(row, row + 144, dtype=np.uint8).reshape(12, 12)).save(folder / f"{name}.png")
    return folder


PAIRED = {  # the files; the folder that the message names; those read of it; and what they are read as otherwise
    "alone": ("images/1 images/2 masks/1 masks/2", "images", "1 2", "images masks"),
    "classes within": ("img/a/1 img/b/2 labels/a/1 labels/b/2", "img", "a/1 b/2", "img labels"),
    "in a part": ("train/imgs/1 train/gt/1 test/imgs/2 test/gt/2", "train/imgs", "1", "imgs gt"),
    "parts within": ("images/train/1 images/val/2 masks/train/1 masks/val/2", "images", "train/1", "images masks"),
}


@pytest.mark.parametrize("case", PAIRED)
def test_images_beside_masks_are_refused_with_the_folder_to_name(tmp_path, case):
    files, right, read, classes = PAIRED[case]
    folder = put(tmp_path / "set", *files.split())
    with pytest.raises(DataError, match="look like images and what was drawn over them") as caught:
        load(folder)
    assert (
        caught.value.remedy
        == f"name one folder: {folder / right}; if they are classes: `classes` {classes.replace(' ', ',')}"
    )
    assert load(folder / right).files == tuple(f"{name}.png" for name in read.split())
    assert load(folder, classes=classes.split()).class_names == tuple(classes.split())
    together = load(folder, no_classes=True)
    assert any(note.endswith(f"name {folder / right}") for note in together.notes)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    with pytest.raises(DataError, match=rf"unpack it, and where its files are now: name one folder: .*{right};"):
        load(packed)
    (note,) = [note for note in load(packed, no_classes=True).notes if "read together" in note]
    assert note.endswith(f"name {packed}/{right}")


@pytest.mark.parametrize(
    "files",
    ["a/images/1 a/masks/1 b/images/2 b/masks/2", "a/img/x/1 a/gt/1 b/img/2 b/gt/2 b/gt/3",
     "a/rgb/1 a/depth/2 b/rgb/3 b/depth/4"],
)  # fmt: skip
def test_masks_within_each_class_are_told_with_the_line_that_leaves_them_out(tmp_path, files):
    folder = put(tmp_path / "set", *files.split())
    found = load(folder)
    (note,) = [note for note in found.notes if "to leave out" in note]
    assert found.class_names == ("a", "b")
    exec(note.split("in Python: ")[1], {})
    kept = files.split()[0].split("/")[1]
    assert load(tmp_path / f"set_{kept}").files == tuple(
        f"{name.replace(f'/{kept}/', '/')}.png" for name in files.split() if f"/{kept}/" in name
    )


DRAWN = {  # files; those of them that were drawn over others
    "behind": ("a/1 a/1_mask b/2 b/2_mask", "a/1_mask b/2_mask"),
    "numbered": ("a/x_(1) a/x_(1)_mask a/x_(1)_mask_1", "a/x_(1)_mask a/x_(1)_mask_1"),
    "a folder a case": ("c/img c/seg d/img d/seg", "c/seg d/seg"),
    "before": ("img_1 mask_1 img_2 mask_2", "mask_1 mask_2"),
    "of a patient": ("a/p0_t1 a/p0_t2 a/p0_seg", "a/p0_seg"),
    "two words": ("a/1 a/1_ground_truth b/2 b/2-GroundTruth", "a/1_ground_truth b/2-GroundTruth"),
    "in a class called so": ("no_mask/1 no_mask/1_mask mask/2", "no_mask/1_mask"),
}  # fmt: skip


@pytest.mark.parametrize("case", DRAWN)
def test_masks_beside_their_images_are_told_with_the_line_that_leaves_them_out(tmp_path, case):
    files, drawn = (text.split() for text in DRAWN[case])
    folder = put(tmp_path / "set", *files)
    (note,) = [note for note in load(folder).notes if "drawn over others" in note]
    assert f"set: {len(drawn)} images are called as" in note
    if case == "in a class called so":
        assert note.endswith("move them elsewhere")
        return
    exec(note.split("in Python: ")[1], {})
    left = load(tmp_path / "set_images")
    assert {*left.files} == {f"{name}.png" for name in files} - {f"{name}.png" for name in drawn}
    assert left.notes == ()


@pytest.mark.parametrize(
    "files",
    ["a/mask b/hat", "a/mask a/hat", "a/target_1 a/target_2", "a/1 b/1_mask", "a/1 a/12_mask", "a/1 a/unmasked"],
)
def test_pictures_of_masks_are_no_pairs(tmp_path, files):
    assert not any("drawn over" in note for note in load(put(tmp_path / "set", *files.split())).notes)
