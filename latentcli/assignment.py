"""The course assignment's own three calls, unchanged.

    python -m latentcli.assignment TRAIN VAL train vae.pth gmm_params.pkl
    python -m latentcli.assignment TEST test_reconstruction vae.pth
    python -m latentcli.assignment TEST test_classifier vae.pth gmm_params.pkl

The latent space has two dimensions; labels in TRAIN are ignored, the few in VAL name the clusters. Outputs are
named as the assignment names them: ``vae_reconstructed.npz`` and ``vae.csv``, in the current folder. The first call
with ``--resume`` behind it goes on where an interrupted one stopped.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from latentcli.cli import options
from latentcli.cli.app import exit_code_of
from latentcli.cli.classify import classify
from latentcli.cli.reconstruct import reconstruct
from latentcli.cli.train import train
from latentcli.core.errors import UsageError

LATENT_DIM = 2
BATCH_SIZE = 96
"""Images a step: two dimensions take many steps to unfold."""
PIXEL_BUDGET = 600_000_000
"""Pixels of a training: of the assignment's images in less than five minutes on two cores."""


def run(arguments: Sequence[str]) -> None:
    """Do what one of the three call forms asks for.

    Raises:
        UsageError: the arguments are of none of them.
    """
    match list(arguments):
        case [data, val, "train", vae, gmm, *more] if more in ([], ["--resume"]):
            settings = [f"pixel_budget={PIXEL_BUDGET}"]
            training = options.Training(batch_size=BATCH_SIZE, settings=settings, resume=bool(more))
            train(data, val, output=Path(vae), gmm=Path(gmm), latent_dim=LATENT_DIM, training=training)
        case [data, "test_reconstruction", vae]:
            reconstruct(data, Path(vae))
        case [data, "test_classifier", vae, gmm]:
            classify(data, Path(vae), Path(gmm))
        case _:
            raise UsageError(
                "the call is none of the assignment's",
                "TRAIN VAL train VAE GMM [--resume] | TEST test_reconstruction VAE | TEST test_classifier VAE GMM",
            )


def main() -> None:
    """The entry point of ``python -m latentcli.assignment``."""
    sys.exit(exit_code_of(lambda: run(sys.argv[1:])))


if __name__ == "__main__":
    main()
