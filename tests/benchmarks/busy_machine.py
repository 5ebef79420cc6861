"""Training speed beside other work on the same processors.

    python tests/benchmarks/busy_machine.py              # the package's own setting beside OpenMP's default
    python tests/benchmarks/busy_machine.py --repeats 5

Each figure is the images per second of one process that trains the default VAE on MNIST-sized images: alone, beside one
other such training under the same setting, and beside three processes that only count. The settings take turns, so
that a machine that changes its pace changes it for all. Shown are medians, and the ratio to the same setting alone.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

SETTINGS = {"as the package sets it": {}, "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
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


def training(setting: dict[str, str], seconds: float) -> subprocess.Popen[str]:
    """A process that trains for so long and prints its images per second."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    call = [sys.executable, "-c", TRAINING, str(seconds)]
    return subprocess.Popen(call, env=environment | setting, stdout=subprocess.PIPE, text=True)


def images_per_second(setting: dict[str, str], beside: list[subprocess.Popen[str]]) -> float:
    """Of one training while the other processes run."""
    try:
        time.sleep(8 if beside else 0)  # until the others have loaded what they need
        return float(training(setting, SECONDS).communicate()[0])
    finally:
        for process in beside:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement")
    chosen = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(chosen.repeats):
        for name, setting in SETTINGS.items():
            others = {
                "alone": lambda setting=setting: [],
                "beside a training": lambda setting=setting: [training(setting, 10 * SECONDS)],
                "beside three busy processes": lambda setting=setting: [
                    subprocess.Popen([sys.executable, "-c", "while True: pass"], text=True) for _ in range(3)
                ],
            }
            for condition, begin in others.items():
                found.setdefault((name, condition), []).append(images_per_second(setting, begin()))
    print(f"{os.cpu_count()} processors, {platform.processor() or platform.machine()}, {chosen.repeats} repeats\n")
    print("| setting | alone | beside a training | beside three busy processes |\n|---|---|---|---|")
    for name in SETTINGS:
        medians = {each: statistics.median(values) for (of, each), values in found.items() if of == name}
        alone = medians["alone"]
        cells = [f"{value:,.0f} ({value / alone:.2f})" for value in medians.values()]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
