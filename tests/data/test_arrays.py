"""npz and npy: every layout of the contract, and nothing that is not images."""

import io
import re
import zipfile
from contextlib import suppress

import numpy as np
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


def test_several_candidates_or_none_are_an_error_that_lists_the_keys(tmp_path):
    with pytest.raises(DataError, match=r"more than one(.|\n)*a \(2, 8, 8\), b \(2, 8, 8\)"):
        load(saved(tmp_path, a=pixels(2, 8, 8), b=pixels(2, 8, 8)))
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
    found = load(saved(tmp_path, labels=np.array(["ant", "", "dog"]), **arrays))
    assert found.labels.codes.tolist() == [2, UNLABELLED, 0]


@pytest.mark.parametrize(
    "labels", [[0, 1], [0.5, 1, 2], [[0, 1], [1, 0], [0, 1]], [0, 1, 3], [0, -2, 1], ["a", "b", "z"]]
)
def test_labels_that_do_not_fit_are_an_error(tmp_path, labels):
    with pytest.raises(DataError):
        load(saved(tmp_path, data=pixels(3, 8, 8), labels=np.array(labels), class_names=np.array(["a", "b", "c"])))


@pytest.mark.parametrize("names", [["a", "a"], [["a", "b"]], [0.5, 1.0], [], ["a", ""]])
def test_class_names_that_cannot_name_classes_are_an_error(tmp_path, names):
    with pytest.raises(DataError, match="class_names"):
        load(saved(tmp_path, data=pixels(2, 8, 8), labels=np.array([0, 1]), class_names=np.array(names)))


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
    "data",
    [
        pixels(4, 64),
        pixels(4, 3 * 64),
        pixels(40, 50),
        pixels(4, 1, 8, 8, 1),
    ],
)
def test_a_hint_that_is_followed_makes_images_that_show_something(data):
    with pytest.raises(DataError) as caught:
        to_images(data, "x")
    (call,) = re.findall(r"(?:[(]?data|numpy).*?(?=, or | leaves|$)", str(caught.value.remedy))[:1]
    images, *_ = to_images(eval(call, {"data": data, "numpy": np}), "x")
    assert int(images.max()) - int(images.min()) > 100


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
    assert "test" not in "".join(more) or "not val, test" in told
    assert not {"classes", "target_names"} & more.keys() or "names of its classes" in told


def test_of_arrays_called_by_their_split_that_one_is_taken(tmp_path):
    train, test = pixels(5, 8, 8), pixels(2, 8, 8)
    path = saved(tmp_path, x_train=train, y_train=KINDS, x_test=test, y_test=KINDS[:2])
    assert np.array_equal(load(path, split="test").images[:, 0], test)
    assert load(path, split="test").labels.texts.tolist() == ["0", "1"]
    only = saved(tmp_path, "only.npz", x_train=train, y_train=KINDS)
    assert len(load(only, split="test")) == 5
    assert "its train part is taken" in load(only, split="test").notes[0]


@pytest.mark.parametrize(
    "arrays", [{"label": KINDS, "target": KINDS[::-1]}, {"a": KINDS, "b": TEXTS}, {"target": KINDS, "class": TEXTS}]
)
def test_several_arrays_that_could_be_labels_are_an_error_that_lists_them(tmp_path, arrays):
    first, second = arrays
    path = saved(tmp_path, images=pixels(5, 8, 8), **arrays)
    with pytest.raises(DataError, match=rf"several arrays(.|\n)*{first} \(5,\)(.|\n)*{second} \(5,\)(.|\n)*'labels'"):
        load(path)
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
        (np.where(KINDS, KINDS, np.nan), ["", "1", "2", "", "1"], "2 of 5 labels mean no label: empty (2)"),
        (np.where(KINDS, KINDS, -(2**63)), ["", "1", "2", "", "1"], "2 of 5"),  # NaN by astype(int)
        (KINDS - 1, ["", "0", "1", "", "0"], "-1 (2)"),
        (KINDS - 1.0, ["", "0", "1", "", "0"], "-1 (2)"),
        ((KINDS - 1).astype("U2"), ["", "0", "1", "", "0"], "-1 (2)"),
        (["cat", "NaN", "Unknown", " unlabelled ", "dog"], ["cat", "", "", "", "dog"], "3 of 5"),
        (["cat", "", "  ", "cat", "dog"], ["cat", "", "", "cat", "dog"], "empty (2)"),
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


@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        (
            [[1, 1], [0, 0], [0, 1], [1, 0], [0, 1]],
            r"1 rows have no 1, 1 have several(.|\n)*labels\[:, 0\]",
        ),
        (np.full((5, 4), 0.25), r"probabilities(.|\n)*argmax"),
        (np.full((5, 2), 7), r"take the column"),
        ([0.5, 1, 2, 0, 1], r"found 0.5 among 4(.|\n)*astype\(str\)"),
        (KINDS[:4], r"5 images and labels of shape \(4,\)"),
    ],
)
def test_what_cannot_be_labels_is_refused_with_a_hint_that_fits(tmp_path, labels, hint):
    with pytest.raises(DataError, match=hint):
        load(saved(tmp_path, data=pixels(5, 8, 8), labels=np.array(labels)))


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
