"""Tar files in WebDataset's layout: the members of one sample share their name up to the first dot of its last part.

``0001.jpg``, ``0001.cls`` and ``0001.json`` are one sample: the image; its class, by name or number; and facts, of
which ``label``, ``class`` or ``cls`` is the class where there is no ``.cls``. So img2dataset writes them. Of several
images the one with the plainest name is read (``0001.jpg`` before ``0001.mask.png``), all other members are left out.

Nothing is unpacked: members are read where they lie. A tar of unknown origin may be cut short, hold links, devices and
paths that lead elsewhere, headers without end, and members as large as they like to say. Source of the layout:
https://github.com/webdataset/webdataset, ``tariterators.group_by_keys``.
"""

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from latentcli.core.errors import DataError
from latentcli.data.entries import TEXTS, is_hidden
from latentcli.data.records import MAX_BYTES, TOO_LARGE, TWICE, Record
from latentcli.formats.regular_files import Within, open_regular, reason
from latentcli.formats.tar_members import Member, check_end

LABELS = ("label", "class", "cls")
"""Keys of a ``.json`` that may hold the class, the first there is."""

_NAME = re.compile(r"(?P<key>(?:.*/)?[^./][^/.]*)\.(?P<ending>[^/]+)", re.DOTALL)
_MAX_MEMBERS = 5_000_000
_MAX_TEXT = 2**16  # bytes of a class
_MAX_JSON = 2**24
_HEADER = 2**20  # bytes of a header that are read at once
_LOOKED_AT = 64  # members, by which a tar is told to be of this layout


@dataclass
class _Sample:
    """The members of one key, by what their names end in."""

    key: str
    members: dict[str, tarfile.TarInfo] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    @property
    def image(self) -> str | None:
        """What the name of its image ends in."""
        endings = [*filter(_is_image, self.members)]
        return min(endings, key=lambda ending: ending.count("."), default=None)


def records(path: Path, address: str) -> Iterator[Record]:
    """The samples of a tar, in the order in which their first members stand.

    Args:
        path: of the file.
        address: how to call it in messages.

    Raises:
        DataError: it is missing, cut short, no tar or empty, or names a path outside itself.
    """
    samples: dict[str, _Sample] = {}
    with _opened(path, address) as file:
        for member in _members(file, address):
            named = _NAME.fullmatch(_called(member))
            if named is None or any(map(is_hidden, named["key"].split("/"))) or member.isdir():
                continue
            sample = samples.setdefault(named["key"], _Sample(named["key"]))
            ending = named["ending"].lower()
            if ending in sample.members:
                sample.twice.append(ending)
            else:
                sample.members[ending] = member
    files = {member.name: member for sample in samples.values() for member in sample.members.values()}
    found = False
    for sample in samples.values():
        try:
            of_sample = [*_record(sample, path, files)]
        except OSError as error:  # of a text
            raise _unread(address, error) from error
        found = found or bool(of_sample)
        yield from of_sample
    if not found:
        raise DataError(f"{address} holds no samples", "expected members such as 0001.jpg and 0001.cls, found none",
                        "make it again, or leave it out")  # fmt: skip


def is_webdataset(path: Path) -> bool:
    """Whether a tar is of this layout, by its first members: an image has a ``.cls``, or in no folder a ``.json``.

    A tar of a folder of images may have ``.json`` files beside them, too, in the folders of its classes.
    """
    endings: dict[str, set[str]] = {}
    try:
        with _opened(path, str(path)) as file:
            for _, member in zip(range(_LOOKED_AT), _members(file, str(path)), strict=False):
                if (named := _NAME.fullmatch(_called(member))) is not None:
                    endings.setdefault(named["key"], set()).add(named["ending"].lower())
    except DataError:
        pass
    with_image = {key: of for key, of in endings.items() if any(map(_is_image, of))}
    return any("cls" in of or ("json" in of and "/" not in key) for key, of in with_image.items())


def _opened(path: Path, address: str) -> IO[bytes]:
    try:
        return open_regular(path)[0]
    except OSError as error:
        raise DataError(f"cannot read {address}", reason(error), "look how it is spelled") from error


def _members(file: IO[bytes], address: str) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, each whole, up to the mark of its end."""
    file.seek(0, 2)
    headers = _Headers(file, file.tell())
    headers.seek(0)
    try:
        with tarfile.open(fileobj=headers, mode="r:", tarinfo=Member) as archive:  # type: ignore[call-overload]
            count = 0
            while (member := archive.next()) is not None:
                count += 1
                archive.members = []  # which would list each of a million
                if member.offset_data + max(0, member.size) > headers.size:
                    raise tarfile.ReadError(f"it is cut short within {member.name[-60:]}")
                if member.size < 0 or count > _MAX_MEMBERS:
                    raise tarfile.ReadError("it has members without end")
                _check_name(member.name, address)
                yield member
            check_end(archive)
    except OSError as error:
        raise _unread(address, error) from error
    except DataError:
        raise
    except Exception as error:  # the parser of damaged headers raises errors of any class
        found = str(error) or type(error).__name__
        raise DataError(f"{address} is not a whole tar", f"found {found}", "make or copy it again") from error


def _unread(address: str, error: OSError) -> DataError:
    return DataError(f"cannot read {address}", reason(error), "try again, or copy it again")


def _is_image(ending: str) -> bool:
    from latentcli.formats.opened_images import SUFFIXES

    return f".{ending}".endswith(SUFFIXES)


def _called(member: tarfile.TarInfo) -> str:
    return member.name.replace("\\", "/").removeprefix("./")


def _check_name(name: str, address: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
        found, remedy = f"found {name[:80]!r}", "make it again, with names within it alone"
        raise DataError(f"{address} names a path outside itself", found, remedy)


class _Headers:
    """A file of which a tar's headers are read: in parts that are bounded, and all together no more than there is."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.size, self._left = file, size, 2 * size + _HEADER

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, _HEADER) if size >= 0 else _HEADER)
        self._left -= len(data) + 1  # of an empty one, too
        if self._left < 0:
            raise tarfile.ReadError("it has headers without end")
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def _record(sample: _Sample, path: Path, files: dict[str, tarfile.TarInfo]) -> Iterable[Record]:
    """The image of a sample, with its label; and one without content for each image whose name stands twice.

    A label that cannot be read takes no image away: what an image shows does not depend on it.
    """
    facts, wrong = _facts(sample, path)
    label, of_label = _label(sample, facts, path)
    ending = sample.image
    if ending is None:
        others = [each for each in sample.members if each not in ("json", "cls") and f".{each}" not in TEXTS]
        if not others and {"json", "cls"}.isdisjoint(sample.members):
            return  # a text that belongs to no image
        status = facts.get("error_message") or facts.get("status")
        why = f"no image beside it{f': {status}' if isinstance(status, str) else ''}"
        why = f"a .{others[0]} file, which is not read" if others else why
        first = others[0] if others else "json" if "json" in sample.members else "cls"
        yield Record(f"{sample.key}.{first}", None, label, why[:200], wrong or of_label)
        return
    member = sample.members[ending]
    name = _called(member)
    whole = files.get(member.linkname) if member.islnk() else member  # a second name of a file before it
    why = ""
    if whole is None or not whole.isreg() or whole.issparse():
        why = "a link, a device or a file with holes"
    elif whole.size > MAX_BYTES:
        why = TOO_LARGE
    elif not whole.size:
        why = "empty"
    content = None if why or whole is None else Within(name.rpartition("/")[2], path, whole.offset_data, whole.size)
    yield Record(name, content, label, why, wrong or of_label)
    for twice in sample.twice:
        if twice == ending:
            yield Record(name, None, label, TWICE)


def _text(member: tarfile.TarInfo, path: Path, most: int) -> str | None:
    """The text of a member; None where it is none, or too long."""
    if not member.isreg() or member.issparse() or member.size > most:
        return None
    file, _ = Within(member.name, path, member.offset_data, member.size).open()
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _facts(sample: _Sample, path: Path) -> tuple[dict[str, Any], str]:
    """What the ``.json`` of a sample says; and why it cannot be read, where it would have to be."""
    member = sample.members.get("json")
    if member is None:
        return {}, ""
    try:
        facts = json.loads(_text(member, path, _MAX_JSON) or "")
    except (ValueError, RecursionError):
        return {}, "" if "cls" in sample.members else "its .json is none"
    return (facts, "") if isinstance(facts, dict) else ({}, "")


def _label(sample: _Sample, facts: dict[str, Any], path: Path) -> tuple[str, str]:
    """The class of a sample, "" where it has none; and why it cannot be told, where it should be."""
    if (member := sample.members.get("cls")) is not None:
        text = _text(member, path, _MAX_TEXT)
        if text is None or "\n" in text.strip():
            return "", "its .cls is no text of one line"
        return text.strip(), ""
    given = next((facts[key] for key in LABELS if facts.get(key) is not None), "")
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, str | int):
        return "", "its .json has several labels, or one that is no name" if given != "" else ""
    return str(given).strip(), ""
