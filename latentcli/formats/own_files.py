"""The kinds of the files that latentcli reads, told by their first bytes: what stands where another kind belongs."""

import os
import shlex
import stat
import zipfile
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path

from latentcli.core.errors import UsageError, printable
from latentcli.formats.regular_files import kind, open_regular

_MOST = 2**16  # bytes that are looked at
_MOST_OF_PICKLES = 2**28  # whose arrays may come before what tells them
_PICKLED = {
    b"latentcli-checkpoint": "model", b"latentcli-probe": "probe", b"latentcli-training-state": "state of a training",
}  # fmt: skip
_SIGNED = "sha256.npy"  # of arrays with names that people have, too
_ARCHIVED = (
    ({"points.npy", "probabilities.npy"}, "graph"), ({"mu.npy", _SIGNED}, "file of latents"),
    ({"codes.npy", _SIGNED}, "file of latents"), ({"images.npy", "soft_labels.npy", _SIGNED}, "file of hybrids"),
)  # fmt: skip
ARRAYS, PICTURE = "file of arrays", "picture"
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
PARTS_OF_LATENTS, PARTS_OF_PREDICTIONS = "folder of latents", "folder of predictions"
_REMEDIES = {
    PARTS_OF_LATENTS: "name the shards that it was made of; fit-gmm, fit-graph, fit-probe and classify read latents",
    PARTS_OF_PREDICTIONS: "for latents of the shards that it was made of: latentcli encode SHARDS vae.pth -o DIR",
}
_LOOKED_AT = 1000  # names in a folder, in no order

CLASSIFIERS = frozenset({"mixture", "graph", "probe"})
PLACES = {
    "images": frozenset({"file of hybrids", ARRAYS, PICTURE}),
    "a model such as vae.pth": frozenset({"model", "state of a training"}),
    "a classifier such as gmm_params.pkl": CLASSIFIERS,
}
"""What an argument may be called for, and the kinds that are it; a state is refused where it is read."""
IMAGES, MODEL, CLASSIFIER = PLACES
_COMMANDS = {
    "mixture": ("fit-gmm", ".pkl"), "graph": ("fit-graph", ".npz"), "probe": ("fit-probe", ".pth"),
    "model": ("train", ".pth"),
}  # fmt: skip
"""The command that makes each kind, and what the names of its files end in."""

_ENDINGS = {suffix: made for made, (_, suffix) in _COMMANDS.items() if made in CLASSIFIERS}


def kind_of(path: Path) -> str | None:
    """What a file is, by a few bytes of it: nothing is checked, and nothing in it runs; None where it is not known.

    Or a folder of parts, by one of these.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        file, size = open_regular(path)
        with file:
            start = file.read(_MOST)
            if start[:6] == b"\x93NUMPY":
                return ARRAYS
            if start.startswith(_PICTURES):
                return PICTURE
            if start[:1] == b"\x80":
                with mmap(file.fileno(), min(size, _MOST_OF_PICKLES), access=ACCESS_READ) as content:
                    return "mixture" if content.find(b"component_labels") >= 0 else None
            if start[:4] == b"PAR1":  # what Parquet says of itself stands at its end
                file.seek(max(0, size - _MOST))
                return "file of latents" if b"latentcli-latents" in file.read(_MOST) else None
            if start[:2] != b"PK":
                return None
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                return _of_archive(archive)
    except Exception:  # the parsers of damaged files raise errors of any class
        return None


def _of_folder(folder: Path) -> str | None:
    with os.scandir(folder) as scanned:
        names = [each.name for each in islice(scanned, _LOOKED_AT)]
    part = next((name for name in sorted(names) if name.startswith("part-") and name.endswith(".parquet")), None)
    if part is None:
        return None
    file, size = open_regular(folder / part)
    with file:
        file.seek(max(0, size - _MOST))  # what Parquet says of itself stands at its end
        end = file.read(_MOST)
    if b"latentcli-part" not in end:
        return None
    return PARTS_OF_LATENTS if b'"holds": "latents"' in end else PARTS_OF_PREDICTIONS


def _of_archive(archive: zipfile.ZipFile) -> str | None:
    names = archive.namelist()
    for name in names:
        if name.endswith("/data.pkl"):
            with archive.open(name) as file:
                start = file.read(_MOST)
            return next((found for mark, found in _PICKLED.items() if mark in start), None)
    for members, found in _ARCHIVED:
        if members <= {*names}:
            return found
    return ARRAYS if names and all(name.endswith(".npy") for name in names) else None


def command(made: str, path: Path, checkpoint: str | None = None) -> str:
    """The call that makes a file of this kind again, at the user's ``path``, unless that loses something else.

    So it does where nothing is there, or one of this kind, or a damaged one that is called so; where a whole file of
    another kind may be there, or one that is called otherwise, the call writes where it does by itself.

    Args:
        made: "mixture", "graph", "probe" or "model".
        path: of the file that cannot be used.
        checkpoint: whose latents it is to read; None for a model.
    """
    name, suffix = _COMMANDS[made]
    call = ["latentcli", name, "DATA", *([] if checkpoint is None else [checkpoint])]
    damaged = kind(path) == stat.S_IFREG and path.suffix.lower() == suffix and not _is_whole(path)
    if kind(path) is None or damaged or kind_of(path) == made:
        call += ["-o", str(path)]
    return shlex.join(call)


def called(path: Path, holds: str | None = None) -> str:
    """The kind of classifier that a file's name says it is to hold: "mixture", "graph" or "probe".

    Args:
        path: of the file.
        holds: the kind that it will hold; None: that which its name says.

    Raises:
        UsageError: the name says none of them, or another one.
    """
    found = _ENDINGS.get(path.suffix.lower())
    if found is None or holds not in (None, found):
        endings = {made: suffix for suffix, made in _ENDINGS.items()}
        expected = " or ".join(f"{suffix} ({made})" for made, suffix in endings.items())
        if holds is not None:
            expected = f"{endings[holds]}, as it is a {holds}"
        problem = f"{printable(str(path))} is no name of {'a classifier' if holds is None else f'a {holds}'}"
        raise UsageError(problem, f"expected one that ends in {expected}", "name another file: `output`")
    return found


def _is_whole(path: Path) -> bool:
    """Whether a file ends as a pickle does, or is an archive with a directory."""
    try:
        file, _ = open_regular(path)
        with file:
            if file.read(2) == b"PK":
                return bool(zipfile.ZipFile(file).namelist())
            file.seek(-1, os.SEEK_END)
            return file.read() == b"."
    except Exception:  # the parsers of damaged files raise errors of any class
        return False


def misplaced(path: Path, place: str) -> UsageError | None:
    """The error that says what a file is that stands in the place of another; None where it may be the right one.

    Args:
        path: of the file.
        place: one of ``PLACES``.
    """
    return _misplaced(path, place, kind_of(path))


def _misplaced(path: Path, place: str, found: str | None) -> UsageError | None:
    if found is None or found in PLACES[place]:
        return None
    own = "latentcli " if place == IMAGES else ""
    problem = f"{printable(str(path))} is a {own}{found}, and stands where {_verb(place)}"
    remedy = "to go on from it when training: `continue_from`" if (place, found) == (IMAGES, "model") else None
    remedy = _REMEDIES.get(found, remedy)
    return UsageError(problem, None, remedy)


def _verb(place: str) -> str:
    return f"{place} {'belong' if place == IMAGES else 'belongs'}"


def check_place(path: Path, place: str) -> str | None:
    """What a file is, as ``kind_of`` tells, where that is what its place asks for, or where it is not known.

    Raises:
        UsageError: the file is known to be of another kind.
    """
    found = kind_of(path)
    if (error := _misplaced(path, place, found)) is not None:
        raise error
    return found
