"""Shards: many images in each of many files, tars in WebDataset's layout or Parquet files, here or at an address.

DATA is shards where it is

* a pattern of such files, ``shards/{00000..00999}.tar`` or ``shards/*.parquet``, or several of them;
* a folder of nothing but ``.parquet`` files, or ``.tar`` files of WebDataset's layout, beside texts such as
  ``00000_stats.json``; where both are called alike, the Parquet file is img2dataset's list of the tar, and left out;
* one ``.parquet`` file, or one ``.tar`` that ``is_webdataset``; any other ``.tar`` is a folder that is packed;
* an address of these, ``s3://bucket/shards/{00000..00999}.tar``, for fsspec.

A shard gives records, see ``records``: of a set that is to be in memory, ``load`` decodes all of them as those of a
folder; of a set that is not, ``blocks`` decodes one shard, a few images at a time, each image by itself.
"""

from latentcli.data.shards.finding import Shard, Shards, find, of_part
from latentcli.data.shards.in_blocks import Block, blocks
from latentcli.data.shards.opening import at_hand, records, state_of
from latentcli.data.shards.patterns import PARQUET, SUFFIXES, TARS
from latentcli.data.shards.whole import labels_in, load

__all__ = [
    "PARQUET",
    "SUFFIXES",
    "TARS",
    "Block",
    "Shard",
    "Shards",
    "at_hand",
    "blocks",
    "find",
    "labels_in",
    "load",
    "of_part",
    "records",
    "state_of",
]
