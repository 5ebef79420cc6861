"""Classifiers of latents as networks in float32: features (N, F) to the probabilities (N, K) of classes."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.classifiers.base import LatentClassifier
from latentcli.classifiers.graph.graph_classifier import GraphClassifier
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.classifiers.probes.nearest import NearestNeighbours
from latentcli.classifiers.probes.network_probes import NetworkProbe
from latentcli.core.errors import UsageError


def reader_of(classifier: LatentClassifier) -> nn.Module:
    """The network that gives the probabilities of a fitted classifier, columns as in its ``classes_``.

    Raises:
        UsageError: it is no fixed computation of the features, as that of a graph; or of an unknown kind.
    """
    if isinstance(classifier, GaussianMixtureClassifier):
        return MixtureReader(classifier)
    if isinstance(classifier, NetworkProbe):
        return NetworksReader(classifier)
    if isinstance(classifier, NearestNeighbours) and not classifier.codes_:
        return NeighboursReader(classifier)
    if isinstance(classifier, NearestNeighbours):
        why = "neighbours in codes are often equally near, and each runtime would choose others of them"
        raise UsageError(
            "nearest neighbours of codes cannot be exported", why, "fit --probe linear or mlp, or a mixture"
        )
    if isinstance(classifier, GraphClassifier):
        why = "it searches all points that it was fitted on and spreads labels between them, which no format can say"
        raise UsageError("a graph cannot be exported", why, "fit a mixture (fit-gmm) or a probe (fit-probe) instead")
    raise UsageError(f"a {type(classifier).__name__} cannot be exported", "expected a mixture or a probe")


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


class MixtureReader(nn.Module):
    """p(class | z) of a Gaussian mixture: log densities by whitened differences, responsibilities summed by class.

    With Σ = L Lᵀ the squared distance is |L⁻¹ (z − μ)|²: differences first, so that float32 is enough (the product
    form of ``mixture.gaussians`` needs float64).
    """

    means: Tensor
    whitening: Tensor
    constants: Tensor
    members: Tensor
    directions: Tensor
    offset: Tensor

    def __init__(self, mixture: GaussianMixtureClassifier) -> None:
        super().__init__()
        factors = np.linalg.cholesky(mixture.full_covariances())
        log_determinants = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        with np.errstate(divide="ignore"):
            constants = np.log(mixture.weights_) - 0.5 * log_determinants
        members = np.eye(len(mixture.classes_))[mixture.component_labels_]  # (components, K)
        arrays = {
            "means": mixture.means_, "whitening": np.linalg.inv(factors), "constants": constants, "members": members,
        }  # fmt: skip
        if (plane := mixture.projection_) is not None:
            arrays |= {"directions": plane.directions, "offset": plane.offset}
        for name, array in arrays.items():
            self.register_buffer(name, _tensor(array))
        self.projects = plane is not None

    def forward(self, features: Tensor) -> Tensor:
        if self.projects:
            features = F.linear(features - self.offset, self.directions)
        apart = features[:, None] - self.means  # (N, components, d)
        distances = torch.einsum("nkd,ked->nke", apart, self.whitening).square().sum(dim=2)
        return (self.constants - 0.5 * distances).softmax(dim=1) @ self.members


class NetworksReader(nn.Module):
    """The mean of the probabilities of a probe's networks."""

    def __init__(self, probe: NetworkProbe) -> None:
        super().__init__()
        self.networks = nn.ModuleList(probe.networks_)

    def forward(self, features: Tensor) -> Tensor:
        return torch.stack([network(features).softmax(dim=1) for network in self.networks]).mean(dim=0)


class NeighboursReader(nn.Module):
    """The vote of the nearest points, by the inverse of their distance; points at no distance alone, where there are.

    Products find twice as many candidates as vote; these are then measured by differences.
    """

    mean: Tensor
    scale: Tensor
    points: Tensor
    votes: Tensor
    norms: Tensor

    def __init__(self, probe: NearestNeighbours) -> None:
        super().__init__()
        self.count = min(probe.n_neighbors, len(probe.points_))
        self.candidates = min(2 * self.count, len(probe.points_))
        for name, array in {
            "mean": probe.mean_, "scale": probe.scale_, "points": probe.points_,
            "votes": np.eye(len(probe.classes_))[probe.labels_],
        }.items():  # fmt: skip
            self.register_buffer(name, _tensor(array))
        self.register_buffer("norms", self.points.square().sum(dim=1))

    def forward(self, features: Tensor) -> Tensor:
        found = (features - self.mean) / self.scale
        likeness = 2 * F.linear(found, self.points) - self.norms
        rows = likeness.topk(self.candidates, dim=1).indices  # (N, candidates)
        distances = (found[:, None] - self.points[rows]).square().sum(dim=2).sqrt()
        nearest = distances.topk(self.count, dim=1, largest=False)
        rows = rows.gather(1, nearest.indices)
        same = nearest.values == 0
        weights = torch.where(same.any(dim=1, keepdim=True), same.float(), 1 / nearest.values)
        votes = (weights[:, :, None] * self.votes[rows]).sum(dim=1)
        return votes / votes.sum(dim=1, keepdim=True)
