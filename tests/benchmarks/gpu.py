"""How fast a GPU trains, encodes and runs whole commands: ``python tests/benchmarks/gpu.py``, under five minutes.

Training: steps a second of ``Run.fit`` as the commands run it, without its first epoch, in which steps are recorded;
beside it the limit, a lean loop on the same device: the model's loss on one batch that lies there, its gradient and
AdamW, recorded as one graph and replayed without a check, a schedule or new random numbers.

Encoding: images a second of ``TrainedModel.encode``, from bytes to arrays. Whole commands: seconds, with their start.
Images are random bytes, since speed does not depend on them; commands read MNIST where LATENTCLI_DATA has it.

``--device cpu --few`` only shows that it runs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create
from latentcli.models.trained import TrainedModel
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples
from latentcli.training.loop import Callbacks, Run
from latentcli.training.steps import as_loss_takes_them

EPOCHS = 4


@dataclass(frozen=True)
class Row:
    """A training that is measured: of a family with these settings, on images of this shape."""

    family: str
    batch: int = 256
    shape: tuple[int, int, int] = (1, 28, 28)
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int = 400

    def model(self, device: torch.device) -> Any:
        """The network, on the device."""
        kinds = PIXEL_CLASSIFIERS if self.family in PIXEL_CLASSIFIERS else FAMILIES
        config = kinds[self.family].Config.for_data(self.shape, 10, **self.settings)
        return create(self.family, config, 0).to(device)


ROWS = {
    "VAE": Row("vae"),
    "VAE, batches of 64": Row("vae", 64),
    "VAE, batches of 1,024": Row("vae", 1024, steps=100),
    "VAE, MLP, one component": Row("vae", settings={"backbone": "mlp", "components": 1}),
    "VAE, two dimensions": Row("vae", settings={"latent_dim": 2}),
    "VQ-VAE": Row("vqvae"),
    "FSQ": Row("fsq"),
    "CNN": Row("cnn"),
    "VAE, views of photographs, 32×32×3": Row("vae", shape=(3, 32, 32), settings={"views": "photos"}, steps=100),
    "VAE, 224×224×3": Row("vae", 256, (3, 224, 224), {"views": "none"}, steps=12),
}


def main() -> None:
    """Measure, and print Markdown."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="cuda")
    options.add_argument("--few", action="store_true", help="a few steps of small batches")
    chosen = options.parse_args()
    device = torch.device(chosen.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}\n")
    print("| training | steps/s | images/s | limit, steps/s | of the limit |\n|---|---|---|---|---|", flush=True)
    for label, row in ROWS.items():
        few = Row(row.family, 8, row.shape, row.settings, 2) if chosen.few else row
        ours, limit = trained(few, device), lean(few, device)
        print(f"| {label} | {ours:,.0f} | {ours * few.batch:,.0f} | {limit:,.0f} | {ours / limit:.0%} |", flush=True)
    print("\n| encoding | images/s |\n|---|---|")
    for shape, count in (((1, 28, 28), 600_000), ((3, 224, 224), 5_000)):
        speed = encoded(Row("vae", shape=shape), 64 if chosen.few else count, device)
        print(f"| {'×'.join(map(str, shape))} | {speed:,.0f} |", flush=True)
    print("\n| command | seconds |\n|---|---|")
    for command in () if chosen.few else commands():
        print(f"| `latentcli {command}` | {whole(command):.1f} |", flush=True)


def images(row: Row, count: int) -> np.ndarray:
    """(count, C, H, W) uint8."""
    return np.random.default_rng(0).integers(0, 256, (count, *row.shape), dtype=np.uint8)


def examples(row: Row, count: int) -> Examples:
    """So many images, and of a classifier their labels, none held out."""
    soft = np.eye(10, dtype=np.float32)[np.arange(count) % 10] if row.family in PIXEL_CLASSIFIERS else None
    return Examples(images(row, count), np.arange(count), np.arange(0), soft)


def trained(row: Row, device: torch.device) -> float:
    """Steps a second of the loop, the median of all epochs but the first."""
    ends = []
    config = TrainingConfig(epochs=EPOCHS, batch_size=row.batch, held_out=0.0, save_every=1e6)
    run = Run(row.model(device), examples(row, row.batch * row.steps), config)
    run.fit(Callbacks(on_epoch=lambda losses: ends.append(time.perf_counter())))
    return row.steps / median(np.diff(ends))


def lean(row: Row, device: torch.device) -> float:
    """Steps a second of a recorded step that checks nothing, on one batch."""
    model = row.model(device).train()
    found = examples(row, row.batch)
    batch = [torch.from_numpy(found.images).to(device)]
    batch += [] if found.targets is None else [torch.from_numpy(found.targets).to(device)]
    generator = torch.Generator(device=device).manual_seed(0)
    on_cuda = device.type == "cuda"
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True, capturable=on_cuda)

    def step() -> None:
        losses = model.loss(as_loss_takes_them(batch), generator, 0.5)
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        optimizer.step()
        model.step_taken(true)

    true = torch.tensor(True, device=device)
    if not on_cuda:
        return row.steps / timed(lambda: [step() for _ in range(row.steps)])
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=stream):
            step()
        return row.steps / median(timed(lambda: [graph.replay() for _ in range(row.steps)]) for _ in range(EPOCHS))


def encoded(row: Row, count: int, device: torch.device) -> float:
    """Images a second of ``encode``, the best of three."""
    model, some = TrainedModel(row.family, row.model(device).eval()), images(row, count)
    return count / min(timed(lambda: model.encode(some)) for _ in range(3))


def timed(work: Callable[[], Any]) -> float:
    """Seconds, until the device has done it."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def commands() -> list[str]:
    """Whole commands: of MNIST only where it is here."""
    known = ["train digits --epochs 5"]
    if os.environ.get("LATENTCLI_DATA"):
        known += [
            "train mnist --labels-per-class 5",
            "encode mnist vae.pth --split train",
            "classify mnist vae.pth gmm_params.pkl",
        ]
    return known


FOLDER = tempfile.TemporaryDirectory(prefix="gpu-")


def whole(command: str) -> float:
    """Seconds of a command in a process of its own, all in one folder."""
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    call = [sys.executable, "-m", "latentcli", *command.split(), "--quiet"]
    return timed(lambda: subprocess.run(call, cwd=FOLDER.name, env=environment, check=True, stdout=subprocess.DEVNULL))


if __name__ == "__main__":
    main()
