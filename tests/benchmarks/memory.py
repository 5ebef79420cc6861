"""Memory of a training: the images, and a constant that depends on the family and the size of the images.

    python tests/benchmarks/memory.py

For each family the most memory that a process held at any time (its resident set), while it trained on few and on many
images for some steps, validated and saved its state; less what it held before, once PyTorch was loaded. Images are
random bytes; the difference of both rows less that of the images is what grows with their number besides them.
"""

import argparse
import os
import platform
import subprocess
import sys

SHAPES = {"1×28×28": (1, 28, 28), "3×64×64": (3, 64, 64)}
COUNTS = (20_000, 60_000)
CASES = {"VAE": ("vae", {}), "VAE, 2-D": ("vae", {"latent_dim": 2}), "VAE, resnet": ("vae", {"backbone": "resnet"}),
         "VQ-VAE": ("vqvae", {}), "FSQ": ("fsq", {})}  # fmt: skip
STEPS = 8

TRAINING = """
import io, resource, sys, torch
import numpy as np
from latentcli.models import FAMILIES, create
from latentcli.numerics import allocator
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Interrupted, Run
from latentcli.training.train import configure

def held():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

family, settings, shape, count, steps = eval(sys.argv[1])
allocator.keep_freed()
network, training = configure(FAMILIES[family].Config, TrainingConfig, shape, None, settings)
model = create(family, network, 0)
before, taken = held(), []
images = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
run = Run(model, images, training)
callbacks = Callbacks(on_step=lambda *_: taken.append(1), interrupted=lambda: len(taken) >= steps,
                      save_state=lambda state: torch.save(state, io.BytesIO()))
try:
    run.fit(callbacks)
except Interrupted:
    run.validate()
    print(held() - before, images.nbytes / 2**20, run.batch_size)
"""


def measured(family: str, settings: dict[str, object], shape: tuple[int, ...], count: int) -> tuple[float, float, int]:
    """MiB beyond what was held before, MiB of the images, and images a step."""
    call = [sys.executable, "-c", TRAINING, repr((family, settings, shape, count, STEPS))]
    more, images, batch = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
    return float(more), float(images), int(batch)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}\n")
    print("| family | images | images a step | beside the images, MiB | |\n|---|---|---|---|---|")
    print(f"| | | | {' | '.join(f'of {count:,}' for count in COUNTS)} |")
    for name, (family, settings) in CASES.items():
        for size, shape in SHAPES.items():
            found = [measured(family, settings, shape, count) for count in COUNTS]
            beside = " | ".join(f"{more - images:,.0f}" for more, images, _ in found)
            print(f"| {name} | {size} | {found[0][2]} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
