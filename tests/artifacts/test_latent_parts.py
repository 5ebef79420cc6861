"""Parts of latents with statistics that fit their bytes, and not what is in them: each is refused."""

import json

import numpy as np
import pytest

from latentcli.artifacts import parts, read_latents
from latentcli.artifacts.parts import LATENTS, MARK, Columns, part_writer, path_of, write_statistics
from latentcli.core.errors import DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

POINTS = np.arange(6, dtype=np.float32).reshape(3, 2)
CHECKPOINT = "a" * 64


def described(folder, number=0, **facts):
    plain = {"holds": LATENTS, "checkpoint": CHECKPOINT, "settings": {}, "images": 3, "failed": 0, "failures": {}}
    write_statistics(folder, number, {"shard": f"{number}.tar", "shards": 1, **plain, **facts})


def write(folder, number=0, name="mu", rows=POINTS, errors=("", "", ""), **facts):
    columns = Columns(LATENTS, {name: (rows.dtype, rows.shape[1:])}, CHECKPOINT)
    with part_writer(path_of(folder, number), columns) as add:
        texts = {"file": ["0.png", "1.png", "2.png"], "label": ["a", "", "b"], "label_error": [""] * 3, "error": errors}
        add(texts, {name: rows})
    described(folder, number, **{"failed": sum(map(bool, errors)), **facts})


def rewritten(folder, change):
    write(folder)
    pq.write_table(change(pq.read_table(path_of(folder, 0))), path_of(folder, 0))
    described(folder)


def of_shape(shapes):
    """A change of a table that says that its arrays have these shapes."""
    return lambda table: table.replace_schema_metadata({MARK: json.dumps({"shapes": shapes}).encode()})


def with_column(name, values, kind):
    """A change of a table that gives a column other values, and another type."""

    def change(table):
        made = pa.array(values, kind)
        return table.set_column(table.column_names.index(name), pa.field(name, made.type), made)

    return change


def test_two_parts_are_one_array_with_the_names_and_labels_of_both(tmp_path):
    write(tmp_path, 0, errors=("", "unread", ""), rows=POINTS[:2], shards=2)
    write(tmp_path, 1, rows=POINTS + 10, shards=2)
    found = read_latents(tmp_path)
    assert found.arrays["mu"].tolist() == [[0, 1], [2, 3], [10, 11], [12, 13], [14, 15]]
    assert found.files == ("0.png", "2.png", "0.png", "1.png", "2.png")
    assert found.labels.texts.tolist() == ["a", "b", "a", "", "b"]


@pytest.mark.parametrize("facts", [{"checkpoint": "b" * 64}, {"settings": {"image_size": 8}}, {"holds": "predictions"}])
def test_parts_that_were_made_otherwise_do_not_belong_together(tmp_path, facts):
    write(tmp_path, 0, shards=2)
    write(tmp_path, 1, shards=2, **facts)
    unlike = r"do not belong together\n  part-00001.parquet was made otherwise than part-00000.parquet"
    with pytest.raises(DataError, match=unlike):
        read_latents(tmp_path)


def test_parts_of_unlike_shapes_do_not_belong_together(tmp_path):
    write(tmp_path, 0, shards=2)
    write(tmp_path, 1, rows=np.zeros((3, 5), np.float32), shards=2)
    with pytest.raises(DataError, match=r"part-00001.*\n  its arrays have other shapes than those of the parts before"):
        read_latents(tmp_path)


def test_parts_of_which_no_image_could_be_read_hold_no_latents(tmp_path):
    write(tmp_path, rows=POINTS[:0], errors=("cut short",) * 3)
    with pytest.raises(DataError, match=r"holds no latents\n  none of its images could be read"):
        read_latents(tmp_path)


@pytest.mark.parametrize(("errors", "failed", "why"), [
    (("", "", ""), 1, "it has more images than its statistics say"),
    (("", "unread", ""), 0, "it has fewer images than its statistics say"),
])  # fmt: skip
def test_other_numbers_of_images_than_are_there_are_refused(tmp_path, errors, failed, why):
    write(tmp_path, rows=POINTS[: errors.count("")], errors=errors, failed=failed)
    with pytest.raises(DataError, match=f"is not the part that was written\n  {why}"):
        read_latents(tmp_path)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_of_a_part_that_are_not_finite_are_refused(tmp_path, number):
    write(tmp_path, rows=np.where(POINTS == 3, number, POINTS).astype(np.float32))
    with pytest.raises(DataError, match="found numbers that are not finite"):
        read_latents(tmp_path)


def test_a_part_without_features_is_refused(tmp_path):
    write(tmp_path, name="logvar")
    with pytest.raises(DataError, match=r"expected one of .*mu.*, found logvar"):
        read_latents(tmp_path)


@pytest.mark.parametrize("shapes", [{"mu": [3]}, {"mu": [2.0]}, {"mu": [-1, -2]}, {"mu": ["2"]}, {"mu": []}])
def test_a_column_of_another_shape_than_it_says_is_refused(tmp_path, shapes):
    rewritten(tmp_path, of_shape(shapes))
    with pytest.raises(DataError, match="the column mu is not of the shape that it says"):
        read_latents(tmp_path)


DAMAGES = {
    "no facts": (lambda table: table.replace_schema_metadata({}), "KeyError"),
    "facts without an end": (lambda table: table.replace_schema_metadata({MARK: b"[" * 100_000}), "RecursionError"),
    "shapes of no names": (of_shape([2]), "AttributeError"),
    "a shape that is a number": (of_shape({"mu": 2}), "TypeError"),
    "a column that is not there": (of_shape({"mu": [2], "codes": [2]}), "KeyError"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_facts_of_a_part_that_are_none_are_damage(tmp_path, case):
    change, error = DAMAGES[case]
    rewritten(tmp_path, change)
    with pytest.raises(DataError, match=f"is not the part that was written\n  damaged: {error}"):
        read_latents(tmp_path)


FORGERIES = {
    "numbers that are missing": ("mu", [[1, 2], [None, 4], [5, 6]], pa.list_(pa.float32(), 2), "that are missing"),
    "codes that are missing": ("mu", [[1, 2], [None, 4], [5, 6]], pa.list_(pa.int32(), 2), "that are missing"),
    "a row that is missing": ("mu", [[1, 2], None, [5, 6]], pa.list_(pa.float32(), 2), "that are missing"),
    "times": ("mu", [[1, 2]] * 3, pa.list_(pa.timestamp("ns"), 2), "the column mu holds no numbers"),
    "truth values": ("mu", [[True, False]] * 3, pa.list_(pa.bool_(), 2), "the column mu holds no numbers"),
    "one number a row": ("mu", [1, 2, 3], pa.float32(), "the column mu holds no rows of one length"),
    "numbers for names": ("file", [1, 2, 3], pa.int64(), "the column file holds no texts"),
    "bytes for labels": ("label", [b"a", b"\xff", b"c"], pa.binary(), "the column label holds no texts"),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_columns_of_other_values_than_a_part_has_are_refused(tmp_path, case):
    name, values, kind, why = FORGERIES[case]
    rewritten(tmp_path, with_column(name, values, kind))
    with pytest.raises(DataError, match=f"is not the part that was written\n  .*{why}"):
        read_latents(tmp_path)


def test_a_footer_that_arrow_cannot_read_is_refused(tmp_path):
    write(tmp_path)
    part = path_of(tmp_path, 0)
    content = bytearray(part.read_bytes())
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[start : start + 4] = b"\xff" * 4
    part.write_bytes(content)
    described(tmp_path)
    with pytest.raises(DataError, match="is not the part that was written\n  Couldn't deserialize"):
        read_latents(tmp_path)


def test_a_part_that_is_gone_or_of_other_bytes_is_not_the_one_that_was_written(tmp_path):
    write(tmp_path)
    path_of(tmp_path, 0).write_bytes(b"short")
    assert list(parts.damaged(tmp_path)) == [0]
    with pytest.raises(DataError, match=r"expected [\d,]+ bytes, found 5"):
        read_latents(tmp_path)
    path_of(tmp_path, 0).unlink()
    with pytest.raises(DataError, match="it is not there, and its statistics are"):
        read_latents(tmp_path)
