"""Shards one by one into parts of a folder, whatever is made of their images."""

import json
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.artifacts import parts
from latentcli.core import processes
from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import Labels, read_labels
from latentcli.core.progress import Progress
from latentcli.data import addresses, shards, splits
from latentcli.data.cache import stamp
from latentcli.formats.atomic import check_folder, make_folder, output_errors
from latentcli.formats.image_files import Wanted
from latentcli.formats.locks import exclusive
from latentcli.formats.pixel_values import PixelRules, parse_range, spans_of
from latentcli.numerics import metrics

_BYTES = 2**25
"""Of decoded images that are in memory at once, twice: those of a block, and those of the next one."""
_KINDS = 32  # of failures in the statistics
_NAMED = 3  # shards in a message
_LONGEST = 160  # letters of each


@dataclass(frozen=True)
class PartsDone:
    """What became of shards.

    Attributes:
        folder: that holds the parts.
        shards: how many there were to do, of this process's share.
        before: how many of these were done before.
        images: in the parts that are done now, with those that could not be read.
        failures, label_failures: how many images, and labels of images, could not be read, by kind of reason.
        unreadable: (address, error) of shards that could not be read as a whole.
        scores: of predictions, where labels are known: as of ``Predictions.scores``.
        notes: what the user should know about how the shards were chosen, a line each.

    Example:
        >>> import latentcli as lc
        >>> done = lc.PartsDone("parts", shards=8, before=7, images=8000, failures={"damaged": 2})
        >>> done.failed, done.check() is None
        (2, True)
    """

    folder: Path | str
    shards: int
    before: int
    images: int
    failures: Mapping[str, int] = field(default_factory=dict)
    unreadable: Sequence[tuple[str, DataError]] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    label_failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many images could not be read."""
        return sum(self.failures.values())

    def check(self) -> None:
        """Raise a ``DataError`` where shards could not be read, which says which, and why."""
        if not self.unreadable:
            return
        done = self.shards - len(self.unreadable)
        whys = Counter(": ".join(filter(None, (error.problem, error.found)))[:_LONGEST] for _, error in self.unreadable)
        first = [*whys][:_NAMED]  # a host that cannot be reached is one reason for all of its shards
        told = "; ".join(first)
        left = whys.total() - sum(whys[why] for why in first)
        more = f"; and {left:,} more" if left else ""
        remedies = {error.remedy for _, error in self.unreadable}
        of_one = next(iter(remedies)) if len(remedies) == 1 else None
        are = "is" if done == 1 else "are"
        raise DataError(
            f"{len(self.unreadable):,} of {self.shards:,} shards cannot be read; {done:,} {are} done", told + more,
            f"{of_one or 'mend them'}; then the same call does what is missing",
        )  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What is made of images.

    Attributes:
        doing: a present participle.
        columns: of the parts.
        shape: of the images.
        settings: all that has a say in the result, as plain values.
        compute: the rows of images with labels, by the names of the columns; and the names of the classes predicted.
    """

    doing: str
    columns: parts.Columns
    shape: Shape
    settings: Mapping[str, Any]
    compute: Callable[[ImageSet], Mapping[str, np.ndarray]]
    class_names: Sequence[str] = ()


@dataclass(frozen=True)
class Reading:
    """How shards are read; as of ``load``."""

    split: str | None
    prefer: str
    no_label: Sequence[str] | None
    no_classes: bool
    range: str | None
    background: str | None
    spans: Mapping[str, tuple[float, float]]

    @property
    def settings(self) -> dict[str, Any]:
        no_label = None if self.no_label is None else sorted(self.no_label)
        return {
            "no_label": no_label, "no_classes": self.no_classes, "range": self.range, "background": self.background,
        }  # fmt: skip

    @property
    def rules(self) -> PixelRules:
        span = None if self.range is None else parse_range(self.range)
        return PixelRules(span, spans_of(self.spans), self.background)

    def find(self, source: str | Path | Sequence[str | Path]) -> shards.Shards:
        """The shards, or those of their part that is asked for.

        Raises:
            UsageError: they are none, or there is no such part of any set.
        """
        wanted = splits.Wanted(self.prefer if self.split is None else self.split, asked=self.split is not None)
        if wanted.part not in splits.PARTS:
            raise UsageError(f"unknown split {wanted.part!r}", f"expected one of: {', '.join(splits.PARTS)}")
        if (found := shards.find(source)) is None:
            expected = "expected such as 'shards/{00000..00999}.tar' or a folder of .parquet files"
            raise UsageError(f"{source} are no shards, and a folder of parts is made of these", expected,
                             "name a file for the output")  # fmt: skip
        return shards.of_part(found, wanted)


def share(part: str | None) -> tuple[int, int]:
    """The i and n of "i/n"; 1 and 1 of None.

    Raises:
        UsageError: it is not of that form, or i is not among 1 … n.
    """
    if part is None:
        return 1, 1
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", part)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"`part` {part!r} is no i/n with i from 1 to n", None, "such as 3/8, the third of eight")
    return int(found[1]), int(found[2])


def run(
    source: str | Path | Sequence[str | Path], folder: Path, work: Work, reading: Reading, part: str | None,
    retry_failed: bool, progress: Progress,
) -> PartsDone:  # fmt: skip
    """Make the parts of a share of the shards that are not there yet; several processes share it out once more."""
    first, step = share(part)
    processes.join()
    found = reading.find(source)
    settings = {**reading.settings, **work.settings}
    made = {"holds": work.columns.holds, "checkpoint": work.columns.checkpoint}
    processes.check_alike(json.dumps([[each.origin for each in found.all], made, settings, part, retry_failed]))
    _check_folder(folder, found)
    known = parts.all_statistics(folder)
    _check_alike(folder, found, known, made, settings)
    every = [*enumerate(found.all)][first - 1 :: step]
    mine = every[processes.rank() :: processes.count()]
    done = {number: known[number] for number, _ in every if number in known}
    changed = [number for number, shard in every if number in done and _was_changed(shard, done[number])]
    notes = list(found.notes)
    if changed:
        notes.append(f"{len(changed)} shard(s) have changed since, such as {found.all[changed[0]].name}: done again")
    done = {number: facts for number, facts in done.items() if number not in changed}
    if retry_failed:
        done = {number: of for number, of in done.items() if not of["failed"] and not of.get("label_failures")}
    todo, unreadable = [(number, shard) for number, shard in mine if number not in done], list[tuple[str, DataError]]()
    before = len(mine) - len(todo)
    make_folder(folder)
    with warnings.catch_warnings(), progress(work.doing, len(todo)) as advance:
        warnings.filterwarnings("ignore", module="PIL")  # about odd but readable files
        for number, shard in todo:
            try:
                with exclusive(parts.path_of(folder, number)):
                    facts = _make(folder, number, shard, work, reading, len(found.all), settings)
            except DataError as error:
                unreadable.append((shard.origin, error))
            except KeyboardInterrupt:
                count = sum(each in done for each, _ in mine)
                ended = f"interrupted: {count:,} of {len(mine):,} shards are done; the same call does the others"
                raise KeyboardInterrupt(ended) from None
            else:
                done[number] = facts
            advance(1)
    own = _summed(done[number] for number, _ in mine if number in done)
    text = json.dumps([own, before, [[address, *_said(error)] for address, error in unreadable]])
    told = processes.told(text)
    heard = [json.loads(each) for each in told or [text]]
    sums, all_unreadable = _summed(each for each, _, _ in heard), [error for _, _, errors in heard for error in errors]
    confusion = {(known, guess): count for known, guess, count in sums["confusion"]}
    return PartsDone(
        folder, len(mine if told is None else every), sum(each for _, each, _ in heard), sums["images"],
        sums["failures"], tuple((address, DataError(*error)) for address, *error in all_unreadable),
        metrics.classification_of_counts(confusion, work.class_names), notes, sums["label_failures"],
    )  # fmt: skip


def _summed(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The statistics of several parts, or several of these, as those of one."""
    images, failures, label_failures = 0, Counter[str](), Counter[str]()
    confusion = Counter[tuple[str, str]]()
    for facts in found:
        images += facts["images"]
        failures.update(facts["failures"])
        label_failures.update(facts.get("label_failures", {}))
        confusion.update({(known, guess): count for known, guess, count in facts.get("confusion", ())})
    return {"images": images, "failures": dict(failures), "label_failures": dict(label_failures),
            "confusion": [[*pair, count] for pair, count in confusion.items()]}  # fmt: skip


def _said(error: DataError) -> tuple[str, str | None, str | None]:
    return error.problem, error.found, error.remedy


def _stamp(shard: shards.Shard) -> dict[str, int]:
    """Size and time (ns) of a shard's file; nothing of one elsewhere, or that is not there."""
    path = addresses.local(shard.address)
    size, time_ns = (0, 0) if path is None else stamp(path)
    return {"shard_bytes": size, "shard_mtime_ns": time_ns} if time_ns else {}


def _was_changed(shard: shards.Shard, facts: Mapping[str, Any]) -> bool:
    """Whether a file has another size or time than when its part was made."""
    return any(facts.get(name, now) != now for name, now in _stamp(shard).items())


def _check_folder(folder: Path, found: shards.Shards) -> None:
    check_folder(folder)
    local = {path.parent for shard in found.all if (path := addresses.local(shard.address)) is not None}
    if folder.resolve() in {each.resolve() for each in local}:
        raise UsageError(f"{folder} holds the shards that are read", "an input is never replaced",
                         "name another folder: -o DIR")  # fmt: skip


def _check_alike(
    folder: Path, found: shards.Shards, known: Mapping[int, Mapping[str, Any]], made: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:  # fmt: skip
    """Refuse a folder with parts of another model, or of other shards, or made with other settings."""
    origins = dict(enumerate(shard.origin for shard in found.all))
    for number, facts in known.items():
        part = parts.path_of(folder, number).name
        if facts["shard"] != origins.get(number):
            expected = f"of {origins[number]}" if number in origins else f"none, for {found.name} has {len(origins)}"
            raise UsageError(
                f"{folder} holds parts of other shards", f"expected {part} to be {expected}, found {facts['shard']}",
                "name all shards that it was begun with, in that order; or another folder: -o DIR",
            )  # fmt: skip
        unlike = [f"{key} {facts.get(key)!r:.60}, not {value!r:.60}" for key, value in made.items()
                  if facts.get(key) != value]  # fmt: skip
        of_part = facts["settings"]
        unlike += [
            f"{key} {of_part.get(key)!r:.60}, not {settings.get(key)!r:.60}"
            for key in sorted({*of_part, *settings}) if of_part.get(key) != settings.get(key)
        ]  # fmt: skip
        if unlike:
            what = f"{part} was made with {unlike[0]}"
            raise UsageError(f"{folder} holds parts that were made otherwise", what, "name another folder: -o DIR")


def _make(
    folder: Path, number: int, shard: shards.Shard, work: Work, reading: Reading, of: int, settings: Mapping[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Make the part of one shard of so many, and its statistics last, which it returns.

    Raises:
        DataError: the shard cannot be read as a whole, or its labels cannot be counted; no statistics are written.
        OutputError: it cannot be written.
    """
    began, before = time.monotonic(), _stamp(shard)
    parts.check_replaceable(folder, number)
    path = parts.path_of(folder, number)
    channels, height, width = work.shape
    rows = max(1, min(parts.ROWS, _BYTES // (channels * height * width)))
    images, failures, label_failures, confusion = 0, Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    wanted = Wanted(height, width, channels, reading.background)
    with (
        closing(shards.blocks(shard, rows, wanted, reading.rules)) as blocks,
        parts.part_writer(path, work.columns) as write,
    ):
        for block in blocks:
            nothing = [""] * len(block.files)
            texts, odd = (nothing, nothing) if reading.no_classes else (list(block.labels), block.label_errors)
            texts, _ = read_labels(texts, shard.name, reading.no_label)
            good = [text for text, error in zip(texts, block.errors, strict=True) if not error]
            arrays = work.compute(ImageSet(block.images, Labels.of(good))) if good else _none(work.columns)
            write({"file": block.files, "label": texts, "label_error": odd, "error": block.errors}, arrays)
            images += len(block.files)
            failures.update(_kind(error) for error in block.errors if error)
            label_failures.update(_kind(error) for error in odd if error)
            if "predicted" in arrays:
                pairs = zip(good, arrays["predicted"].tolist(), strict=True)
                confusion.update((known, guess) for known, guess in pairs if known)
        if _stamp(shard) != before:
            raise DataError(f"{shard.origin} was changed while it was read", None, "call again when it is whole")
        with output_errors(path):
            path.with_suffix(".json").unlink(missing_ok=True)  # of the part whose place it takes
    counted = [[known, guess, count] for (known, guess), count in sorted(confusion.items())]
    return parts.write_statistics(folder, number, {
        "shard": shard.origin, **before, "holds": work.columns.holds,
        "checkpoint": work.columns.checkpoint, "shards": of, "settings": settings,
        "images": images, "failed": failures.total(), "failures": _most(failures),
        "label_failures": _most(label_failures),
        **({"confusion": counted} if work.class_names else {}), "seconds": round(time.monotonic() - began, 3),
    })  # fmt: skip


def _none(columns: parts.Columns) -> dict[str, np.ndarray]:
    return {name: np.empty((0, *shape), dtype) for name, (dtype, shape) in columns.arrays.items()}


def _most(failures: Counter[str]) -> dict[str, int]:
    """The kinds of most failures, and how many others there are."""
    kinds = dict(sorted(failures.most_common(_KINDS)))
    left = failures.total() - sum(kinds.values())
    return kinds | ({"others": left} if left else {})


def _kind(error: str) -> str:
    """The kind of a reason: without its numbers, and without what stands behind it."""
    return re.sub(r"\d[\d,.]*", "…", re.split(r"[;(]", error)[0]).strip() or "unknown"
