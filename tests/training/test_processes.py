"""Two processes that share out the batches of a training do what one does, to rounding.

Run as a script by torchrun this file is one of these processes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
IMAGES = 43
"""Of a training, so that batches and the rows of two processes are of unlike sizes."""

RUNS: dict[str, dict[str, Any]] = {
    "vae": {"family": "vae", "components": 3, "latent_dim": 5, "beta": 1.0},
    "vae with details": {"family": "vae", "components": 2, "latent_dim": 6, "details": 3, "backbone": "conv"},
    "vae in two dimensions": {"family": "vae", "latent_dim": 2, "fourier": 8, "loss": "mse", "norm": "layer"},
    "vae of photos": {"family": "vae", "channels": 3, "backbone": "resnet", "views": "photos", "agreement": 20.0},
    "vae of maps": {"family": "vae", "backbone": "residual", "latent_dim": 3, "views": "scans", "agreement": 5.0},
    "vqvae": {"family": "vqvae", "codes": 12, "latent_dim": 4},
    "vqvae that learns by gradients": {"family": "vqvae", "codes": 12, "latent_dim": 4, "codebook": "gradient"},
    "vqvae of scans": {"family": "vqvae", "codes": 8, "latent_dim": 4, "views": "scans", "agreement": 5.0},
    "fsq": {"family": "fsq", "latent_dim": 3},
    "fsq of photos": {"family": "fsq", "channels": 3, "latent_dim": 3, "views": "photos", "agreement": 5.0},
    "cnn": {"family": "cnn", "flip": 0.5, "width": 16},
    "cnn of mixtures": {"family": "cnn", "mixup": 0.5, "augment": False, "width": 16},
}


def trained(name: str) -> dict[str, Any]:
    """The losses of each step of a run, its history, and how far apart the weights of its processes end."""
    import torch

    from latentcli.core import processes
    from latentcli.models import PIXEL_CLASSIFIERS, create, family_of
    from latentcli.numerics import precision
    from latentcli.training.config import TrainingConfig
    from latentcli.training.examples import Examples
    from latentcli.training.loop import Callbacks, Run

    precision.AMX = False  # bfloat16 rounds coarsely
    settings = {"width": 32} | RUNS[name]
    family, channels = settings.pop("family"), settings.pop("channels", 1)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (IMAGES, channels, 16, 16), dtype=np.uint8)
    examples: Any = images
    config = TrainingConfig(epochs=3, batch_size=13, held_out=0.25, seed=2, lr=1e-3)
    if family in PIXEL_CLASSIFIERS:
        settings["classes"] = 3
        targets = random.dirichlet(np.ones(3), IMAGES).astype(np.float32)
        examples = Examples(images, np.arange(11, IMAGES), np.arange(11), targets)
    model = create(family, family_of(family).Config((channels, 16, 16), **settings), 3)
    losses: list[float] = []
    run = Run(model, examples, config)
    # biases before a normalisation, whose gradients are rounding alone, would else move, and show in the validation
    run.steps.optimizer.param_groups[0]["eps"] = 1e-2
    history = run.fit(Callbacks(on_step=lambda images, loss: losses.append(loss)))
    weights = torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])
    others = processes.gathered(weights.numpy()[None])
    return {"losses": losses, "history": history, "apart": float(np.ptp(others, axis=0).max())}


def torchrun(*call: str | Path, processes: int = 2, cwd: Path | None = None, **environment: str) -> Any:
    """What that many processes of this call come to."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([*command, *map(str, call)], cwd=cwd, env=env, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> dict[str, dict[str, Any]]:
    output = tmp_path_factory.mktemp("shared") / "runs.json"
    done = torchrun(__file__, output)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


@pytest.mark.parametrize("name", RUNS)
def test_the_loss_of_each_step_is_that_of_one_process(shared, name):
    alone, two = trained(name), shared[name]
    assert len(alone["losses"]) == 9
    np.testing.assert_allclose(two["losses"], alone["losses"], rtol=2e-5)
    assert [row.keys() for row in two["history"]] == [row.keys() for row in alone["history"]]
    for mine, theirs in zip(alone["history"], two["history"], strict=True):
        np.testing.assert_allclose([*theirs.values()], [*mine.values()], rtol=1e-3, atol=1e-4)
    assert two["apart"] == 0.0, "both processes have the same weights"


if __name__ == "__main__":
    from latentcli.core import processes

    processes.join("cpu")
    found = {name: trained(name) for name in sys.argv[2:] or RUNS}
    if processes.is_first():
        Path(sys.argv[1]).write_text(json.dumps(found))
