"""Image classification, reconstruction and generation through the latent space of variational autoencoders."""

__version__ = "0.1.0"
