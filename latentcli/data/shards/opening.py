"""One shard: a file of this machine, and the records in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from latentcli.data import addresses, archives, parquet, webdataset
from latentcli.data.cache import stamp
from latentcli.data.records import LONG, MAX_LABEL, TWICE, Record
from latentcli.data.shards.finding import Shard
from latentcli.data.shards.patterns import PARQUET
from latentcli.formats.temporaries import temporary_folder


@contextmanager
def at_hand(shard: Shard) -> Iterator[Path]:
    """A shard as a file of this machine, a copy where it has to be one, which is gone after the block.

    Raises:
        UsageError: fsspec is not installed.
        DataError: it cannot be read or unpacked, or there is no room for it.
    """
    path, packed = addresses.local(shard.address), shard.name.lower().endswith(("gz",))
    if path is not None and not packed:
        yield path
        return
    with temporary_folder() as place:
        if path is None:
            path = place / "shard"
            addresses.fetched(shard.address, path)
        if packed:
            archives.inflate(path, place / "inflated", shard.origin)
            path = place / "inflated"
        yield path


def state_of(shard: Shard) -> tuple[int, int | str]:
    """The size of a shard, and what is another when its content is; 0 and 0 where it is not there.

    Raises:
        UsageError, DataError: as of ``at_hand``, of one at an address.
    """
    path = addresses.local(shard.address)
    return addresses.stamp(shard.address) if path is None else stamp(path)


def records(shard: Shard, path: Path) -> Iterator[Record]:
    """What a shard that is at hand gives, called by its own name and theirs: ``00000.tar/000000123.jpg``.

    Raises:
        UsageError: pyarrow, which Parquet needs, is not installed.
        DataError: the shard cannot be read as a whole; see ``webdataset`` and ``parquet``.
    """
    of_kind = parquet if shard.name.lower().endswith(PARQUET) else webdataset
    seen: set[str] = set()
    for record in of_kind.records(path, shard.origin):
        name = f"{shard.name}/{record.name}"
        if len(record.label) > MAX_LABEL:
            record = replace(record, label="", label_why=LONG)
        yield replace(record, name=name) if name not in seen else replace(record, name=name, content=None, why=TWICE)
        seen.add(name)
