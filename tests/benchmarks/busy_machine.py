"""Speed beside other work on the same processors.

    python tests/benchmarks/busy_machine.py              # the package's own setting beside others
    python tests/benchmarks/busy_machine.py --repeats 5

Two kinds of work: a process that trains the default VAE on MNIST-sized images, in images per second, and one that fits
mixtures to 1,437 latents of 32 dimensions, in fits per second. Each runs alone, beside one and two others like it
under the same setting, beside three processes that only count, and in a cgroup with half a processor (50 ms in 100 ms),
where this user may make one. The settings take turns, so that a machine that changes its pace changes it for all. Shown
are medians, and the ratio to the same setting alone.
"""

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

TRAINED = {"as the package sets it": {}, "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
           "one thread": {"OMP_NUM_THREADS": "1"}}  # fmt: skip
FITTED = {"as the package does it": {}, "products on the threads of numpy's BLAS": {"ON_THREADS_OF_BLAS": "1"},
          "one thread": {"OMP_NUM_THREADS": "1"}}  # fmt: skip
SECONDS = 10

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


def work(program: str, setting: dict[str, str], seconds: float, group: Path | None = None) -> subprocess.Popen[str]:
    """A process, of this cgroup if one is named, that works for so long and prints how fast it was."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    call = [sys.executable, "-c", program, str(seconds)]
    if group is not None:  # joined before Python begins, as in a container
        call = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs"), *call]
    return subprocess.Popen(call, env=environment | setting, stdout=subprocess.PIPE, text=True)


def speed(
    program: str, setting: dict[str, str], beside: list[subprocess.Popen[str]], group: Path | None = None
) -> float:
    """Of one process while the others run."""
    try:
        time.sleep(8 if beside else 0)  # until the others have loaded what they need
        return float(work(program, setting, SECONDS, group).communicate()[0])
    finally:
        for process in beside:
            process.kill()
            process.wait()


@contextlib.contextmanager
def half_a_processor() -> Iterator[Path | None]:
    """A cgroup, of either version, with 50 ms of a processor in 100 ms; None where this user may not make one."""
    quotas = {"/sys/fs/cgroup/cpu": ("cpu.cfs_quota_us", "50000"), "/sys/fs/cgroup": ("cpu.max", "50000 100000")}
    for root, (name, quota) in quotas.items():
        group = Path(root) / f"latentcli-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / name).exists():
                (group / name).write_text(quota)
                yield group
                return
        finally:
            group.rmdir()
    yield None


def counting() -> subprocess.Popen[str]:
    """A process that keeps one processor busy."""
    return subprocess.Popen([sys.executable, "-c", "while True: pass"], text=True)


def table(program: str, settings: dict[str, dict[str, str]], repeats: int, half: Path | None) -> None:
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
            }
            if half is not None:
                conditions["half a processor"] = lambda setting=setting: speed(program, setting, [], half)
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
    with half_a_processor() as half:
        if half is None:
            print("Half a processor is not measured: this user may not make a cgroup with a quota.\n")
        print("Training, images per second\n")
        table(TRAINING, TRAINED, chosen.repeats, half)
        print("Mixtures, fits per second\n")
        table(FITTING, FITTED, chosen.repeats, half)


if __name__ == "__main__":
    main()
