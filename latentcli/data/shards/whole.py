"""All images of all shards, decoded together as those of a folder are."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.progress import Progress
from latentcli.data import folders, parquet, webdataset
from latentcli.data.cache import Cache
from latentcli.data.shards.finding import Shards
from latentcli.data.shards.opening import at_hand, records
from latentcli.data.shards.patterns import PARQUET
from latentcli.formats.pixel_values import PixelRules
from latentcli.formats.regular_files import Held, InMemory, Within, reason
from latentcli.formats.temporaries import temporary_folder


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
        pack = _Pack(stack.enter_context(temporary_folder()) / "images")
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
