"""Images per second side by side with pythae 0.1.2: training of an MLP, and encoding by a convolutional net.

    python tests/benchmarks/pythae_speed.py [--threads N] [--pairs N]

prints Markdown. pythae goes into a throw-away environment that sees the packages of the one running this script
(same torch, same numpy) and adds only what those lack; the product's own environment is not touched.

Both sides train the same layers, built by the same class, on the same random images, in one process, turn by turn
(ours, pythae's, ours, pythae's …), so that whatever else the machine does falls on both.

Training, batch 64, all images trained on, no validation, no logging, no progress bar, nothing saved to disk:
 - ours: ``Run.fit`` as the command runs it, with its checks, schedule, random generators and AdamW (fused);
 - pythae: ``BaseTrainer.prepare_training`` and ``train_step``, the loop over its ``DataLoader`` with Adam as it comes;
   what ``train`` adds around them (a copy of the model each epoch, progress bars, files) is left out, in its favour.
   A second row gives it fused Adam too, which its users can ask for.
Loss on both sides: Bernoulli likelihood + KL from N(0, I), as each writes it.

The same for a VQ-VAE: residual network, 7×7 codes of 512 × 64 learned as moving averages, squared error.

Encoding, posterior (or codes and their vectors) of every image as an array:
 - ours: ``TrainedModel.encode`` from bytes, in its own batches;
 - pythae: ``embed`` of the images as floats made beforehand, in ``eval`` and without gradients, in batches of
   whichever size of 64 to 2048 suits it best here.
"""

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PYTHAE = "pythae==0.1.2"
NEEDED = [
    "cloudpickle",
    "imageio",
    "pydantic>=2",
    "tqdm",
    "scipy",
    "typing-extensions",
]  # not its backport of dataclasses
SHAPE = (1, 28, 28)
LATENT = 16
TRAINED, ENCODED, FEW = 6_400, 10_000, 2_048
"""Images in one measurement."""


def main() -> None:
    """Make the environment and measure inside it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, help="of torch (default: its own)")
    options.add_argument("--pairs", type=int, default=7, help="measurements of each side (default: 7)")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.inside:
        measure(chosen.threads, chosen.pairs)
        return
    with tempfile.TemporaryDirectory(prefix="pythae-") as folder:
        python = make_environment(Path(folder))
        again = [python, __file__, *sys.argv[1:], "--inside"]
        sys.exit(subprocess.run(again, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode)


def make_environment(folder: Path) -> str:
    """A virtual environment with pythae that also sees this one's packages; returns its python."""
    venv.create(folder, with_pip=True)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())
    (own / "seen.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}) + "\n")
    for packages in (NEEDED, ["--no-deps", PYTHAE]):
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
    return python


def measure(threads: int | None, pairs: int) -> None:
    """Run every comparison and print the report."""
    import logging

    import numpy as np
    import torch

    from latentcli.numerics.allocator import keep_freed

    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed()  # as the command line does; it serves both sides
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # pythae would move there by itself
    rng = np.random.default_rng(0)
    trained = rng.integers(0, 256, (TRAINED, *SHAPE), dtype=np.uint8)
    encoded = rng.integers(0, 256, (ENCODED, *SHAPE), dtype=np.uint8)
    import pythae.trainers  # noqa: F401 - sets up its loggers

    logging.disable(logging.INFO)
    print("# latentcli and pythae: images per second\n")
    print(f"{processor()}, {os.cpu_count()} CPUs, {torch.get_num_threads()} torch threads, load {load()} at the start;")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, {PYTHAE}.")
    print(f"{pairs} measurements of each side in turn after a warm-up: minimum, median, maximum.\n")
    print("| what | latentcli | pythae | ratio, pair by pair | wanted |\n|---|---|---|---|---|")
    ours = our_training(trained)
    row(
        "training, MLP 784-1024-512-2×16-512-512-1024-784, batch 64",
        ours,
        pythae_training(trained),
        TRAINED,
        pairs,
        "≥ 1.5",
    )
    row("the same, pythae told to use fused Adam", ours, pythae_training(trained, fused=True), TRAINED, pairs, "–")
    plain = network("conv", 1024)
    embed, size = pythae_encoding(in_pythae(plain), encoded)
    row(
        f"encoding, conv 16-32-64 (pythae in batches of {size})",
        our_encoding(plain, encoded),
        embed,
        ENCODED,
        pairs,
        "≥ 5",
    )
    few, some = trained[:FEW], encoded[:FEW]
    row(
        "training, VQ-VAE, residual 32-64, batch 64",
        our_training(few, vqvae),
        pythae_vqvae_training(few),
        FEW,
        pairs,
        "≥ 1",
    )
    quantised = vqvae()
    embed, size = pythae_encoding(vqvae_in_pythae(quantised), some)
    row(f"encoding by it (pythae in batches of {size})", our_encoding(quantised, some), embed, FEW, pairs, "≥ 3")


def row(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], images: int, pairs: int, wanted: str) -> None:
    """Measure both sides in turn and print a line of the table."""
    ours(), theirs()
    rates = [(images / seconds(ours), images / seconds(theirs)) for _ in range(pairs)]
    a, b = zip(*rates, strict=True)
    ratios = [mine / other for mine, other in rates]
    print(
        f"| {what} | {spread(a, ',.0f')} | {spread(b, ',.0f')} | **{spread(ratios, '.2f')}** | {wanted} |", flush=True
    )


def seconds(work: Callable[[], Any]) -> float:
    """How long ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spread(values: Any, form: str) -> str:
    """Minimum, median and maximum."""
    ordered = sorted(values)
    return " / ".join(format(value, form) for value in (ordered[0], ordered[len(ordered) // 2], ordered[-1]))


def network(backbone: str, width: int) -> Any:
    """Our VAE with the plain prior: the layers that both sides run."""
    from latentcli.models import create
    from latentcli.models.vae import VAEConfig

    config = VAEConfig(
        SHAPE, backbone=backbone, width=width, latent_dim=LATENT, loss="bce", beta=1.0, beta_warmup=0.0, components=1
    )
    return create("vae", config, seed=0)


def in_pythae(vae: Any) -> Any:
    """pythae's VAE around the encoder, posterior and decoder layers of ours."""
    import torch
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.posterior = vae.encoder, vae.posterior

        def forward(self, images: Any) -> Any:
            mean, log_variance = self.posterior(self.layers(images)).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(vae.expand, vae.decoder)

        def forward(self, latents: Any) -> Any:
            return ModelOutput(reconstruction=self.layers(latents).sigmoid())

    settings = VAEConfig(input_dim=SHAPE, latent_dim=LATENT, reconstruction_loss="bce")
    return VAE(settings, encoder=Encoder(), decoder=Decoder())


def vqvae() -> Any:
    """Our VQ-VAE with squared error."""
    from latentcli.models import create
    from latentcli.models.vqvae import VQVAEConfig

    return create("vqvae", VQVAEConfig(SHAPE, loss="mse"), seed=0)


def vqvae_in_pythae(ours: Any) -> Any:
    """pythae's VQ-VAE around the encoder and decoder layers of ours."""
    import torch
    from pythae.models import VQVAE, VQVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(ours.encoder, ours.to_vectors)

        def forward(self, images: Any) -> Any:
            return ModelOutput(embedding=self.layers(images))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = ours.decoder

        def forward(self, maps: Any) -> Any:
            return ModelOutput(reconstruction=self.layers(maps).sigmoid())

    settings = VQVAEConfig(input_dim=SHAPE, latent_dim=64, num_embeddings=512, use_ema=True)
    return VQVAE(settings, encoder=Encoder(), decoder=Decoder())


def our_training(images: Any, made: "Callable[[], Any] | None" = None) -> Callable[[], Any]:
    """One epoch of our loop on a fresh network."""
    from latentcli.training.config import TrainingConfig
    from latentcli.training.loop import Callbacks, Run

    config = TrainingConfig(epochs=1, batch_size=64, held_out=0.0)
    make = made or (lambda: network("mlp", 1024))
    return lambda: Run(make(), images, config).fit(Callbacks())


def pythae_vqvae_training(images: Any) -> Callable[[], Any]:
    """One epoch of pythae's loop on its VQ-VAE."""
    return pythae_training(images, made=lambda: vqvae_in_pythae(vqvae()))


def pythae_training(images: Any, fused: bool = False, made: "Callable[[], Any] | None" = None) -> Callable[[], Any]:
    """One epoch of pythae's loop on a fresh network."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import CallbackHandler

    data = BaseDataset(torch.from_numpy(images).float() / 255, torch.zeros(len(images)))
    make = made or (lambda: in_pythae(network("mlp", 1024)))

    def epoch() -> None:
        config = BaseTrainerConfig(
            output_dir="runs", per_device_train_batch_size=64, num_epochs=1, learning_rate=1e-3, no_cuda=True,
            optimizer_params={"fused": True} if fused else None,
        )  # fmt: skip
        trainer = BaseTrainer(make(), data, training_config=config)
        trainer.prepare_training()
        trainer.callback_handler = CallbackHandler([], trainer.model)  # no progress bar
        trainer.train_step(1)

    return epoch


def our_encoding(model: Any, images: Any) -> Callable[[], Any]:
    """All images through our ``encode``."""
    from latentcli.models.trained import TrainedModel

    trained = TrainedModel("vae", model)
    return lambda: trained.encode(images)


def pythae_encoding(theirs: Any, images: Any) -> tuple[Callable[[], Any], int]:
    """All images through pythae's ``embed``, and the batch size at which that is fastest."""
    import numpy as np
    import torch

    model, data = theirs.eval(), torch.from_numpy(images).float() / 255

    @torch.no_grad()
    def embed(size: int) -> Any:
        return np.concatenate([model.embed(batch).numpy() for batch in data.split(size)])

    embed(512)
    best = min((64, 128, 256, 512, 1024, 2048), key=lambda size: min(seconds(lambda: embed(size)) for _ in range(2)))
    return lambda: embed(best), best


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load() -> str:
    """The load average of the last minute, where the system tells it."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    main()
