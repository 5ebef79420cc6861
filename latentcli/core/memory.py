"""How much memory there is, and what is too large for it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from latentcli.core.rows import is_mapped

_OF_CONTAINERS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 8 * 2**30  # where the system does not say

BEYOND = 0.5
"""Fraction of the memory, beyond which mapped images are read from the disk again in each epoch."""


def of_machine() -> int:
    """Bytes of memory of this machine, or of the container that the process runs in where it may have less."""
    found = []
    with suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _OF_CONTAINERS:
        with suppress(OSError, ValueError):  # "max" where there is none
            found.append(int(Path(limit).read_text()))
    return min((each for each in found if each > 0), default=_UNKNOWN)


def is_beyond(images: Any) -> bool:
    """Whether images are mapped, and more than ``BEYOND`` of the memory, so that the order of reading them matters."""
    return is_mapped(images) and images.nbytes > BEYOND * of_machine()
