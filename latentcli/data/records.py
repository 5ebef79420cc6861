"""What a shard gives: images not decoded yet, each with its name and label, or the reason why there is none."""

from dataclasses import dataclass

from latentcli.formats.regular_files import Held

MAX_BYTES = 2**28
"""Of one image file in a shard: what a header claims is not read beyond it."""
TOO_LARGE = f"more than the {MAX_BYTES:,} bytes allowed"
MAX_LABEL = 2**16
LONG = f"its label is longer than {MAX_LABEL:,} letters"
TWICE = "this name stands twice in its shard"


@dataclass(frozen=True)
class Record:
    """One image of a shard.

    Attributes:
        name: within its shard, unlike all others but those whose reason is ``TWICE``.
        content: the image file; None where there is none to read.
        label: the name of its class, as it stands in the shard; "" where it has none, or none that can be read.
        why: why there is nothing to read; "" where there is.
        label_why: why its label cannot be read, which does not keep its image from being read; "" where it can.
    """

    name: str
    content: Held | None
    label: str = ""
    why: str = ""
    label_why: str = ""
