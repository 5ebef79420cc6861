"""What a folder holds: its images at any depth, and what is passed over."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from latentcli.core.errors import DataError
from latentcli.data.foreign import suffix_of
from latentcli.data.paired_folders import paired
from latentcli.formats.regular_files import kind

SYSTEM = (
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "@recycle", "@recently-snapshot", "@tmp", "recycler", "lost.dir",
    "thumbs", "_thumbs", "thumbnails", "_thumbnails", "__thumbnails__", "__pycache__", "__cache__", "node_modules",
    "site-packages", "venv", "wandb", "mlruns", "lightning_logs",
)  # fmt: skip
"""Files and folders that Windows, macOS, Linux, network storage and programs leave beside pictures; in lower case."""
TEXTS = (
    ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".html", ".py",
    ".ipynb", ".sh", ".log", ".pdf", ".url", ".sha256", ".md5",
)  # fmt: skip
"""What the names of files that are no images end in, in lower case: a folder of these has lost no image."""

NAMED = 3  # bad files in a message
DEEPEST = 64  # folders within folders


@dataclass(frozen=True)
class _Folder:
    """A folder to take in: its path, what goes before the names in it, the depth below, real paths down to its own."""

    path: Path
    prefix: str
    deepest: int
    above: tuple[str, ...]


@dataclass
class Entries:
    """What a folder holds; paths are within it, with slashes, and sorted.

    A FIFO or a broken link with the suffix of an image is among the images: it will be listed as unreadable. A broken
    link without a suffix may have led to a folder.

    Attributes:
        images: paths of all entries with the suffix of an image.
        others: paths of the files with other suffixes, or none.
        hidden: paths of files and folders with a leading dot, and of those that are a system's.
        again: paths of links to folders that are read under another path.
        broken: paths of other links that lead to nothing.
        folders: paths of the folders directly within.
    """

    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, deepest: int = DEEPEST) -> "Entries":
        """The entries of a folder and of those within it, to that depth.

        Raises:
            DataError: a link leads to a folder that holds it.
            OSError: a folder cannot be read.
        """
        found, real = cls(), os.path.realpath(folder)
        if folder.is_symlink() and Path(os.path.realpath(folder.parent)).is_relative_to(real):
            raise _loop(folder, real)
        links: list[_Folder] = []
        seen: set[str] = set()
        found._walk(_Folder(folder, "", deepest, (real,)), links, seen)
        while links:
            link = min(links, key=lambda each: (each.prefix.count("/"), each.prefix))
            links.remove(link)
            if link.above[-1] in seen:
                found.again.append(link.prefix.removesuffix("/"))
            else:
                found._enter(link, links, seen)
        for paths in vars(found).values():
            paths.sort()
        return found

    def _walk(self, folder: "_Folder", links: "list[_Folder]", seen: set[str]) -> None:
        """Take in a folder and those within it; links to folders are left for later, so that a folder is no link's."""
        usual = usual_suffixes()
        with os.scandir(folder.path) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            path = folder.prefix + entry.name
            if is_hidden(entry.name):
                self.hidden.append(path)
            elif is_folder(entry):
                real = os.path.realpath(entry.path)
                if real in folder.above or Path(folder.above[-1]).is_relative_to(real):
                    raise _loop(folder.path / entry.name, real)
                inner = _Folder(folder.path / entry.name, f"{path}/", folder.deepest - 1, (*folder.above, real))
                if entry.is_symlink():
                    links.append(inner)
                else:
                    self._enter(inner, links, seen)
            elif entry.name.lower().endswith(usual) or is_image(folder.path / entry.name):
                self.images.append(path)
            elif entry.is_symlink() and kind(Path(entry.path)) is None:
                self.broken.append(path)
            else:
                self.others.append(path)

    def _enter(self, folder: "_Folder", links: "list[_Folder]", seen: set[str]) -> None:
        seen.add(folder.above[-1])
        if folder.prefix.count("/") == 1:
            self.folders.append(folder.prefix.removesuffix("/"))
        if folder.deepest >= 0:
            self._walk(folder, links, seen)

    def below(self, folders: Mapping[str, str]) -> "Entries":
        """Of each folder directly within, what lies in this one of its folders alone."""
        kept = tuple(f"{name}/{inner}/" for name, inner in folders.items())
        within = {of: [path for path in paths if path.startswith(kept)] for of, paths in vars(self).items()}
        return Entries(**{**within, "folders": sorted(folders)})

    @property
    def paired(self) -> tuple[list[str], list[str]] | None:
        """The folders of images and of what was drawn over them, where no other holds images: see ``paired``."""
        full = sorted({path.split("/")[0] for path in self.images if "/" in path})
        alone = len(full) > 1 and all("/" in path for path in self.images)
        pictures, drawn = paired(full) if alone else ([], [])
        return (pictures, drawn) if pictures else None

    @property
    def of_system(self) -> list[str]:
        """How many entries are hidden, and what some are called; nothing where none is."""
        if not self.hidden:
            return []
        names = sorted({PurePosixPath(path).name for path in self.hidden})
        shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
        return [f"{len(self.hidden)} hidden or of the system ({shown})"]

    def notes(self, name: str) -> list[str]:
        """A line for what was passed over, and one for folders without any file."""
        kinds = Counter(suffix_of(path) or "without a suffix" for path in self.others)
        parts = [f"{count} {suffix}" for suffix, count in kinds.most_common(8)]
        parts += [f"{sum(kinds.values()) - sum(count for _, count in kinds.most_common(8))} others"] * (len(kinds) > 8)
        parts += self.of_system
        lines = [f"{name}: passed over what is no image: {', '.join(parts)}"] if parts else []
        if medical := medical_advice(self.others):
            lines.append(f"{name}: {medical}")
        if self.again:
            lines.append(f"{name}: each folder is read once; passed over further links: {some(self.again)}")
        lines += self.note_of_broken(name)
        full = {path.split("/")[0] for path in self.images}
        if empty := [each for each in self.folders if each not in full]:
            lines.append(f"{name}: no images in {some(empty)}")
        return lines

    def note_of_broken(self, name: str) -> tuple[str, ...]:
        """A line for links that lead to nothing, where there are some."""
        return (f"{name}: passed over links to what is not there: {some(self.broken)}",) if self.broken else ()


def holds_images(folder: Path, deepest: int | None = None) -> bool:
    """Whether there is an image file in a folder, or in its sub-folders as deep as this."""
    usual = usual_suffixes()
    with os.scandir(folder) as entries:  # mostly the first one is, and nothing need be sorted
        if any(
            each.name.lower().endswith(usual) and not is_hidden(each.name) and not is_folder(each) for each in entries
        ):
            return True
    return bool(Entries.of(folder, DEEPEST if deepest is None else deepest).images)


def is_hidden(name: str) -> bool:
    """Whether a file or folder within another is passed over by its name."""
    return name.startswith(".") or name.casefold() in SYSTEM


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_image(path: Path) -> bool:
    """Whether a file is an image: by its suffix, or, of medical formats and without a suffix, by its content."""
    from latentcli.formats import image_files

    return image_files.is_image(path)


def image_suffixes() -> tuple[str, ...]:
    """What the names of image files end in, in lower case."""
    from latentcli.formats import image_files

    return image_files.suffixes()


def usual_suffixes() -> tuple[str, ...]:
    """Those of files that are images by their names alone."""
    from latentcli.formats import image_files

    return image_files.SUFFIXES


def _loop(link: Path, real: str) -> DataError:
    remedy = "remove the link, or name a folder without it"
    return DataError(f"{link} is a link to a folder that holds it", f"found a link to {real}", remedy)


def medical_advice(paths: Sequence[str]) -> str:
    """How files of medical formats are read that need a package; nothing where there are none."""
    from latentcli.formats.medical_files import INSTALL, installed, kind_by_name

    kinds = sorted({kind for path in paths if (kind := kind_by_name(path)) is not None and not installed(kind)})
    return f"{' and '.join(kinds)} files are not read before {INSTALL}" if kinds else ""


def some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
