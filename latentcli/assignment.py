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

from latentcli.cli.app import exit_code_of, run
from latentcli.core.errors import UsageError

LATENT_DIM = 2


def translated(arguments: Sequence[str]) -> list[str]:
    """One of the assignment's calls as a call of ``latentcli``.

    Raises:
        UsageError: the arguments are of none of its three forms.
    """
    match list(arguments):
        case [data, val, "train", vae, gmm, *more] if more in ([], ["--resume"]):
            return ["train", "-o", vae, "--gmm", gmm, "--latent-dim", str(LATENT_DIM), *more, "--", data, val]
        case [data, "test_reconstruction", vae]:
            return ["reconstruct", "--", data, vae]
        case [data, "test_classifier", vae, gmm]:
            return ["classify", "--", data, vae, gmm]
    raise UsageError(
        "the call is none of the assignment's",
        "TRAIN VAL train VAE GMM [--resume] | TEST test_reconstruction VAE | TEST test_classifier VAE GMM",
    )


def main() -> None:
    """The entry point of ``python -m latentcli.assignment``."""
    calls: list[list[str]] = []
    if code := exit_code_of(lambda: calls.append(translated(sys.argv[1:]))):
        sys.exit(code)
    run(calls[0])


if __name__ == "__main__":
    main()
