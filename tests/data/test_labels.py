"""Labels beside the images."""

import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.core.labels import UNLABELLED
from latentcli.data import ImageSet, Labels
from latentcli.data.labels import with_labels


def images(count, **known):
    return ImageSet(np.zeros((count, 1, 8, 8), dtype=np.uint8), name="set", **known)


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_of_arrays_are_named_by_number(tmp_path):
    found = with_labels(images(4), written(tmp_path, "File,Label\n3,cat\n0,ant\n"))
    assert found.class_names == ("ant", "cat")
    assert found.labels.codes.tolist() == [0, UNLABELLED, UNLABELLED, 1]
    assert found.labels.codes.dtype == np.int64


def test_files_of_folders_are_named_by_path(tmp_path):
    known = images(3, files=("a/1.png", "b, c.png", "-x\n.png"), bad_files=(("bad.png", "damaged"),))
    found = with_labels(known, written(tmp_path, 'File,Label\n"b, c.png",10\na/1.png,9\n"-x\n.png",10\nbad.png,9\n'))
    assert found.class_names == ("9", "10")
    assert found.labels.codes.tolist() == [0, 1, 1]


def test_labels_of_the_source_are_replaced(tmp_path):
    known = images(2, labels=Labels(np.array([0, 1]), ("x", "y")))
    found = with_labels(known, written(tmp_path, "File,Label\n1,z\n"))
    assert (found.class_names, found.labels.codes.tolist()) == (("z",), [UNLABELLED, 0])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_of_any_alphabet_other_columns_and_line_ends(tmp_path, encoding):
    text = "note,LABEL, file\r\n,=cmd(),0\r\n\r\nseen,größe,1\r\n"
    found = with_labels(images(2), written(tmp_path, text, encoding))
    assert found.class_names == ("=cmd()", "größe")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("0,a\n7,b\n", r"row 3 .* labels '7', which set does not have"),
        ("0,a\n-1,b\n", r"row 3 .* labels '-1'"),
        ("0,a\nx.png,b\n", r"row 3 .* labels 'x.png'"),
        ("0,a\n1,b\n00,a\n", r"row 4 .* labels '00' again\n.*row 2"),
        ("0,a\n1,\n", "row 3 .* lacks"),
        ("0,a\n1\n", "row 3 .* lacks"),
        (",a\n", "row 2 .* lacks"),
        ('0,a\n"1,b\n', "row 3 .* not CSV"),
        ("²,a\n", "row 2"),
        ("9" * 5000 + ",a\n", "row 2"),
    ],
)
def test_wrong_rows_are_named(tmp_path, rows, complaint):
    with pytest.raises(DataError, match=complaint):
        with_labels(images(2), written(tmp_path, "File,Label\n" + rows))


@pytest.mark.parametrize("text", ["", "0,a\n", "File\n0\n", "File,Class\n0,a\n", "File,Label,Label\n0,a,b\n", "\n"])
def test_a_header_is_required(tmp_path, text):
    with pytest.raises(DataError, match=r"row 1 .* not the header"):
        with_labels(images(2), written(tmp_path, text))


def test_unreadable_files_of_labels(tmp_path):
    with pytest.raises(DataError, match="not UTF-8"):
        with_labels(images(2), written(tmp_path, "File,Label\n0,größe\n", "latin-1"))
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(DataError, match="cannot read the labels"):
            with_labels(images(2), path)
