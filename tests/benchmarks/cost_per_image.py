"""What an image costs, step by step, from shards of JPEG files to classes: seconds of a processor, and bytes.

    python tests/benchmarks/cost_per_image.py [--images 2000] [--device cuda]

Images are JPEG files of 256×256 pixels (noise with structure, about 20 kB), in tars as img2dataset writes them, and a
model takes them at ``--side`` pixels. Each step is one process; its cost is the difference between many images and
few, so that its start counts nothing. Seconds are those of processors, user and system, which other work on the same
machine makes hardly longer; on a GPU also the seconds by the clock, from arrays in memory. Prints Markdown, from which
``README.md`` makes its plan for 10⁸ images.
"""

import argparse
import io
import os
import platform
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import latentcli
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.models import FAMILIES, create
from latentcli.models.trained import TrainedModel

CLASSES, STORED = 10, 256


def shards(folder: Path, count: int) -> Path:
    """A tar of so many JPEG files with their classes."""
    random = np.random.default_rng(0)
    folder.mkdir()
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number in range(count):
            small = random.integers(0, 256, (48, 48, 3), dtype=np.uint8)
            file = io.BytesIO()
            Image.fromarray(small).resize((STORED, STORED)).save(file, "jpeg", quality=90)
            for name, content in (("jpg", file.getvalue()), ("cls", str(number % CLASSES).encode())):
                info = tarfile.TarInfo(f"{number:09}.{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return folder


def used(call: list[str], folder: Path) -> float:
    """Seconds of processors that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "latentcli", *call, "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def model(side: int, device: str) -> TrainedModel:
    """A default VAE of colour images, as it was drawn: speed does not depend on what it has learned."""
    config = FAMILIES["vae"].Config.for_data((3, side, side), CLASSES)
    return TrainedModel("vae", create("vae", config, 0).to(device).eval())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=2_000)
    options.add_argument("--sides", default="64,224", help="pixels that models take")
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args()
    few, many = chosen.images // 10, chosen.images
    print(f"{os.cpu_count()} processors ({platform.machine()}), {chosen.device}, torch {torch.__version__}\n")
    print("| step | ms of a processor an image | bytes an image |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        inputs = {count: shards(folder / str(count), count) for count in (few, many)}
        stored = (inputs[many] / "00000.tar").stat().st_size / many
        for side in map(int, chosen.sides.split(",")):
            model(side, "cpu").save(folder / "vae.pth")
            times, written = {}, {}
            for count, data in inputs.items():
                out = folder / f"parts-{side}-{count}"
                call = ["encode", f"{data}/{{00000..00000}}.tar", "vae.pth", "--device", chosen.device, "-o", str(out)]
                times[count] = used(call, folder)
                written[count] = sum(file.stat().st_size for file in out.glob("*.parquet"))
            whole = 1e3 * (times[many] - times[few]) / (many - few)
            size = (written[many] - written[few]) / (many - few)
            network, images = model(side, chosen.device), np.zeros((few, 3, side, side), np.uint8)
            network.encode(images)
            began, clock = time.process_time(), time.perf_counter()
            latents = network.encode(images)
            encoding, seconds = time.process_time() - began, time.perf_counter() - clock
            what = f"{side}×{side}"
            print(f"| reading, decoding, resizing to {what} | {whole - 1e3 * encoding / few:.2f} | {stored:,.0f} |")
            print(
                f"| encoding {what} ({few / seconds:,.0f} a second) | {1e3 * encoding / few:.2f} | {size:,.0f} |",
                flush=True,
            )
    count = 20 * many
    points = np.random.default_rng(0).normal(size=(count, latents.flat.shape[1])).astype(np.float32)
    codes = np.where(np.arange(count) < 10 * CLASSES, np.arange(count) % CLASSES, -1)
    named = Latents({"mu": points}, "", Labels(codes, tuple("0123456789")))
    began = time.process_time()
    mixture = latentcli.fit_mixture(named, device=chosen.device)
    fitted, began = time.process_time() - began, time.process_time()
    mixture.predict_proba(points)
    asked = time.process_time() - began
    print(f"| fitting a mixture, {mixture.n_iter_} iterations | {1e3 * fitted / count:.3f} | |")
    print(f"| its probabilities | {1e3 * asked / count:.4f} | |")


if __name__ == "__main__":
    main()
