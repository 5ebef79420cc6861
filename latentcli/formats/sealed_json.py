"""JSON objects that hold a SHA-256 of themselves, so that a change of any of their values is found."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "checksum"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content and, last, its checksum."""
    return {**content, SEAL: _checksum(content)}


def is_intact(found: Mapping[str, Any]) -> bool:
    """Whether an object that was read is what ``sealed`` made; so is one of an earlier version, without a checksum."""
    content = {name: value for name, value in found.items() if name != SEAL}
    return SEAL not in found or found[SEAL] == _checksum(content)


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content as JSON gives it back: tuples are lists there, and names texts."""
    as_read = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()
