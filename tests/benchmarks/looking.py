"""What `--snapshots` and `--tensorboard` add to a training: seconds of a processor, of 20 epochs that are looked at.

    python tests/benchmarks/looking.py

The networks are the defaults of their families, untrained, on random images, of which a hundred are held out: it costs
the same as of a trained one, and compressing their pictures costs more. TensorBoard is measured where it is installed.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import latentcli as lc
from latentcli.core.errors import UsageError
from latentcli.core.progress import Listener
from latentcli.models import FAMILIES, create
from latentcli.training.examples import Examples
from latentcli.training.observed import Observed

EPOCHS = 20
ROWS = (
    ("VAE", "vae", (1, 28, 28), {}),
    ("VAE in two dimensions", "vae", (1, 28, 28), {"latent_dim": 2}),
    ("VQ-VAE", "vqvae", (1, 28, 28), {}),
    ("VQ-VAE", "vqvae", (1, 80, 80), {}),
    ("VAE", "vae", (3, 64, 64), {}),
    ("VAE", "vae", (3, 224, 224), {}),
)


def cost(watching: Listener, observed: Observed) -> tuple[float, float]:
    """Seconds of a processor for an epoch that is looked at, and at the end."""
    watching.observing(observed, ())
    watching.started(EPOCHS, 100, 0)
    began = time.process_time()
    for epoch in range(1, EPOCHS + 1):
        watching.epoch_ended({"epoch": float(epoch), "loss": 1.0, "val_loss": 1.0, "lr": 1e-3})
    ended = time.process_time()
    watching.ended()
    return (ended - began) / EPOCHS, time.process_time() - ended


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("| network | images | of | ms an epoch | s at the end | s in all |\n|---|---|---|---|---|---|")
    for title, family, shape, settings in ROWS:
        network = create(family, FAMILIES[family].Config.for_data(shape, None, **settings), 0)
        images = np.random.default_rng(0).integers(0, 256, (200, *shape), dtype=np.uint8)
        observed = Observed(network, Examples(images, np.arange(100), np.arange(100, 200)))
        with tempfile.TemporaryDirectory() as folder:
            for kind in (lc.Snapshots, lc.TensorBoard):
                try:
                    each, end = cost(kind(Path(folder) / kind.__name__), observed)
                except UsageError:  # it is not installed
                    continue
                size = "×".join(map(str, shape))
                took = f"{1000 * each:.0f} | {end:.2f} | {EPOCHS * each + end:.1f}"
                print(f"| {title} | {size} | {kind.__name__} | {took} |", flush=True)


if __name__ == "__main__":
    main()
