"""How much memory there is."""

import os
from contextlib import suppress
from pathlib import Path

_OF_CONTAINERS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 8 * 2**30  # where the system does not say


def of_machine() -> int:
    """Bytes of memory of this machine, or of the container that the process runs in where it may have less."""
    found = []
    with suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _OF_CONTAINERS:
        with suppress(OSError, ValueError):  # "max" where there is none
            found.append(int(Path(limit).read_text()))
    return min((each for each in found if each > 0), default=_UNKNOWN)
