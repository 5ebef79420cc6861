"""EM on more points than fit in memory, shared out to processes: seconds of an iteration, and memory.

    python tests/benchmarks/mixture_at_scale.py [--samples 10000000] [--dimensions 32] [--processes 2]

The points are ten overlapping clusters, float32, in one memory-mapped file that is made first and removed in the end;
each process, on one thread, reads its rows of it in each iteration. Prints Markdown: the median time of an iteration of
full covariances in float64, the most memory of a process besides the mapping (its anonymous pages, which
cannot be dropped), and what both come to for 10⁸ points of 16 dimensions and 50 iterations.

An iteration takes two products of K × F by F × N matrices, and the making of F × N features, where F is
1 + D + D(D + 1)/2 for D dimensions: time is taken to be proportional to N · F. All else, such as the sum over processes
of K · (F + K) numbers, does not grow with N.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from latentcli.classifiers.mixture.expectation_maximisation import Part, Samples, maximise_likelihood
from latentcli.classifiers.mixture.gaussians import Mixture
from latentcli.core import processes
from latentcli.core.labels import UNLABELLED

COMPONENTS, CHUNK = 10, 1024
MADE_AT_ONCE = 100_000
WANTED = 100_000_000, 16, 50
"""Points, dimensions and iterations that the result is extrapolated to."""


def make(path: Path, samples: int, dimensions: int) -> None:
    """A file of points (N, D) float32, written some at a time."""
    points = np.lib.format.open_memmap(path, "w+", np.float32, (samples, dimensions))
    centres = np.random.default_rng(0).normal(scale=2.0, size=(COMPONENTS, dimensions))
    for first in range(0, samples, MADE_AT_ONCE):
        rows = np.arange(first, min(first + MADE_AT_ONCE, samples))
        noise = np.random.default_rng(first + 1).standard_normal((len(rows), dimensions), np.float32)
        points[rows] = centres[rows % COMPONENTS] + noise
    points.flush()


def anonymous() -> float:
    """MiB of this process that are no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def work(path: Path, iterations: int) -> None:
    """What each process does; the first one prints seconds of an iteration and MiB."""
    processes.join("cpu")
    points = np.load(path, mmap_mode="r")
    rows = processes.share(len(points))
    samples = Samples(
        points[rows], np.full(len(points), UNLABELLED, np.int8), CHUNK, part=Part(rows, processes.summed)
    )  # fmt: skip
    weights, covariances = np.full(COMPONENTS, 0.1), np.repeat(np.eye(points.shape[1])[None], COMPONENTS, axis=0)
    begin = Mixture(weights, points[:COMPONENTS].astype(np.float64), covariances, "full")
    times, memory = [], 0.0

    def measure(*_: object) -> None:
        nonlocal memory
        times.append(time.perf_counter())
        memory = max(memory, anonymous())

    maximise_likelihood(samples, begin, tol=0.0, max_iter=iterations + 1, on_iteration=measure)
    most = max(processes.gathered(np.array([memory])))
    if processes.is_first():
        print(statistics.median(np.diff(times)), most)


def main() -> None:
    """Make the points, start the processes, and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--samples", type=int, default=10_000_000)
    options.add_argument("--dimensions", type=int, default=32)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--iterations", type=int, default=5)
    options.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.worker:
        work(given.worker, given.iterations)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.npy"
        make(path, given.samples, given.dimensions)
        call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", given.processes]
        call += [__file__, "--worker", path, "--iterations", given.iterations]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*map(str, call)], env=env, stdout=subprocess.PIPE, check=True, text=True)
    seconds, memory = map(float, done.stdout.split())
    print(
        f"{os.cpu_count()} CPUs ({platform.machine()}), load {os.getloadavg()[0]:.1f}; numpy {np.__version__}, "
        f"Python {platform.python_version()}\n\n"
        "| samples × dimensions | processes | s an iteration | most memory of one, MiB |\n|---|---|---|---|\n"
        f"| {given.samples:,} × {given.dimensions} | {given.processes} | {seconds:.3f} | {memory:,.0f} |\n"
    )
    samples, dimensions, iterations = WANTED
    features, wanted = (1 + d + d * (d + 1) // 2 for d in (given.dimensions, dimensions))
    minutes = seconds * iterations * samples / given.samples * wanted / features / 60
    print(
        f"{samples:,} × {dimensions}, {iterations} iterations: {seconds:.3f} s × {iterations} × "
        f"{samples / given.samples:g} (samples) × {wanted} / {features} (features) = {minutes:.1f} minutes"
    )


if __name__ == "__main__":
    main()
