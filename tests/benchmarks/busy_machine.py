"""Speed beside other work on the same processors.

    python tests/benchmarks/busy_machine.py              # the package's own setting beside others
    python tests/benchmarks/busy_machine.py --repeats 5

Two kinds of work: a process that trains the default VAE on MNIST-sized images, in images per second, and one that fits
mixtures to 1,437 latents of 32 dimensions, in fits per second. Each runs alone, beside one and two others like it
under the same setting, beside three processes that only count, and with half a processor: as under a quota, which
stops a process as soon as it has had 50 ms of a processor in 100 ms. The settings take turns, so that a machine that
changes its pace changes it for all. Shown are medians, and the ratio to the same setting alone.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

TRAINED = {"as the package sets it": {}, "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
           "one thread": {"OMP_NUM_THREADS": "1"}}  # fmt: skip
FITTED = {"as the package does it": {}, "products on the threads of numpy's BLAS": {"ON_THREADS_OF_BLAS": "1"},
          "one thread": {"OMP_NUM_THREADS": "1"}}  # fmt: skip
SECONDS = 10
PERIOD, QUOTA = 0.1, 0.05

TRAINING = """
import sys, time
import latentcli
import numpy as np
from latentcli.models import FAMILIES, create
from latentcli.numerics import allocator
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Interrupted, Run

allocator.keep_freed()
images = np.random.default_rng(0).integers(0, 256, (20_000, 1, 28, 28), dtype=np.uint8)
model = create("vae", FAMILIES["vae"].Config.for_data((1, 28, 28), 10), 0)
times = []
def on_step(count, loss):
    times.append((time.monotonic(), count))
def interrupted():
    return len(times) > 3 and times[-1][0] - times[3][0] > float(sys.argv[1])
try:
    Run(model, images, TrainingConfig(epochs=1000)).fit(Callbacks(on_step=on_step, interrupted=interrupted))
except Interrupted:
    print(sum(count for _, count in times[4:]) / (times[-1][0] - times[3][0]))
"""


FITTING = """
import contextlib, os, sys, time
import numpy as np
from latentcli.classifiers.mixture import expectation_maximisation, gaussian_mixture

if "ON_THREADS_OF_BLAS" in os.environ:
    expectation_maximisation.side_by_side = gaussian_mixture.side_by_side = map
    gaussian_mixture.one_thread_each = contextlib.nullcontext
random = np.random.default_rng(0)
classes = np.arange(1437) % 10
points = random.normal(size=(10, 32))[classes] + 0.5 * random.normal(size=(1437, 32))
labels = np.where(np.arange(1437) < 50, classes.astype(str), "")
fits, began, seconds = 0, time.monotonic(), float(sys.argv[1])
while time.monotonic() - began < seconds:
    gaussian_mixture.GaussianMixtureClassifier(random_state=0).fit(points, labels)
    fits += 1
print(fits / (time.monotonic() - began))
"""


def work(program: str, setting: dict[str, str], seconds: float) -> subprocess.Popen[str]:
    """A process that works for so long and prints how fast it was."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    call = [sys.executable, "-c", program, str(seconds)]
    return subprocess.Popen(call, env=environment | setting, stdout=subprocess.PIPE, text=True)


def speed(program: str, setting: dict[str, str], beside: list[subprocess.Popen[str]]) -> float:
    """Of one process while the others run."""
    try:
        time.sleep(8 if beside else 0)  # until the others have loaded what they need
        return float(work(program, setting, SECONDS).communicate()[0])
    finally:
        for process in beside:
            process.kill()
            process.wait()


def speed_under_quota(program: str, setting: dict[str, str]) -> float:
    """Of one process that is stopped in each ``PERIOD`` once it has used ``QUOTA`` seconds of a processor."""
    process = work(program, {"OMP_NUM_THREADS": "1"} | setting, SECONDS)  # what the package sets, told of the quota
    ticks = os.sysconf("SC_CLK_TCK")

    def used() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    ends, limit = time.monotonic() + PERIOD, QUOTA
    while process.poll() is None:
        time.sleep(0.002)
        if process.poll() is None and used() >= limit:
            process.send_signal(signal.SIGSTOP)
            time.sleep(max(0.0, ends - time.monotonic()))
            process.send_signal(signal.SIGCONT)
        if time.monotonic() >= ends:
            ends, limit = time.monotonic() + PERIOD, limit + QUOTA
    return float(process.communicate()[0])


def counting() -> subprocess.Popen[str]:
    """A process that keeps one processor busy."""
    return subprocess.Popen([sys.executable, "-c", "while True: pass"], text=True)


def table(program: str, settings: dict[str, dict[str, str]], repeats: int) -> None:
    """Measure one kind of work under each setting, and print the lines."""
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for name, setting in settings.items():
            conditions = {
                "alone": lambda setting=setting: speed(program, setting, []),
                "beside one like it": lambda setting=setting: speed(
                    program, setting, [work(program, setting, 100 * SECONDS)]
                ),
                "beside two": lambda setting=setting: speed(
                    program, setting, [work(program, setting, 100 * SECONDS) for _ in range(2)]
                ),
                "beside three that count": lambda setting=setting: speed(
                    program, setting, [counting() for _ in range(3)]
                ),
                "half a processor": lambda setting=setting: speed_under_quota(program, setting),
            }
            for condition, measured in conditions.items():
                found.setdefault((name, condition), []).append(measured())
    columns = list(dict.fromkeys(condition for _, condition in found))
    print(f"| setting | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name in settings:
        medians = [statistics.median(found[name, column]) for column in columns]
        digits = 0 if medians[0] > 100 else 2
        print(f"| {name} | {' | '.join(f'{each:,.{digits}f} ({each / medians[0]:.2f})' for each in medians)} |")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} processors, {platform.processor() or platform.machine()}, {chosen.repeats} repeats\n")
    print("Training, images per second\n")
    table(TRAINING, TRAINED, chosen.repeats)
    print("Mixtures, fits per second\n")
    table(FITTING, FITTED, chosen.repeats)


if __name__ == "__main__":
    main()
