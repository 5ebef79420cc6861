"""Parquet files of images, as Hugging Face's sets have them, and others."""

import json

import pytest

from latentcli.core.errors import DataError, UsageError
from latentcli.data import load
from latentcli.data.parquet import records

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FEATURES = {"image": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def write(path, columns, features=None, **options):
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, **options)
    return path


def read(path):
    return [*records(path, str(path))]


def test_a_set_of_hugging_face_has_the_names_of_its_classes(tmp_path, png):
    images = [{"bytes": png(row), "path": f"x/{row}.png"} for row in range(4)]
    path = write(tmp_path / "a.parquet", {"image": images, "kind": [1, 0, -1, 1]}, FEATURES, row_group_size=3)
    found = load(path)
    assert found.files[3] == "a.parquet/00000003-3.png"
    assert (found.class_names, found.labels.texts.tolist()) == (("cat", "dog"), ["dog", "cat", "", "dog"])


@pytest.mark.parametrize(("labels", "texts"), [
    ({"label": [3, 11]}, ["3", "11"]), ({"Label": ["a ", None]}, ["a", ""]), ({"no": [1.5, 2.5]}, ["", ""]),
    ({"label": pa.array(["a", "b"]).dictionary_encode()}, ["a", "b"]), ({"y": [1, 2], "label": ["p", "q"]}, ["p", "q"]),
])  # fmt: skip
def test_labels_are_a_column_of_numbers_or_names(tmp_path, png, labels, texts):
    found = read(write(tmp_path / "a.parquet", {"img": [png(0), png(1)], **labels}))
    assert ([each.label for each in found], [each.name for each in found]) == (texts, ["00000000", "00000001"])
    assert found[1].content.open()[0].read() == png(1)


def test_rows_without_an_image_say_why(tmp_path, png, monkeypatch):
    monkeypatch.setattr("latentcli.data.parquet.MAX_BYTES", 2000)
    images = [{"bytes": each, "path": None} for each in (png(0), None, b"", bytes(2001))]
    found = read(write(tmp_path / "a.parquet", {"image": [*images, None], "kind": [0, 1, 1, 1, 7]}, FEATURES))
    assert [each.label_why for each in found] == ["", "", "", "", "its label 7 is none of 2 classes"]
    assert [each.why.partition(" the")[0] for each in found] == [
        "", "no bytes", "empty", "more than", "no bytes",
    ]  # fmt: skip


@pytest.mark.parametrize(("columns", "told"), [
    ({"a": [1], "b": ["x"]}, "has no column of images\n  expected .* found a (int64), b (string)\n  call"),
    ({"a": [b"1"], "b": [b"2"]}, "has several columns that may be images\n"),
])  # fmt: skip
def test_a_missing_column_is_told_with_those_there_are(tmp_path, columns, told):
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "a.parquet", columns))
    before, _, behind = told.partition(".*")
    assert before in str(caught.value)
    assert behind in str(caught.value)


def test_damaged_files_are_errors(tmp_path, png):
    whole = write(tmp_path / "a.parquet", {"image": [png(row) for row in range(50)]}).read_bytes()
    for name, content in {
        "empty": b"", "text": b"hello" * 99, "cut": whole[:-9], "half": whole[: len(whole) // 2],
        "pages": whole[:30] + bytes(60) + whole[90:], "footer": whole[:-80] + bytes(60) + whole[-20:],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            read(tmp_path / name)
        assert f"{name} is not a whole Parquet file" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 3
    with pytest.raises(DataError, match="holds no rows"):
        read(write(tmp_path / "a.parquet", {"image": pa.array([], pa.binary())}))
    with pytest.raises(DataError, match="cannot read none"):
        read(tmp_path / "none")


def test_one_value_in_all_rows_does_not_become_as_many_in_memory(tmp_path, monkeypatch):
    """As a dictionary has it, which is small on the disk."""
    monkeypatch.setattr("latentcli.data.parquet._FREE_BYTES", 10_000)
    path = write(tmp_path / "a.parquet", {"image": [bytes(5_000)] * 2_000})
    assert path.stat().st_size < 9_000
    with pytest.raises(DataError, match=r"inflates to more than the [\d,]+ bytes there may be"):
        read(path)


def test_a_label_that_is_a_book_is_none(tmp_path, png):
    write(tmp_path / "a.parquet", {"image": [png(0), png(1)], "label": ["a" * 70_000, "b"]})
    found = load("a.parquet")
    assert found.labels.texts.tolist() == ["", "b"]
    assert any("its label is longer than 65,536 letters" in note for note in found.notes)


@pytest.mark.parametrize("said", ['{"info": 1}', "{", '{"info": {"features": {"image": 3, "kind": {"names": [1]}}}}'])
def test_what_hugging_face_does_not_say_well_does_not_count(tmp_path, png, said):
    table = pa.table({"image": [png(0)], "label": [1]}).replace_schema_metadata({"huggingface": said})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0].label == "1"


def test_without_pyarrow_it_is_said_how_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match=r"pip install 'latentcli\[scale\]'"):
        load(tmp_path / "a.parquet")
