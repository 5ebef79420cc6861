"""A Gaussian mixture as prior of a VAE, trained end to end with it (Jiang et al. 2017, "VaDE")."""

import math

import torch
from torch import Tensor, nn

from latentcli.numerics.shared_batches import summed, whole

LOG_VARIANCES = (-14.0, 10.0)
"""Bounds of log-variances, of posteriors and of priors, so that their exponentials are always finite."""


class MixturePrior(nn.Module):
    """p(z) = Σ_k N(z; μ_k, diag σ²_k) / K: K components of equal weight, their means and variances (K, D) learned."""

    def __init__(self, components: int, dimensions: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.zeros(components, dimensions))
        self.log_variances = nn.Parameter(torch.zeros(components, dimensions))

    @property
    def bounded_log_variances(self) -> Tensor:
        """(K, D): log σ², clamped to ``LOG_VARIANCES``."""
        return self.log_variances.clamp(*LOG_VARIANCES)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the means from N(0, 0.5² I), the variances being 1; a single component begins as N(0, I)."""
        with torch.no_grad():
            self.log_variances.zero_()
            if len(self.means) > 1:
                self.means.normal_(0.0, 0.5, generator=generator)
            else:
                self.means.zero_()

    def log_responsibilities(self, latents: Tensor) -> Tensor:
        """(N, K): log p(k | z) of latents (N, D)."""
        precisions = (-self.bounded_log_variances).exp()
        # (z − μ)² / σ² = z²/σ² − 2 z μ/σ² + μ²/σ²: two matrix products instead of an (N, K, D) tensor
        distances = latents.square() @ precisions.T - 2 * latents @ (self.means * precisions).T
        constants = (self.means.square() * precisions + self.bounded_log_variances).sum(dim=1)
        return torch.log_softmax(-0.5 * (distances + constants), dim=1)

    def kl(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """(N,) nats: upper bound of the KL divergence of diagonal Gaussian posteriors, each (N, D), from the mixture.

        Σ_k γ_k (KL[q(z | x) ‖ N(μ_k, σ²_k)] + log γ_k + log K) with γ = p(k | z) at the posterior mean; for one
        component at the origin with unit variance it is the divergence from N(0, I).

        Source: Jiang et al. 2017, equation 12, with the expectation over z taken at its mean.
        """
        log_gamma = self.log_responsibilities(mean)
        precisions = (-self.bounded_log_variances).exp()
        second_moments = log_variance.exp() + mean.square()
        distances = second_moments @ precisions.T - 2 * mean @ (self.means * precisions).T
        constants = (self.means.square() * precisions + self.bounded_log_variances - 1).sum(dim=1)
        to_components = 0.5 * (distances + constants - log_variance.sum(dim=1, keepdim=True))  # (N, K)
        return (log_gamma.exp() * (to_components + log_gamma + math.log(len(self.means)))).sum(dim=1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, D): points drawn from the mixture."""
        components = torch.randint(len(self.means), (count,), generator=generator, device=self.means.device)
        noise = torch.randn((count, self.means.shape[1]), generator=generator, device=self.means.device)
        return self.means[components] + (0.5 * self.bounded_log_variances[components]).exp() * noise

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D) of the whole mixture, by the law of total covariance."""
        mean = self.means.mean(dim=0)
        spread = self.means - mean
        return mean, spread.T @ spread / len(spread) + self.bounded_log_variances.exp().mean(dim=0).diag()

    def widest_plane(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and the two directions (2, D), one standard deviation long, in which the means spread most.

        With two means or fewer they are the dimensions of largest variance. No (D, D) covariance is computed.
        """
        mean, variances = self.means.mean(dim=0), self.bounded_log_variances.exp().mean(dim=0)
        spread = self.means - mean
        directions = torch.nn.functional.one_hot(variances.topk(2).indices, len(mean)).to(mean.dtype)
        if len(self.means) > 2:
            directions = torch.linalg.svd(spread, full_matrices=False).Vh[:2]
        along = (spread @ directions.T).square().mean(dim=0) + directions.square() @ variances
        order = along.argsort(descending=True)
        return mean, (directions * along.sqrt()[:, None])[order]


def mutual_information(first: Tensor, second: Tensor) -> Tensor:
    """Mutual information between the components of two views of the same images: a scalar, nats, at most log K.

    Each view is given by its (N, K) probabilities of the components. The information is high when both views of an
    image belong to the same component, and all components are used equally. Maximised without labels, it makes the
    components depend on what distortions leave unchanged.

    Source: Ji, Henriques & Vedaldi 2019 (invariant information clustering), equation 3.
    """
    joint = summed(first.T @ second) / whole(len(first))
    joint = ((joint + joint.T) / 2).clamp_min(1e-8)
    joint = joint / joint.sum()
    marginal = joint.sum(dim=1)
    return (joint * (joint.log() - marginal.log()[:, None] - marginal.log()[None, :])).sum()
