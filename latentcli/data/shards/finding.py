"""Which shards DATA means, and what they are called."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from latentcli.core.errors import DataError
from latentcli.data import addresses, splits, webdataset
from latentcli.data.entries import TEXTS, is_hidden
from latentcli.data.shards.patterns import PARQUET, TARS, WEB, expanded, is_called_so, is_pattern, matching
from latentcli.formats import own_files
from latentcli.formats.regular_files import kind

_LOOKED_AT = 3  # tars of a folder, by which its layout is told
_NUMBERED = re.compile(r"(.+?)-\d+-of-\d+.*", re.DOTALL)  # as Hugging Face calls the shards of a part


@dataclass(frozen=True)
class Shard:
    """One file of images.

    Attributes:
        address: where it is: a path, or an address for fsspec.
        name: by which its images are called; no other shard of the set has it.
    """

    address: str
    name: str

    @property
    def origin(self) -> str:
        """The address as it may be told and written down, see ``addresses.public``: what else it has comes and goes."""
        return addresses.public(self.address)


@dataclass(frozen=True)
class Shards:
    """A set of images in shards.

    Attributes:
        name: how to call it in messages.
        all: its shards, in their order.
        given: by what it was named, or the first of it was, as it may be told.
        notes: what the user should know about how they were chosen, a line each.
        parts: of which the set consists, as of ``ImageSet``.
    """

    name: str
    all: tuple[Shard, ...]
    given: str
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def find(source: str | Path | Sequence[str | Path]) -> Shards | None:
    """The shards that DATA means, by the rule above; None where it means something else.

    Raises:
        UsageError: fsspec, which an address needs, is not installed, or a package for this kind of address; or it is a
            folder of parts that were made of shards.
        DataError: some of several are shards and others are not; one is named twice; an address cannot be read.
    """
    if isinstance(source, str | Path):
        found, name = _meant(str(source), alone=True), addresses.public(str(source))
        return None if found is None else Shards(name, _named(found, name), name)
    texts = [str(each) for each in source]
    meant = {text: _meant(text, alone=False) for text in texts}
    others = [text for text, found in meant.items() if found is None]
    if len(others) == len(meant):
        return None
    if others:
        found_other = f"found {addresses.public(others[0])}"
        raise DataError("some of DATA are shards, and others are not", found_other, "give them apart")
    first = addresses.public(texts[0])
    name = first if len(texts) == 1 else f"{len(texts)} shards"
    every = _named([each for text in texts for each in meant[text] or ()], name)
    return Shards(name, every, first)


def of_part(shards: Shards, wanted: splits.Wanted) -> Shards:
    """Those of the part that is wanted, where names such as ``train-00000-of-00002.parquet`` tell parts.

    Raises:
        DataError: a part is asked for that is not there.
    """
    groups: dict[str, list[Shard]] = {}
    for shard in shards.all:
        numbered = _NUMBERED.fullmatch(PurePosixPath(shard.name).name)
        part = None if numbered is None else splits.part_of(numbered[1])
        if part is None:
            wanted.check_whole(shards.name, "expected names such as train-00000-of-00002.parquet")
            return shards
        groups.setdefault(part, []).append(shard)
    parts = {part: groups[part] for part in splits.PARTS if part in groups}
    found, note = splits.chosen(shards.name, parts, wanted)
    return replace(shards, all=tuple(found), notes=(*shards.notes, note), parts=tuple(parts))


def _meant(text: str, alone: bool) -> list[str] | None:
    """The addresses of the shards that a text means, or None."""
    path = addresses.local(text)
    text = text if path is None else str(path)
    if path is not None and kind(path) is not None:
        if path.is_dir():
            own_files.check_place(path, own_files.IMAGES)
            return _in_folder(path) if alone else None
        is_shard = text.lower().endswith(PARQUET) or (alone and text.lower().endswith(".tar") and _layout(path))
        return [text] if is_shard or (not alone and is_called_so(text)) else None
    texts = expanded(text)
    if not all(map(is_called_so, texts)):
        return None if path is not None or WEB.match(text) else _at_address(text)
    if path is None:
        addresses.check(texts[0])
    if path is not None and texts == [text] and not is_pattern(text):
        return None  # a file that is not there
    found = (matching(each) if is_pattern(each) else [each] for each in texts)
    return [address for addresses_of in found for address in addresses_of] or None


def _layout(path: Path) -> bool:
    return kind(path) is not None and webdataset.is_webdataset(path)


def _in_folder(folder: Path) -> list[str] | None:
    """The shards of a folder that holds nothing else, or None."""
    entries: list[tuple[str, bool]] = []
    try:
        with os.scandir(folder) as scanned:
            for each in scanned:  # in no order, and no further than the first of a million images
                entries.append((str(folder / each.name), each.is_dir()))
                if _is_other(*entries[-1]):
                    return None
    except OSError:
        return None  # told where the folder is read
    found = _among(sorted(entries))
    tars = [each for each in found or () if each.lower().endswith(TARS)]
    if tars and not any(_layout(Path(each)) for each in tars[:_LOOKED_AT]):
        return None  # of folders: see ``foreign.unpacking``
    return found


def _at_address(folder: str) -> list[str]:
    entries, folder = addresses.within(folder), addresses.public(folder)
    if (found := _among(entries)) is not None:
        return found
    names = ", ".join(PurePosixPath(address).name for address, _ in entries[:5]) or "nothing"
    raise DataError(f"{folder} is an address that holds no shards, or more than these", f"found {names}",
                    f"name them: {folder.rstrip('/')}/{{00000..00999}}.tar; or download it, and name the folder"
                    )  # fmt: skip


def _among(entries: Sequence[tuple[str, bool]]) -> list[str] | None:
    """The shards among the entries of a folder, and whether each is a folder; None where there are others."""
    found = [address for address, _ in entries if is_called_so(address) and not _is_hidden(address)]
    if not found or any(_is_other(*entry) for entry in entries):
        return None
    packed = {address.rpartition(".tar")[0] for address in found if address.lower().endswith(".tar")}
    return [each for each in found if not each.lower().endswith(PARQUET) or each[: -len(PARQUET)] not in packed]


def _is_other(address: str, is_folder: bool) -> bool:
    """Whether an entry of a folder means that it does not hold shards alone."""
    known = not is_folder and (is_called_so(address) or address.lower().endswith(TEXTS))
    return not known and not _is_hidden(address)


def _is_hidden(address: str) -> bool:
    return is_hidden(address.rstrip("/").rpartition("/")[2])


def _named(found: Sequence[str], name: str) -> tuple[Shard, ...]:
    """Shards called by the end of their addresses, as much of it as tells them apart."""
    parts = [tuple(filter(None, re.split(r"[/\\]+", addresses.public(address)))) for address in found]
    known: dict[tuple[str, ...], str] = {}
    for each, address in zip(parts, found, strict=True):
        if (other := known.get(each)) is not None:
            both = "" if address == other else f" and {addresses.public(other)}, which would be called alike"
            told = f"found {addresses.public(address)}{both}", "name each once, or call one otherwise"
            raise DataError(f"{name} names a shard twice", *told)
        known[each] = address
    depth = 1
    while len({each[-depth:] for each in parts}) < len(parts):
        depth += 1
    return tuple(Shard(address, "/".join(each[-depth:])) for address, each in zip(found, parts, strict=True))
