"""A sealed object is known from a changed one."""

import json

from hypothesis import given
from hypothesis import strategies as st

from latentcli.formats.sealed_json import SEAL, is_intact, sealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=4).filter(lambda name: name != SEAL), VALUES, max_size=4))
def test_what_was_written_is_intact(content):
    assert is_intact(json.loads(json.dumps(sealed(content))))


@given(st.integers(), st.integers())
def test_a_changed_value_is_found(value, other):
    found = sealed({"a": value, "b": (1, "two"), "c": {3: 4.5}})
    assert is_intact(json.loads(json.dumps(found | {"a": other}))) == (value == other)


def test_any_flipped_bit_is_found_or_without_effect():
    content = {"accuracy": 0.875, "name": "vae", "sizes": [1, 2]}
    text = json.dumps(sealed(content)).encode()
    for bit in range(8 * len(text)):
        flipped = bytearray(text)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = json.loads(flipped)
        except ValueError:
            continue
        assert (
            not isinstance(found, dict) or not is_intact(found) or {key: found.get(key) for key in content} == content
        )


def test_an_object_of_before_there_was_a_checksum_is_accepted():
    assert is_intact({"a": 1})
