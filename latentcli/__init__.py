"""Image classification, reconstruction and generation through the latent space of variational autoencoders."""

from latentcli.numerics import threads

__version__ = "0.1.0"

threads.settle()
