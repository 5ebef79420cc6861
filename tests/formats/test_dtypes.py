"""Types that a file names: plain ones are read, all others refused in words."""

import numpy as np
import pytest

from latentcli.formats.dtypes import UnreadType, plain_dtype


@pytest.mark.parametrize(("description", "told"), [
    ([("r", "<f4"), ("g", "<f4")], "an array of structures: r, g"), ([("x" * 99, "<f4")], f"structures: {'x' * 40}$"),
    ([], "an array of structures: $"), ([5], "of structures or of an unknown type"), ([()], "of an unknown type"),
    (["<f4"], "of an unknown type"), (None, "of an unknown type"), ("|O", "Python objects, which could run code"),
    ("<f4" * 3, "of an unknown type"), ("<q9", "is neither a number nor a text"),
])  # fmt: skip
def test_other_types_are_refused_in_words(description, told):
    with pytest.raises(UnreadType, match=told):
        plain_dtype(description)


@pytest.mark.parametrize("name", ["|b1", "|u1", "<i2", ">f4", "<f8", "<U7"])
def test_plain_types_are_what_numpy_calls_so(name):
    assert plain_dtype(name) == np.dtype(name)
