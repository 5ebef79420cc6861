"""A learned codebook: each position of a map is replaced by its nearest vector (van den Oord et al. 2017)."""

from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.models.layers import blocks
from latentcli.models.quantiser import Quantised, Quantiser, counts_of, straight_through
from latentcli.numerics.precision import widest_dtype

LEARNING = ("ema", "gradient")
"""How the vectors learn: as moving averages of what is assigned to them, or by a loss of their own."""

KMEANS_ITERATIONS = 10
KMEANS_POINTS = 50
"""Vectors of the first batch, per code, that k-means clusters at most."""

DEAD = 0.1
"""A code used less than this fraction of the average is dead, and gets a new vector."""

REVIVAL_ENDS = 0.8
"""The fraction of training after which dead codes get no new vectors, so that the codebook settles."""

DISTANCES = 2**20
"""Distances that the search for the nearest vectors holds in memory at once."""


class Codebook(Quantiser):
    """K vectors of D dimensions, which begin as the k-means centres of the first batch.

    With "ema" each vector is the moving average of the points assigned to it; with "gradient" a loss pulls it there.
    In both cases the counts of use are moving averages, and a code that falls out of use gets a random vector of the
    batch.

    Args:
        size, dimensions: K and D.
        learning: "ema" or "gradient".
        decay: of the moving averages, per step; less at the start.

    Source: van den Oord, Vinyals & Kavukcuoglu 2017, section 3 and appendix A.1; initialisation and revival as in
    Łańcucki et al. 2020 and Dhariwal et al. 2020.
    """

    updates: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, dimensions: int, learning: str = "ema", decay: float = 0.99) -> None:
        super().__init__()
        self.size, self.dimensions, self.learning, self.decay = size, dimensions, learning, decay
        self.vectors = nn.Parameter(torch.zeros(size, dimensions), requires_grad=learning == "gradient")
        self.register_buffer("updates", torch.tensor(0))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", torch.zeros(size, dimensions))
        self._begun = False  # True: ``updates`` is known to be positive, without waiting for the device
        self.register_load_state_dict_post_hook(_forget_begun)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the vectors anew, to be used until training starts."""
        with torch.no_grad():
            self.vectors.normal_(generator=generator)
            self.sums.copy_(self.vectors)
        self._begun = False

    def forward(self, maps: Tensor, generator: torch.Generator, progress: float = 1.0) -> Quantised:
        points = points_of(maps)  # (M, D)
        detached = points.detach()
        if self.training and not self._begun:
            if not self.updates:
                self._start(detached, generator)
            self._begun = True
        codes = nearest(detached, self.vectors)
        values = F.embedding(codes, self.vectors)
        terms = {"commitment": (points - values.detach()).square().mean()}
        if self.learning == "gradient":
            terms["codebook"] = (values - detached).square().mean()
        if self.training:
            self._follow(detached, codes, generator, progress)
        height, width = maps.shape[2:]
        values = values.detach().unflatten(0, (-1, height, width)).movedim(-1, 1)
        return Quantised(straight_through(maps, values), codes.unflatten(0, (-1, height, width)), terms)

    def phase(self, progress: float) -> Hashable:
        return self._begun, progress < REVIVAL_ENDS

    def nearest(self, vectors: Tensor) -> Tensor:
        height, width = vectors.shape[2:]
        return nearest(points_of(vectors), self.vectors).unflatten(0, (-1, height, width))

    def vectors_of(self, codes: Tensor) -> Tensor:
        return F.embedding(codes, self.vectors)

    def frequencies(self) -> Tensor:
        return self.counts / self.counts.sum()

    @torch.no_grad()
    def _start(self, points: Tensor, generator: torch.Generator) -> None:
        rows = torch.randperm(len(points), generator=generator, device=points.device)[: KMEANS_POINTS * self.size]
        self.vectors.copy_(kmeans(points[rows], self.size, generator))
        self.sums.copy_(self.vectors)

    @torch.no_grad()
    def _follow(self, points: Tensor, codes: Tensor, generator: torch.Generator, progress: float) -> None:
        counts = counts_of(codes, self.size)
        sums = torch.zeros_like(self.sums).index_add_(0, codes, points)
        average = len(points) / self.size
        done = self.updates.to(widest_dtype(points.device.type))
        rate = (1 - ((1 + done) / (10 + done)).clamp_max(self.decay)).to(
            points.dtype
        )  # at first the encoder moves fast
        self.counts.lerp_(counts / average, rate)  # in units of the average
        self.sums.lerp_(sums / average, rate)
        self.updates.add_(1)
        if self.learning == "ema":
            self.vectors.copy_(self.sums / self.counts.clamp_min(1e-5)[:, None])
        if progress < REVIVAL_ENDS:
            drawn = points[torch.randint(len(points), (self.size,), generator=generator, device=points.device)]
            dead = self.counts < DEAD
            self.vectors.copy_(torch.where(dead[:, None], drawn, self.vectors))
            self.sums.copy_(torch.where(dead[:, None], drawn, self.sums))
            self.counts.masked_fill_(dead, 1.0)


def _forget_begun(codebook: Codebook, incompatible_keys: object) -> None:
    codebook._begun = False


def points_of(maps: Tensor) -> Tensor:
    """(N · h · w, D): the vector of each position of maps (N, D, h, w)."""
    return maps.movedim(1, -1).reshape(-1, maps.shape[1])


@torch.no_grad()
def nearest(points: Tensor, vectors: Tensor) -> Tensor:
    """(M,) int64: the row of ``vectors`` (K, D) nearest to each of ``points`` (M, D).

    |p − v|² is |v|² − 2 p·v up to a term that is the same for all v: a product of matrices, here as a linear layer. It
    is computed in blocks of points, whose distances stay in a processor's cache. On a CPU ``min`` is the fastest way
    to find the smallest.
    """
    weight, bias = -2.0 * vectors, vectors.square().sum(dim=1)
    parts = blocks(points, max(1, DISTANCES // len(vectors)))
    return torch.cat([F.linear(part, weight, bias).min(dim=1).indices for part in parts])


def kmeans(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(count, D): centres of points (M, D) by Lloyd's algorithm; with fewer points than centres some occur twice.

    The first centres are drawn one by one from the points, with probabilities proportional to the squared distance
    from the nearest centre drawn before (k-means++, Arthur & Vassilvitskii 2007); the generator is on the points'
    device.
    """
    centres = points.new_empty(count, points.shape[1])
    distances = points.new_ones(len(points))
    for index in range(count):
        weights = torch.where(distances.sum() > 0, distances, 1.0)
        centres[index] = points[torch.multinomial(weights, 1, generator=generator)][0]
        to_last = (points - centres[index]).square().sum(dim=1)
        distances = torch.minimum(distances, to_last) if index else to_last
    for _ in range(KMEANS_ITERATIONS):
        nearest_centres = nearest(points, centres)
        counts = counts_of(nearest_centres, count)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, nearest_centres, points)
        centres = torch.where(counts > 0, sums / counts, centres)
    return centres
