"""npz and npy: every layout of the contract, and nothing that is not images."""

import io
import json
import re
import zipfile
from contextlib import suppress

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.core.labels import UNLABELLED
from latentcli.data import load
from latentcli.data.array_labels import encode_labels
from latentcli.data.arrays import to_images

rng = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def saved(tmp_path, name="set.npz", **arrays):
    np.savez(tmp_path / name, **arrays)
    return tmp_path / name


@given(
    count=st.integers(1, 4),
    height=st.integers(8, 12),
    width=st.integers(8, 12),
    channels=st.sampled_from([None, 1, 3]),
    first=st.booleans(),
    fortran=st.booleans(),
)
def test_every_layout_becomes_channels_first_without_a_copy(count, height, width, channels, first, fortran):
    expected = pixels(count, channels or 1, height, width)
    array = expected[:, 0] if channels is None else expected if first else expected.transpose(0, 2, 3, 1)
    array = np.asfortranarray(array) if fortran else array
    images, layout, *_ = to_images(array, "x")
    assert np.array_equal(images, expected)
    assert np.shares_memory(images, array)
    assert layout == ("NHW" if channels is None else "NCHW" if first else "NHWC")


@given(st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_of_0_to_1_are_rounded_to_the_nearest_byte(dtype):
    expected = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    images, *_ = to_images((expected / 255).astype(dtype), "x")
    assert np.array_equal(images[:, 0], expected)


@pytest.mark.parametrize("bad", [-0.1, 1.1, 300.0, np.nan, np.inf, -np.inf])
def test_floats_out_of_range_are_refused_wherever_they_are(bad):
    array = np.zeros((3, 8, 8), dtype=np.float32)
    array[2, 7, 7] = bad
    with pytest.raises(DataError, match=r"unclear|not finite"):
        to_images(array, "x")


@pytest.mark.parametrize("dtype", ["U3", "S2", complex])
def test_what_is_no_number_is_refused(dtype):
    with pytest.raises(DataError, match="expected numbers"):
        to_images(np.zeros((2, 8, 8), dtype=dtype), "x")


@pytest.mark.parametrize("shape", [(), (5,), (4, 784), (2, 8, 8, 5), (2, 1, 8, 8, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="not images"):
        to_images(np.zeros(shape, dtype=np.uint8), "x")


@pytest.mark.parametrize("shape", [(0, 8, 8), (0, 8, 8, 3), (3, 0, 8)])
def test_no_images_are_an_error(shape):
    with pytest.raises(DataError, match="no images"):
        to_images(np.zeros(shape, dtype=np.uint8), "x")


@pytest.mark.parametrize("key", ["data", "images", "x", "anything"])
def test_images_are_found_by_key_or_shape(tmp_path, key):
    images = pixels(3, 8, 9)
    path = saved(tmp_path, **{key: images, "weights": np.zeros(7), "y": np.array([4, 1, 4])})
    found = load(path)
    assert np.array_equal(found.images[:, 0], images)
    assert (found.name, found.layout, found.files) == ("set.npz", "NHW", None)
    assert found.class_names == ("1", "4")
    assert found.labels.codes.tolist() == [1, 0, 1]
    assert found.labels.codes.dtype == np.int64


def test_data_goes_before_images_and_x(tmp_path):
    found = load(saved(tmp_path, x=pixels(1, 8, 8), images=pixels(2, 8, 8), data=pixels(3, 8, 8)))
    assert len(found) == 3


def test_several_candidates_or_none_are_an_error_that_lists_the_keys(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"more than one(.|\n)*a \(2, 8, 8\), b \(3, 8, 8\)") as caught:
        load(saved(tmp_path, a=pixels(2, 8, 8), b=pixels(3, 8, 8)))
    assert len(load(follow(str(caught.value).partition("; or name")[2], monkeypatch, tmp_path))) == 2
    with pytest.raises(DataError, match=r"no array of images(.|\n)*mu \(3, 2\)"):
        load(saved(tmp_path, mu=np.zeros((3, 2)), logvar=np.zeros((3, 2))))


@pytest.mark.parametrize(
    ("labels", "names", "codes"),
    [
        ([10, 9, -1], ("9", "10"), [1, 0, -1]),
        (["cat", "", "ant"], ("ant", "cat"), [1, -1, 0]),
        ([b"cat", b"ant", b"cat"], ("ant", "cat"), [1, 0, 1]),
        ([[3], [4], [3]], ("3", "4"), [0, 1, 0]),
        (np.array([2**63, 1, 1], dtype=np.uint64), ("1", str(2**63)), [1, 0, 0]),
    ],
)
def test_labels_name_themselves(tmp_path, labels, names, codes):
    found = load(saved(tmp_path, data=pixels(3, 8, 8), labels=np.array(labels)))
    assert found.class_names == names
    assert found.labels.codes.tolist() == codes


def test_class_names_name_indices(tmp_path):
    arrays = {"data": pixels(3, 8, 8), "class_names": np.array(["dog", "cat", "ant"])}
    found = load(saved(tmp_path, labels=np.array([1, 0, -1]), **arrays))
    assert found.class_names == ("dog", "cat", "ant")
    assert found.labels.codes.tolist() == [1, 0, UNLABELLED]
    arrays["class_names"] = arrays["class_names"][:, None]
    found = load(saved(tmp_path, labels=np.array(["ant", "", "dog"]), **arrays))
    assert found.labels.codes.tolist() == [2, UNLABELLED, 0]


@pytest.mark.parametrize(
    "labels", [[0, 1], [0.5, 1, 2], [[0, 1], [1, 0], [0, 1]], [0, 1, 3], [0, -2, 1], ["a", "b", "z"]]
)
def test_labels_that_do_not_fit_are_an_error(tmp_path, labels):
    with pytest.raises(DataError):
        load(saved(tmp_path, data=pixels(3, 8, 8), labels=np.array(labels), class_names=np.array(["a", "b", "c"])))


@pytest.mark.parametrize("names", [["a", "a"], [["a", "b"], ["c", "d"]], [0.5, 1.0], [], ["a", ""]])
def test_class_names_that_cannot_name_classes_are_an_error(tmp_path, names):
    with pytest.raises(DataError, match="class_names"):
        load(saved(tmp_path, data=pixels(2, 8, 8), labels=np.array([0, 1]), class_names=np.array(names)))


@pytest.mark.parametrize(
    ("names", "found"),
    [(["cat", "dog", "cat"], "'cat' 2 times"), ([b"owl", b" owl", b"owl"], "'owl' 3 times"), ([7, 7], "'7' 2 times"),
     (["a", ""], "an empty name")],
)  # fmt: skip
def test_the_name_that_cannot_name_a_class_is_named(tmp_path, names, found):
    with pytest.raises(DataError, match=f"found {found}"):
        load(saved(tmp_path, data=pixels(2, 8, 8), labels=np.array([0, 1]), class_names=np.array(names)))


TRIO = ["Katze", "ape", "owl"]
TRIO_OF_LABELS = np.array([2, 0, 1, 2, 0])


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("names", TRIO), ("label_names", np.array(TRIO, "S")), ("labels_names", TRIO), ("classes", np.array(TRIO, "S")),
        ("fine_label_names", TRIO), ("ClassNames", np.array([TRIO])), ("categories", json.dumps(TRIO)),
        ("class_to_idx", json.dumps({name: index for index, name in reversed([*enumerate(TRIO)])})),
        ("idx2label", json.dumps(dict(enumerate(TRIO)))), ("class_names", json.dumps(TRIO).encode()),
        ("target_names", np.array([json.dumps(TRIO)])),
        ("class_to_idx", [["owl", "2"], ["Katze", "0"], ["ape", "1"]]),
        ("class_names", [[*"021"], ["Katze", "owl", "ape"]]),
        ("id2label", np.array([["1", "ape"], ["0", "Katze"], ["2", "owl"]], "S")),
        ("label_map", json.dumps([["ape", 1], ["Katze", 0], ["owl", 2]])),
        ("categories", json.dumps({"ape": "1", "owl": "2", "Katze": "0"})),
    ],
)  # fmt: skip
@pytest.mark.parametrize("labels", [TRIO_OF_LABELS, np.eye(3)[TRIO_OF_LABELS], np.array(TRIO)[TRIO_OF_LABELS]])
def test_names_of_classes_are_taken_by_whatever_key(tmp_path, key, names, labels):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), labels=labels, **{key: np.array(names)}))
    assert (found.class_names, found.labels.codes.tolist()) == (tuple(TRIO), TRIO_OF_LABELS.tolist())
    assert key == "class_names" or f"set.npz: {key} are the names of its classes" in found.notes


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"names": np.array(["a", "b"])}, r"names \(2,\) <U1 may name classes, and do not fit the labels"),
        ({"classes": np.array(json.dumps({"a": 0, "b": 2}))}, r"classes \(\) .* do not fit"),
        ({"names": np.array(list("abcde"))}, None), ({"notes": np.array(["a", "b"])}, None),
        ({"names": np.array(TRIO).astype(object)}, r"it is made: names=names\.astype\(str\)"),
        ({"class_to_idx": np.array({"a": 0}, object)}, r"class_to_idx=json\.dumps\(class_to_idx\)"),
        ({"class_to_idx": np.array([["a", "1"], ["b", "2"], ["c", "3"]])}, r"class_to_idx \(3, 2\) .* not understood"),
        ({"id2label": np.array([["a", "b"], ["0", "2"]])}, r"id2label \(2, 2\) <U1 may name .* not understood"),
        ({"label_to_id": np.array([[0, 1], [1, 2], [2, 0]])}, r"label_to_id \(3, 2\) int64 .* not understood"),
        ({"class_map": np.array([("Katze", 0), ("owl", 2)], "U5,i8")}, r"class_map=numpy\.array\(class_map\.tolist"),
        ({"class_map": np.array([["Katze", 0]], object)}, r"class_map=class_map\.astype\(str\)"),
        ({"animals": np.array([["ape", "owl", "Katze"], [*"120"]])}, r"animals has as many texts .* f = numpy"),
        ({"animals": np.array(TRIO)}, r"animals has as many texts as there are classes; if it names them: f = numpy"),
    ],
)  # fmt: skip
def test_texts_that_are_not_taken_for_names_of_classes_are_told(tmp_path, monkeypatch, more, told):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), labels=TRIO_OF_LABELS, **more))
    assert found.labels.texts.tolist() == list("20120")
    (note,) = [note for note in found.notes if "not read" not in note] or [None]
    assert (note is None) == (told is None)
    assert told is None or re.search(told, note)
    if note and "f = numpy" in note:
        assert load(follow(note, monkeypatch, tmp_path)).class_names == tuple(TRIO)


@pytest.mark.parametrize(
    "pairs", [[[7, 0], [9, 2], [8, 1]], [[0, 2, 1], [7, 9, 8]], [["7", "0"], ["8", "1"], ["9", "2"]]]
)
def test_numbers_that_are_names_of_classes_are_told_from_their_places(tmp_path, pairs):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), labels=TRIO_OF_LABELS, cls_to_idx=np.array(pairs)))
    assert found.labels.texts.tolist() == list("97897")


@pytest.mark.parametrize(
    "pairs", ['{"1": 0, "2": 1, "0": 2}', '[["1", 0], ["2", 1], ["0", 2]]', '[[0, "1"], [1, "2"], [2, "0"]]']
)
def test_numbers_and_texts_of_numbers_in_json_tell_which_are_the_names(tmp_path, pairs):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), labels=TRIO_OF_LABELS, label_map=np.array(pairs)))
    assert found.labels.texts.tolist() == list("01201")


def test_of_several_names_those_go_first_that_fit_and_are_called_like_the_labels(tmp_path):
    x, coarse = pixels(5, 8, 8), {"coarse_label_names": np.array(["tame", "wild"])}
    both = {**coarse, "fine_label_names": np.array(TRIO)}
    assert load(saved(tmp_path, data=x, labels=TRIO_OF_LABELS, **both)).class_names == tuple(TRIO)
    found = load(saved(tmp_path, data=x, coarse_labels=TRIO_OF_LABELS % 2, **both))
    assert found.class_names == ("tame", "wild")
    assert any(
        "fine_label_names (3,) <U5 may name classes, and coarse_label_names goes before" in n for n in found.notes
    )
    with pytest.raises(
        DataError, match=r"the label '2', which has no name in coarse_label_names\n  .*found 0 to 2\n  give 3"
    ):
        load(saved(tmp_path, data=x, labels=TRIO_OF_LABELS, **coarse))


def test_texts_of_each_image_under_a_key_of_names_are_its_labels(tmp_path):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), label_names=TEXTS))
    assert found.labels.texts.tolist() == TEXTS.tolist()


@pytest.mark.parametrize(
    ("labels", "no_label", "texts"),
    [
        ([-100, 0, 1, 2, 0], None, ["", *"abca"]), ([-1, -100, 1, 2, 0], None, ["", "", *"bca"]),
        ([-100.0, np.nan, 1, 2, 0], None, ["", "", *"bca"]), ([-5, 0, 1, 2, 0], ["-5"], ["", *"abca"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["class_names", "names"])
def test_a_number_below_zero_that_means_no_label_has_no_name(tmp_path, key, labels, no_label, texts):
    if key == "names" and no_label:
        return
    path = saved(tmp_path, images=pixels(5, 8, 8), labels=np.array(labels), **{key: np.array(list("abc"))})
    found = load(path, no_label=no_label)
    assert found.labels.texts.tolist() == texts
    assert any(f"{texts.count('')} of 5 labels mean no label" in note for note in found.notes)
    assert load(path, classes=["a", "c"], no_label=no_label).class_names == ("a", "c")


@pytest.mark.parametrize(("label", "no_label"), [(-100, ["x"]), (-1, []), (-7, None)])
def test_a_number_below_zero_without_a_name_is_refused_with_a_way_on(tmp_path, label, no_label):
    path = saved(tmp_path, images=pixels(2, 8, 8), labels=np.array([label, 0]), class_names=np.array(["a"]))
    with pytest.raises(DataError, match=rf"'{label}', which has no name in class_names\n.*\n  .*`no_label`") as caught:
        load(path, no_label=no_label)
    following = caught.value.remedy.split("`no_label` ")[1].split(",")
    assert load(path, no_label=following).labels.texts.tolist() == ["", "a"]


# Axes in other orders, and hints


def of_matlab(images):
    return np.moveaxis(images, 0, -1)


@pytest.mark.parametrize(
    ("array", "expected", "more", "told"),
    [
        (lambda x: of_matlab(x[:, 0]), lambda x: x, {"y": np.arange(5)}, "5 images of 8×8"),
        (lambda x: of_matlab(x[:, 0]), lambda x: x, {"labels": np.arange(5)[:, None]}, "5 images of 8×8"),
        (lambda x: of_matlab(np.repeat(x[:, 0], 60, 0)), lambda x: np.repeat(x, 60, 0), {}, "300 images of 8×8"),
        (lambda x: of_matlab(np.stack([x[:, 0]] * 3, -1)), lambda x: np.repeat(x, 3, 1), {}, "5 images of 8×8×3"),
        (lambda x: of_matlab(x.transpose(0, 2, 3, 1)), lambda x: x, {"y": np.arange(5)}, "5 images of 8×8×1"),
        (lambda x: x.reshape(5, 64), lambda x: x, {"label": np.arange(5)}, "5 images of 8×8"),
        (lambda x: x, lambda x: x, {"y": np.arange(5)}, ""),
    ],
)
def test_axes_that_leave_one_reading_are_taken_so_and_it_is_told(tmp_path, array, expected, more, told):
    x = pixels(5, 1, 8, 8)
    found = load(saved(tmp_path, data=array(x), **more))
    assert np.array_equal(found.images, expected(x))
    assert len(found.labels) == len(found.images)
    assert told in " ".join(found.notes)


def test_axes_that_leave_two_readings_are_told_with_the_call_that_turns_them(tmp_path):
    x = pixels(20, 16, 16)
    np.save(tmp_path / "set.npy", of_matlab(x))
    found = load(tmp_path / "set.npy")
    assert found.images.shape == (16, 1, 16, 20)
    assert "16 images of 16×20" in found.notes[0]
    assert "20 of 16×16: numpy.moveaxis(data, -1, 0)" in found.notes[0]
    np.savez(tmp_path / "set.npz", data=of_matlab(x), labels=np.arange(16))
    assert (len(load(tmp_path / "set.npz")), load(tmp_path / "set.npz").notes) == (16, ())


@pytest.mark.parametrize(
    ("shape", "images", "told"),
    [
        ((40, 250), (10, 25), "40 labels for 40 rows of 250 pixels, .* say their height and width"),
        ((40, 1470), (35, 42), "or 30×49, 21×70, 15×98"), ((40, 251), (16, 16), "no rectangle"),
        ((250, 40), (10, 25), "40 labels for 40 columns of 250"), ((784, 40), (28, 28), "a column per image"),
        ((40, 12), (8, 8), "fill them up to 8×8"),
    ],
)  # fmt: skip
def test_rows_that_are_as_many_as_labels_are_images_each_and_no_image_together(tmp_path, shape, images, told):
    x = pixels(*shape)
    with pytest.raises(DataError, match=told) as caught:
        load(saved(tmp_path, data=x, y=np.arange(40) % 2))
    call = re.findall(r"(?:numpy[.]pad[(]|data[.]).*[)]", caught.value.remedy or "")[0]
    found = load(saved(tmp_path, data=eval(call, {"data": x, "numpy": np}), y=np.arange(40) % 2)).images
    assert found.shape == (40, 1, *images)
    each = x if len(x) == 40 else x.T
    assert np.array_equal(found.reshape(40, -1)[:, : each.shape[1]], each)


def test_rows_of_more_pixels_than_any_image_has_are_told_to_be_made_smaller(tmp_path):
    source = saved(tmp_path, data=np.zeros((2, 65537), np.uint8), y=[0, 1])
    told = "2 labels for 2 rows of 65537 pixels, an image each: no image of at most 256×256: make each smaller where"
    with pytest.raises(DataError, match=told):
        load(source)


@pytest.mark.parametrize("shape", [(4, 250), (2, 5, 5, 5)])
def test_shapes_of_which_no_call_makes_images_come_with_those_that_are_read(shape):
    with pytest.raises(DataError, match=r"that is not images\n.*\n  make it \(N, H, W\), \(N, H, W, C\) or"):
        to_images(pixels(*shape), "x")


def test_images_that_are_too_narrow_in_any_order_of_axes_come_without_a_call(tmp_path):
    np.save(tmp_path / "x.npy", pixels(5, 16, 3, 3))
    with pytest.raises(DataError, match=r"16×3 pixels(.|\n)*expected 8 to 256 pixels a side") as caught:
        load(tmp_path / "x.npy")
    assert "numpy" not in str(caught.value)


def test_rows_without_labels_may_be_an_image_or_images(tmp_path):
    np.save(tmp_path / "x.npy", pixels(40, 250))
    with pytest.raises(DataError, match=r"one image\? .*newaxis\]; 40 images of 250 pixels\? .*reshape\(-1, 10, 25"):
        load(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "data",
    [
        pixels(4, 64),
        pixels(4, 3 * 64),
        pixels(40, 50),
        pixels(4, 1, 8, 8, 1),
        pixels(4, 9, 10, 11),
        pixels(2, 3, 8, 9, 3),
    ],
)
def test_a_hint_that_is_followed_makes_images_that_show_something(data):
    with pytest.raises(DataError) as caught:
        to_images(data, "x")
    (call,) = re.findall(r"(?:[(]?data|numpy).*?(?=, or | leaves|$)", str(caught.value.remedy))[:1]
    images, *_ = to_images(eval(call, {"data": data, "numpy": np}), "x")
    assert int(images.max()) - int(images.min()) > 100


GREY, COLOUR = pixels(20, 1, 16, 16), pixels(20, 3, 16, 16)
OPAQUE = np.concatenate([COLOUR.transpose(0, 2, 3, 1), np.full((20, 16, 16, 1), 255, "u1")], -1)
OF_ONE, OF_THREE = {  # arrays of grey, and of coloured images, and what makes images of no labels leave one reading
    "grey": (GREY[:, 0], False), "a last axis of 1": (GREY.transpose(0, 2, 3, 1), False),
    "a second axis of 1": (GREY, False), "MATLAB's": (of_matlab(GREY[:, 0]), True),
    "MATLAB's, with an axis of 1": (of_matlab(GREY.transpose(0, 2, 3, 1)), False),
    "rows": (GREY.reshape(20, -1), True), "fractions": (GREY[:, 0] / 255, False),
    "MATLAB's with alpha": (of_matlab(np.stack([GREY[:, 0], 255 - 0 * GREY[:, 0]], -1)), False),
}, {
    "last": (COLOUR.transpose(0, 2, 3, 1), False), "first": (COLOUR, False),
    "MATLAB's": (of_matlab(COLOUR.transpose(0, 2, 3, 1)), False), "fractions": (COLOUR / 255, False),
    "MATLAB's, 16 bits": (of_matlab(COLOUR.transpose(0, 2, 3, 1)).astype("u2") * 257, False),
    "with alpha": (OPAQUE, False), "MATLAB's with alpha": (of_matlab(OPAQUE), False),
    "MATLAB's, as many as channels": (of_matlab(COLOUR[:3].transpose(0, 2, 3, 1)), False),
    "MATLAB's, oblong, as many as channels": (of_matlab(COLOUR[:3, :, :12].transpose(0, 2, 3, 1)), True),
}  # fmt: skip


@pytest.mark.parametrize(("channels", "case"), [*((3, case) for case in OF_ONE), *((1, case) for case in OF_THREE)])
def test_the_call_that_gives_a_model_its_channels_is_right_whatever_the_order_of_axes(tmp_path, channels, case):
    array, labelled = (OF_ONE if channels == 3 else OF_THREE)[case]
    true = GREY if channels == 3 else COLOUR
    count = 3 if "as many" in case else 20
    more = {"labels": np.arange(count)} if labelled else {}
    source = saved(tmp_path, data=array, **more)
    seen = load(source)
    shape = (channels, *seen.shape[1:])
    with pytest.raises(DataError, match="does not have the channels") as caught:
        load(source, image_shape=shape)
    call = re.search(r"convert the array: (.*?); or", str(caught.value))[1]
    np.save(tmp_path / "converted.npy", eval(call, {"data": array, "numpy": np}))
    found = load(tmp_path / "converted.npy", image_shape=shape)
    true = true[:count, :, : shape[1]].astype(float).mean(axis=1, keepdims=True)
    assert np.abs(found.images - true).max() <= 1


NARROW = {  # arrays whose images are too narrow, and those that they are with the call that is advised
    "MATLAB's, oblong": (of_matlab(COLOUR[:3, :, :12].transpose(0, 2, 3, 1)), COLOUR[:3, :, :12]),
    "MATLAB's, oblong, with alpha": (of_matlab(OPAQUE[:3, :12]), COLOUR[:3, :, :12]),
    "one in colour": (COLOUR[0].transpose(1, 2, 0), COLOUR[:1]), "two in grey": (of_matlab(GREY[:1, 0]), GREY[:1]),
    "a row of three": (of_matlab(GREY[:4, 0, :12]), GREY[:4, :, :12]),
}  # fmt: skip


@pytest.mark.parametrize("case", NARROW)
def test_images_that_are_too_narrow_come_with_the_call_that_orders_their_axes(tmp_path, case):
    array, expected = NARROW[case]
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match="expected 8 to 256 pixels a side") as caught:
        load(tmp_path / "x.npy")
    calls = re.findall(r"(?:data\[numpy|numpy\.move).*?(?=;)", str(caught.value))
    np.save(tmp_path / "x.npy", eval(calls[0 if "colour" in case else -1], {"data": array, "numpy": np}))
    assert np.array_equal(load(tmp_path / "x.npy").images, expected)


CHANNELS = {
    "five, last": (pixels(6, 16, 16, 5), "data[..., :3]"), "five, first": (pixels(6, 5, 16, 16), "data[:, :3]"),
    "many": (pixels(6, 16, 16, 30), "data[..., :3]"), "oblong": (pixels(6, 12, 16, 6), "data[..., :3]"),
    "before all": (np.moveaxis(COLOUR, 1, 0), "numpy.moveaxis(data, 0, 1)"),
    "before all, images last": (np.moveaxis(COLOUR, 0, -1), "numpy.moveaxis(data, -1, 0)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANNELS)
def test_channels_that_are_not_read_come_with_the_call_that_makes_them_three(tmp_path, case):
    array, call = CHANNELS[case]
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match="that is not images") as caught:
        load(tmp_path / "x.npy")
    assert call in str(caught.value)
    np.save(tmp_path / "x.npy", eval(call, {"data": array, "numpy": np}))
    assert load(tmp_path / "x.npy").shape[0] == 3


@pytest.mark.parametrize("kind", ["<U3", "S5", ">U12"])
@pytest.mark.parametrize("array", [GREY[:, 0], COLOUR, GREY[:, 0] / 255], ids=["grey", "colour", "fractions"])
def test_texts_of_numbers_come_with_the_call_that_makes_them_numbers(tmp_path, array, kind):
    texts = np.round(array, 2).astype(str).astype(kind if array.dtype == np.uint8 else "<U4")
    source = saved(tmp_path, data=texts)
    with pytest.raises(DataError, match=r"texts of numbers(.|\n)*: data\.astype\(float\)"):
        load(source)
    found = load(saved(tmp_path, "floats.npz", data=texts.astype(float))).images
    assert np.abs(found - load(saved(tmp_path, data=array)).images.astype(int)).max() <= 2
    texts[3, 2] = "cat"
    with pytest.raises(DataError, match=r"texts such as 'cat'(.|\n)*name them 'labels'"):
        load(saved(tmp_path, data=texts))


# Arrays by whatever names they have

KINDS = np.array([0, 1, 2, 0, 1])
NAMES = np.array(["disc", "square", "cross"])
TEXTS = NAMES[KINDS]


@pytest.mark.parametrize(
    ("images", "labels", "more", "names"),
    [
        ("X", "Y", {}, "012"),
        ("x_train", "y_train", {}, "012"),
        ("Xtrain", "ytrain", {}, "012"),
        ("trainImages", "trainLabels", {}, "012"),
        ("train_images", "train_labels", {"val_images": 1, "test_images": 1, "test_labels": 0}, "012"),
        ("image", "label", {}, "012"),
        ("images", "targets", {"scores": np.ones(5)}, "012"),
        ("data", "target", {"target_names": NAMES}, NAMES),
        ("data", "labels", {"classes": NAMES}, NAMES),
        ("Images", "CLASS", {"ids": np.arange(5)}, "012"),
        ("arr_0", "arr_1", {}, "012"),
        ("imgs", "latents_classes", {"weights": np.zeros(7)}, "012"),
        ("pixels", "kind", {"names of files": np.array(list("abcde"))}, "012"),
        ("a", "b", {"masks": np.zeros((5, 9))}, "012"),
    ],
)
def test_images_and_labels_are_found_by_whatever_name_and_it_is_told(tmp_path, images, labels, more, names):
    x = pixels(5, 8, 9)
    beside = {key: pixels(3, 8, 9) if isinstance(value, int) else value for key, value in more.items()}
    found = load(saved(tmp_path, **beside, **{labels: KINDS, images: x}))
    assert np.array_equal(found.images[:, 0], x)
    assert (found.class_names, found.labels.codes.tolist()) == (tuple(names), KINDS.tolist())
    told = " ".join(found.notes)
    assert {images, labels} <= {"data", "images", "x", "labels", "y"} or (images in told and labels in told)
    assert "test" not in "".join(more) or "has the parts train, val and test: train is read" in told
    assert not {"classes", "target_names"} & more.keys() or "names of its classes" in told


MEDMNIST = ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels")


@pytest.mark.parametrize(
    ("keys", "parts", "read"),
    [
        (MEDMNIST, "train val test", {"train": "train_images", "val": "val_images", "test": "test_images"}),
        (("x_train", "y_train", "x_test", "y_test"), "train test", {"train": "x_train", "test": "x_test"}),
        (("X_train", "y_train", "X_validation", "y_validation"), "train val", {"test": "X_validation"}),
        (("trainX", "trainY", "valid_x", "valid_y"), "train val", {"train": "trainX", "val": "valid_x"}),
        (("train", "train_labels", "test", "test_labels"), "train test", {"train": "train", "test": "test"}),
        (("train_set_x", "train_set_y", "test_set_x", "test_set_y"), "train test", {"test": "test_set_x"}),
        (("data", "labels", "x_dev", "y_dev"), "train val", {"train": "data", "val": "x_dev", "test": "x_dev"}),
        (
            ("images", "labels", "train_images", "train_labels"),
            "train",
            dict.fromkeys(("train", "val"), "train_images"),
        ),
        (("images_eval", "labels_eval"), "test", dict.fromkeys(("train", "val", "test"), "images_eval")),
        (("Xtr", "ytr", "Xte", "yte"), "train test", {"train": "Xtr", "test": "Xte"}),
        (("x_tr", "y_tr", "x_va", "y_va", "x_te", "y_te"), "train val test", {"val": "x_va", "test": "x_te"}),
    ],
)
def test_parts_are_known_by_the_names_of_arrays(tmp_path, keys, parts, read):
    counts = dict(zip(keys, (7, 7, 5, 5, 3, 3), strict=False))
    arrays: dict[str, np.ndarray] = {"class_names": NAMES} if "labels" in keys else {}
    for number, (key, count) in enumerate(counts.items()):
        arrays[key] = np.arange(count)[:, None] % 3 if number % 2 else pixels(count, 8, 8)
    path = saved(tmp_path, **arrays)
    for split, key in read.items():
        found = load(path, prefer=split)
        if split in parts.split():
            assert np.array_equal(load(path, split=split).images, found.images)
        else:
            with pytest.raises(DataError, match=f"no {split} part"):
                load(path, split=split)
        assert np.array_equal(found.images[:, 0], arrays[key])
        assert found.parts == tuple(parts.split())
        assert found.labels.codes.tolist() == [row % 3 for row in range(counts[key])]
        assert found.class_names == tuple(NAMES if "labels" in keys else "012")
        assert not parts or "part" in found.notes[0]


@pytest.mark.parametrize("key", ["split", "Partition", "subset"])
@pytest.mark.parametrize("labels", ["labels", "kind"])
def test_an_array_may_name_the_part_of_each_image(tmp_path, key, labels):
    x, parts = pixels(5, 8, 8), np.array(["Training", "test", "train", "validation", "test"])
    path = saved(tmp_path, images=x, **{labels: KINDS, key: parts})
    for split, rows in (("train", [0, 2]), ("val", [3]), ("test", [1, 4])):
        found = load(path, split=split)
        assert np.array_equal(found.images[:, 0], x[rows])
        assert found.labels.codes.tolist() == KINDS[rows].tolist()
        assert found.parts == ("train", "val", "test")
        assert f"(by its array {key}) has the parts train, val and test: {split} is read" in found.notes[0]
    other = load(saved(tmp_path, "other.npz", images=x, labels=KINDS, **{key: np.array(list("abcde"))}))
    assert (len(other), other.parts) == (5, ())


FIRST = np.array([True, False, True, False, False])


@pytest.mark.parametrize(
    ("arrays", "rows"),
    [
        ({"is_train": FIRST}, {"train": [0, 2], "test": [1, 3, 4]}),
        ({"isTrain": FIRST.astype("u1")}, {"train": [0, 2], "val": None}),
        ({"is_test": FIRST}, {"train": [1, 3, 4], "test": [0, 2]}),
        ({"train_mask": FIRST, "test_mask": ~FIRST}, {"train": [0, 2], "test": [1, 3, 4]}),
        ({"train_idx": [4, 0], "test_idx": [1]}, {"train": [4, 0], "test": [1]}),
        ({"train_indices": [0], "valid_indices": [3], "test_indices": [1]}, {"train": [0], "val": [3], "test": [1]}),
        ({"idx_val": [2], "idx_test": [1]}, {"train": [0, 3, 4], "val": [2], "test": [1]}),
        ({"train_index": [0, 3]}, {"train": [0, 3], "test": [1, 2, 4]}),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_truth_values_and_rows_may_tell_the_part_of_each_image(tmp_path, arrays, rows, labelled):
    x = pixels(5, 8, 8)
    path = saved(tmp_path, images=x, **arrays, **({"labels": KINDS} if labelled else {}))
    for split, of in rows.items():
        if of is None:
            with pytest.raises(DataError, match=f"no {split} part"):
                load(path, split=split)
            continue
        found = load(path, split=split)
        assert np.array_equal(found.images[:, 0], x[of])
        assert found.labels.texts.tolist() == (KINDS[of].astype(str).tolist() if labelled else [""] * len(of))
        assert " and ".join(arrays) in found.notes[0]
        assert f"{split} is read" in found.notes[0]
        named = sum(map(len, arrays.values())) if "idx_val" not in arrays and len(arrays) > 1 else 5
        assert (f"{5 - named} images of no part left out" in found.notes[0]) == (named < 5)


@pytest.mark.parametrize(
    ("split", "first"),
    [
        ([0, 1, 0, 1, 1], [0, 2]), ([1, 2, 3, 2, 2], [0]), ([False, True, True, True, True], [0]),
        (["train", "extra", "test", "train", "test"], [0, 3]), (["A", "B", "A", "B", "B"], [0, 2]),
        (["fit", "hold", "fit", "fit", "pick"], [0, 2, 3]), (["mine", "test", "test", "test", "mine"], [0, 4]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("labelled", [True, False])
def test_parts_that_are_not_understood_are_told_and_the_line_makes_them_texts(
    tmp_path, monkeypatch, split, first, labelled
):
    x = pixels(5, 8, 8)
    path = saved(tmp_path, images=x, split=np.array(split), **({"labels": KINDS} if labelled else {}))
    found = load(path, prefer="test")
    assert (len(found), found.parts, found.labels.any) == (5, (), labelled)
    with pytest.raises(DataError, match=r"no test part, nor any other\n.*split was not read as parts"):
        load(path, split="test")
    (note,) = (each for each in found.notes if "split was not read as parts" in each)
    made = follow(note, monkeypatch, tmp_path)
    assert np.array_equal(load(made).images[:, 0], x[first])


def test_an_array_that_should_name_parts_and_has_many_values_is_told(tmp_path):
    found = load(saved(tmp_path, images=pixels(12, 8, 8), split=np.arange(12)))
    assert (len(found), found.parts) == (12, ())
    told = "split was not read as parts: expected such as 'train', 'val' and 'test', found 0, 1, 2, 3, 4, 5, 6, 7 …; "
    assert told + "write one of these three for each image" in " ".join(found.notes)


def test_an_array_that_names_a_part_and_tells_of_no_image_which_it_is_of_is_none_of_parts(tmp_path):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), labels=KINDS, train_losses=np.ones(5)))
    assert (len(found), found.parts, found.labels.texts.tolist()) == (5, (), KINDS.astype(str).tolist())
    assert not any("part" in note for note in found.notes)


@pytest.mark.parametrize(
    "arrays", [{"train_idx": [1, 2, 5], "test_idx": [3, 4]}, {"train_idx": [0, 1], "test_idx": [1, 2]}]
)
def test_rows_that_cannot_be_parts_are_told_and_all_is_read(tmp_path, arrays):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), labels=KINDS, **arrays))
    assert (len(found), found.parts) == (5, ())
    assert "train_idx, test_idx were not read as parts" in found.notes[0]


def test_a_part_that_is_not_there_is_an_error_that_names_the_others(tmp_path):
    x = pixels(5, 8, 8)
    path = saved(tmp_path, x_train=x, y_train=KINDS, x_test=x, y_test=KINDS)
    with pytest.raises(DataError, match=r"no val part\n  found train and test\n  choose one: `split` train"):
        load(path, split="val")
    path = saved(tmp_path, x_train=x, y_train=KINDS, images=x, labels=KINDS)
    assert "images left out" in load(path).notes[0]


@pytest.mark.parametrize(
    "arrays", [{"label": KINDS, "target": KINDS[::-1]}, {"a": KINDS, "b": TEXTS}, {"target": KINDS, "class": TEXTS}]
)
def test_several_arrays_that_could_be_labels_are_an_error_that_lists_them(tmp_path, monkeypatch, arrays):
    first, second = arrays
    path = saved(tmp_path, images=pixels(5, 8, 8), **arrays)
    told = rf"several arrays(.|\n)*{first} \(5,\)(.|\n)*{second} \(5,\)(.|\n)*'labels'"
    with pytest.raises(DataError, match=told) as caught:
        load(path)
    assert load(follow(str(caught.value), monkeypatch, tmp_path)).labels.any
    (tmp_path / "l.csv").write_text("File,Label\n0,a\n")
    assert load(path, labels=tmp_path / "l.csv").labels.texts.tolist() == ["a", "", "", "", ""]


@pytest.mark.parametrize("arrays", [{}, {"ids": np.arange(5)}, {"scores": np.ones(5)}, {"y_of_others": KINDS[:4]}])
def test_what_is_no_label_is_told_and_never_taken(tmp_path, arrays):
    found = load(saved(tmp_path, images=pixels(5, 8, 8), **arrays))
    assert not found.labels.any
    assert all(key in " ".join(found.notes) for key in arrays)


# Labels of whatever kind


@pytest.mark.parametrize(
    ("labels", "texts", "told"),
    [
        (KINDS[:, None], "01201", ""),
        (KINDS[None], "01201", ""),
        (KINDS.astype(">f8"), "01201", ""),
        (KINDS > 0, ["False", "True", "True", "False", "True"], ""),
        (np.eye(3)[KINDS], "01201", "one-hot"),
        (np.eye(3, dtype=bool)[KINDS], "01201", "one-hot"),
        (np.eye(3, dtype=np.uint8)[KINDS] * 255, "01201", "one-hot"),
        (np.array([0, 1, 255, 0, 1], np.uint8), ["0", "1", "255", "0", "1"], "what -1 becomes in uint8"),
        (np.array([0, 1, 65535, 0, 1], np.uint16), ["0", "1", "65535", "0", "1"], "`no_label` 65535"),
        (np.where(KINDS, KINDS, np.nan), ["", "1", "2", "", "1"], "2 of 5 labels mean no label: empty (2)"),
        (np.where(KINDS, KINDS, -(2**63)), ["", "1", "2", "", "1"], "2 of 5"),  # NaN by astype(int)
        (KINDS - 1, ["", "0", "1", "", "0"], "-1 (2)"),
        (KINDS - 1.0, ["", "0", "1", "", "0"], "-1 (2)"),
        ((KINDS - 1).astype("U2"), ["", "0", "1", "", "0"], "-1 (2)"),
        (["cat", "NaN", "Unknown", " unlabelled ", "dog"], ["cat", "", "", "", "dog"], "3 of 5"),
        (["cat", "", "  ", "cat", "dog"], ["cat", "", "", "cat", "dog"], "empty (2)"),
        (["cat", " cat", "dog ", "\tdog", "cat"], ["cat", "cat", "dog", "dog", "cat"], "blanks around its labels"),
        (np.array([b"cat  ", b"dog", b"cat", b"dog", b"cat"]), ["cat", "dog", "cat", "dog", "cat"], "'cat  '"),
        (["cafe\u0301", "caf\u00e9", "a", "a", "a"], ["caf\u00e9", "caf\u00e9", "a", "a", "a"], ""),
    ],
)
def test_labels_of_every_kind_are_read_and_what_means_none_is_counted(tmp_path, labels, texts, told):
    found = load(saved(tmp_path, data=pixels(5, 8, 8), labels=np.array(labels)))
    assert found.labels.texts.tolist() == list(texts)
    assert told in " ".join(found.notes)
    assert bool(told) == bool(found.notes)


@pytest.mark.parametrize(
    ("no_label", "classes", "texts"),
    [
        (None, None, ["", "", "a", ""]),
        ([], None, ["-1", "unknown", "a", ""]),
        (["A"], None, ["-1", "unknown", "", ""]),
        (["UNKNOWN"], None, ["-1", "", "a", ""]),
        (None, ["-1", "a"], ["-1", "a"]),
    ],
)
def test_what_means_no_label_can_be_said(tmp_path, no_label, classes, texts):
    path = saved(tmp_path, data=pixels(4, 8, 8), labels=np.array(["-1", "unknown", "a", ""]))
    assert load(path, no_label=no_label, classes=classes).labels.texts.tolist() == texts


def test_the_rule_is_the_same_for_folders_and_tables(tmp_path):
    for row, name in enumerate(["unlabeled", "-1", "cat", "dog"]):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(pixels(8, 8)).save(tmp_path / "set" / name / f"{row}.png")
    of_folders = load(tmp_path / "set")
    assert (of_folders.class_names, of_folders.labels.texts.tolist()) == (("cat", "dog"), ["", "cat", "dog", ""])
    assert "2 of 4" in of_folders.notes[0]
    assert load(tmp_path / "set", no_label=[]).class_names == ("-1", "cat", "dog", "unlabeled")
    (tmp_path / "labels.csv").write_text("File,Label\n0,Unknown\n1,-1\n2,cat\n")
    of_table = load(saved(tmp_path, data=pixels(4, 8, 8)), labels=tmp_path / "labels.csv")
    assert of_table.labels.texts.tolist() == ["", "", "cat", ""]
    assert "labels.csv: 2 of 3" in of_table.notes[0]
    (tmp_path / "none.csv").write_text("File,Label\n0,-1\n")
    with pytest.raises(DataError, match="labels no image of set"):
        load(tmp_path / "set.npz", labels=tmp_path / "none.csv")


SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 0]])
SOFT = np.array([[0.2, 0.5, 0.3], [1, 0, 0], [0, 0.1, 0.9], [0.4, 0.3, 0.3], [0.5, 0.5, 0]])


def follow(message, monkeypatch, tmp_path):
    """Run the line of Python that a message tells; the path of what it has saved."""
    (line,) = re.findall(r"f = numpy[.].*[}][)]", message)
    monkeypatch.chdir(tmp_path)
    exec(line, {"numpy": np})
    return re.findall(r"savez[(]'(.*?)'", line)[0]


@pytest.mark.parametrize(
    ("labels", "told", "texts"),
    [
        (
            SEVERAL,
            r"1 rows have no 1, 2 have several: several labels an image\n.*column, such as 0, .* 2 ones",
            "10010",
        ),
        (SEVERAL.astype(bool), "column, such as 0,", ["True", "False", "False", "True", "False"]),
        (SEVERAL.astype("f4"), "column, such as 0,", "10010"),
        (SOFT, r"probabilities: soft labels\n.*likeliest", "10200"),
        (SOFT.astype("f2"), "soft labels", "10200"),
        (np.c_[np.arange(5), np.full(5, 7), KINDS], "column, such as 2, which has 3 values", "01201"),
        (np.c_[TEXTS, np.arange(5).astype(str)], "column, such as 0, which has 3 values", TEXTS),
        (np.c_[TEXTS, TEXTS].astype("S6"), "column, such as 0, which has 3 values", TEXTS),
    ],
)
def test_labels_that_are_several_an_image_are_refused_with_the_line_that_makes_them_one(
    tmp_path, monkeypatch, labels, told, texts
):
    x = pixels(5, 8, 8)
    path = saved(tmp_path, data=x, labels=labels, meta=objects(1, None), ids=np.arange(5))
    with pytest.raises(DataError, match=told) as caught:
        load(path)
    found = load(follow(str(caught.value), monkeypatch, tmp_path))
    assert np.array_equal(found.images[:, 0], x)
    assert found.labels.texts.tolist() == list(texts)
    assert not load(path, no_classes=True).labels.any


def test_labels_that_are_several_an_image_are_made_one_in_all_parts(tmp_path, monkeypatch):
    arrays = {}
    for part, count in (("train", 9), ("val", 5), ("test", 7)):
        arrays[f"{part}_images"] = pixels(count, 8, 8, 3)
        arrays[f"{part}_labels"] = np.random.default_rng(count).integers(0, 2, (count, 14), dtype=np.uint8)
    with pytest.raises(DataError, match=r"9 images and train_labels of shape \(9, 14\)") as caught:
        load(saved(tmp_path, "chestmnist.npz", **arrays))
    path = follow(str(caught.value), monkeypatch, tmp_path)
    column = int(re.findall(r"chestmnist_(\d+)", path)[0])
    for part in ("train", "val", "test"):
        found = load(path, split=part)
        assert found.labels.texts.tolist() == arrays[f"{part}_labels"][:, column].astype(str).tolist()
        assert found.class_names == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        (np.full((5, 2), 7), r"one label per image: \(5,\)(.|\n)*`no_classes`"),
        (rng.normal(size=(5, 4)), r"shape \(5, 4\)(.|\n)*`no_classes`"),
        (np.zeros((5, 8, 8), np.uint8), r"shape \(5, 8, 8\)(.|\n)*`no_classes`"),
        ([0.5, 1, 2, 0, 1], r"found 0.5 among 4(.|\n)*astype\(str\)"),
        (KINDS[:4], r"5 images and labels of shape \(4,\)"),
    ],
)
def test_what_cannot_be_labels_is_refused_with_a_hint_that_fits(tmp_path, labels, hint):
    with pytest.raises(DataError, match=hint):
        load(saved(tmp_path, data=pixels(5, 8, 8), labels=np.array(labels)))


@pytest.mark.parametrize(
    ("key", "array", "told", "texts"),
    [
        ("latents_classes", np.c_[np.zeros(5, int), KINDS, np.arange(5)], "where one holds the classes", "01201"),
        ("attributes", SEVERAL, "column, such as 0, which has 2 ones", "10010"),
        ("kinds", np.c_[np.arange(5).astype(str), TEXTS], "column, such as 1", TEXTS),
        ("soft_labels", SOFT, "train-cnn DATA --hybrids ", "10200"),
        ("probabilities", SOFT.astype("f4"), "the likeliest class of each", "10200"),
    ],
)
def test_arrays_that_could_be_made_labels_are_told_with_the_line_that_does_it(
    tmp_path, monkeypatch, key, array, told, texts
):
    more = {"metadata": objects(1, {}), "values": rng.normal(size=(5, 3)), key: array}
    path = saved(tmp_path, imgs=pixels(5, 8, 8), **more)
    found = load(path)
    assert not found.labels.any
    (note,) = (each for each in found.notes if told in each)
    assert load(follow(note, monkeypatch, tmp_path)).labels.texts.tolist() == list(texts)
    for key in ("scores", "embeddings"):
        path = saved(tmp_path, "other.npz", images=pixels(5, 8, 8), **{key: SOFT})
        assert "numpy" not in " ".join(load(path).notes)


def test_columns_of_which_none_can_hold_the_classes_are_passed_over_for_those_of_which_one_can(tmp_path):
    boxes = np.arange(10).reshape(5, 2)
    found = load(saved(tmp_path, images=pixels(5, 8, 8), boxes=boxes))
    assert not any("column" in note for note in found.notes)
    found = load(saved(tmp_path, images=pixels(5, 8, 8), boxes=boxes, kinds=np.c_[np.arange(5), KINDS]))
    (note,) = (note for note in found.notes if "columns" in note)
    assert "kinds has 2 columns; where one holds the classes, choose a column, such as 1," in note


def test_members_that_nobody_needs_are_not_read(tmp_path, monkeypatch):
    from latentcli.formats import npz_reader

    read = []
    real = npz_reader.NpzArchive.read
    monkeypatch.setattr(npz_reader.NpzArchive, "read", lambda self, name: read.append(name) or real(self, name))
    values = rng.normal(size=(5, 6))
    x, more = pixels(5, 8, 8), {"latents_values": values, "metadata": objects(1), "big": np.zeros((9, 9, 9, 9))}
    load(saved(tmp_path, imgs=x, latents_classes=KINDS, **more))
    assert read == ["latents_classes", "imgs"] or read == ["imgs", "latents_classes"]
    read.clear()
    load(saved(tmp_path, x_train=x, y_train=KINDS, x_test=x, y_test=KINDS, **more), split="test")
    assert sorted(read) == ["x_test", "y_test"]
    read.clear()
    load(saved(tmp_path, data=x, labels=KINDS, latents=values, **more), no_classes=True)
    assert read == ["data"]


def shapes_of_one_bit(count):
    """(N, 64, 64) pictures of 0 and 1 as dSprites has them: a square, an ellipse somewhere, of any size."""
    y, x = np.mgrid[:64, :64]
    drawn = np.empty((count, 64, 64), dtype=np.uint8)
    for row, (kind, across, down, size) in enumerate(rng.integers([0, 16, 16, 4], [2, 48, 48, 12], (count, 4))):
        far = np.maximum(abs(x - across), abs(y - down)) if kind else np.hypot(x - across, (y - down) * 2)
        drawn[row] = far < size
    return drawn


def test_pictures_of_one_bit_inflate_a_hundredfold_and_are_read(tmp_path, monkeypatch):
    from latentcli.formats import npz_reader

    monkeypatch.setattr(npz_reader, "_FREE_BYTES", 0)
    x = shapes_of_one_bit(2_000)
    for name, arrays in (
        ("bits.npz", {"imgs": x}),
        ("truth.npz", {"data": x.astype(bool)}),
        ("parts.npz", {"x_train": x, "x_test": x[:9]}),
    ):
        np.savez_compressed(tmp_path / name, **arrays)
        assert x.nbytes / (tmp_path / name).stat().st_size > 100
        found = load(tmp_path / name)
        assert np.array_equal(found.images[:, 0], x * 255)
        assert "is read as 0…1" in " ".join(found.notes)
    np.savez_compressed(tmp_path / "bomb.npz", data=np.zeros((5_000, 64, 64), np.uint8))
    with pytest.raises(DataError, match="inflates to"):
        load(tmp_path / "bomb.npz")
    np.savez_compressed(tmp_path / "beside.npz", data=pixels(9, 64, 64), more=np.zeros(10**8, np.uint8))
    assert len(load(tmp_path / "beside.npz")) == 9


@given(st.lists(st.integers(-1, 30), min_size=1))
def test_encoding_is_undone_by_the_names(values):
    found, notes = encode_labels(np.array(values), None, "set")
    assert found.texts.tolist() == ["" if value < 0 else str(value) for value in values]
    assert sorted(found.names, key=int) == list(found.names)
    assert bool(notes) == (-1 in values)


def test_npy_of_bytes_stays_on_the_disk(tmp_path):
    images = pixels(4, 8, 8, 3)
    np.save(tmp_path / "set.NPY", images)
    (tmp_path / "set.NPY.npy").rename(tmp_path / "set.NPY")
    found = load(tmp_path / "set.NPY")
    assert np.array_equal(found.images, images.transpose(0, 3, 1, 2))
    assert isinstance(found.images, np.memmap)
    assert not found.images.flags.writeable
    assert found.layout == "NHWC"


def test_objects_are_refused_and_not_run(tmp_path):
    marker = tmp_path / "marker"

    class Bomb:
        def __reduce__(self):
            return marker.touch, ()

    np.savez(tmp_path / "set.npz", data=pixels(1, 8, 8), labels=np.array([Bomb()], dtype=object))
    np.save(tmp_path / "set.npy", np.array([Bomb()], dtype=object))
    for name in ("set.npz", "set.npy"):
        with pytest.raises(DataError, match="Python objects"):
            load(tmp_path / name)
    assert not marker.exists()


def objects(*values):
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"metadata": np.array({"author": "x"}, dtype=object)}, "not read: metadata, an array of Python objects"),
        ({"cats": objects(pixels(8, 8), pixels(9, 9)), "names": objects("a", None)}, "not read: cats, names, an array"),
        ({"when": np.array(["2020-01-01"] * 5, "M8[D]"), "pairs": np.zeros(5, "i4,i4")}, "type '<M8[D]'"),
        ({"class_names": NAMES.astype(object)}, "not read: class_names"),
        ({"target": TEXTS.astype(object)}, "not read: target"),
    ],
)
def test_objects_beside_images_are_refused_by_key_and_the_rest_is_read(tmp_path, more, told):
    x = pixels(5, 8, 8)
    found = load(saved(tmp_path, data=x, labels=KINDS, **more))
    assert np.array_equal(found.images[:, 0], x)
    assert found.labels.texts.tolist() == list("01201")
    assert told in " ".join(found.notes)
    only = load(saved(tmp_path, "only.npz", data=x, **more), no_classes=True)
    assert told in " ".join(only.notes)


@pytest.mark.parametrize(
    ("arrays", "key", "hint"),
    [
        ({"data": objects(*pixels(5, 8, 8)), "labels": KINDS}, "data", r"numpy\.stack\(images\)"),
        ({"images": objects(pixels(8, 8), pixels(9, 9, 3)), "masks": pixels(2, 8, 8)}, "images", "files in a folder"),
        ({"cats": objects(pixels(8, 8), None), "dogs": objects(1, 2)}, "cats, dogs", r"numpy\.stack\(images\)"),
        ({"x_train": objects(*pixels(5, 8, 8)), "y_train": KINDS}, "x_train", "stack"),
        (
            {"data": pixels(5, 8, 8), "labels": TEXTS.astype(object)},
            "labels",
            r"None else str\(label\) for label in labels\]; .*`no_classes`",
        ),
        ({"x_train": pixels(5, 8, 8), "y_train": TEXTS.astype(object)}, "y_train", r"for label in y_train\]"),
        ({"data": np.zeros(5, [("image", "u1", (8, 8)), ("label", "i8")])}, "data", r"FIELD"),
        ({"data": np.array({"images": 1}, dtype=object)}, "data", r"\*\*dictionary"),
    ],
)
def test_images_and_labels_that_are_objects_are_refused_by_key_with_a_way_on(tmp_path, arrays, key, hint):
    with pytest.raises(DataError, match=rf"set.npz: {key} is an array of (.|\n)*{hint}"):
        load(saved(tmp_path, **arrays))


@pytest.mark.parametrize(("shapes", "count"), [([(9, 8)] * 12, 12), ([(9, 8, 3)] * 10, 10), ([(9, 8), (12, 10)], 0)])
def test_an_array_for_each_image_is_refused_with_the_line_that_makes_one_of_them(tmp_path, monkeypatch, shapes, count):
    each = {f"image_{row}": pixels(*shape) for row, shape in enumerate(shapes)}
    with pytest.raises(DataError, match="an image each") as caught:
        load(saved(tmp_path, **each))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    exec(re.findall(r"f = numpy.*", str(caught.value))[0], {"numpy": np, "PIL": PIL})
    if count:
        found = load("set_stacked.npz").images
        assert np.array_equal(found[-1].transpose(1, 2, 0).reshape(shapes[0]), each[f"image_{count - 1}"])
    assert count or len(load("images")) == len(shapes)


@pytest.mark.parametrize(
    ("sizes", "shape", "more"),
    [
        ({"cat": 3, "dog": 4}, (8, 9), {}), ({"7": 3, "10": 1, "9": 2}, (8, 8, 3), {"author": np.array("x")}),
        ({"class_a": 2, "class_b": 2}, (3, 8, 8), {"names": np.array(["a", "b"])}), ({"a": 5, "it's": 2}, (64,), {}),
    ],
)  # fmt: skip
def test_an_array_for_each_class_is_refused_with_the_line_that_joins_them(tmp_path, monkeypatch, sizes, shape, more):
    each = {key: pixels(count, *shape) for key, count in sizes.items()}
    with pytest.raises(DataError, match="an array of images for each class") as caught:
        load(saved(tmp_path, **each, **more))
    monkeypatch.chdir(tmp_path)
    line = str(caught.value.remedy).partition("each class? ")[2].partition("; or name")[0]
    exec(line, {"numpy": np})
    found = load("set_joined.npz")
    assert found.labels.texts.tolist() == [key for key, count in sizes.items() for _ in range(count)]
    expected = np.concatenate([*each.values()]).ravel()
    images = found.images.transpose(0, 2, 3, 1) if found.layout == "NHWC" else found.images
    assert np.array_equal(images.ravel(), expected)


@pytest.mark.parametrize(
    "arrays",
    [
        {"cat": pixels(3, 8, 8), "dog": pixels(4, 9, 12), "eel": pixels(2, 20, 8, 3)},
        {"7": pixels(3, 8, 8), "10": pixels(3, 9, 8) / 255},
        {"a b": pixels(3, 1, 8, 8), "c-d": pixels(2, 1, 10, 12)}, {"a": pixels(3, 64), "b": pixels(2, 144) / 255},
        {"a": pixels(3, 3, 8, 8), "b": pixels(2, 3, 10, 12)},
    ],
)  # fmt: skip
def test_arrays_of_unlike_images_of_a_class_each_are_saved_as_files_by_the_line_that_is_told(
    tmp_path, monkeypatch, arrays
):
    with pytest.raises(DataError, match="an array of images for each class") as caught:
        load(saved(tmp_path, **arrays))
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"import numpy.*?(?=; or name|$)", str(caught.value.remedy))[0], {})
    found = load("set_images", image_size=8)
    assert found.labels.texts.tolist() == [key for key in sorted(arrays) for _ in arrays[key]]
    for key, array in arrays.items():
        first = np.asarray(Image.open(f"set_images/{key}/00000.png"))
        expected = np.rint(array[0] * (255 if array.dtype.kind == "f" else 1)).astype(np.uint8)
        of_channels = first.transpose(2, 0, 1) if array.shape[1] == 3 else first
        assert np.array_equal(of_channels, expected.reshape(of_channels.shape))


@pytest.mark.parametrize(
    "arrays",
    [
        {"a/cat": pixels(3, 8, 8), "dog": pixels(4, 9, 12)}, {"a": pixels(3, 8, 8), "b": pixels(3, 9, 9) / 2},
        {"a": pixels(3, 8, 8), "b": pixels(2, 3, 8, 9)},
    ],
)  # fmt: skip
def test_arrays_of_a_class_each_that_no_line_saves_are_told_in_words(tmp_path, arrays):
    with pytest.raises(DataError, match=r"for each class[?] save each image as a PNG file, in one folder a class"):
        load(saved(tmp_path, **arrays))


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": pixels(3, 8, 8), "b": pixels(3, 8, 8), "y": np.array([0, 1, 0])},
        {"a": pixels(3, 8, 8), "b": pixels(4, 9, 9), "y": np.array([0, 1, 0])},
    ],
)  # fmt: skip
def test_arrays_of_other_kinds_are_not_joined(tmp_path, arrays):
    with pytest.raises(DataError, match=r"could be images\n.*\n  name the right one 'data'"):
        load(saved(tmp_path, **arrays))


def test_keys_that_are_paths_are_names_and_no_more(tmp_path):
    x = pixels(5, 8, 8)
    found = load(saved(tmp_path, **{"train/images": x, "train/labels": KINDS, "test/images": x[:2]}))
    assert np.array_equal(found.images[:, 0], x)
    assert found.labels.texts.tolist() == list("01201")
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_labels_beside_images_in_an_npy_file(tmp_path):
    np.save(tmp_path / "x.npy", pixels(5, 8, 8))
    for labels, texts in ((KINDS, "01201"), (TEXTS[:, None], TEXTS), (np.eye(3)[KINDS], "01201"), (KINDS - 1.0, None)):
        np.save(tmp_path / "y.npy", labels)
        found = load(tmp_path / "x.npy", labels=tmp_path / "y.npy")
        assert found.labels.texts.tolist() == (["", "0", "1", "", "0"] if texts is None else list(texts))
        assert bool(found.notes) == (texts is None)
    for labels in (KINDS[:4], SOFT, TEXTS.astype(object)):
        np.save(tmp_path / "y.npy", labels)
        with pytest.raises(DataError, match=r"y\.npy(.|\n)*(one label per image|astype\(str\))"):
            load(tmp_path / "x.npy", labels=tmp_path / "y.npy")


def test_an_archive_that_inflates_to_a_thousand_times_its_size_is_refused_by_its_headers(tmp_path):
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**28 // 64, 8, 8)})
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
        archive.open("data.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(2**28 // 2**24):
            member.write(bytes(2**24))
    assert path.stat().st_size < 2**20
    with pytest.raises(DataError, match="inflates to"):
        load(path)


def test_a_header_that_claims_terabytes_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**37, 8, 8)})
    (tmp_path / "set.npy").write_bytes(header.getvalue().ljust(128, b"\0"))
    with pytest.raises(DataError, match="claims"):
        load(tmp_path / "set.npy")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_archives_load_or_are_data_errors(tmp_path_factory, data):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, data=np.arange(128, dtype=np.uint8).reshape(2, 8, 8), labels=np.array([1, 2]))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "set.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    with suppress(DataError):
        assert len(load(path)) >= 1


@pytest.mark.parametrize("name", ["none.npz", "none.npy"])
def test_a_missing_file_is_a_data_error(tmp_path, name):
    with pytest.raises(DataError, match="there is no file"):
        load(tmp_path / name)


def test_the_assignments_arrays(real_data):
    train = load(real_data / "col333" / "mnist_1_4_8_train.npz")
    assert train.shape == (1, 28, 28)
    assert train.class_names == ("1", "4", "8")
    assert np.bincount(train.labels.codes).tolist() == [5393, 4674, 4681]
    assert not load(real_data / "col333" / "mnist_1_4_8_train_unlabeled.npz").labels.any


@pytest.mark.parametrize(
    ("file", "shape", "layout", "first"),
    [
        ("CIFAR10_subset/cifar10_test.npz", (3, 32, 32), "NHWC", "airplane"),
        ("brain_mri/brain_mri_80_test.npz", (1, 80, 80), "NHW", "glioma"),
    ],
)
def test_real_arrays_with_class_names(real_data, file, shape, layout, first):
    found = load(real_data / file)
    assert (found.shape, found.layout, found.class_names[0]) == (shape, layout, first)
    assert len(set(np.bincount(found.labels.codes))) == 1


@pytest.mark.parametrize(
    ("dtype", "remedy"), [("c8", r"numpy\.abs\(data\)"), ("c16", r"numpy\.abs\(data\)"), ("M8[s]", "no pixels")]
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_numbers_that_are_not_read_come_with_the_call_that_makes_them_so(tmp_path, dtype, remedy, suffix):
    path = tmp_path / f"a.{suffix}"
    array = np.zeros((3, 8, 8), dtype)
    np.save(path, array) if suffix == "npy" else np.savez(path, data=array)
    with pytest.raises(DataError, match=remedy):
        load(path)


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("labeled", [True, False, True, False], "7,,9,"), ("labelled_mask", [0, 1, 1, 1], ",8,9,7"),
        ("is_labeled", [[1.0], [0.0], [0.0], [0.0]], "7,,,"), ("is_unlabelled", [1, 0, 0, 0], ",8,9,7"),
        ("labeledIdx", [3, 1], ",8,,7"), ("labeled", [1, 0, 2, 0], None), ("labeled_indices", [4], None),
        ("has_label", [1, 1, 0, 0], "7,8,,"),
    ],
)  # fmt: skip
def test_images_outside_a_mask_of_the_labelled_are_unlabelled(tmp_path, key, values, expected):
    path = tmp_path / "few.npz"
    np.savez(path, data=np.arange(256, dtype=np.uint8).reshape(4, 8, 8), labels=[7, 8, 9, 7], **{key: np.array(values)})
    found = load(path)
    assert ",".join(found.labels.texts) == (expected or "7,8,9,7")
    if expected is None:
        assert f"{key} was not read" in " ".join(found.notes)
    else:
        assert f"by its {key}, {expected.split(',').count('')} of 4 images are unlabelled" in found.notes[-1]


@pytest.mark.parametrize(("key", "label_key"), [("class_names", "labels"), ("label_names", "y"), ("names", "targets")])
def test_a_column_of_several_labels_is_named_by_the_line_that_takes_it(tmp_path, monkeypatch, key, label_key):
    rows = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 1]], bool if label_key == "y" else int)
    rows = 1 - rows if label_key == "y" else rows
    path = saved(tmp_path, data=pixels(5, 8, 8), **{label_key: rows, key: np.array(["ant", "cow", "fox"])})
    with pytest.raises(DataError) as caught:
        load(path)
    remedy = str(caught.value.remedy)
    column = int(re.search(r"such as (\d)", remedy)[1])
    name = ("ant", "cow", "fox")[column]
    found = load(follow(remedy.partition("; `no_classes`")[0], monkeypatch, tmp_path))
    assert found.class_names == (f"not {name}", name)
    assert np.array_equal(found.labels.texts == name, rows[:, column] == 1)


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [([1, 2, 3], "count from 1"), ([0, 1, 3], "give 4 names"), ([0, 4, 5], "give 6 names"), ([2, 3, 3], "give 4 names"),
     ([0, 1, 255], "means no label: `no_label` 255"), ([1, 4, 8, 9], "give a name to each of its 4 numbers")],
)  # fmt: skip
def test_numbers_without_names_are_refused_with_the_way_on_that_fits_them(labels, remedy):
    with pytest.raises(DataError, match="which has no name in class_names") as caught:
        encode_labels(np.array(labels), np.array(["a", "b", "c"]), "set")
    assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        ("a69.npy", "a69_labels.npy", True), ("X_train.npy", "y_train.npy", True), ("images.npz", "targets.npy", True),
        ("data.npy", "labels.csv", True), ("x_test.npy", "y_train.npy", False), ("a.npy", "b_labels.npy", False),
        ("a.npy", "a_two.npy", False), ("x.npy", "y.txt", False),
    ],
)  # fmt: skip
def test_a_file_that_may_be_the_labels_of_an_array_file_is_told(tmp_path, images, labels, told):
    x = pixels(5, 8, 8)
    np.savez(images, data=x) if images.endswith("npz") else np.save(images, x)
    if labels.endswith("npy"):
        np.save(labels, KINDS)
    else:
        (tmp_path / labels).write_text("Label\n" + "\n".join(map(str, KINDS)))
    found = load(images)
    assert ([labels in note for note in found.notes] == [True]) == told
    if told:
        again = load(images, labels=found.notes[0].split("`labels` ")[1])
        assert again.labels.texts.tolist() == [str(kind) for kind in KINDS]
        assert not again.notes
        assert not load(images, no_classes=True).notes
    np.save(labels, KINDS[:4]) if labels.endswith("npy") else (tmp_path / labels).unlink()
    assert not load(images).notes


def test_a_damaged_file_beside_an_array_file_is_not_told_as_its_labels(tmp_path):
    np.save(tmp_path / "x.npy", pixels(5, 8, 8))
    (tmp_path / "labels.npy").write_bytes(b"no array")
    assert not load(tmp_path / "x.npy").notes
    np.save(tmp_path / "y.npy", KINDS)
    (note,) = load(tmp_path / "x.npy").notes
    assert note.endswith("if y.npy holds them: `labels` y.npy")


@pytest.mark.parametrize(("pixels", "axes"), [(784, "-1, 28, 28"), (4096, "-1, 64, 64"), (192, "-1, 3, 8, 8")])
@pytest.mark.parametrize("labels", [True, False])
def test_an_image_a_column_is_told_with_the_call(tmp_path, pixels, axes, labels):
    path = saved(tmp_path, data=np.zeros((pixels, 120), np.uint8), **({"labels": np.arange(120) % 3} if labels else {}))
    with pytest.raises(DataError, match="not images") as caught:
        load(path)
    assert f"a column per image? reshape it: data.T.reshape({axes})" in caught.value.remedy


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (np.array("cat, dog,fox"), "cat dog fox"), (np.array(["cat;dog;fox"]), "cat dog fox"),
        (np.array("cat dog fox"), "cat dog fox"), (np.array([["cat\ndog\nfox"]]), "cat dog fox"),
        (np.array(["a", "b", "a"]), "a_0 b a_2"), (np.array(["a", "", "b"]), "a _1 b"),
    ],
)  # fmt: skip
def test_one_text_and_names_that_do_not_differ_are_refused_with_the_call_that_makes_names(names, expected):
    with pytest.raises(DataError, match="class_names") as caught:
        encode_labels(np.arange(3), names, "set")
    line = re.split("class_names = |such as ", caught.value.remedy)[1]
    made = np.array(eval(line, {"numpy": np, "class_names": names}))
    assert encode_labels(np.arange(3), made, "set")[0].texts.tolist() == expected.split()
    assert encode_labels(np.zeros(3, int), np.array(["polar bear"]), "set")[0].names == ("polar bear",)


@pytest.mark.parametrize("numbers", [[1, 4, 8], [2, 5, 7], [10, 20, 30], [0, 1, 7]])
def test_names_of_the_values_in_turn_are_told_with_the_call_and_names_that_are_the_values_are_taken(numbers):
    labels = np.array([*numbers, numbers[0]])
    with pytest.raises(DataError, match=rf"in turn, {numbers[0]} a, {numbers[1]} b, {numbers[2]} c") as caught:
        encode_labels(labels, np.array(["a", "b", "c"]), "set")
    line = caught.value.remedy.split("labels = ")[1].split(";")[0]
    made = eval(line, {"numpy": np, "labels": labels})
    assert encode_labels(made, np.array(["a", "b", "c"]), "set")[0].texts.tolist() == ["a", "b", "c", "a"]
    for names in (np.array(numbers)[::-1], np.array(numbers).astype(str)):
        found, notes = encode_labels(np.append(labels, -1), names, "set")
        assert found.texts.tolist() == [*map(str, [*numbers, numbers[0]]), ""]
        assert found.names == tuple(map(str, names))
        assert "the names in class_names themselves" in notes[0]


@pytest.mark.parametrize("names", [
    ("arr_0", "arr_1", "arr_2", "arr_3"), ("X_labeled", "y_labeled", "X_unlabeled", "ids"), ("a", "of_a", "b", "of_b"),
])  # fmt: skip
def test_arrays_of_images_beside_as_many_labels_are_no_classes(tmp_path, names):
    first, of_first, second, of_second = names
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    arrays = {first: images, of_first: np.arange(30) % 3, second: images[:20], of_second: np.arange(20) % 3}
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError) as refused:
        load(tmp_path / "set.npz")
    assert "each class" not in str(refused.value)
    assert "name the right one 'data'" in str(refused.value.remedy)
