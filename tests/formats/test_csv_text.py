"""Text in CSV files is no formula to a spreadsheet, and comes back as it was."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latentcli.formats.csv_text import as_csv, escape_formula, unescape_formula

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
