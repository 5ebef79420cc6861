"""Images with soft labels that other programs wrote, such as mixup's, as hybrids."""

import re
from pathlib import Path

import numpy as np

from latentcli.artifacts.hybrid_folders import are_soft_labels
from latentcli.core.errors import DataError
from latentcli.formats.npz_reader import UnreadArray, UnsafeArrays, open_npz
from latentcli.formats.pixel_values import pixels_of

_NAMES = {
    "images": ("images", "image", "data", "x"),
    "soft_labels": ("softlabels", "softlabel", "softtargets", "labels", "targets", "probabilities", "y"),
    "classes": ("classes", "classnames", "labelnames"),
}
"""What the arrays may be called, in lower case and without what is no letter."""

_SAVE = "save it so: numpy.savez(file, images=images, soft_labels=soft_labels, classes=classes)"


def is_foreign(path: Path) -> bool:
    """Whether an archive has no checksum, nor the latents with which latentcli would have written it."""
    try:
        with open_npz(path) as archive:
            return not {"sha256", "latents"} & archive.arrays.keys()
    except UnsafeArrays:
        return False


def read_soft_labels(path: Path, notes: list[str]) -> dict[str, np.ndarray]:
    """Images and soft labels of an ``.npz`` file that ``is_foreign``, in the arrays of hybrids but for their latents.

    Args:
        path: of the file: ``images``, ``data`` or ``x`` (N, H, W), (N, H, W, C) or (N, C, H, W), numbers as
            ``pixel_values`` takes them; ``soft_labels``, ``labels`` or ``y`` (N, K), each row with a sum of 1, one-hot
            rows among them; and ``classes`` or ``class_names`` (K,), without which columns are called 0, 1 …
        notes: gets a line for what was not plain.

    Raises:
        DataError: an array is missing, or is not so.
    """
    try:
        with open_npz(path) as archive:
            keys = {name: _find(archive.arrays, called) for name, called in _NAMES.items()}
            found = ", ".join(f"{key} {array.shape}" for key, array in [*archive.arrays.items()][:8]) or "no arrays"
            found += "".join(f"; {key} is {why}" for key, why in [*archive.refused.items()][:3])
            if missing := [name for name in ("images", "soft_labels") if keys[name] is None]:
                raise DataError(f"{path} has no {' and no '.join(missing)}", f"found {found}", _SAVE)
            arrays = {name: archive.arrays[key].read() for name, key in keys.items() if key is not None}
    except UnsafeArrays as error:
        raise DataError(f"cannot read {path}", f"found {error}", _SAVE) from error
    pixels, told, _ = pixels_of(_channels_last(arrays["images"], path), str(path))
    notes += told
    soft_labels = _checked(arrays["soft_labels"], len(pixels), path)
    count = soft_labels.shape[1]
    classes = arrays.get("classes")
    if classes is None:
        classes = np.arange(count).astype(str)
        notes.append(f"{path} names no classes: the columns of its soft labels are called 0 to {count - 1}")
    texts = np.array([each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in classes])
    if texts.shape != (count,) or len(set(texts.tolist())) < count:
        expected = f"expected {count} names that all differ, one for each column of the soft labels"
        raise DataError(f"{path} has other classes than soft labels", f"{expected}, found {classes.shape}", _SAVE)
    return {"images": pixels, "soft_labels": soft_labels, "classes": texts}


def _find(arrays: dict[str, UnreadArray], called: tuple[str, ...]) -> str | None:
    """The key of an array by the likeliest of these names."""
    plain = {re.sub(r"[^a-z]", "", key.casefold()): key for key in arrays}
    return next((plain[name] for name in called if name in plain), None)


def _channels_last(images: np.ndarray, path: Path) -> np.ndarray:
    """(N, H, W) or (N, H, W, 3) of images in any of the layouts."""
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if not images.size or (images.ndim != 3 and (images.ndim != 4 or images.shape[3] != 3)):
        expected = "expected (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels"
        raise DataError(f"{path} holds no images with soft labels", f"{expected}, found {images.shape}", _SAVE)
    return images


def _checked(values: np.ndarray, count: int, path: Path) -> np.ndarray:
    """(N, K) float64 of soft labels for as many images; or what is wrong with them."""
    problem = f"{path} holds no soft labels"
    if values.ndim != 2 or len(values) != count or values.dtype.kind not in "biuf":
        found = f"expected numbers ({count}, classes), a row for each image, found {values.shape} {values.dtype}"
        label = values.size == count
        remedy = "one label an image? give the file as DATA, in place of images with soft labels" if label else _SAVE
        raise DataError(problem, found, remedy)
    soft_labels = values.astype(np.float64)
    if are_soft_labels(soft_labels):
        return soft_labels / soft_labels.sum(axis=1, keepdims=True)
    if not np.isfinite(soft_labels).all() or (soft_labels < 0).any():
        found, remedy = "negative numbers, or such that are not finite", "make probabilities of them, as softmax does"
    else:
        sums = soft_labels.sum(axis=1)
        worst = int(np.abs(sums - 1).argmax())
        found = f"one of {sums[worst]:g} in row {worst}"
        remedy = "divide each row by its sum: soft_labels / soft_labels.sum(axis=1, keepdims=True)"
        if not sums.all():
            remedy = f"leave out the {int((sums == 0).sum())} rows that are all 0, and their images"
    raise DataError(problem, f"expected rows with a sum of 1, found {found}", remedy)
