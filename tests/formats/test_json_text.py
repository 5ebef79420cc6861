"""JSON that people read, of names in any bytes."""

import json

import pytest

from latentcli.formats.json_text import readable_json


def test_letters_stand_as_they_are():
    assert readable_json({"b": "日本 ö", "a": 1}, sort_keys=True) == '{"a": 1, "b": "日本 ö"}'


@pytest.mark.parametrize("name", ["\udcff", "ö \udcff\udcfe", "\\udcff"])
def test_utf8_holds_whatever_a_file_is_called_and_gives_it_back(name):
    assert json.loads(readable_json([name]).encode()) == [name]
