"""``digits``: 1,797 handwritten digits of 8×8 pixels that come with scikit-learn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.progress import Progress

TRAINING_IMAGES = 1437
"""Four fifths. The file is sorted by writer, so most digits of the last fifth are by other writers."""


def digits(split: str, roots: Sequence[Path], progress: Progress) -> ImageSet:
    """The first 1,437 images ("train") or the last 360 ("test"), in the order of the file.

    Pixels of 0…16 (the number of inked dots among 4×4) become 0…255, rounded.

    Source: E. Alpaydin, C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
        doi:10.24432/C50P49, CC BY 4.0.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    half = slice(None, TRAINING_IMAGES) if split == "train" else slice(TRAINING_IMAGES, None)
    names = tuple("0123456789")
    return ImageSet(images[half], Labels(labels[half].astype(np.int64), names), name="digits", layout="NHW")
