"""Shards in, parts out: images by the hundred million, which are never in memory together.

Each shard becomes a part of a folder, see ``artifacts.parts``, by itself: one process or many, in any order, write the
same bytes. A part is whole when its statistics are there; what is not whole is made again by the same call, and nothing
else. So a run that is killed at any moment loses no more than the shard it was at, and doubles nothing.
"""

from latentcli.sharded.calls import classify_shards, encode_shards
from latentcli.sharded.making import PartsDone, share

__all__ = ["PartsDone", "classify_shards", "encode_shards", "share"]
