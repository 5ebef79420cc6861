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

import glob
import os
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.progress import Progress
from latentcli.data import addresses, archives, folders, parquet, splits, webdataset
from latentcli.data.cache import Cache, stamp
from latentcli.data.entries import TEXTS, is_hidden
from latentcli.data.records import LONG, MAX_LABEL, TWICE, Record
from latentcli.formats import own_files
from latentcli.formats.pixel_values import PixelRules, Span, UnclearValues, span_for
from latentcli.formats.regular_files import Held, InMemory, Within, kind, reason

if TYPE_CHECKING:
    from latentcli.formats.image_files import Wanted

TARS, PARQUET = (".tar", ".tar.gz", ".tgz"), ".parquet"
SUFFIXES = (*TARS, PARQUET)

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_MOST = 1_000_000  # shards
_LOOKED_AT = 3  # tars of a folder, by which its layout is told
_NUMBERED = re.compile(r"(.+?)-\d+-of-\d+.*", re.DOTALL)  # as Hugging Face calls the shards of a part
_WEB = re.compile(r"(https?|ftp)://", re.IGNORECASE)
_CONTENT = 2**26  # bytes of image files, as they are packed, that end a block
_SAMPLE = 2**12  # numbers of an image of more than 8 bits, by which it is judged


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


@dataclass(frozen=True)
class Block:
    """Images of a shard that follow one another.

    Attributes:
        files: (n,) what they are called, with their shard's name before it.
        labels: (n,) names of their classes, as they stand in the shard; "" where there is none.
        label_errors: (n,) why a label could not be read; "" where it could, or there is none.
        errors: (n,) why an image could not be read; "" where it could.
        images: (m, C, H, W) uint8: the m ≤ n that could.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]
    label_errors: tuple[str, ...]
    errors: tuple[str, ...]
    images: np.ndarray


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
        return [text] if is_shard or (not alone and _is_called_so(text)) else None
    expanded = _expanded(text)
    if not all(map(_is_called_so, expanded)):
        return None if path is not None or _WEB.match(text) else _at_address(text)
    if path is None:
        addresses.check(expanded[0])
    if path is not None and expanded == [text] and not _is_pattern(text):
        return None  # a file that is not there
    matching = (_matching(each) if _is_pattern(each) else [each] for each in expanded)
    return [address for found in matching for address in found] or None


def _layout(path: Path) -> bool:
    return kind(path) is not None and webdataset.is_webdataset(path)


def _is_called_so(text: str) -> bool:
    return _without_query(text).lower().endswith(SUFFIXES)


def _without_query(text: str) -> str:
    return text.partition("?")[0] if _WEB.match(text) else text


def _is_pattern(text: str) -> bool:
    return bool(re.search(r"[*?]|\[.+\]", _without_query(text)))


def _matching(pattern: str) -> list[str]:
    if addresses.is_address(pattern):
        return [each for each in addresses.matching(pattern) if _is_called_so(each)]
    return sorted(each for each in glob.glob(pattern, recursive=True) if _is_called_so(each))  # noqa: PTH207 (absolute)


def _expanded(text: str) -> list[str]:
    """A text for each value in its braces, as the shell means them: numbers from … to, or what stands between commas.

    Raises:
        DataError: they are more than a million.
    """
    literals, choices = _BRACES.split(text)[::2], _BRACES.findall(text)
    values: list[Sequence[str]] = []
    count = 1
    for choice in choices:
        of_range = _RANGE.fullmatch(choice)
        numbers = range(0) if of_range is None else range(int(of_range[1]), int(of_range[2]) + 1)
        count *= len(numbers) if of_range is not None else choice.count(",") + 1
        if count > _MOST or (of_range is not None and not numbers):
            found = "it means none" if count <= _MOST else f"it means more than {_MOST:,}"
            raise DataError(
                f"{addresses.public(text)} is no range of shards", found, "such as shards/{00000..00999}.tar"
            )
        ends = [] if of_range is None else [*of_range.groups()]
        padded = any(len(end) > 1 and end[0] == "0" for end in ends)
        digits = max(map(len, ends)) if padded else 0
        values.append(choice.split(",") if of_range is None else [f"{number:0{digits}d}" for number in numbers])
    made = []
    for chosen in product(*values):
        pieces = [literal + each for literal, each in zip(literals, (*chosen, ""), strict=True)]
        made.append("".join(pieces))
    return made


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
    found = [address for address, _ in entries if _is_called_so(address) and not _is_hidden(address)]
    if not found or any(_is_other(*entry) for entry in entries):
        return None
    packed = {address.rpartition(".tar")[0] for address in found if address.lower().endswith(".tar")}
    return [each for each in found if not each.lower().endswith(PARQUET) or each[: -len(PARQUET)] not in packed]


def _is_other(address: str, is_folder: bool) -> bool:
    """Whether an entry of a folder means that it does not hold shards alone."""
    known = not is_folder and (_is_called_so(address) or address.lower().endswith(TEXTS))
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
    with archives.temporary_folder() as place:
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


@dataclass
class _Pack:
    """Held files by their names; what is in memory is written to one file first."""

    spool: Path
    held: dict[str, Held] = field(default_factory=dict)

    def add(self, name: str, content: Held) -> None:
        if isinstance(content, InMemory):
            try:
                with self.spool.open("ab") as file:
                    start = file.tell()
                    file.write(content.content)
            except OSError as error:
                problem, remedy = f"{name} cannot be copied to {self.spool.parent}", "free space, or set TMPDIR"
                raise DataError(problem, reason(error), remedy) from error
            content = Within(content.name, self.spool, start, len(content.content))
        self.held[name] = content

    def __truediv__(self, name: str) -> Held:
        return self.held[name]


def load(
    shards: Shards, shape: Shape | None, size: int | None, classes: Sequence[str] | None, own_labels: bool,
    max_bad: str, progress: Progress, no_label: Sequence[str] | None, rules: PixelRules, cache: Cache,
) -> ImageSet:  # fmt: skip
    """All images of all shards; what is not said here is as for ``folders.load``.

    Args:
        own_labels: whether the labels in the shards count.

    Raises:
        DataError: also if one of the shards cannot be read.
    """
    folders.parse_max_bad(max_bad, 1)  # refuse it before anything is read
    labels: dict[str, str] = {}
    odd: list[tuple[str, str]] = []
    unread: list[tuple[str, str]] = []
    with ExitStack() as stack:
        pack = _Pack(stack.enter_context(archives.temporary_folder()) / "images")
        with progress("opening shards", len(shards.all)) as advance:
            for shard in shards.all:
                path = stack.enter_context(at_hand(shard))
                for record in records(shard, path):
                    if record.content is None:
                        unread.append((record.name, record.why))
                    else:
                        pack.add(record.name, record.content)
                        labels[record.name] = record.label if own_labels else ""
                        odd += [(record.name, record.label_why)] if own_labels and record.label_why else []
                advance(1)
        images = folders.load_held(
            pack, labels, unread, shards.name, shape, size, classes if own_labels else None, max_bad, progress,
            no_label, rules, (*shards.notes, *_note_of_odd(odd, shards.name)), labels_in(shards), cache,
        )  # fmt: skip
    return replace(images, parts=shards.parts)


def labels_in(shards: Shards) -> str:
    """Where labels stand in such shards."""
    tables = {shard.name.lower().endswith(PARQUET) for shard in shards.all}
    column = f"a column {parquet.LABELS[0]} beside that of images"
    member = f"the class of each image in a .cls file beside it (0001.jpg, 0001.cls), or as {webdataset.LABELS[0]}"
    return " or ".join([f"{member} in its .json"] * (False in tables) + [column] * (True in tables))


def _note_of_odd(odd: Sequence[tuple[str, str]], name: str) -> list[str]:
    """What is to be told of labels that cannot be read, and that their images have none."""
    if not odd:
        return []
    file, why = odd[0]
    return [f"{name}: the labels of {len(odd):,} image(s) cannot be read, such as that of {file}: {why}"]


def blocks(shard: Shard, rows: int, wanted: "Wanted", rules: PixelRules) -> Generator[Block, None, None]:
    """The images of a shard, ``rows`` at a time, decoded while the block before is in use; fewer of 64 MiB or more.

    Each image is read by itself: numbers of more than 8 bits are those of a model (``rules.spans``) or of
    ``rules.span``, or else lie in 0…65535 or 0…1, whatever those of the images beside it are.

    Args:
        shard: as ``find`` gives it.
        rows: images in a block, but the last.
        wanted: height, width and channels, and the ground of transparent pixels.
        rules: what is said of the pixels; each image is the first page of its file.

    Raises:
        DataError: the shard cannot be read as a whole, from here on; its disk, say, reads no further.
    """
    from joblib import cpu_count

    from latentcli.formats.image_files import DEEP_SPANS

    rules = replace(rules, spans={**DEEP_SPANS, **rules.spans})
    wanted = replace(wanted, span=rules.span, units=rules.spans.get("units"), strict=False, sample=_SAMPLE)
    waiting: list[tuple[Sequence[Record], list[Future[np.ndarray | str]]]] = []
    with at_hand(shard) as path, ThreadPoolExecutor(cpu_count()) as pool:
        try:
            for some in _together(records(shard, path), rows):
                waiting.append((some, [pool.submit(_decoded, record, wanted, rules) for record in some]))
                if len(waiting) > 1:
                    yield _block(*waiting.pop(0), wanted)
            while waiting:
                yield _block(*waiting.pop(0), wanted)
        except OSError as error:
            raise DataError(f"cannot read {shard.origin}", reason(error), "try again, or copy it again") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _together(found: Iterable[Record], rows: int) -> Iterator[Sequence[Record]]:
    """Records that follow one another: so many, or fewer whose files are large."""
    some, size = list[Record](), 0
    for record in found:
        some.append(record)
        size += record.content.size if record.content is not None else 0
        if len(some) == rows or size >= _CONTENT:
            yield some
            some, size = [], 0
    if some:
        yield some


def _block(some: Sequence[Record], futures: "Sequence[Future[np.ndarray | str]]", wanted: "Wanted") -> Block:
    results = [future.result() for future in futures]
    images = [result for result in results if not isinstance(result, str)]
    shape = (wanted.channels or 1, wanted.height, wanted.width)
    return Block(
        tuple(record.name for record in some), tuple(record.label for record in some),
        tuple(record.label_why for record in some),
        tuple(result if isinstance(result, str) else "" for result in results),
        np.stack(images) if images else np.empty((0, *shape), np.uint8),
    )  # fmt: skip


def _decoded(record: Record, wanted: "Wanted", rules: PixelRules) -> np.ndarray | str:
    """(C, H, W) uint8 of a record, or why it is no image; an OSError where its shard reads no further."""
    from latentcli.formats import image_files

    if record.content is None:
        return record.why
    content = InMemory(record.content.name, record.content.open()[0].read())
    deep: list[tuple[str, image_files.FoundNumbers]] = []
    hearing = image_files.Hearing(tell_deep=lambda kind, found: deep.append((kind, found)))
    try:
        pixels = image_files.decode_as(content, wanted, hearing)
        for of_kind, found in deep if rules.span is None else ():
            plain: Mapping[str, Span] = image_files.DEEP_SPANS
            if of_kind not in plain or found.nothing:
                continue
            if not (span := span_for(found, rules)[0]).same_as(plain[of_kind]):
                pixels = image_files.decode_as(content, replace(wanted, span=span))
    except image_files.UnreadableImage as error:
        return str(error)
    except UnclearValues as unclear:
        return f"{unclear}: black and white are unclear; say which: `range`"
    if not deep and rules.span is not None and 0 <= rules.span.low < rules.span.high <= 255:
        return rules.span.bytes_of(pixels)
    return pixels
