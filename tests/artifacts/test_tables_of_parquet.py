"""Latents and labels as Parquet tables: what the other forms of the files hold, for other programs to read."""

import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latentcli.artifacts import (
    holds_latents,
    predictions_table,
    predictions_writer,
    read_latents,
    write_latents,
    write_predictions,
)
from latentcli.artifacts.info import describe
from latentcli.core.errors import DataError
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.formats.parquet_table import KEY, TEXT, Column, facts_of, rows_writer
from latentcli.inference.classification import Predictions

RANDOM = np.random.default_rng(0)
LABELS = Labels(np.array([1, -1, 0, 1]), ("b", "a"))
FILES = ("a/1.png", "a/2.png", "ü.png", "z.png")
POINTS = {name: RANDOM.normal(size=(4, 3)).astype(np.float32) for name in ("mu", "logvar")}
CODED = {
    "codes": RANDOM.integers(0, 5, (4, 2, 3)).astype(np.int32),
    "quantized": RANDOM.normal(size=(4, 2, 3, 5)).astype(np.float32),
}
CHECKPOINT = "0123456789abcdef" * 4


@pytest.mark.parametrize("arrays", [POINTS, CODED, {"mu": POINTS["mu"]}])
@pytest.mark.parametrize(("labels", "files"), [(None, None), (LABELS, FILES), (LABELS, None)])
def test_both_files_of_latents_hold_the_same(tmp_path, arrays, labels, files):
    latents = Latents(arrays, CHECKPOINT, labels, files)
    found = []
    for name in ("latents.npz", "latents.parquet", "again.parquet"):
        write_latents(tmp_path / name, latents)
        assert holds_latents(tmp_path / name)
        found.append(read_latents(tmp_path / name))
    for each in found[1:]:
        assert each.arrays.keys() == found[0].arrays.keys()
        for name, array in found[0].arrays.items():
            np.testing.assert_array_equal(each.arrays[name], array)
            assert each.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(each.labels.codes, found[0].labels.codes)
        assert (each.labels.names, each.files, each.checkpoint) == (latents.class_names, files, CHECKPOINT)
    assert (tmp_path / "latents.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()
    description = describe(tmp_path / "latents.parquet")
    assert description == describe(tmp_path / "latents.npz")


def test_other_programs_see_a_row_an_image(tmp_path):
    write_latents(tmp_path / "latents.parquet", Latents(CODED, CHECKPOINT, LABELS, FILES))
    table = pq.read_table(tmp_path / "latents.parquet")
    assert table.column_names == ["file", "label", "codes", "quantized"]
    assert table.column("label").to_pylist() == ["a", None, "b", "a"]
    assert table.column("codes").to_pylist()[0] == CODED["codes"][0].ravel().tolist()
    facts = json.loads(table.schema.metadata[KEY])
    assert (facts["checkpoint"], facts["class_names"]) == (CHECKPOINT, ["b", "a"])
    assert facts["columns"]["quantized"] == ["float32", 2, 3, 5]


def test_classes_of_bytes_that_are_no_utf8_are_read_back(tmp_path):
    labels = Labels.of(["a\udcff", "", "ö"])
    latents = Latents({name: rows[:3] for name, rows in POINTS.items()}, CHECKPOINT, labels)
    write_latents(tmp_path / "l.parquet", latents)
    assert read_latents(tmp_path / "l.parquet").labels.texts.tolist() == ["a\udcff", "", "ö"]


def test_tables_that_are_no_latents_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [b"png"], "label": [1]}), path)
    assert not holds_latents(path)
    with pytest.raises(DataError):
        read_latents(path)
    columns, rows = {"label": TEXT, "mu": Column("float32", (2,))}, {"label": ["c"], "mu": np.zeros((1, 2), "f4")}
    good = {"format": "latentcli-latents", "version": 1, "checkpoint": CHECKPOINT, "class_names": ["c"]}
    for wrong, said in (
        ({"format": "latentcli-predictions"}, "expected the format"), ({"version": 2}, "another version"),
        ({"class_names": ["d"]}, "does not name the class 'c'"), ({"class_names": None}, "holds no latents"),
        ({"checkpoint": "abc"}, "SHA-256 of a checkpoint"),
    ):  # fmt: skip
        with rows_writer(path, columns, good | wrong) as write:
            write(rows)
        with pytest.raises(DataError, match=said):
            read_latents(path)
    for name, each, said in (
        ("mu", TEXT, "is none of theirs"),
        ("image", Column("float32", (2,)), "expected an array"),
    ):
        with rows_writer(path, {name: each}, good) as write:
            write({name: ["x"] if each == TEXT else rows["mu"]})
        with pytest.raises(DataError, match=said):
            read_latents(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    write_latents(tmp_path / "latents.parquet", Latents({"mu": np.full((2, 2), np.nan, np.float32)}, CHECKPOINT))
    with pytest.raises(DataError, match="not finite"):
        read_latents(tmp_path / "latents.parquet")


PROBABILITIES = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.5, 0.5]])


def test_labels_of_files_have_types_and_rows_for_what_could_not_be_read(tmp_path):
    bad = (("b.png", "truncated"), ("zz.png", "empty"))
    found = Predictions(LABELS, PROBABILITIES, LABELS, FILES, bad)
    write_predictions(found, tmp_path / "vae.parquet")
    write_predictions(found, tmp_path / "vae.csv")
    rows = pq.read_table(tmp_path / "vae.parquet").to_pylist()
    as_text = [
        f"{row['File']},{row['Predicted_Label'] or ''},"
        + ("" if row["Probability"] is None else f"{row['Probability']:.6g}")
        for row in rows
    ]
    assert as_text == (tmp_path / "vae.csv").read_text().splitlines()[1:]
    assert rows[2] == {"File": "b.png", "Predicted_Label": None, "Probability": None}
    assert facts_of(tmp_path / "vae.parquet")["class_names"] == ["b", "a"]


def test_labels_of_arrays_are_one_column(tmp_path):
    latents = Latents(POINTS, CHECKPOINT)
    for name in ("vae.parquet", "again.parquet"):
        write_predictions(Predictions(LABELS, PROBABILITIES, LABELS, latents=latents), tmp_path / name)
    table = pq.read_table(tmp_path / "vae.parquet")
    assert table.to_pydict() == {"Predicted_Label": ["a", None, "b", "a"]}
    assert facts_of(tmp_path / "vae.parquet")["checkpoint"] == CHECKPOINT
    assert (tmp_path / "vae.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_labels_written_some_at_a_time_are_the_same_bytes(tmp_path):
    bad = (("b.png", "truncated"), ("zz.png", "empty"))
    for name, lengths in (("whole", (4,)), ("parts", (1, 0, 3))):
        start = 0
        with predictions_table.writer(tmp_path / name, True, bad) as write:
            for length in lengths:
                rows = np.arange(start, start + length)
                write(LABELS.take(rows), [FILES[row] for row in rows], PROBABILITIES[rows].max(axis=1))
                start += length
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


@pytest.mark.parametrize("name", ["vae.parquet", "vae.csv"])
def test_predictions_written_some_at_a_time_are_the_same_bytes(tmp_path, name):
    found = Predictions(LABELS, PROBABILITIES, LABELS, FILES, bad := (("b.png", "truncated"),))
    write_predictions(found, tmp_path / name)
    with predictions_writer(tmp_path / f"again {name}", True, bad) as write:
        for rows in (slice(0, 1), slice(1, 4)):
            labels = LABELS.take(np.arange(4)[rows])
            write(Predictions(labels, PROBABILITIES[rows], labels, FILES[rows]))
    assert (tmp_path / f"again {name}").read_bytes() == (tmp_path / name).read_bytes()


def test_a_table_without_images_has_a_row_for_each_unreadable_file(tmp_path):
    with predictions_table.writer(tmp_path / "vae.parquet", True, (("b.png", "truncated"), ("a.png", "empty"))):
        pass
    rows = pq.read_table(tmp_path / "vae.parquet").to_pylist()
    assert rows == [{"File": file, "Predicted_Label": None, "Probability": None} for file in ("a.png", "b.png")]
    assert facts_of(tmp_path / "vae.parquet")["class_names"] == []


def test_one_long_name_does_not_make_room_for_as_many(tmp_path):
    files = ("a/" + "x" * 100_000, *(f"{row}.png" for row in range(199)))
    latents = Latents({"mu": RANDOM.normal(size=(200, 2)).astype(np.float32)}, CHECKPOINT, None, files)
    write_latents(tmp_path / "latents.parquet", latents)
    tracemalloc.start()
    try:
        assert read_latents(tmp_path / "latents.parquet").files == files
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
