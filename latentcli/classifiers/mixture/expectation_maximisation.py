"""Expectation maximisation over chunks of data that need not fit in memory, with labels where there are some.

Only sums over the samples are kept: the sufficient statistics, and the log likelihood. The sums run on the CPU in
numpy, which is faster there, chunks side by side on as many threads as numpy has; or on an accelerator in torch. They
are added up in the order of the chunks, so that the number of threads does not change them. The maximisation step is
small and always numpy. Several processes may have some of the samples each, a ``Part``: then the sums are over all.

Source: Dempster, Laird & Rubin 1977; Nigam, McCallum, Thrun & Mitchell 2000, section 5, for the labelled samples.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from latentcli.classifiers.mixture.gaussians import Mixture, features, from_statistics
from latentcli.core.labels import UNLABELLED
from latentcli.numerics.threads import side_by_side

Result = TypeVar("Result")
_RESIDENT_BYTES = 4 * 2**30  # data up to this size stays on an accelerator from one iteration to the next


class CollapsedComponent(Exception):
    """A component lost its samples, or its covariance is not positive definite; ``component`` says which, if known."""

    def __init__(self, reason: str, component: int | None = None) -> None:
        super().__init__(reason)
        self.component = component


class Part(NamedTuple):
    """The samples of one process, where several share them out.

    Attributes:
        rows: of all samples those of this process; each belongs to one of them.
        add_up: the sum of an array over all processes, the same bytes in each.
    """

    rows: slice
    add_up: Callable[[np.ndarray], np.ndarray]


class Samples:
    """Points and labels, read a chunk at a time, float64, from the points' mean.

    Args:
        points: (N, D) float; may be memory-mapped, and is never copied whole. Of a ``part`` these, (n, D).
        labels: (N,) int, indices of classes, or ``UNLABELLED``; those of all samples also where points are a part.
        chunk_size, device: points at a time; ``"cpu"``, where numpy computes, or a torch device's name.
        part: which samples the points are of; None: all.

    Attributes:
        own_labels: (n,) of the points.
        origin, variances: (D,) of all points, origin being their mean.
        scale: (D,) the variances, a dead dimension's raised to a trace of the others', so that nothing divides by 0.
        finite: whether all coordinates are.
    """

    def __init__(
        self, points: np.ndarray, labels: np.ndarray, chunk_size: int, device: str = "cpu", part: Part | None = None
    ) -> None:
        self.rows, self.add_up = part or Part(slice(0, len(labels)), lambda array: array)
        self.own_labels = labels[self.rows]
        self.points, self.labels, self.chunk_size, self.device = points, labels, chunk_size, device
        self.xp = _namespace(device)
        self._resident: list[tuple[Any, Any]] | None = None
        # The variance in a second pass, from the mean: a single pass over squares loses all digits far from 0.
        with np.errstate(over="ignore", invalid="ignore"):
            self.origin = np.zeros(points.shape[1])
            total = sum((chunk.sum(axis=0) for chunk, _ in self._read()), self.origin)
            self.origin = self.add_up(total) / len(self)
            squares = sum(((chunk**2).sum(axis=0) for chunk, _ in self._read()), np.zeros(points.shape[1]))
            self.variances = self.add_up(squares) / len(self)
        self.scale = np.maximum(self.variances, 1e-24 * self.variances.mean())
        self.finite = bool(np.isfinite(self.origin).all() and np.isfinite(self.variances).all())

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """(n, D) float64: the points of the samples with these numbers (n,), whichever process has them."""
        own = (numbers >= self.rows.start) & (numbers < self.rows.stop)
        found = np.zeros((len(numbers), self.points.shape[1]))
        found[own] = self.points[numbers[own] - self.rows.start]
        return self.add_up(found)

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """(N,) float64: of all samples what this process knows of its own, (n,)."""
        found = np.zeros(len(self))
        found[self.rows] = values
        return self.add_up(found)

    def _read(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        yield from map(self._chunk, range(0, len(self.points), self.chunk_size))

    def _chunk(self, start: int) -> tuple[np.ndarray, np.ndarray | None]:
        rows = slice(start, start + self.chunk_size)
        labels = self.own_labels[rows]
        points = np.asarray(self.points[rows], dtype=np.float64) - self.origin
        return points, labels if (labels != UNLABELLED).any() else None

    def each(self, compute: Callable[..., Result]) -> Iterator[Result]:
        """What ``compute`` makes of the points and labels of each of the ``chunks``, in their order."""
        if self.xp is np:
            starts = range(0, len(self.points), self.chunk_size)
            return side_by_side(lambda start: compute(*self._chunk(start)), starts)
        return (compute(*chunk) for chunk in self.chunks())

    def chunks(self) -> Iterator[tuple[Any, Any]]:
        """Of each chunk the points, (n, D) from the origin, and the labels, (n,), or None where there are none."""
        if self.xp is np:
            yield from self._read()
        elif self._resident is not None:
            yield from self._resident
        else:
            held: list[tuple[Any, Any]] | None = [] if 8 * self.points.size <= _RESIDENT_BYTES else None
            for points, labels in self._read():
                marks = None if labels is None else self.xp.asarray(labels, device=self.device)
                pair = self.xp.asarray(points, device=self.device), marks
                if held is not None:
                    held.append(pair)
                yield pair
            self._resident = held


class Expectation(NamedTuple):
    """What one pass over the samples yields."""

    statistics: np.ndarray  # (K, F) Σ_i r_ik φ(z_i)
    log_likelihood: float  # nats per sample: the mean of log p(z), and of log p(z, class) for the labelled
    shared: np.ndarray  # (K, K) Σ_i r_ij r_ik, how many samples two components share


def expectation(samples: Samples, mixture: Mixture, component_classes: np.ndarray | None = None) -> Expectation:
    """The expectation step.

    With ``component_classes`` (K,), the class of each component, a labelled sample's responsibilities are 0 for
    components of other classes, and renormalised within its own. Without them labels are ignored.
    """
    xp = samples.xp
    try:
        natural = mixture.natural(samples.origin)
    except np.linalg.LinAlgError as error:
        raise CollapsedComponent("a covariance is no longer positive definite") from error
    if xp is not np:
        natural = xp.asarray(natural, device=samples.device)
        if component_classes is not None:
            component_classes = xp.asarray(component_classes, device=samples.device)

    def of_chunk(points: Any, labels: Any) -> tuple[Any, Any, Any]:
        phi = features(points, mixture.covariance_type, xp)
        responsibilities = natural @ phi  # (K, n) log joint, in place from here on
        if component_classes is not None and labels is not None:
            outside = (labels != UNLABELLED) & (component_classes[:, None] != labels)
            responsibilities[outside] = -xp.inf
        highest = xp.amax(responsibilities, 0)
        responsibilities -= highest
        xp.exp(responsibilities, out=responsibilities)
        sums = responsibilities.sum(0)
        responsibilities /= sums
        log_likelihood = (highest + xp.log(sums)).sum()
        return responsibilities @ phi.T, responsibilities @ responsibilities.T, log_likelihood

    totals: Any = 0.0, 0.0, 0.0
    for found in samples.each(of_chunk):
        totals = tuple(total + of_one for total, of_one in zip(totals, found, strict=True))
    statistics, shared, total = totals
    if xp is not np:
        statistics, shared = statistics.cpu().numpy(), shared.cpu().numpy()
    sums = np.concatenate([statistics.ravel(), shared.ravel(), [float(total)]])
    statistics, shared, total = np.split(samples.add_up(sums), [statistics.size, statistics.size + shared.size])
    count = len(mixture.weights)
    return Expectation(statistics.reshape(count, -1), float(total[0]) / len(samples), shared.reshape(count, count))


@dataclass
class Fit:
    """A mixture fitted by EM, after the last maximisation step.

    Attributes:
        component_classes: (K,) the class of each component; their own numbers where labels do not count.
        converged: whether the log likelihood rose by less than ``tol`` before the iterations ran out.
        log_likelihoods: nats per sample, before each maximisation step.
        shared: (K, K) as in ``Expectation``, in the last step.
        iterations_before: of a run of EM that ``mixture`` began from.
    """

    mixture: Mixture
    component_classes: np.ndarray
    converged: bool = False
    log_likelihoods: list[float] = field(default_factory=list)
    shared: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    iterations_before: int = 0


def maximise_likelihood(
    samples: Samples, start: Mixture, *, component_classes: np.ndarray | None = None, reg_covar: float = 1e-6,
    shrinkage: float = 0.0, tol: float = 1e-5, max_iter: int = 300,
    on_iteration: Callable[[int, Mixture, float], None] = lambda *_: None,
) -> Fit:  # fmt: skip
    """EM from ``start`` until the log likelihood rises by less than ``tol`` nats a sample, or ``max_iter`` iterations.

    The settings are those of ``Settings``; ``on_iteration`` is called with the iteration, the mixture it began with and
    its log likelihood.
    """
    fit = Fit(start, np.arange(len(start.weights)) if component_classes is None else component_classes)
    for iteration in range(max_iter):
        step = expectation(samples, fit.mixture, component_classes)
        if not np.isfinite(step.log_likelihood):
            raise CollapsedComponent("the likelihood is not finite")
        on_iteration(iteration, fit.mixture, step.log_likelihood)
        fit.log_likelihoods.append(step.log_likelihood)
        fit.shared = step.shared
        if (lost := step.statistics[:, 0] <= 10 * np.finfo(float).eps * len(samples)).any():
            raise CollapsedComponent("no sample is left to it", int(lost.argmax()))
        floor = reg_covar * samples.scale
        fit.mixture = from_statistics(step.statistics, samples.origin, start.covariance_type, floor, shrinkage)
        _check_spread(fit.mixture, floor)
        if iteration and abs(fit.log_likelihoods[-1] - fit.log_likelihoods[-2]) < tol:
            fit.converged = True
            break
    return fit


def _check_spread(mixture: Mixture, floor: np.ndarray) -> None:
    """Refuse a component whose variances are the floor: it sits on one point, and its likelihood is unbounded."""
    if mixture.covariance_type == "tied":
        return
    variances = mixture.covariances
    if mixture.covariance_type == "full":
        variances = np.diagonal(variances, axis1=1, axis2=2)
    collapsed = variances <= 1.001 * (floor if variances.ndim == 2 else floor.mean())
    if (lost := collapsed.reshape(len(variances), -1).all(axis=1)).any():
        raise CollapsedComponent("it sits on a single point", int(lost.argmax()))


def _namespace(device: str) -> ModuleType:
    if device == "cpu":
        return np
    import torch

    return torch
