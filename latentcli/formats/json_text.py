"""JSON that people read: letters of any language as they are, in a text that UTF-8 can always hold."""

import json
from typing import Any


def readable_json(value: Any, sort_keys: bool = False) -> str:
    """A value as JSON in one line.

    Names from a file system may have bytes that are no UTF-8, which Python keeps as lone surrogates; these are escaped,
    with all that is not ASCII beside them, and are read back as they were.
    """
    text = json.dumps(value, sort_keys=sort_keys, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, sort_keys=sort_keys)
    return text
