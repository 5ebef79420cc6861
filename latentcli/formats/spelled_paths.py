"""Finding the file that a table means: programs, spreadsheets and systems spell one path in many ways."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import PurePath


class AmbiguousPath(LookupError):
    """More than one file may be meant; ``files`` are two of them."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = tuple(files[:2])
        super().__init__(" and ".join(self.files))


class SpelledPaths:
    """Files of a folder by whatever path a table names them.

    The path may have either slash, ``./`` before it, accents composed or not, spaces around it, other case, another
    suffix or none, or bytes that are no UTF-8 as ``\\udcNN`` or in Windows-1252. The folder's own name and all
    above it may stand before it, or else other folders, if the same stand before all paths; folders within may be
    missing before it, even behind the folder's own name, and zeros before a number. What is spelled like a file
    exactly is that file; otherwise the nearest spelling counts, where one file alone has it.

    Args:
        files: paths within the folder, with slashes.
        folder: its path, of which the last part is its name.
        spelled: all paths of the table.
    """

    def __init__(self, files: Iterable[str], folder: str, spelled: Iterable[str]) -> None:
        self._files = frozenset(files)
        self._whole: dict[Callable[[str], str], dict[str, list[str]]] = {}
        self._ends: dict[tuple[Callable[[str], str], int], dict[str, list[str]]] = {}
        self._folder = _loose(PurePath(folder).name)
        before: set[str] = set()  # what stands before the paths that end like a file's
        for text in spelled:
            if text in self._files:
                before.add("")
                continue
            path = _plain(text)
            if self._has_last(path):
                ends = (self._split(path, form) for form in _FORMS)
                before |= {each for each, files in ends if files}
        own = {each for each in before if each and each.rsplit("/", 1)[-1] == self._folder}
        self._before = {"", *(own or (before if len(before) == 1 else ()))}

    def find(self, text: str) -> str | None:
        """The file, or None where there is none.

        Raises:
            AmbiguousPath: several may be meant.
        """
        if text in self._files:
            return text
        path = _plain(text)
        if not self._has_last(path):
            return None
        for form in _FORMS:
            before, files = self._split(path, form)
            if files and before in self._before:
                return _only(files)
        first, _, rest = path.partition("/")
        for end in (path, rest) if rest and _loose(first) == self._folder else (path,):
            for form in _FORMS:
                if within := self._by_end(form, end.count("/") + 1).get(form(end)):
                    return _only(within)
        return None

    def _has_last(self, path: str) -> bool:
        """Whether a file's last part is spelled so in any form: most names of a table of millions are none's."""
        return _number(_last(path)) in self._lasts

    @cached_property
    def _lasts(self) -> frozenset[str]:
        return frozenset(_number(_last(spelling)) for file in self._files for spelling in _spellings(file))

    def _split(self, path: str, form: Callable[[str], str]) -> tuple[str, list[str]]:
        """What stands before the longest end of the path that is a file's, and the files with that end."""
        parts = path.split("/")
        whole = self._by_whole(form)
        for start in range(len(parts)):
            if files := whole.get(form("/".join(parts[start:]))):
                return _loose("/".join(parts[:start])), files
        return "", []

    def _by_whole(self, form: Callable[[str], str]) -> dict[str, list[str]]:
        if form not in self._whole:
            self._whole[form] = _index(self._files, lambda file: form(file))
        return self._whole[form]

    def _by_end(self, form: Callable[[str], str], parts: int) -> dict[str, list[str]]:
        """The files by so many of their last parts, of those that have more."""
        if (form, parts) not in self._ends:
            longer = (file for file in self._files if file.count("/") >= parts)
            of_last = _index(longer, lambda file: form("/".join(file.split("/")[-parts:])))
            self._ends[form, parts] = of_last
        return self._ends[form, parts]


def _index(files: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Files by each of their spellings in a form."""
    found: dict[str, list[str]] = {}
    for file in sorted(files):
        for spelling in dict.fromkeys(key(each) for each in _spellings(file)):
            found.setdefault(spelling, []).append(file)
    return found


def _spellings(file: str) -> list[str]:
    """A file's path as text; bytes that are no UTF-8 as this package's tables write them, and as Windows does."""
    plain = _plain(file, slashes=False)
    if not any("\udc80" <= letter <= "\udcff" for letter in file):
        return [plain]
    windows = file.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return [plain, file.encode("utf-8", "backslashreplace").decode(), _plain(windows, slashes=False)]


def _only(files: list[str]) -> str:
    if len(files) > 1:
        raise AmbiguousPath(files)
    return files[0]


def _plain(text: str, slashes: bool = True) -> str:
    """Composed accents, no spaces around it, slashes that lean forward, no ``.`` and no empty parts."""
    path = unicodedata.normalize("NFC", text).strip()
    if slashes:
        escaped = path.replace("\\udc", "\0")  # a byte of a name, in this package's own tables
        path = escaped.replace("\\", "/").replace("\0", "\\udc")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _loose(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _stem(path: str) -> str:
    """Without the suffix of the last part: letters and digits behind a dot, one of them a letter; pages keep theirs."""
    path, page = of_page(path)
    last = _last(path)
    at = last.rfind(".")
    suffix = last[at:] if 0 < at < len(last) - 1 else ""
    return (path.removesuffix(suffix) if any(map(str.isalpha, suffix)) else path) + page


def of_page(path: str) -> tuple[str, str]:
    """A file, and "[3]" where the path is that of a page of it."""
    found = _PAGE.search(path) if path.endswith("]") else None
    return (path[: found.start()], found[0]) if found is not None else (path, "")


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _number(path: str) -> str:
    """The last part as a whole number, "003.png" and "3.0" as "3", where it is one."""
    before, _, last = _loose(_stem(path)).rpartition("/")
    whole = last.removesuffix(".0")
    number = str(int(whole)) if whole.isdecimal() and whole.isascii() and len(whole) < 20 else last
    return f"{before}/{number}" if before else number


_PAGE = re.compile(r"\[\d+\]\Z")
_FORMS: tuple[Callable[[str], str], ...] = (str, _loose, _stem, lambda path: _loose(_stem(path)), _number)
"""Spellings that count as the same, from the strictest."""
