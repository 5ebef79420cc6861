"""Makes the images beside this file from scikit-learn's digits: ``python sample_data/make.py``.

The handwritten 1s, 4s and 8s of the set (see README.md for its authors) are enlarged from 8×8 to 28×28 pixels and
dealt out to four files that have no image in common. The same bytes come out on every run.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
CLASSES = (1, 4, 8)
TEST, LABELLED = 30, 5  # images of each class
RECONSTRUCTED = 10  # images in all
SEED = 0


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """(28, 28) uint8 of (8, 8) values from 0 to 16, with an empty frame such as MNIST's digits have."""
    grey = np.pad(np.rint(pixels * (255 / 16)).astype(np.uint8), 2)
    return np.asarray(Image.fromarray(grey).resize((28, 28), Image.Resampling.BICUBIC))


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Like ``numpy.savez_compressed``, but without the time of day in it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(member, content.getvalue(), compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)


def make(folder: Path) -> None:
    """Write ``train.npz``, ``val.npz``, ``recon.npz`` and ``test/`` into a folder."""
    pixels, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(SEED)
    labelled, rest = [], []
    for digit in CLASSES:
        rows = rng.permutation(np.flatnonzero(labels == digit))
        target = folder / "test" / str(digit)
        target.mkdir(parents=True, exist_ok=True)
        for row in np.sort(rows[:TEST]):
            Image.fromarray(enlarged(pixels[row].reshape(8, 8))).save(target / f"{row:04d}.png")
        labelled.append(rows[TEST : TEST + LABELLED])
        rest.append(rows[TEST + LABELLED :])
    val = rng.permutation(np.concatenate(labelled))
    others = rng.permutation(np.concatenate(rest))
    images = np.stack([enlarged(row.reshape(8, 8)) for row in pixels])
    write_npz(folder / "val.npz", data=images[val], labels=labels[val].astype(np.int64))
    write_npz(folder / "recon.npz", data=images[others[:RECONSTRUCTED]])
    write_npz(folder / "train.npz", data=images[others[RECONSTRUCTED:]])


if __name__ == "__main__":
    make(HERE)
