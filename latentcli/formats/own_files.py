"""The kinds of the files that latentcli writes, told by their first bytes: what stands where another kind belongs."""

import zipfile
from pathlib import Path

from latentcli.core.errors import UsageError, printable
from latentcli.formats.regular_files import open_regular

_MOST = 2**16  # bytes that are looked at
_PICKLED = {
    b"latentcli-checkpoint": "model", b"latentcli-probe": "probe", b"latentcli-training-state": "state of a training",
}  # fmt: skip
_SIGNED = "sha256.npy"  # of arrays with names that people have, too
_ARCHIVED = (
    ({"points.npy", "probabilities.npy"}, "graph"), ({"mu.npy", _SIGNED}, "file of latents"),
    ({"codes.npy", _SIGNED}, "file of latents"), ({"images.npy", "soft_labels.npy", _SIGNED}, "file of hybrids"),
)  # fmt: skip
ARRAYS = "file of arrays"

CLASSIFIERS = frozenset({"mixture", "graph", "probe"})
PLACES = {
    "images": frozenset({"file of hybrids", ARRAYS}),
    "a model such as vae.pth": frozenset({"model", "state of a training"}),
    "a classifier such as gmm_params.pkl": CLASSIFIERS,
}
"""What an argument may be called for, and the kinds that are it; a state is refused where it is read."""
IMAGES, MODEL, CLASSIFIER = PLACES


def kind_of(path: Path) -> str | None:
    """What a file is, by a few bytes of it: nothing is checked, and nothing in it runs; None where it is not known."""
    try:
        file, _ = open_regular(path)
        with file:
            start = file.read(_MOST)
            if start[:6] == b"\x93NUMPY":
                return ARRAYS
            if start[:1] == b"\x80":
                return "mixture" if b"component_labels" in start or b"covariance_type" in start else None
            if start[:2] != b"PK":
                return None
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                return _of_archive(archive)
    except Exception:  # the parsers of damaged files raise errors of any class
        return None


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
