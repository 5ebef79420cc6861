"""Memory that is freed stays with the process, for the next batch."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
_LARGEST_KEPT = 32 * 2**20  # bytes of one array; the most that glibc takes
_KEPT = 2**30  # bytes in all


def keep_freed() -> None:
    """Have the C library keep what is freed, up to a GiB, where it is glibc; elsewhere do nothing.

    By default it gives large arrays back to the system when they are freed, so that every batch asks for its layers'
    outputs anew, page by page. Encoding and training are then up to a third slower.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _KEPT)
