"""Classifiers of latent points: scikit-learn's contract, and ``to_params`` / ``from_params`` in plain arrays.

A new one is a file of its own and a line here; or a probe of another package, by an entry point of the group
``latentcli.classifiers``.
"""

from latentcli.core.registry import Registry

_PROBES = {
    "mlp": "latentcli.classifiers.probes.network_probes:MLPProbe",
    "conv": "latentcli.classifiers.probes.convolutional_probe:ConvolutionalProbe",
    "linear": "latentcli.classifiers.probes.network_probes:LinearProbe",
    "knn": "latentcli.classifiers.probes.nearest:NearestNeighbours",
}
_GROUP = "latentcli.classifiers"

PROBES = Registry("probe", _PROBES, group=_GROUP)
"""Those that learn from labelled images alone, of any features (``probe.Probe``)."""

CLASSIFIERS = Registry(
    "classifier",
    {
        "gmm": "latentcli.classifiers.mixture.gaussian_mixture:GaussianMixtureClassifier",
        "graph": "latentcli.classifiers.graph.graph_classifier:GraphClassifier",
        **_PROBES,
    },
    group=_GROUP,
)
