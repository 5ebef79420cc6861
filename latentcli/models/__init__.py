"""Latent-variable models: a family is one file with its configuration and its network, and one line here."""

from latentcli.registry import Registry

FAMILIES = Registry("model family", {"vae": "latentcli.models.vae:VAE"})
