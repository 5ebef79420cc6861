"""How many points are worked on at a time, so that working copies of many points stay small."""

_VALUES_AT_ONCE = 2**22


def rows_at_once(dimensions: int) -> int:
    """How many points of this many dimensions are worked on at a time, some ten MiB of them."""
    return max(1, _VALUES_AT_ONCE // dimensions)
