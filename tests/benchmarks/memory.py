"""Memory of a training and of inference: the images, and a constant that depends on the family and their size.

    python tests/benchmarks/memory.py [training|inference]

For each family the most memory that a process held at any time (its resident set), while it trained on few and on many
images for some steps, validated and saved its state; less what it held before, once PyTorch was loaded. Images are
random bytes; the difference of both rows less that of the images is what grows with their number besides them.

The same for images that are encoded, decoded or classified in batches of which nothing is kept, as commands do; there
nothing grows.
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

INFERENCE = """
import resource, sys, torch
import numpy as np
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create
from latentcli.models.trained import TrainedModel, batch_size
from latentcli.numerics import allocator

def held():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

family, settings, shape, batches, doing = eval(sys.argv[1])
allocator.keep_freed()
of_pixels = family in PIXEL_CLASSIFIERS
settings = {"classes": 10} if of_pixels else settings
config = (PIXEL_CLASSIFIERS if of_pixels else FAMILIES)[family].Config(shape, **settings)
model = TrainedModel(family, create(family, config, 0).eval(), tuple("0123456789") if of_pixels else ())
size = batch_size(shape, model.device)
before = held()
images = np.random.default_rng(0).integers(0, 256, (batches * size, *shape), dtype=np.uint8)
for _ in getattr(model, doing)(images):
    pass
print(held() - before, images.nbytes / 2**20, size)
"""
FEW, MANY = 2, 8
"""Batches."""


def measured(script: str, *arguments: object) -> tuple[float, float, int]:
    """MiB beyond what was held before, MiB of the images, and images at a time."""
    call = [sys.executable, "-c", script, repr(arguments)]
    more, images, batch = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
    return float(more), float(images), int(batch)


def training() -> None:
    print("| family | images | images a step | beside the images, MiB | |\n|---|---|---|---|---|")
    print(f"| | | | {' | '.join(f'of {count:,}' for count in COUNTS)} |")
    for name, (family, settings) in CASES.items():
        for size, shape in SHAPES.items():
            found = [measured(TRAINING, family, settings, shape, count, STEPS) for count in COUNTS]
            beside = " | ".join(f"{more - images:,.0f}" for more, images, _ in found)
            print(f"| {name} | {size} | {found[0][2]} | {beside} |", flush=True)


def inference() -> None:
    print(f"| family | images | images a batch | {FEW} batches through the encoder, MiB | {MANY} | and back | |")
    print("|---|---|---|---|---|---|---|")
    for name, (family, settings) in {**CASES, "CNN": ("cnn", {})}.items():
        for size, shape in SHAPES.items():
            ways = ("classifications",) if family == "cnn" else ("encodings", "reconstructions")
            found = [measured(INFERENCE, family, settings, shape, n, way) for way in ways for n in (FEW, MANY)]
            beside = " | ".join(f"{more - images:,.0f}" for more, images, _ in found)
            print(f"| {name} | {size} | {found[0][2]} | {beside}{' | – | –' * (len(ways) < 2)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["training", "inference"], help="by default both")
    chosen = parser.parse_args().what or ["training", "inference"]
    print(f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}\n")
    for name in chosen:
        {"training": training, "inference": inference}[name]()
        print()


if __name__ == "__main__":
    main()
