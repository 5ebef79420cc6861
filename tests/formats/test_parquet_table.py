"""Tables of rows: other programs read them, the same rows are the same bytes, and hostile files are refused."""

import errno
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcli.core.errors import DataError, OutputError, UsageError
from latentcli.formats import atomic, parquet_table, scale
from latentcli.formats.parquet_table import END, KEY, TEXT, Column, facts_of, is_parquet, read, rows_writer

COLUMNS = {"file": TEXT, "mu": Column("float32", (3,)), "codes": Column("int32", (2, 2)), "p": Column("float64")}
COUNT = 10
RANDOM = np.random.default_rng(0)
ROWS = {
    "file": [None if row == 4 else f"wörd {row % 3}" for row in range(COUNT)],
    "mu": RANDOM.normal(size=(COUNT, 3)).astype(np.float32),
    "codes": RANDOM.integers(0, 9, (COUNT, 2, 2), np.int32),
    "p": np.where(np.arange(COUNT) == 2, np.nan, RANDOM.random(COUNT)),
}


def write(path, *lengths: int, **facts):
    """The rows, so many at a time."""
    with rows_writer(path, COLUMNS, {"format": "test", **facts}) as writing:
        start = 0
        for length in lengths or (COUNT,):
            writing({name: each[start : start + length] for name, each in ROWS.items()})
            start += length
    return path


@pytest.fixture
def small_groups(monkeypatch):
    """Row groups of four rows, so that there are several."""
    monkeypatch.setattr(parquet_table, "GROUP_ROWS", 4)


def test_what_was_written_is_read(tmp_path, small_groups):
    table = read(write(tmp_path / "t.parquet", checkpoint="abc"))
    assert table.columns["file"] == ROWS["file"]
    for name in ("mu", "codes", "p"):
        np.testing.assert_array_equal(table.columns[name], ROWS[name])
        assert table.columns[name].dtype == ROWS[name].dtype
    assert table.facts["checkpoint"] == "abc"
    assert table.facts["columns"] == {
        "file": ["text"], "mu": ["float32", 3], "codes": ["int32", 2, 2], "p": ["float64"],
    }  # fmt: skip


def test_other_programs_read_it(tmp_path, small_groups):
    table = pq.read_table(write(tmp_path / "t.parquet"))
    assert table.column_names == list(COLUMNS)
    assert table.column("file").to_pylist() == ROWS["file"]
    assert table.column("codes").to_pylist() == ROWS["codes"].reshape(COUNT, 4).tolist()
    assert table.column("p").null_count == 1
    assert table.schema.field("mu").type == pa.list_(pa.float32(), 3)


@given(st.lists(st.integers(0, 6), max_size=6))
@settings(max_examples=20)
def test_the_same_rows_are_the_same_bytes_however_many_at_a_time(tmp_path_factory, lengths):
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_table, "GROUP_ROWS", 4)
        first = write(folder / "first.parquet").read_bytes()
        taken = [length for number, length in enumerate(lengths) if sum(lengths[: number + 1]) <= COUNT]
        again = write(folder / "again.parquet", *taken, COUNT - sum(taken)).read_bytes()
    assert first == again


def test_bytes_that_are_no_utf8_are_escaped(tmp_path):
    with rows_writer(tmp_path / "t.parquet", {"file": TEXT}, {"classes": ["ö", "a\udcff"]}) as writing:
        writing({"file": ["a\udcff.png"]})
    found = read(tmp_path / "t.parquet")
    assert found.columns["file"] == ["a\\udcff.png"]
    assert found.facts["classes"] == ["ö", "a\udcff"]


def test_columns_of_unlike_lengths_are_a_defect(tmp_path):
    with pytest.raises(ValueError, match="unlike"), rows_writer(tmp_path / "t.parquet", COLUMNS, {}) as writing:
        writing({**ROWS, "file": ["one"]})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, data):
        with atomic.output_errors(self.path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic._Output, "write", full)
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_it_says_how_to_get_it(tmp_path, monkeypatch):
    def none(name):
        raise ImportError(name)

    monkeypatch.setattr(scale, "import_module", none)
    for call in (read, lambda path: write(path)):
        with pytest.raises(UsageError, match="pip install 'latentcli"):
            call(tmp_path / "t.parquet")


def rewritten(path, table: pa.Table, **options) -> None:
    pq.write_table(table, path, **{"compression": "none", "write_statistics": False, **options})


def changed(path, **facts) -> dict[bytes, bytes]:
    """The metadata of a file with some of its facts changed."""
    found = {key: json.loads(pq.read_metadata(path).metadata[key]) for key in (KEY, END)}
    for name, each in facts.items():
        found[END if name in found[END] else KEY][name] = each
    return {key: json.dumps(part).encode() for key, part in found.items()}


def test_a_changed_number_is_told(tmp_path):
    path = write(tmp_path / "t.parquet")
    data = path.read_bytes()
    where = data.index(ROWS["mu"].tobytes()[:12])
    path.write_bytes(data[:where] + b"\x01" + data[where + 1 :])
    with pytest.raises(DataError, match="was changed after it was written"):
        read(path)


@pytest.mark.parametrize(
    "facts",
    [
        {"checkpoint": "other"}, {"sha256": "0" * 64}, {"sha256": None}, {"rows": 11}, {"rows": 2**60}, {"rows": -1},
        {"columns": {}}, {"columns": []}, {"columns": {"mu": ["float32", 3]}}, {"columns": {"mu": ["object", 3]}},
        {"columns": {"file": ["text"], "mu": ["float32", 2**62], "codes": ["int32", 2, 2], "p": ["float64"]}},
        {"columns": {"file": ["text"], "mu": ["float32", 3], "codes": ["int32", -2, -2], "p": ["float64"]}},
        {"columns": {"file": ["text", 1], "mu": [[]], "codes": None, "p": 3}},
    ],
)  # fmt: skip
def test_facts_that_are_not_the_tables_are_refused(tmp_path, facts):
    path = write(tmp_path / "t.parquet", checkpoint="abc")
    table = pq.read_table(path)
    rewritten(path, table.replace_schema_metadata(changed(path, **facts)))
    with pytest.raises(DataError) as refused:
        read(path)
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("key", [KEY, END])
def test_facts_that_are_none_are_refused(tmp_path, text, key):
    path = write(tmp_path / "t.parquet")
    rewritten(path, pq.read_table(path).replace_schema_metadata(changed(path) | {key: text}))
    assert (facts_of(path) == {}) == (key == KEY)
    with pytest.raises(DataError):
        read(path)


def test_rows_that_would_grow_in_memory_are_refused_unread(tmp_path, monkeypatch):
    """A million rows of one number are a few bytes in a dictionary: as many as the facts say."""
    path, rows = tmp_path / "t.parquet", 1_000_000
    schema = pa.schema([pa.field("mu", pa.list_(pa.float32(), 4), nullable=False)])
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(4 * rows, np.float32)), 4)
    end = b'{"rows": 1000000, "sha256": "' + b"0" * 64 + b'"}'
    schema = schema.with_metadata({KEY: b'{"columns": {"mu": ["float32", 4]}}', END: end})
    rewritten(path, pa.Table.from_arrays([values], schema=schema), use_dictionary=True)
    assert path.stat().st_size < 1_000_000
    monkeypatch.setattr(parquet_table, "_read", None)
    with pytest.raises(DataError, match="rows of 16 bytes"):
        read(path)


def test_compressed_columns_are_refused(tmp_path):
    path = write(tmp_path / "t.parquet")
    table = pq.read_table(path).replace_schema_metadata(changed(path))
    rewritten(path, table, compression="zstd")
    with pytest.raises(DataError, match="compressed"):
        read(path)


def test_a_compression_that_arrow_does_not_know_is_refused(tmp_path):
    """Asked for it, arrow ends the process."""
    path = write(tmp_path / "t.parquet")
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refused = 0
    for place in range(start, len(content) - 8):  # one of these zeros is the codec of a column
        if content[place : place + 2] == b"\x15\x00":  # a field with the number 0
            path.write_bytes(content[: place + 1] + b"\x10" + content[place + 2 :])
            try:
                read(path)
            except DataError as error:
                refused += "compressed" in str(error)
    assert refused


def test_numbers_that_are_missing_are_refused(tmp_path):
    path = write(tmp_path / "t.parquet")
    lists = pa.array([[1.0, None, 2.0]] * COUNT, pa.list_(pa.float32(), 3))
    table = pq.read_table(path).replace_schema_metadata(changed(path))
    field = pa.field("mu", lists.type, nullable=False)
    rewritten(path, table.set_column(1, field, lists))
    with pytest.raises(DataError, match="lacks numbers"):
        read(path)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"PAR1" + bytes(100) + b"PAR1", b"\xff" * 50])
def test_what_is_no_parquet_is_refused(tmp_path, data):
    path = tmp_path / "t.parquet"
    path.write_bytes(data)
    assert is_parquet(path) == (data[:4] == b"PAR1")
    assert facts_of(path) == {}
    with pytest.raises(DataError, match="cannot read"):
        read(path)


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        assert not is_parquet(path)
        with pytest.raises(DataError):
            read(path)


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=30), st.integers(0, 2**16))
def test_damage_anywhere_is_refused_or_changes_nothing(tmp_path_factory, noise, where):
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    data = bytearray(write(path).read_bytes())
    where %= len(data)
    data[where : where + len(noise)] = noise
    path.write_bytes(data)
    try:
        table = read(path)
    except DataError:
        return
    assert table.columns["file"] == ROWS["file"]
    for name in ("mu", "codes", "p"):
        np.testing.assert_array_equal(table.columns[name], ROWS[name])


@pytest.mark.parametrize("lengths", [(), (0,), (4, 4), (3, 5)])
def test_rows_that_fill_their_groups_and_no_rows_come_back(tmp_path, small_groups, lengths):
    numbers = np.arange(sum(lengths), dtype=np.float64)
    with rows_writer(tmp_path / "t.parquet", {"p": Column("float64"), "file": TEXT}, {}) as writing:
        for end, length in zip(np.cumsum(lengths, dtype=int), lengths, strict=True):
            writing({"p": numbers[end - length : end], "file": ["x"] * length})
    found = read(tmp_path / "t.parquet").columns
    assert found["p"].tolist() == numbers.tolist()
    assert found["file"] == ["x"] * len(numbers)


def test_rows_that_are_said_and_not_there_are_refused(tmp_path):
    """The footer says in all places but those of the column that there are ten rows, and there are four."""
    path = tmp_path / "t.parquet"
    with rows_writer(path, {"p": Column("float64")}, {}) as writing:
        writing({"p": np.arange(4.0)})
    rewritten(path, pq.read_table(path).replace_schema_metadata(changed(path, rows=10)))
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    places = [place for place in range(start, len(content) - 8) if content[place : place + 2] == b"\x16\x08"]
    for place in (places[0], places[-1]):
        content = content[:place] + b"\x16\x14" + content[place + 2 :]
    path.write_bytes(content)
    assert pq.read_metadata(path).num_rows == pq.read_metadata(path).row_group(0).num_rows == 10
    with pytest.raises(DataError, match=r"cannot read .*\n  damaged, or no Parquet: 4 of 10 rows are there"):
        read(path)


def test_a_pyarrow_that_is_too_old_is_told(monkeypatch):
    """Before 26 it writes no lists of one length of which some are missing."""
    monkeypatch.setattr(pa, "__version__", "25.0.1")
    with pytest.raises(UsageError, match=r"expected pyarrow 26 or newer, found 25\.0\.1\n  install a newer one: pip"):
        scale.parquet()
