"""How good labels, reconstructions and latents are, under the keys that every command reports.

Arrays in, plain numbers out: what is returned can be written as JSON as it is. Fractions are 0…1.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

SSIM_WINDOW = 7
"""Pixels: the side of the square window of the structural similarity, scikit-image's default."""

_SCORES = ("precision", "recall", "f1")
NAMES = ("accuracy", *(f"{each}_{score}" for score in _SCORES for each in ("macro", "micro")), "mse", "psnr", "ssim")
"""What ``classification`` and ``reconstruction`` report as single numbers, beside the number of images."""

ACTIVE_VARIANCE = 0.01
"""A latent dimension is active when its posterior mean varies more than this over the data (Burda et al. 2016)."""

MOST_CLASSES = 1_000
"""Of a confusion matrix; of 93,000 names, as a set of captions has, one would take 69 GB."""

_VALUES_AT_ONCE = 2**20  # pixels turned to float64 at a time: what bounds the memory, whatever the number of images


def classification(
    truth: Sequence[str | None] | np.ndarray, predicted: Sequence[str | None] | np.ndarray, classes: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Accuracy, precision, recall, F1 and the confusion matrix of predicted class names.

    An image without a known class is left out. An image without a prediction (rejected, unreadable) is a miss of
    its class and a false alarm of none: it lowers accuracy and recall, not precision, and has no column in the
    confusion matrix, whose rows then sum to less than the images of the class. The averages agree with
    scikit-learn's over the classes that occur in the truth or in the predictions, and 0/0 is 0.

    Args:
        truth, predicted: (N,) class names; ``None`` or ``""`` where unknown, or where there is no prediction.
        classes: the order of the confusion matrix; names that occur and are not in it follow, sorted.

    Returns:
        ``images`` (those of known class), ``accuracy``, ``macro_`` and ``micro_`` ``f1``, ``precision`` and
        ``recall``, ``confusion_matrix`` (rows are the truth) and its ``classes``, but of more than ``MOST_CLASSES``;
        empty when no class is known.

    Raises:
        ValueError: truth and predictions are not of one length.
    """
    if len(truth) != len(predicted):
        raise ValueError(f"{len(truth)} true classes, but {len(predicted)} predictions")
    pairs = zip(truth, predicted, strict=True)
    return classification_of_counts(Counter((str(true), str(guess or "")) for true, guess in pairs if true), classes)


def classification_of_counts(counts: Mapping[tuple[str, str], int], classes: Sequence[str]) -> dict[str, Any]:
    """The same metrics from numbers of images, so that those of any set need no more than its pairs of classes.

    Args:
        counts: how many images of each known class got each predicted one, "" where there is no prediction.
        classes: as for ``classification``.
    """
    counts = {pair: count for pair, count in counts.items() if count and pair[0]}
    if not counts:
        return {}
    occurring = {name: row for row, name in enumerate(sorted({name for pair in counts for name in pair} - {""}))}
    of_each = np.zeros((3, len(occurring)))  # images, by class
    right, known, given = of_each
    for (true, guess), count in counts.items():
        known[occurring[true]] += count
        if guess:
            given[occurring[guess]] += count
            right[occurring[guess]] += count * (true == guess)
    result: dict[str, Any] = {"images": int(known.sum()), "accuracy": float(right.sum() / known.sum())}
    for average, (hits, there, claimed) in (("macro", of_each), ("micro", of_each.sum(axis=1, keepdims=True))):
        scores = _ratios(hits, claimed), _ratios(hits, there), _ratios(2 * hits, there + claimed)
        result |= {f"{average}_{name}": float(score.mean()) for name, score in zip(_SCORES, scores, strict=True)}
    names = [str(name) for name in classes]
    names += sorted(occurring.keys() - {*names})
    if len(names) > MOST_CLASSES:
        return result
    rows = {name: row for row, name in enumerate([*names, ""])}
    matrix = np.zeros((len(rows), len(rows)), np.int64)
    for (true, guess), count in counts.items():
        matrix[rows[true], rows[guess]] = count
    return {**result, "confusion_matrix": matrix[:-1, :-1].tolist(), "classes": names}  # the last column: rejected


def _ratios(some: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(some, of, out=np.zeros_like(some), where=of > 0)


class ReconstructionScore:
    """Mean squared error, peak signal-to-noise ratio and structural similarity, gathered batch by batch.

    Nothing of a batch is kept but sums, so a set of any size is scored in constant memory.
    """

    def __init__(self) -> None:
        self._images = 0
        self._squared_error = 0.0
        self._similarity = 0.0

    def add(self, originals: np.ndarray, reconstructions: np.ndarray) -> None:
        """Take in one batch; arguments and errors as for ``ssim_per_image``."""
        for x, y in _blocks(originals, reconstructions):
            self._images += len(x)
            self._squared_error += float(np.square(x - y).mean(axis=(1, 2, 3)).sum())
            self._similarity += float(_similarity(x, y).sum())

    def result(self) -> dict[str, float]:
        """``images``, ``mse`` (pixels in [0, 1]), ``psnr`` and ``ssim``, means over the images; empty for none.

        ``psnr`` is in decibels, of the mean squared error; left out when the reconstructions are exact.
        """
        if not self._images:
            return {}
        mse = self._squared_error / self._images
        psnr = {"psnr": float(-10 * np.log10(mse))} if mse > 0 else {}
        return {"images": self._images, "mse": mse, **psnr, "ssim": self._similarity / self._images}


def reconstruction(originals: np.ndarray, reconstructions: np.ndarray) -> dict[str, float]:
    """The ``ReconstructionScore`` of one pair of sets, (N, C, H, W) each."""
    score = ReconstructionScore()
    score.add(originals, reconstructions)
    return score.result()


def ssim_per_image(originals: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """(N,) float64 in [-1, 1]: structural similarity of each pair of images, as scikit-image computes it.

    Images are (N, C, H, W) uint8 in 0…255 or float in [0, 1]. Uniform 7×7 window, sample covariance, data range 1; only
    windows that lie inside the image count, and channels are averaged.

    Raises:
        ValueError: the shapes differ, or the images are smaller than the window.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, equation 13, K1 = 0.01, K2 = 0.03.
    """
    return np.concatenate([np.zeros(0), *(_similarity(x, y) for x, y in _blocks(originals, reconstructions))])


def _similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from skimage.metrics import structural_similarity as ssim

    pairs = zip(x, y, strict=True)
    return np.array([ssim(*pair, win_size=SSIM_WINDOW, data_range=1, channel_axis=0) for pair in pairs])


def _blocks(originals: np.ndarray, reconstructions: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both sets as float64 in [0, 1], some images at a time."""
    if originals.ndim != 4 or originals.shape != reconstructions.shape:
        raise ValueError(f"expected two arrays (N, C, H, W), not {originals.shape} and {reconstructions.shape}")
    if min(originals.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"images of {originals.shape[-2:]} pixels, but the window has {SSIM_WINDOW}")
    step = max(1, _VALUES_AT_ONCE // max(1, int(np.prod(originals.shape[1:]))))
    for start in range(0, len(originals), step):
        yield _as_float(originals[start : start + step]), _as_float(reconstructions[start : start + step])


def _as_float(images: np.ndarray) -> np.ndarray:
    return images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64)


class Spread:
    """The variance of each of D numbers over images that go by, in float64.

    Source of the sums: Chan, Golub & LeVeque 1979, equation 2.1.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take in the next values, (n, D)."""
        count, values = len(values), values.astype(np.float64)
        mean = values.mean(axis=0)
        apart, total = mean - self._mean, self._count + count
        self._squares += np.square(values - mean).sum(axis=0) + apart**2 * (self._count * count / total)
        self._mean += apart * (count / total)
        self._count = total

    @property
    def variances(self) -> np.ndarray:
        """(D,); of one image or more."""
        return np.asarray(self._squares) / self._count

    @property
    def active_units(self) -> int:
        """How many of the numbers vary more than ``ACTIVE_VARIANCE``."""
        return int((self.variances > ACTIVE_VARIANCE).sum())


def active_units(mu: np.ndarray) -> int:
    """How many latent dimensions carry information: those whose posterior mean, of ``mu`` (N, D), varies over the data.

    Source: Burda, Grosse & Salakhutdinov 2016, section 5: variance of the mean above 0.01.
    """
    spread = Spread()
    spread.add(mu)
    return spread.active_units


def codes(numbers: np.ndarray, size: int) -> dict[str, float]:
    """``codes_of_counts`` of integers of any shape in 0 … size − 1."""
    return codes_of_counts(np.bincount(numbers.ravel(), minlength=size))


def codes_of_counts(counts: np.ndarray) -> dict[str, float]:
    """How evenly a codebook is used: ``perplexity``, the exponential of the entropy of its codes, and ``codes_used``.

    ``counts`` (K,) are how often each code occurs; ``codes_used`` is the fraction of these that does.
    """
    shares = counts[counts > 0] / counts.sum()
    return {"perplexity": float(np.exp(-(shares * np.log(shares)).sum())), "codes_used": float((counts > 0).mean())}
