"""Seconds per iteration of EM, latentcli's and scikit-learn's, from the same start on the same data.

    python tests/benchmarks/mixture_speed.py [--quick] [--device cuda]

Prints a Markdown table. Both fit ten full covariances in float64 from the same means; runs alternate, and the ratio
is the median of the pairs' ratios, so that a machine busy with something else slows both. The difference is of the
log likelihood per sample after the same iterations, without regularisation on either side.
"""

import argparse
import os
import platform
import statistics
import time
import warnings

import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info

from latentcli.classifiers.mixture.expectation_maximisation import Samples, maximise_likelihood
from latentcli.classifiers.mixture.gaussians import Mixture
from latentcli.core.labels import UNLABELLED

COMPONENTS = 10
SIZES = ((60_000, 2), (60_000, 16), (60_000, 64), (1_000_000, 16))


def problem(samples: int, dimensions: int) -> tuple[np.ndarray, Mixture]:
    """Ten overlapping clusters, and the mixture of unit covariances at ten of the points."""
    generator = np.random.default_rng(0)
    centres = generator.normal(scale=2.0, size=(COMPONENTS, dimensions))
    points = centres[np.arange(samples) % COMPONENTS] + generator.normal(size=(samples, dimensions))
    weights, covariances = np.full(COMPONENTS, 0.1), np.repeat(np.eye(dimensions)[None], COMPONENTS, axis=0)
    return points, Mixture(weights, points[:COMPONENTS].copy(), covariances, "full")


def ours(points: np.ndarray, begin: Mixture, iterations: int, device: str) -> tuple[list[float], list[float]]:
    """Seconds of each iteration but the first, and the log likelihoods."""
    samples = Samples(points, np.full(len(points), UNLABELLED), 1024 if device == "cpu" else 65536, device)
    times: list[float] = []
    fit = maximise_likelihood(
        samples, begin, reg_covar=0.0, tol=0.0, max_iter=iterations + 1,
        on_iteration=lambda *_: times.append(time.perf_counter()),
    )  # fmt: skip
    return np.diff(times).tolist(), fit.log_likelihoods[:-1]


def theirs(points: np.ndarray, begin: Mixture, iterations: int) -> tuple[list[float], float]:
    """Seconds of each iteration but the first of scikit-learn's, and its last log likelihood.

    The steps are scikit-learn's own, called as its ``fit`` calls them: its initialisation is left out of the time.
    """
    reference = GaussianMixture(
        COMPONENTS, reg_covar=0.0, weights_init=begin.weights, means_init=begin.means,
        precisions_init=begin.covariances, init_params="random_from_data",
    )  # fmt: skip
    reference._initialize_parameters(points, np.random.RandomState(0))
    times, bound = [], 0.0
    for _ in range(iterations):
        begun = time.perf_counter()
        bound, log_responsibilities = reference._e_step(points)
        reference._m_step(points, log_responsibilities)
        times.append(time.perf_counter() - begun)
    return times[1:], float(bound)


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="leave out the million points")
    options.add_argument("--device", default="cpu", help="where latentcli's runs")
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    threads = ", ".join(sorted({f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()}))
    print(
        f"{os.cpu_count()} CPUs ({platform.machine()}), load {os.getloadavg()[0]:.1f}; threads: {threads}; "
        f"numpy {np.__version__}, scikit-learn {sklearn.__version__}, Python {platform.python_version()}; "
        f"latentcli's on {given.device}\n"
    )
    print(
        "| samples × dimensions | latentcli, s | scikit-learn, s | ratio: median (lowest–highest) | Δ log likelihood |"
    )
    print("|---|---|---|---|---|")
    for samples, dimensions in SIZES[:-1] if given.quick else SIZES:
        points, begin = problem(samples, dimensions)
        iterations = 3 if samples > 100_000 else 6
        pairs, difference = [], 0.0
        for _ in range(given.runs):
            own, likelihoods = ours(points, begin, iterations, given.device)
            other, bound = theirs(points, begin, iterations)
            pairs.append((statistics.median(own), statistics.median(other)))
            difference = max(difference, abs(likelihoods[-1] - bound))
        ratios = [other / own for own, other in pairs]
        print(
            f"| {samples:,} × {dimensions} | {statistics.median(p[0] for p in pairs):.4f} "
            f"| {statistics.median(p[1] for p in pairs):.4f} "
            f"| {statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) | {difference:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
