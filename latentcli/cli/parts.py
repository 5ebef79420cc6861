"""Shards into a folder of parts: what ``encode`` and ``classify`` have in common there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.cli import console
from latentcli.cli.app import check_alone
from latentcli.core.errors import UsageError

if TYPE_CHECKING:
    from latentcli.cli.options import TrainReading
    from latentcli.sharded import PartsDone

_KINDS = 5  # of failures in a line
_AT_ONCE = ("labels", "strict", "classes", "pages", "resize")
"""Options of images that are read all at once."""


def folder_of(
    data: str | Sequence[str], output: Path | None, reading: "TrainReading", part: str | None, retry_failed: bool,
    figures: Path | None = None, *, command: str,
) -> Path | None:  # fmt: skip
    """The folder of parts that a command is to write: ``output``, where DATA is shards and it names a folder.

    That is one that is there, or a name without a suffix. None where the command writes a file.

    Args:
        data, output, reading, part, retry_failed, figures: as the command has them.
        command: its name.

    Raises:
        UsageError: it writes a file, and an option is of parts, or there are several processes; or it writes parts,
            and an option is of images in memory.
    """
    from latentcli.data import SOURCES, shards, splits

    is_folder = output is not None and str(output) != "-" and (output.is_dir() or not output.suffix)
    named = isinstance(data, str) and data in SOURCES
    found = None if named or not is_folder else shards.find(data)
    if found is None:
        check_alone(f"latentcli {command}", "shards that become a folder of parts")
        for option, given in {"--part": part is not None, "--retry-failed": retry_failed}.items():
            if given:
                raise UsageError(f"{option} is of shards that become a folder of parts", None,
                                 "name shards, and a folder: -o DIR")  # fmt: skip
        return None
    refused = [f"--{name.replace('_', '-')}" for name in _AT_ONCE if getattr(reading, name) not in (None, False)]
    refused += ["--max-bad"] * (reading.max_bad != "1%") + ["--figures"] * (figures is not None)
    if refused:
        raise UsageError(
            f"{refused[0]} is of images that are all read at once, and a folder of parts is made shard by shard",
            "an image that cannot be read has its reason in its row", "leave it out, or name a file: -o FILE",
        )  # fmt: skip
    wanted = splits.Wanted(reading.split or reading.prefer, asked=reading.split is not None)
    console.notes(shards.of_part(found, wanted).notes)  # before hours of work
    return output


def how(reading: "TrainReading", part: str | None, retry_failed: bool) -> dict[str, Any]:
    """Arguments that ``encode_shards`` and ``classify_shards`` share."""
    own = {"no_label", "no_classes", "split", "prefer", "range", "background"}
    kept = {name: value for name, value in reading.options().items() if name in own}
    return {**kept, "part": part, "retry_failed": retry_failed, "progress": console.progress}


def tell(done: "PartsDone", as_json: bool, gates: Mapping[str, float]) -> None:
    """What became of shards, as the result of a command; of several processes the first one tells it.

    Raises:
        DataError: some could not be read; the others are done.
        GateError: a metric is lower than its gate.
    """
    from latentcli.core import processes

    if not processes.is_first():
        return
    for what, of in {"image(s)": done.failures, "label(s)": done.label_failures}.items():
        most = Counter(of).most_common(_KINDS)
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in most)
        kinds += f", and {len(of) - len(most):,} more kinds" if len(of) > len(most) else ""
        if of:
            console.note(f"warning: {sum(of.values()):,} {what} could not be read, and their rows say why: {kinds}")
    counts = {
        "images": done.images, "failed": done.failed, "shards": done.shards, "shards_done_before": done.before,
        "shards_failed": len(done.unreadable),
    }  # fmt: skip
    result = counts | dict(done.scores) | counts
    if as_json and done.unreadable:
        result |= {"shards_unreadable": [address for address, _ in done.unreadable]}
    console.result(result, as_json=as_json, written=[done.folder])
    done.check()
    console.check_gates(result, gates)
