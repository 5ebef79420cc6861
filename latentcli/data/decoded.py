"""What became of image files, and what was met in decoding them: values that a cache writes down and reads again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentcli.data.block import Events
from latentcli.data.facts import pairs, text, texts
from latentcli.formats.found_numbers import FoundNumbers
from latentcli.formats.pixel_values import Span


@dataclass
class Decoded:
    """What became of image files.

    Attributes:
        images: (N, C, H, W) uint8 of the readable ones, in memory or mapped.
        files: the N paths of these, with the number of the page behind where each page is an image.
        sources: the N files that they are of.
        total: how many images there were to decode.
        bad: (path, reason) of the others.
        remarks: (path, remark) of what is not taken as it stands, sorted.
        notes: what is to be told of all of them, without their name.
        of_bytes: the same of the bytes, where no file has more than 8 bits.
        of_choice: the same of the size and the channels, where no model says which.
        spans: of the pixels of more than 8 bits, by ``kind_of`` their type.
    """

    images: np.ndarray
    files: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    total: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    of_bytes: list[str] = field(default_factory=list)
    of_choice: list[str] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """All but the images, as plain values; names only where they are not those of the files."""
        spans = {kind: (span.low, span.high) for kind, span in self.spans.items()}
        paged = self.files != self.sources
        names = {"files": self.files, "sources": self.sources} if paged else {}
        texts = {"notes": self.notes, "of_bytes": self.of_bytes, "of_choice": self.of_choice}
        return {"total": self.total, "bad": self.bad, "remarks": self.remarks, **texts, "spans": spans, **names}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], images: np.ndarray, files: Sequence[str]) -> "Decoded":
        """What became of these files, of which ``facts`` tell.

        Raises:
            ValueError, KeyError, TypeError: they cannot be what was found.
        """
        bad, remarks, total = pairs(facts["bad"]), pairs(facts["remarks"]), facts["total"]
        unreadable = {file for file, _ in bad}
        names = sources = tuple(file for file in files if file not in unreadable)
        if "files" in facts:
            names, sources = texts(facts["files"]), texts(facts["sources"])
        if not len(names) == len(sources) == len(images) == total - len(bad):
            raise ValueError("names of other images")
        notes, of_bytes, of_choice = ([*texts(facts[each])] for each in ("notes", "of_bytes", "of_choice"))
        spans = {text(kind): Span(float(low), float(high)) for kind, (low, high) in facts["spans"].items()}
        return cls(images, names, sources, total, bad, remarks, notes, of_bytes, of_choice, spans)


@dataclass
class Met:
    """What decoding some files met besides pixels.

    Attributes:
        pieces: how many were decoded.
        bad, remarks: as of ``Decoded``.
        deep: kind of the numbers of files of more than 8 bits, and what there is of them, by path.
        coloured: paths of images in colour.
        faint: paths of others that have a little, and none in the block.
    """

    pieces: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    deep: dict[str, tuple[str, FoundNumbers]] = field(default_factory=dict)
    coloured: list[str] = field(default_factory=list)
    faint: list[str] = field(default_factory=list)

    def add(self, other: "Met") -> None:
        self.pieces += other.pieces
        self.bad += other.bad
        self.remarks += other.remarks
        self.deep |= other.deep
        self.coloured += other.coloured
        self.faint += other.faint

    def events(self) -> dict[str, Any]:
        """The same as plain values."""
        deep = {
            image: [kind, {**vars(found), "dtype": found.dtype.str, "sample": found.sample.tolist()}]
            for image, (kind, found) in self.deep.items()
        }
        return {**vars(self), "deep": deep}

    @classmethod
    def of_events(cls, events: Events) -> "Met":
        """What ``events`` wrote down.

        Raises:
            ValueError, KeyError, TypeError: they are none.
        """
        deep = {}
        for image, (kind, found) in events["deep"].items():
            sample, padding = np.array(found["sample"], np.float64), texts(found["padding"])
            numbers = FoundNumbers(
                np.dtype(text(found["dtype"])), float(found["low"]), float(found["high"]), sample, padding,
                int(found["outside"]), int(found["count"]),
            )  # fmt: skip
            deep[text(image)] = (text(kind), numbers)
        coloured, faint = ([*texts(events[each])] for each in ("coloured", "faint"))
        return cls(int(events["pieces"]), pairs(events["bad"]), pairs(events["remarks"]), deep, coloured, faint)
