"""npz and npy: every layout of the contract, and nothing that is not images."""

import io
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcli.core.errors import DataError
from latentcli.core.labels import UNLABELLED
from latentcli.data import load
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
    images, layout = to_images(array, "x")
    assert np.array_equal(images, expected)
    assert np.shares_memory(images, array)
    assert layout == ("NHW" if channels is None else "NCHW" if first else "NHWC")


@given(st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_of_0_to_1_are_rounded_to_the_nearest_byte(dtype):
    expected = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    images, _ = to_images((expected / 255).astype(dtype), "x")
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


@pytest.mark.parametrize("shape", [(), (5,), (4, 784), (2, 8, 8, 2), (2, 8, 8, 4), (2, 1, 8, 8, 1)])
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
