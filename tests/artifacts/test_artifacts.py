"""What is written comes back, byte for byte the same each time; what was changed since is refused."""

import csv
import io
import pickle
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from latentcli import artifacts
from latentcli.artifacts import parameters
from latentcli.artifacts.images import write_hybrids as write_arrays_of_hybrids
from latentcli.artifacts.images import write_images
from latentcli.artifacts.tables import write_labels
from latentcli.core.errors import DataError, ModelFileError, OutputError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.formats import npz_reader
from latentcli.formats.csv_text import unescape_formula

FINGERPRINT, OTHER = "3f9c1a" + "0" * 58, "81d04e" + "0" * 58
DTYPES = ["?", "u1", "<i2", "<i8", ">i4", "<f2", "<f4", ">f8", "<U3", "S2"]


def latents(**changes):
    parts = {
        "arrays": {"mu": np.arange(6, dtype=np.float32).reshape(3, 2), "logvar": np.zeros((3, 2), np.float32)},
        "checkpoint": FINGERPRINT,
        "labels": Labels(np.array([1, -1, 0]), ("cat", "dög")),
        "files": ("cat/1.png", "é\n.png", "-rf"),
    }
    return Latents(**(parts | changes))


def mixture(**changes):
    params = {
        "kind": "gmm",
        "checkpoint": FINGERPRINT,
        "weights": np.array([0.25, 0.75]),
        "means": np.zeros((2, 3)),
        "covariances": np.stack([np.eye(3)] * 2),
        "covariance_type": "full",
        "component_labels": np.array([0, 1]),
        "classes": np.array(["1", "8"]),
    }
    return params | changes


# Arrays


def test_reading_and_writing_artefacts_never_imports_torch():
    program = "import sys; from latentcli import artifacts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@given(
    st.dictionaries(
        st.sampled_from(["a", "mu", "labels"]),
        hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
    )
)
def test_arrays_come_back_and_numpy_reads_them(tmp_path_factory, arrays):
    path = tmp_path_factory.getbasetemp() / "arrays.npz"
    artifacts.write_arrays(path, arrays)
    with np.load(path, allow_pickle=False) as reference:
        for found in (npz_reader.read_npz(path), reference):
            assert set(found) == {*arrays, "sha256"}
            for name, array in arrays.items():
                assert found[name].shape == array.shape
                assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_writes(tmp_path, save):
    arrays = {
        "images": np.arange(24, dtype=">u2").reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.eye(3)),
        "one": np.array(2),
    }
    save(tmp_path / "a.npz", **arrays)
    found = artifacts.read_arrays(tmp_path / "a.npz")
    for name, array in arrays.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype.isnative


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    "array", [np.arange(24).reshape(2, 3, 4), np.asfortranarray(np.eye(3)), np.empty((0, 3)), np.array(1.5)]
)
def test_reads_npy(tmp_path, mmap, array):
    np.save(tmp_path / "a.npy", array)
    found = npz_reader.read_npy(tmp_path / "a.npy", mmap=mmap)
    assert found.shape == array.shape
    assert np.array_equal(found, array)
    assert isinstance(found, np.memmap) == (mmap and array.size > 0)


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    for name in ("one.npz", "other.npz"):
        artifacts.write_latents(tmp_path / name, latents())
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_a_changed_array_is_refused(tmp_path):
    artifacts.write_arrays(tmp_path / "a.npz", {"a": np.arange(3)})
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "b.npz", **arrays | {"a": np.arange(3) + 1})
    with pytest.raises(DataError, match="changed"):
        artifacts.read_arrays(tmp_path / "b.npz")


def test_no_bit_of_an_archive_can_change_unseen(tmp_path):
    artifacts.write_latents(tmp_path / "a.npz", latents())
    good, expected = (tmp_path / "a.npz").read_bytes(), artifacts.read_latents(tmp_path / "a.npz")
    for place in range(len(good)):
        (tmp_path / "b.npz").write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        try:
            found = artifacts.read_latents(tmp_path / "b.npz")
        except DataError:
            continue
        assert all(np.array_equal(found.arrays[name], array) for name, array in expected.arrays.items())
        assert (found.files, found.class_names, found.checkpoint) == (
            expected.files,
            expected.class_names,
            expected.checkpoint,
        )


# Latents


@pytest.mark.parametrize("changes", [{}, {"labels": Labels.none(3)}, {"files": None}])
def test_latents_come_back(tmp_path, changes):
    written = latents(**changes)
    artifacts.write_latents(tmp_path / "latents.npz", written)
    found = artifacts.read_latents(tmp_path / "latents.npz")
    assert (found.checkpoint, found.class_names, found.files) == (
        written.checkpoint,
        written.class_names,
        written.files,
    )
    assert set(found.arrays) == set(written.arrays)
    assert all(np.array_equal(found.arrays[name], array) for name, array in written.arrays.items())
    assert np.array_equal(found.labels.codes, written.labels.codes)


@pytest.mark.parametrize(
    "changes",
    [
        {"arrays": {"images": np.zeros((3, 2))}},
        {"arrays": {"mu": np.zeros((3, 2)), "logvar": np.zeros((2, 2))}},
        {"arrays": {"mu": np.array([[np.nan]] * 3)}},
        {"arrays": {"mu": np.array([["text"]] * 3)}},
        {"checkpoint": "not a digest"},
        {"labels": Labels(np.array([0, 1]), ("cat", "dög"))},
        {"labels": Labels(np.array([0, 1, 2]), ("cat", "dög"))},
        {"labels": Labels(np.array([0, 1, -2]), ("cat", "dög"))},
        {"labels": Labels(np.array([0.0, 1.0, 0.0]), ("cat", "dög"))},
        {"files": ("one",)},
    ],
)
def test_latents_whose_parts_do_not_fit_are_refused(tmp_path, changes):
    artifacts.write_latents(tmp_path / "latents.npz", latents(**changes))
    with pytest.raises(DataError):
        artifacts.read_latents(tmp_path / "latents.npz")


def test_latents_that_are_mapped_are_those_that_are_read(tmp_path):
    path = tmp_path / "latents.npz"
    artifacts.write_latents(path, latents())
    read, mapped = (artifacts.read_latents(path, mmap=mmap) for mmap in (False, True))
    assert mapped.arrays.keys() == read.arrays.keys()
    for name, array in mapped.arrays.items():
        assert (array.dtype, array.tolist()) == (read.arrays[name].dtype, read.arrays[name].tolist())
        assert not array.flags.writeable
        assert not array.flags.owndata
    assert (mapped.checkpoint, mapped.files, mapped.class_names) == (read.checkpoint, read.files, read.class_names)
    assert mapped.labels.codes.tolist() == read.labels.codes.tolist()


def test_a_damaged_file_of_latents_is_not_mapped(tmp_path):
    path = tmp_path / "latents.npz"
    artifacts.write_latents(path, latents())
    whole, expected = path.read_bytes(), artifacts.read_latents(path)
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        try:
            found = artifacts.read_latents(path, mmap=True)
        except DataError:
            continue
        for name, array in found.arrays.items():  # what was flipped is of the archive, such as a time
            assert array.tolist() == expected.arrays[name].tolist()
        assert found.labels.codes.tolist() == expected.labels.codes.tolist()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            artifacts.read_latents(path, mmap=True)


def test_arrays_that_nothing_checks_are_read_and_not_mapped(tmp_path):
    np.savez(tmp_path / "own.npz", codes=np.zeros((2, 3, 3), np.int64))
    found = artifacts.read_latents(tmp_path / "own.npz", strict=False, mmap=True)
    assert found.arrays["codes"].base is None or found.arrays["codes"].base.flags.owndata


@pytest.mark.parametrize("name", ["latents.npz", "latents.parquet"])
@pytest.mark.parametrize("lengths", [(3,), (1, 0, 2)])
def test_latents_that_are_written_some_at_a_time_are_the_same_bytes(tmp_path, name, lengths):
    whole = latents()
    artifacts.write_latents(tmp_path / f"whole {name}", whole)
    with artifacts.latents_writer(tmp_path / name, FINGERPRINT, whole.labels, whole.files) as write:
        for end, length in zip(np.cumsum(lengths), lengths, strict=True):
            write({key: rows[end - length : end] for key, rows in whole.arrays.items()})
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole {name}").read_bytes()


@pytest.mark.parametrize(("name", "rows", "said"), [
    ("latents.npz", None, "there are no latents to write"), ("latents.npz", 2, "lacks"),
    ("latents.parquet", None, "expected 3 rows of latents, one or more; found 0"),
    ("latents.parquet", 2, "expected 3 rows of latents, one or more; found 2"),
    ("latents.parquet", 4, "expected 3 rows of latents, one or more; found 4"),
])  # fmt: skip
def test_latents_of_another_number_than_was_said_leave_no_file(tmp_path, name, rows, said):
    def write_rows():
        with artifacts.latents_writer(tmp_path / name, FINGERPRINT, Labels.none(3)) as write:
            if rows is not None:
                write({"mu": np.zeros((rows, 2), np.float32)})

    with pytest.raises(ValueError, match=said):
        write_rows()
    assert not list(tmp_path.iterdir())


# Images


@pytest.mark.parametrize(
    ("layout", "channels", "shape"), [("NHW", 1, (2, 4, 5)), ("NHWC", 3, (2, 4, 5, 3)), ("NCHW", 3, (2, 3, 4, 5))]
)
def test_reconstructions_have_the_shape_of_the_input(tmp_path, layout, channels, shape):
    images = np.random.default_rng(0).random((2, channels, 4, 5), dtype=np.float32)
    with artifacts.reconstructions_writer(tmp_path / "r.npz", images.shape, layout) as write:
        write(images[:1])
        write(images[1:])
    data = artifacts.read_arrays(tmp_path / "r.npz")["data"]
    assert data.shape == shape
    assert data.dtype == np.float32
    axis = -1 if layout == "NHWC" else 1
    assert np.array_equal(data if layout != "NHW" else data[:, None], np.moveaxis(images, 1, axis))


def write_hybrids(path, soft_labels, channels=1, parts=1):
    """Hybrids of as many rows as there are soft labels, written in parts; returns what was written."""
    random, count = np.random.default_rng(0), len(soft_labels)
    images = random.integers(0, 256, (count, channels, 4, 5), dtype=np.uint8)
    latents = random.normal(size=(count, 3)).astype(np.float32)
    shape = count, (channels, 4, 5), 3
    with artifacts.hybrids_writer(path, *shape, [f"class {i}" for i in range(soft_labels.shape[1])]) as write:
        for rows in np.array_split(np.arange(count), parts):
            write(images[rows], soft_labels[rows], latents[rows])
    return images, latents


@pytest.mark.parametrize("channels", [1, 3])
def test_hybrids_come_back_in_the_same_bytes_however_they_were_given(tmp_path, channels):
    soft_labels = np.random.default_rng(1).dirichlet([1, 1], 7)
    images, latents = write_hybrids(tmp_path / "one.npz", soft_labels, channels)
    write_hybrids(tmp_path / "other.npz", soft_labels, channels, parts=3)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    found = artifacts.read_hybrids(tmp_path / "one.npz")
    assert found["classes"].tolist() == ["class 0", "class 1"]
    assert np.array_equal(found["soft_labels"], soft_labels)
    assert np.array_equal(found["latents"], latents)
    assert np.array_equal(found["images"], images[:, 0] if channels == 1 else np.moveaxis(images, 1, -1))
    artifacts.write_arrays(tmp_path / "whole.npz", {name: found[name] for name in sorted(found)})
    assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.npz", "other.npz", "whole.npz"}


@pytest.mark.parametrize("soft_labels", [[[0.2, 0.7], [1, 0]], [[1.2, -0.2], [1, 0]], [[np.nan, 1], [1, 0]]])
def test_hybrids_whose_soft_labels_are_none_are_refused(tmp_path, soft_labels):
    write_hybrids(tmp_path / "h.npz", np.array(soft_labels))
    with pytest.raises(DataError):
        artifacts.read_hybrids(tmp_path / "h.npz")


def test_hybrids_that_are_arrays_come_back(tmp_path):
    images, latents = write_hybrids(tmp_path / "one.npz", np.array([[0.25, 0.75], [1, 0]]))
    found = artifacts.read_hybrids(tmp_path / "one.npz")
    write_arrays_of_hybrids(tmp_path / "other.npz", found)
    again = artifacts.read_hybrids(tmp_path / "other.npz")
    assert np.array_equal(again["images"], images[:, 0])
    assert np.array_equal(again["latents"], latents)
    assert again["soft_labels"].tolist() == [[0.25, 0.75], [1, 0]]
    assert again["classes"].tolist() == ["class 0", "class 1"]


def test_images_that_were_sampled_without_a_class_have_no_soft_labels(tmp_path):
    write_hybrids(tmp_path / "h.npz", np.empty((2, 0)))
    assert {*artifacts.read_arrays(tmp_path / "h.npz")} == {"images", "latents"}
    with pytest.raises(DataError, match=r"h.npz have no soft labels\n  they were sampled without a class"):
        artifacts.read_hybrids(tmp_path / "h.npz")


@pytest.mark.parametrize("labels", [None, Labels(np.array([0, -1]), ("cat",))])
def test_images_are_written_with_their_labels_where_there_are_any(tmp_path, labels):
    images = ImageSet(np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4), *([] if labels is None else [labels]))
    write_images(tmp_path / "i.npz", images)
    found = artifacts.read_arrays(tmp_path / "i.npz")
    assert np.array_equal(found["data"], images.images[:, 0])
    assert found.get("labels", np.array(None)).tolist() == (None if labels is None else ["cat", ""])


def test_images_of_no_known_layout_are_a_defect(tmp_path):
    with pytest.raises(ValueError, match="layout 'CHWN' is none of NHW, NHWC, NCHW"):
        artifacts.reconstructions_writer(tmp_path / "r.npz", (2, 1, 4, 5), "CHWN").__enter__()
    assert not list(tmp_path.iterdir())


def test_hybrids_that_end_early_leave_no_file(tmp_path):
    shape = 2, (1, 4, 5), 3
    with suppress(RuntimeError), artifacts.hybrids_writer(tmp_path / "h.npz", *shape, ["a", "b"]) as write:
        write(np.zeros((1, 1, 4, 5), np.uint8), np.array([[1.0, 0.0]]), np.zeros((1, 3)))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [1, 3])
def test_hybrids_of_which_there_are_more_or_fewer_than_was_said_leave_no_file(tmp_path, rows):
    def write_rows():
        with artifacts.hybrids_writer(tmp_path / "h.npz", 2, (1, 4, 5), 3, ["a", "b"]) as write:
            write(np.zeros((rows, 1, 4, 5), np.uint8), np.full((rows, 2), 0.5), np.zeros((rows, 3)))

    with pytest.raises(ValueError, match="lacks"):
        write_rows()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_hybrids_escapes_bytes_of_names_that_are_no_utf8(tmp_path):
    with artifacts.hybrid_folder_writer(tmp_path / "h", 1, ["ö", "a\udcff"]) as write:
        write(np.zeros((1, 1, 8, 8), np.uint8), np.array([[0.5, 0.5]]))
    assert (tmp_path / "h" / "soft_labels.csv").read_text("utf-8").splitlines()[0] == "File,ö,a\\udcff"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_hybrids_holds_what_was_written(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (3, channels, 8, 9), dtype=np.uint8)
    soft_labels = np.array([[0.25, 0.75], [1, 0], [1 / 3, 2 / 3]])
    with artifacts.hybrid_folder_writer(tmp_path / "h", 3, ["a", "b, c"]) as write:
        write(images[:2], soft_labels[:2])
        assert not (tmp_path / "h").exists()
        write(images[2:], soft_labels[2:])
    lines = (tmp_path / "h" / "soft_labels.csv").read_text().splitlines()
    assert lines == [
        'File,a,"b, c"', "000000.png,0.25,0.75", "000001.png,1,0", "000002.png,0.333333333,0.666666667",
    ]  # fmt: skip
    for number, image in enumerate(images):
        found = np.asarray(Image.open(tmp_path / "h" / f"{number:06}.png"))
        assert np.array_equal(
            found if channels == 1 else np.moveaxis(found, -1, 0), image[0] if channels == 1 else image
        )
    with pytest.raises(OutputError, match="not empty"), artifacts.hybrid_folder_writer(tmp_path / "h", 3, ["a"]):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["h"]


def test_a_folder_of_hybrids_that_ends_early_leaves_none(tmp_path):
    with suppress(RuntimeError), artifacts.hybrid_folder_writer(tmp_path / "h", 3, ["a"]) as write:
        write(np.zeros((1, 1, 8, 8), np.uint8), np.ones((1, 1)))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


# Classifiers


def test_a_classifier_comes_back_and_plain_python_reads_it(tmp_path):
    path = tmp_path / "gmm_params.pkl"
    artifacts.write_classifier(path, mixture())
    for found in (artifacts.read_classifier(path, FINGERPRINT), pickle.loads(path.read_bytes())):
        found.pop("sha256", None)
        assert set(found) == set(mixture())
        assert all(np.array_equal(found[key], value) for key, value in mixture().items())


def test_a_classifier_that_was_read_can_be_written_again(tmp_path):
    artifacts.write_classifier(tmp_path / "one.pkl", mixture())
    artifacts.write_classifier(tmp_path / "other.pkl", artifacts.read_classifier(tmp_path / "one.pkl"))
    assert (tmp_path / "one.pkl").read_bytes() == (tmp_path / "other.pkl").read_bytes()


def test_a_classifier_of_another_checkpoint_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path.relative_to(tmp_path) / "gmm_params.pkl"
    artifacts.write_classifier(path, mixture(checkpoint=OTHER))
    with pytest.raises(ModelFileError) as caught:
        artifacts.read_classifier(path, FINGERPRINT)
    assert str(caught.value) == (
        "gmm_params.pkl was fitted on another checkpoint\n"
        "  expected latents of vae.pth 3f9c1a…, found 81d04e…\n"
        "  fit it again: latentcli fit-gmm DATA vae.pth -o gmm_params.pkl"
    )


def test_a_changed_classifier_is_refused(tmp_path):
    path = tmp_path / "gmm_params.pkl"
    artifacts.write_classifier(path, mixture())
    good = path.read_bytes()
    for place in range(0, len(good), 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        try:
            found = artifacts.read_classifier(path)
        except ModelFileError:
            continue
        assert all(np.array_equal(found[key], value) for key, value in mixture().items())  # the bit said nothing


@pytest.mark.parametrize("value", [np.array([np.nan, 1]), np.array([np.inf, 1]), float("nan")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, value):
    artifacts.write_classifier(tmp_path / "g.pkl", mixture(weights=value))
    with pytest.raises(ModelFileError, match="not finite"):
        artifacts.read_classifier(tmp_path / "g.pkl")


@pytest.mark.parametrize("missing", ["kind", "checkpoint"])
def test_a_classifier_that_says_not_what_it_is_is_a_defect(tmp_path, missing):
    params = {name: value for name, value in mixture().items() if name != missing}
    with pytest.raises(ValueError, match="need a kind and a checkpoint"):
        artifacts.write_classifier(tmp_path / "g.pkl", params)
    assert not list(tmp_path.iterdir())


def test_a_file_larger_than_any_classifier_is_refused_unread(tmp_path, monkeypatch):
    artifacts.write_classifier(tmp_path / "g.pkl", mixture())
    size = (tmp_path / "g.pkl").stat().st_size
    monkeypatch.setattr(parameters, "MAX_BYTES", size)
    assert artifacts.read_classifier(tmp_path / "g.pkl")["kind"] == "gmm"
    monkeypatch.setattr(parameters, "MAX_BYTES", size - 1)
    with pytest.raises(ModelFileError, match=f"cannot read .*g.pkl\n  larger than {size - 1:,} bytes"):
        artifacts.read_classifier(tmp_path / "g.pkl")


# CSV


def written(*args, **kwargs):
    stream = io.StringIO()
    write_labels(stream, *args, **kwargs)
    return stream.getvalue()


def test_predictions_of_arrays_are_one_column():
    assert written(["1", "8", None]) == 'Predicted_Label\n1\n8\n""\n'


def test_predictions_of_folders_need_probabilities():
    with pytest.raises(ValueError, match="images of a folder need probabilities"):
        written(["1"], files=["a.png"])


def test_predictions_of_folders_keep_a_row_for_each_file_in_order(tmp_path):
    rows = {
        "files": ("a/1.png", "c.png"),
        "probabilities": np.array([0.5, 1 / 3]),
        "bad_files": (("b.png", "truncated"),),
    }
    expected = "File,Predicted_Label,Probability\na/1.png,cat,0.5\nb.png,,\nc.png,,0.333333\n"
    assert written(["cat", None], **rows) == expected
    write_labels(tmp_path / "vae.csv", ["cat", None], **rows)
    assert (tmp_path / "vae.csv").read_bytes() == expected.encode()


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_any_name_comes_back_from_the_csv(rows):
    text = written([label for _, label in rows], files=[file for file, _ in rows], probabilities=np.ones(len(rows)))
    for found, (file, label) in zip(list(csv.reader(io.StringIO(text, newline="")))[1:], rows, strict=True):
        assert [unescape_formula(cell) for cell in found[:2]] == [file, label]
        assert not found[0].startswith(("=", "@", "\t", "\r"))


def test_bad_files_are_listed(tmp_path):
    artifacts.write_bad_files(tmp_path / "bad_files.csv", [("a,b.png", "truncated"), ("raw\udcff.png", "empty")])
    assert (tmp_path / "bad_files.csv").read_text() == 'File,Reason\n"a,b.png",truncated\nraw\\udcff.png,empty\n'


def test_what_cannot_be_written_is_an_output_error(tmp_path):
    path = tmp_path / "missing" / "file"
    for write in (
        lambda: artifacts.write_latents(path, latents()),
        lambda: artifacts.write_classifier(path, mixture()),
        lambda: write_labels(path, ["1"]),
    ):
        with pytest.raises(OutputError):
            write()
