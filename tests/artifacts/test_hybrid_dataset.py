"""The dataset of hybrids serves the same from a file and from a folder."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from latentcli import artifacts
from latentcli.artifacts.hybrid_dataset import HybridDataset
from latentcli.core.errors import DataError, UsageError

SOFT_LABELS = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])


@pytest.fixture(params=["npz", "folder"])
def written(request, tmp_path):
    """Writes hybrids of so many channels, and gives their path and images."""

    def write(channels):
        images = np.random.default_rng(0).integers(0, 256, (3, channels, 8, 9), dtype=np.uint8)
        images[0] = images[0, :1]  # grey in every channel
        path = tmp_path / "hybrids"
        if request.param == "npz":
            with artifacts.hybrids_writer(path, 3, (channels, 8, 9), 2, ["a", "b"]) as write:
                write(images, SOFT_LABELS, np.zeros((3, 2)))
        else:
            with artifacts.hybrid_folder_writer(path, 3, ["a", "b"]) as write:
                write(images, SOFT_LABELS)
        return path, images

    return write


@pytest.mark.parametrize("channels", [1, 3])
def test_items_are_images_with_soft_labels(written, channels):
    path, images = written(channels)
    dataset = HybridDataset(path)
    assert len(dataset) == 3
    assert dataset.classes == ("a", "b")
    for index, (image, soft_label) in enumerate(dataset):
        assert image.dtype == soft_label.dtype == torch.float32
        assert np.array_equal((image * 255).round().numpy(), images[index])
        assert np.allclose(soft_label, SOFT_LABELS[index])


def test_class_names_that_a_spreadsheet_would_run_are_inert_in_the_table_and_come_back_as_they_are(tmp_path):
    names = ("=cmd()", "-1", "@x", "'quoted'")
    with artifacts.hybrid_folder_writer(tmp_path / "folder", 1, names) as write:
        write(np.zeros((1, 1, 8, 8), np.uint8), np.full((1, 4), 0.25))
    header = (tmp_path / "folder" / "soft_labels.csv").read_text().splitlines()[0]
    assert header == "File,'=cmd(),-1,'@x,'quoted'"
    assert HybridDataset(tmp_path / "folder").classes == names


def test_a_class_called_as_the_column_of_files_has_no_place_in_a_table(tmp_path):
    with (
        pytest.raises(UsageError, match="called File"),
        artifacts.hybrid_folder_writer(tmp_path / "folder", 1, ["a", "File"]),
    ):
        pass
    assert not (tmp_path / "folder").exists()


def test_a_folder_and_a_file_hold_the_same_arrays(written):
    path, images = written(3)
    found = artifacts.read_hybrids(path)
    assert np.array_equal(found["images"], np.moveaxis(images, 1, -1))
    assert np.allclose(found["soft_labels"], SOFT_LABELS)
    assert found["classes"].tolist() == ["a", "b"]


def test_a_loader_takes_it_and_a_transform_is_applied(written):
    path, _ = written(1)
    loader = DataLoader(HybridDataset(path, transform=lambda image: 1 - image), batch_size=2)
    batches = [(images.shape, labels.shape) for images, labels in loader]
    assert batches == [((2, 1, 8, 9), (2, 2)), ((1, 1, 8, 9), (1, 2))]
    assert torch.allclose(HybridDataset(path, lambda image: 1 - image)[1][0], 1 - HybridDataset(path)[1][0])


@pytest.mark.parametrize(
    ("separator", "point", "encoding", "end", "digits"),
    [
        (",", ".", "utf-8-sig", "\r\n", 3), (";", ",", "utf-8-sig", "\r\n", 9), (";", ",", "cp1252", "\n", 1),
        ("\t", ".", "utf-16", "\r\n", 2), ("\t", ",", "utf-8", "\r", 2),
    ],
)  # fmt: skip
def test_a_table_that_went_through_a_spreadsheet_is_read(tmp_path, separator, point, encoding, end, digits):
    fractions = np.array([[1 / 3, 1 / 3, 1 / 3], [0.25, 0.15, 0.6], [0, 0, 1]])
    with artifacts.hybrid_folder_writer(tmp_path / "folder", 3, ["a", "Größe", "c"]) as write:
        write(np.zeros((3, 1, 8, 8), np.uint8), fractions)
    table = tmp_path / "folder" / "soft_labels.csv"
    rows = [["FILE", "a", "Größe", "c"]]
    rows += [
        [f"{row:06}.PNG", *(f"{each:.{digits}f}".replace(".", point) for each in fractions[row])] for row in range(3)
    ]
    table.write_bytes("".join(separator.join(row) + end for row in [*rows, [""] * 4]).encode(encoding))
    found = HybridDataset(tmp_path / "folder")
    assert found.classes == ("a", "Größe", "c")
    given = np.stack([soft_label.numpy() for _, soft_label in found])
    assert np.allclose(given, fractions, atol=10.0**-digits)
    assert np.allclose(given.sum(axis=1), 1, atol=2e-3)


@pytest.mark.parametrize(
    "table",
    ["", "File,a\n", "Name,a\nx.png,1\n", "File,a\n../x.png,1\n", "File,a\nx.png,much\n", "File,a,b\nx.png,1\n",
     "File,a,b\nx.png,0.2,0.2\n", "File,a,a\nx.png,0.2,0.8\n",
     "File,a,b\nx.png,20,80\n", "File,a,b\nx.png,0.2,0.8,0\n",
     "File,a,b\nx.png,nan,1\n", "File,a\nmissing.png,1\n", "File\nx.png\n"],
)  # fmt: skip
def test_folders_that_hold_no_hybrids_are_refused(tmp_path, table):
    (tmp_path / "soft_labels.csv").write_text(table)
    with pytest.raises(DataError):
        HybridDataset(tmp_path)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError):
        HybridDataset(tmp_path / "missing.npz")
    with pytest.raises(DataError):
        HybridDataset(tmp_path)


# Soft labels of other programs

SOFT = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0], [0.4, 0.3, 0.3]])
PIXELS = np.random.default_rng(1).integers(0, 256, (3, 8, 9), dtype=np.uint8)
COLOURS = np.random.default_rng(2).integers(0, 256, (3, 8, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arrays", "images", "soft", "classes", "told"),
    [
        ({"images": PIXELS, "soft_labels": SOFT, "classes": ["a", "b", "c"]}, PIXELS, SOFT, "abc", ""),
        ({"images": PIXELS, "soft_labels": SOFT.astype("f4")}, PIXELS, SOFT, "012", "called 0 to 2"),
        ({"x": COLOURS, "y": SOFT, "class_names": [b"a", b"b", b"c"]}, COLOURS, SOFT, "abc", ""),
        ({"Data": COLOURS.transpose(0, 3, 1, 2), "Labels": SOFT, "classes": [4, 8, 9]}, COLOURS, SOFT, "489", ""),
        ({"images": PIXELS[..., None], "soft_labels": np.eye(3, dtype=int)}, PIXELS, np.eye(3), "012", "0 to 2"),
        ({"images": PIXELS / 255.0, "softLabels": SOFT, "classes": ["a", "b", "c"]}, PIXELS, SOFT, "abc", ""),
        ({"x": PIXELS[:, None] / 255 * 2 - 1, "y": SOFT, "ids": np.arange(3)}, PIXELS, SOFT, "012", "-1…1"),
        ({"images": PIXELS, "soft_labels": SOFT, "meta": np.array([None])}, PIXELS, SOFT, "012", "called 0 to 2"),
    ],
)
def test_images_with_soft_labels_of_other_programs_are_read(tmp_path, arrays, images, soft, classes, told):
    np.savez(tmp_path / "mine.npz", **arrays)
    notes = []
    found = artifacts.read_hybrids(tmp_path / "mine.npz", notes)
    assert sorted(found) == ["classes", "images", "soft_labels"]
    assert found["images"].dtype == np.uint8
    assert np.array_equal(found["images"], images)
    assert np.allclose(found["soft_labels"], soft)
    assert np.allclose(found["soft_labels"].sum(axis=1), 1, atol=1e-12)
    assert found["classes"].tolist() == list(classes)
    assert told in " ".join(notes)
    assert bool(told) == bool(notes)
    assert HybridDataset(tmp_path / "mine.npz")[1][1].tolist() == pytest.approx(soft[1].tolist())


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"images": PIXELS}, r"no soft_labels\n  found images \(3, 8, 9\)\n  save it so: numpy.savez"),
        ({"soft_labels": SOFT, "pictures": PIXELS}, "has no images"),
        ({"mu": SOFT}, "no images and no soft_labels"),
        ({"images": np.array([None]), "soft_labels": SOFT}, "images is an array of Python objects"),
        ({"images": PIXELS, "soft_labels": SOFT * 100}, r"one of 100 in row 0(.|\n)*sum\(axis=1"),
        ({"images": PIXELS, "soft_labels": SOFT * 0.9}, r"one of 0.9 in row 0(.|\n)*sum\(axis=1"),
        ({"images": PIXELS, "soft_labels": np.log(SOFT + 0.1)}, "negative numbers(.|\n)*softmax"),
        ({"images": PIXELS, "soft_labels": SOFT * [[1], [0], [1]]}, "leave out the 1 rows that are all 0"),
        ({"images": PIXELS, "labels": np.arange(3)}, "give the file as DATA"),
        ({"images": PIXELS, "soft_labels": SOFT[:2]}, r"numbers \(3, classes\)"),
        ({"images": PIXELS, "soft_labels": SOFT, "classes": ["a", "b"]}, "expected 3 names that all differ"),
        ({"images": PIXELS, "soft_labels": SOFT, "classes": ["a", "b", "a"]}, "expected 3 names that all differ"),
        ({"images": PIXELS[0], "soft_labels": SOFT}, r"found \(8, 9\)"),
        ({"images": PIXELS * 1000.0, "soft_labels": SOFT}, "black and white are unclear"),
        ({"images": PIXELS, "soft_labels": SOFT, "latents": SOFT}, "not written by latentcli"),
    ],
)
def test_what_is_missing_in_a_file_of_soft_labels_is_said(tmp_path, arrays, found):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(DataError, match=found):
        artifacts.read_hybrids(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("\ufefffilename;a;b", "000000.png;0,25;0,75"),
        ("image_id,a,b", "000000,0.25,0.75"),
        ("a\tb\tPath", "0.25\t0.75\t./000000.png"),
        (",File,a,b", "7,folder/000000.png,0.25,0.75"),
        ("sep=;\nFILE;a;b", ".\\000000.PNG;0.25;0.75"),
    ],
)
@pytest.mark.parametrize("picture", ["png", "jpg", "bmp"])
def test_a_table_beside_pictures_may_come_from_any_program(tmp_path, header, row, picture):
    folder = tmp_path / "folder"
    folder.mkdir()
    Image.fromarray(PIXELS[0]).save(folder / f"000000.{picture}")
    row = row.replace("png", picture).replace("PNG", picture.upper())
    (folder / "soft_labels.csv").write_text(f"{header}\n{row}\n\n", encoding="utf-8")
    found = artifacts.read_hybrids(folder)
    assert found["images"].shape == (1, 8, 9)
    assert (found["classes"].tolist(), found["soft_labels"].tolist()) == (["a", "b"], [[0.25, 0.75]])


def test_pictures_of_unlike_sizes_are_not_resized_in_silence(tmp_path):
    for row, size in enumerate([(8, 9), (9, 9)]):
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / f"{row}.png")
    (tmp_path / "soft_labels.csv").write_text("File,a,b\n0.png,0,1\n1.png,1,0\n")
    with pytest.raises(DataError, match=r"1.png is of another size\n.*\(8, 9\).*\(9, 9\)"):
        artifacts.read_hybrids(tmp_path)


def test_images_without_classes_are_a_folder_without_a_table(tmp_path):
    with artifacts.hybrid_folder_writer(tmp_path / "folder", 2, []) as write:
        write(PIXELS[:2, None], np.empty((2, 0)))
    assert sorted(file.name for file in (tmp_path / "folder").iterdir()) == ["000000.png", "000001.png"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("File,a,b\n0.png,0,1\nmissing.png,1,0\n", r"cannot read .*missing.png\n  No such file"),
        ("File,FILE,a\n0.png,1,1\n", "expected one column File, found two"),
        ("File,a\nx.Png,1\n", r"expected each file to be named clearly, found X.png and x.PNG"),
    ],
)
def test_a_table_that_names_files_badly_is_refused(tmp_path, table, said):
    for name in ("0.png", "X.png", "x.PNG"):
        Image.fromarray(PIXELS[0]).save(tmp_path / name)
    (tmp_path / "soft_labels.csv").write_text(table)
    with pytest.raises(DataError, match=said):
        artifacts.read_hybrids(tmp_path)


def test_soft_labels_in_a_damaged_archive_are_refused(tmp_path):
    large = np.random.default_rng(3).integers(0, 256, (3, 64, 64), np.uint8)  # of more bytes than its header is read in
    np.savez(tmp_path / "mine.npz", images=large, soft_labels=SOFT)
    content = bytearray((tmp_path / "mine.npz").read_bytes())
    content[content.index(large.tobytes()) + large.size - 1] ^= 1
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*mine.npz\n  found not a whole .npz archive: Bad CRC-32"):
        artifacts.read_hybrids(tmp_path / "mine.npz")
