"""Text in CSV files is no formula to a spreadsheet, and comes back as it was."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latentcli.core.errors import DataError
from latentcli.formats import csv_text
from latentcli.formats.csv_text import as_csv, escape_formula, read_table, unescape_formula

texts = st.text(st.sampled_from("'=+-@\t\r1e.x") | st.characters(), max_size=8)


@given(texts)
@example("=x")
@example("'=x")
@example("''=x")
@example("'-1")
@example("'")
def test_any_text_comes_back(text):
    assert unescape_formula(escape_formula(text)) == text


@given(texts)
def test_what_begins_like_a_formula_is_escaped_unless_it_is_a_number(text):
    escaped = escape_formula(text)
    if escaped.startswith(("=", "@", "\t", "\r")):
        pytest.fail("a formula")
    if escaped.startswith(("+", "-")):
        float(escaped)


@pytest.mark.parametrize(
    ("written", "read"), [("'=cmd", "=cmd"), ("'@x", "@x"), ("'+x", "+x"), ("'quoted'", "'quoted'"), ("-1", "-1")]
)
def test_what_earlier_versions_wrote_is_read_as_it_was(written, read):
    assert unescape_formula(written) == read


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_tables_come_back(rows):
    found = list(csv.reader(io.StringIO(as_csv([["File", "Label"], *rows]), newline="")))
    assert [tuple(map(unescape_formula, row)) for row in found[1:]] == rows


def test_a_file_of_more_bytes_than_any_table_is_refused_unread(tmp_path, monkeypatch):
    (tmp_path / "labels.csv").write_text("File,Label\na.png,cat\n")
    monkeypatch.setattr(csv_text, "_LONGEST_FILE", 20)
    with pytest.raises(DataError, match=r"labels.csv is too long for a table\n  found 21 bytes"):
        read_table(tmp_path / "labels.csv", lambda header: True)
    monkeypatch.setattr(csv_text, "_LONGEST_FILE", 21)
    assert read_table(tmp_path / "labels.csv", lambda header: True).rows == [(2, ["a.png", "cat"])]
