"""Labels of a set of images: codes, and the names of the classes, whose order is kept throughout."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Self, TypeVar

import numpy as np

from latentcli.core.errors import DataError, LatentError, UsageError
from latentcli.core.settings import check_number

UNLABELLED = -1
"""The code of an image without a label; its text is empty."""

NO_LABEL = ("-1", "-1.0", "nan", "unknown", "unlabeled", "unlabelled")
"""Names that mean, in any case and in every source, that an image has no label, unless the caller says otherwise."""

_MAY_BE_NO_LABEL = ("n/a", "na", "none", "null", "?", "-", "-9", "-100", "-999")
"""Names that often mean the same, and are told: PyTorch ignores -100."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The class of each of N images, as far as it is known.

    Attributes:
        codes: (N,) int64 indices into ``names``, ``UNLABELLED`` where the class is not known.
        names: of the classes, in the data's own order; some may label no image.

    Example:
        >>> import latentcli as lc
        >>> labels = lc.Labels.of(["cat", "", "dog", "cat"])
        >>> labels.codes.tolist(), labels.names, labels.counts.tolist()
        ([0, -1, 1, 0], ('cat', 'dog'), [2, 1])
    """

    codes: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def none(cls, count: int) -> Self:
        """Labels of ``count`` images that are all unlabelled."""
        return cls(np.full(count, UNLABELLED, dtype=np.int64))

    @classmethod
    def of(cls, texts: Sequence[str] | np.ndarray, names: Sequence[str] | None = None) -> Self:
        """Labels from class names.

        Args:
            texts: (N,) names, "" for an unlabelled image.
            names: the classes in their order, any other name meaning unlabelled; None takes those that occur, in
                ``class_order``. Of both, those that show the same letters are the same: see ``composed``.
        """
        given = [composed(str(text)) for text in texts]
        order = class_order(set(given) - {""}) if names is None else tuple(dict.fromkeys(map(composed, names)))
        index = {name: code for code, name in enumerate(order)}
        return cls(np.array([index.get(text, UNLABELLED) for text in given], dtype=np.int64), order)

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def known(self) -> np.ndarray:
        """(N,) bool: which images have a label."""
        return self.codes != UNLABELLED

    @cached_property
    def texts(self) -> np.ndarray:
        """(N,) names of the classes, "" where there is no label."""
        return np.array([*self.names, ""])[self.codes]

    @property
    def any(self) -> bool:
        """Whether one image or more has a label."""
        return bool(self.known.any())

    @property
    def occurring(self) -> tuple[str, ...]:
        """The names that label one image or more, in their order."""
        return tuple(name for name, count in zip(self.names, self.counts, strict=True) if count)

    @property
    def counts(self) -> np.ndarray:
        """(K,) how many images each name labels."""
        return np.bincount(self.codes[self.known], minlength=len(self.names))

    def take(self, rows: np.ndarray | slice) -> Self:
        """The labels of these rows (indices, a boolean mask or a slice)."""
        return replace(self, codes=self.codes[rows])

    def among(self, names: Sequence[str]) -> Self:
        """The same labels with these names in this order; images of other classes become unlabelled."""
        index = {name: code for code, name in enumerate(names)}
        codes = np.array([*(index.get(name, UNLABELLED) for name in self.names), UNLABELLED], dtype=np.int64)
        return replace(self, codes=codes[self.codes], names=tuple(names))

    def in_composed_names(self) -> "Labels":
        """The same labels with composed names, of which those that show the same letters become one class."""
        if all(composed(name) == name for name in self.names):
            return self
        return Labels.of(self.texts, self.names)

    def followed_by(self, other: "Labels") -> "Labels":
        """These labels, then the other's; names that only the other has come last."""
        names = (*self.names, *(name for name in other.names if name not in self.names))
        return Labels(np.concatenate([self.codes, other.among(names).codes]), names)

    def per_class(self, n: int, seed: int, of: str = "the images") -> Self:
        """Only ``n`` labels of each class; all other images become unlabelled.

        Each class is drawn by itself, so that it does not depend on the others. ``of`` is for messages.

        Raises:
            UsageError: ``n`` is no whole number from 1.
            DataError: there are no labels, or fewer than ``n`` of a class.
        """
        check_number("`labels_per_class`", int(n) if isinstance(n, Integral) else n, 1, 10**9)
        if not self.any:
            problem, remedy = f"{of} has no labels to choose {n} per class from", "leave out `labels_per_class`"
            raise DataError(problem, "expected some labelled images", remedy)
        kept = np.full(len(self), UNLABELLED, dtype=np.int64)
        counts = np.bincount(self.codes[self.known], minlength=len(self.names))
        if (least := int(counts.min())) < n:
            fewer = f"ask for at most {least} per class, or " if least else ""
            raise DataError(
                f"{of} has too few labels of class {self.names[int(counts.argmin())]!r}",
                f"expected {n}, found {least}", f"{fewer}leave that class out with `classes`",
            )  # fmt: skip
        for code in range(len(self.names)):
            rows = np.flatnonzero(self.codes == code)
            kept[np.random.default_rng([seed, code]).choice(rows, size=n, replace=False)] = code
        return replace(self, codes=kept)


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC): macOS writes an accent apart, other systems and people do not."""
    return unicodedata.normalize("NFC", name)


def read_labels(
    texts: Sequence[str], of: str, no_label: Sequence[str] | None = None
) -> tuple[list[str], tuple[str, ...]]:  # fmt: skip
    """Names of classes as they stand in a source, and "" for those that mean no label: one rule for all sources.

    Args:
        texts: (N,) as they stand in the source; "" and blanks mean no label, whatever else does.
        of: what they are labels of, for the notes.
        no_label: the names that mean no label, in any case; None: ``NO_LABEL``.

    Returns:
        (N,) names, composed; and notes for the user: how many mean no label, and which classes look alike.
    """
    meant = {name.strip().casefold() for name in (NO_LABEL if no_label is None else no_label)} | {""}
    none = {text for text in set(texts) if text.strip().casefold() in meant}
    found = Counter(text.strip() for text in texts if text in none)
    names = ["" if text in none else composed(text) for text in texts]
    alike = _alike(set(names), of)
    if no_label is None and (doubted := sorted(n for n in set(names) if n.strip().casefold() in _MAY_BE_NO_LABEL)):
        told = f"{of}: {', '.join(doubted)} may mean no label; if so: `no_label` {','.join(doubted)}"
        alike = (*alike, told)
    if not found:
        return names, alike
    each = ", ".join(f"{text or 'empty'} ({count})" for text, count in found.most_common(3))
    note = f"{of}: {found.total()} of {len(names)} labels mean no label: {each}"
    return names, (note + ("; if it is a class: `no_label` ''" if any(found) else ""), *alike)


def _alike(names: Iterable[str], of: str) -> tuple[str, ...]:
    """A note on classes whose names differ in what the eye passes over alone, at most one: see ``_seen``."""
    spellings: dict[str, list[str]] = {}
    for name in sorted(names):
        spellings.setdefault(_seen(name), []).append(name)
    pairs = [", ".join(map(repr, each)) for each in spellings.values() if len(each) > 1]
    if not pairs:
        return ()
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    what = "in capitals, spaces or how letters are written alone"
    return (f"{of}: these classes differ {what}, and stay apart: {'; '.join(pairs[:3])}{more}",)


def _seen(name: str) -> str:
    """A name without what the eye passes over: capitals, spaces around it, letters of no width or of full width."""
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", visible).strip().casefold()


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names without repetition: by value when all are whole numbers ("9" before "10"), else by text."""
    unique = set(map(composed, names))
    if all(name.removeprefix("-").isdecimal() and name.isascii() and len(name) < 20 for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def check_some(classes: Sequence[object]) -> None:
    """Raise a UsageError for a choice of classes that names none, as where a variable of a script is not set.

    Or one that is a text, whose letters would be taken for them.
    """
    if isinstance(classes, str):
        raise UsageError(
            f"`classes` is the text {classes!r}", "expected several names", f"such as {classes.split(',')}"
        )
    if not any(str(name).strip() for name in classes):
        raise UsageError("`classes` names no class", None, "name some, such as `classes` cat,dog; or leave it out")


def as_names(classes: Sequence[object] | None) -> tuple[str, ...] | None:
    """A choice of classes as texts, of numbers too; None where there is none; a UsageError as of ``check_some``."""
    if classes is None:
        return None
    check_some(classes)
    return tuple(map(str, classes))


def check_classes(
    classes: Sequence[str], known: Sequence[str], of: str, error: type[LatentError] = DataError
) -> None:  # fmt: skip
    """Raise an error, of data's unless said otherwise, if not all these classes are among the known ones of ``of``."""
    check_some(classes)
    if unknown := [repr(name) for name in classes if name not in known]:
        raise error(f"{of} has no class {', '.join(unknown)}", f"expected some of: {', '.join(known)}")


class Labelled:
    """A dataclass with labels: a set of images, or their latents."""

    labels: Labels

    def __post_init__(self) -> None:
        if self.labels is None:
            object.__setattr__(self, "labels", Labels.none(len(self)))

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """How to call the set in messages."""
        return f"this set of {type(self).__name__.lower()}"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the data's own order."""
        return self.labels.names

    def unlabelled(self) -> Self:
        """The same set, all of it unlabelled."""
        return replace(self, labels=Labels.none(len(self)))  # type: ignore[type-var]


AnySet = TypeVar("AnySet", bound=Labelled)


def labelled_per_class(of: AnySet, n: int, seed: int) -> AnySet:
    """The same images, or latents, with only ``n`` labels of each class: see ``Labels.per_class``."""
    return replace(of, labels=of.labels.per_class(n, seed, of.name))  # type: ignore[type-var]
