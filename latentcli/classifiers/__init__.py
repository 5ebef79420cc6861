"""Classifiers of latent points: scikit-learn's contract, and ``to_params`` / ``from_params`` in plain arrays.

A new one is a file of its own and a line here.
"""

from latentcli.registry import Registry

CLASSIFIERS = Registry(
    "classifier",
    {"gmm": "latentcli.classifiers.gaussian_mixture:GaussianMixtureClassifier"},
)
