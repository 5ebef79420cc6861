"""A prior of code maps: a causal transformer over their places, of a VQ-VAE's or an FSQ autoencoder's latents."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.core.image_set import LARGEST
from latentcli.core.latents import Latents
from latentcli.core.settings import check_number, setting
from latentcli.models.base import LossTerms, ModelConfig
from latentcli.models.prior import Embeddings, Prior, check_own
from latentcli.models.transformer import Block, Cache
from latentcli.numerics.precision import widest_dtype
from latentcli.numerics.shared_batches import drawn

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel

MOST_FREQUENCIES = 2**22
"""Frequencies of codes that are kept place by place; where there would be more, all places share theirs."""

MOST_LOGITS = 2**25
"""Of a batch in training: its images, times the places and the codes of each."""

SHRUNK = 10.0
"""How many images' worth the codes of all places weigh beside those of one place, see ``log_frequencies``."""


@dataclass(frozen=True)
class CodePriorConfig(ModelConfig):
    """Architecture of a prior of codes.

    Attributes:
        grid: height and width of the maps of codes.
        codes: how many there are.
        dimensions: of the vector that each of them stands for.
        classes: that it can be asked for; 0 where it knows none.
        width: numbers that stand for each place.
        layers: of attention.
        heads: of each.
        drop_class: fraction of the images whose class is hidden in training, so that it learns all of them, too.
        dropout: fraction of what each layer adds that is dropped in training.
    """

    OF_DATA: ClassVar[tuple[str, ...]] = ("image_shape", "grid", "codes", "dimensions", "classes")
    TRAINING: ClassVar[Mapping[str, Any]] = {
        "pixel_budget": 12_000_000, "min_epochs": 3, "max_epochs": 20, "min_steps": 400, "max_batch": 64, "lr": 2e-3,
        "weight_decay": 0.02, "held_out": 0.1,
    }  # fmt: skip
    """What ``pixel_budget`` counts are codes here. Of a few thousand images a prior learns by heart what more than 20
    passes teach."""

    grid: tuple[int, int]
    codes: int = setting(between=(2, 65_536))
    dimensions: int = setting(between=(1, 4096))
    classes: int = setting(between=(0, 100_000))
    width: int = setting(128, between=(2, 4096))
    layers: int = setting(4, between=(1, 64))
    heads: int = setting(4, between=(1, 64))
    drop_class: float = setting(0.1, between=(0.0, 1.0))
    dropout: float = setting(0.2, between=(0.0, 0.95))

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.grid) != 2:
            raise UsageError(f"a grid of codes is {self.grid}", "expected its height and width")
        for size in self.grid:
            check_number("a side of a grid of codes", size, 1, LARGEST)
        if self.width % self.heads:
            raise UsageError(
                f"`width` is {self.width}, and `heads` is {self.heads}", "each head has an equal part of the width",
                "take a multiple",
            )  # fmt: skip

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            **self.TRAINING,
            "max_batch": max(2, min(self.TRAINING["max_batch"], MOST_LOGITS // self.places // self.codes)),
        }

    @property
    def places(self) -> int:
        """L, of a map: height times width, counted row by row."""
        return math.prod(self.grid)

    @property
    def kept_frequencies(self) -> tuple[int, int]:
        """Shape of ``log_frequencies``."""
        return (self.places if self.places * self.codes <= MOST_FREQUENCIES else 1), self.codes


class CodePrior(Prior):
    """p(codes | class) = Π p(code of a place | codes before it, class), places in raster order.

    It begins as the frequencies of the codes at each place, and learns what these do not say. It knows the vectors that
    codes stand for: what it learns of one holds for those like it, which of 1,400 images saves 0.7 of 4.6 bits a code
    (8×8 digits, held out).

    Source: van den Oord, Vinyals & Kavukcuoglu 2017, section 3.3, with a transformer as in Esser et al. 2021, section
    3.2.
    """

    KIND: ClassVar[str] = "a prior of codes"
    ASKED: ClassVar[tuple[str, ...]] = ("classes", "temperature", "guidance", "top_p", "complete")
    LATENTS: ClassVar[str] = "codes"
    Config = CodePriorConfig
    config: CodePriorConfig
    log_frequencies: Tensor
    vectors: Tensor

    def __init__(self, config: CodePriorConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        height, across = config.grid
        self.embeddings = Embeddings(
            {"start": 1, "codes": config.codes, "rows": height, "columns": across, "classes": config.classes,
             "no_class": 1}, width,
        )  # fmt: skip
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.before_logits = nn.LayerNorm(width)
        self.to_logits = nn.Linear(width, config.codes, bias=False)
        self.to_logits.gain = 0.0  # type: ignore[assignment]  # it begins with the frequencies alone
        self.from_vectors = nn.Linear(config.dimensions, width, bias=False)
        self.to_vectors = nn.Linear(width, config.dimensions, bias=False)
        self.to_vectors.gain = 0.0  # type: ignore[assignment]
        self.register_buffer("vectors", torch.zeros(config.codes, config.dimensions))
        self.register_buffer("log_frequencies", torch.zeros(config.kept_frequencies))

    @classmethod
    def examples(cls, latents: Latents, model: "TrainedModel") -> np.ndarray:
        grid, size = codes_of(model)
        check_own(latents, model)
        codes = latents.arrays.get("codes")
        if codes is None or codes.dtype.kind not in "iu" or codes.shape[1:] != grid or not _within(codes, size):
            expected = f"(N, {grid[0]}, {grid[1]}) whole numbers from 0 to {size - 1}"
            raise model.latent_network.unfit("codes", expected)
        return codes if codes.dtype == np.int32 else codes.astype(np.int32)

    @classmethod
    def sizes(cls, model: "TrainedModel") -> dict[str, Any]:
        (grid, codes), network = codes_of(model), model.latent_network
        dimensions: int = network.quantiser.dimensions  # type: ignore[union-attr, assignment]
        return {"grid": grid, "codes": codes, "dimensions": dimensions}

    @classmethod
    def begun(cls, rows: np.ndarray, config: CodePriorConfig, model: "TrainedModel") -> dict[str, Tensor]:
        frequencies = log_frequencies(rows, config.kept_frequencies)
        return {"log_frequencies": torch.from_numpy(frequencies), "vectors": scaled_vectors(model)}

    @property
    def noise_size(self) -> int:
        return self.config.places

    @property
    def values_at_once(self) -> int:
        config = self.config
        return max(2 * config.layers * config.places * config.width, 4 * config.codes)

    def loss(
        self, batch: Tensor | tuple[Tensor, Tensor], generator: torch.Generator, progress: float = 1.0
    ) -> LossTerms:
        """Negative log-likelihood, nats per image: summed over places, mean over the batch.

        Args:
            batch: codes (N, h, w) of whole numbers; or these, and (N, K) probabilities of classes, 0 where unknown.
            generator, progress: as of every model.
        """
        codes, classes = batch if isinstance(batch, tuple) else (batch, None)
        config, classes = self.config, self.hidden(classes, generator)
        dropping = generator if self.training and config.dropout else None
        nats = -self.log_likelihood(codes, classes, dropping).sum(dim=1).mean()
        return LossTerms(nats, {"bits_per_code": nats.detach() / (math.log(2) * config.places)})

    @property
    def log_shares(self) -> Tensor:
        """(K,) nats: the log of how often each code occurs in training, wherever."""
        return self.log_frequencies.exp().mean(dim=0).log()

    def collapse(self, metrics: Mapping[str, float]) -> str | None:
        shares = self.log_shares
        bits = -float((shares.exp() * shares).sum()) / math.log(2)
        found = metrics.get("val_bits_per_code", 0.0)
        if found < bits:
            return None
        return (
            f"a code of images held out takes {found:.3g} bits with this prior, and {bits:.3g} by how often it occurs: "
            "nothing of how codes go together was learned; more images, or fewer `codes`, may help"
        )

    def log_likelihood(
        self, codes: Tensor, classes: Tensor | None = None, dropping: torch.Generator | None = None
    ) -> Tensor:
        """(N, L) nats: the log-probability of each code, given those before it, and the class.

        Args:
            codes: (N, h, w) of whole numbers.
            classes: (N, K) probabilities, a row of which may sum to less than 1; None: no classes.
            dropping: of the dropout in training; None: there is none.
        """
        found = codes.flatten(1).long()
        logits = self.logits(found[:, :-1], self.condition(len(found), classes), dropping)
        nats = F.cross_entropy(logits.flatten(0, 1), found.flatten(), reduction="none")
        return -nats.unflatten(0, found.shape)

    def logits(self, before: Tensor, condition: Tensor, dropping: torch.Generator | None = None) -> Tensor:
        """(N, T + 1, K) float32: unnormalised log-probabilities of the codes of the first T + 1 places.

        Args:
            before: (N, T) int64 codes of the first T places, T below L.
            condition: (N, width), as ``condition`` gives it.
            dropping: of the dropout in training; None: there is none.
        """
        count, places = len(before), torch.arange(before.shape[1] + 1, device=before.device)
        start = self.embeddings.start.expand(count, 1, -1)
        tokens = torch.cat([start, F.embedding(before, self._vectors())], dim=1)
        rows = (tokens + self._place(places) + condition[:, None]).flatten(0, 1)
        found = self.run(rows, lambda rows: self._read(rows, count, dropping=dropping))
        return found.unflatten(0, (count, -1)) + self._frequencies(places)

    def _vectors(self) -> Tensor:
        """(K, width): what stands for each code."""
        found: Tensor = self.embeddings.codes + self.from_vectors(self.vectors)
        return found

    def _place(self, places: Tensor) -> Tensor:
        """(T, width): what stands for places (T,)."""
        across = self.config.grid[1]
        return self.embeddings.rows[places // across] + self.embeddings.columns[places % across]

    def _frequencies(self, places: Tensor) -> Tensor:
        return self.log_frequencies[places if len(self.log_frequencies) > 1 else torch.zeros_like(places)]

    def _read(
        self, rows: Tensor, count: int, caches: list[Cache] | None = None, dropping: torch.Generator | None = None
    ) -> Tensor:
        """(N·T, K): what the network adds to the frequencies, for tokens (N·T, width)."""
        for number, block in enumerate(self.blocks):
            read = block(rows, count, None if caches is None else caches[number])
            if dropping is not None:
                read = rows + _dropped(read - rows, count, self.config.dropout, dropping)
            rows = read
        found = self.before_logits(rows)
        logits: Tensor = self.to_logits(found) + F.linear(self.to_vectors(found), self.vectors)
        return logits

    def sample(
        self, noise: Tensor, classes: Tensor | None = None, *, temperature: float = 1.0, top_p: float = 1.0,
        guidance: float = 1.0, given: Tensor | None = None, kept: Tensor | None = None, cached: bool = True,
    ) -> Tensor:  # fmt: skip
        """(N, h, w) int64: code maps, drawn place after place.

        Args:
            noise: (N, L) uniform in [0, 1): all randomness; the same noise gives the same codes.
            classes: (N, K) probabilities to draw from; None: from all classes.
            temperature: logits are divided by it; below 1 what is likely becomes likelier.
            top_p: the codes of a place that are likeliest, as many as together have this probability, are drawn from
                (Holtzman et al. 2020).
            guidance: w: logits are those without a class, and w times what the class adds to them (Ho & Salimans 2022,
                equation 6, with w counted from 0). 0 leaves the class out, 1 is p(codes | class), more exaggerates it.
            given: (N, h, w) codes, of which the ``kept`` places stay as they are; None: none.
            kept: (h, w) bool.
            cached: whether places look back at what those before them have kept; otherwise all is computed anew,
                which is slow, and gives the same.

        Raises:
            ModelFileError: a logit is not finite.
        """
        count, places = noise.shape
        with_class, without = self.condition(count, classes), self.condition(count, None)
        both = classes is not None and guidance not in (0.0, 1.0)
        condition = torch.cat([without, with_class]) if both else without if guidance == 0 else with_class
        shape = len(condition), self.config.heads, places, self.config.width // self.config.heads
        caches = [Cache(condition, shape) for _ in self.blocks] if cached else None
        codes = torch.zeros(count, places, dtype=torch.int64, device=noise.device)
        vectors, finite = self._vectors(), torch.ones((), dtype=torch.bool, device=noise.device)
        for place in range(places):
            before = codes[:, :place].repeat(2 if both else 1, 1)
            logits = self._next(before, condition, caches, vectors)
            finite = finite & logits.isfinite().all()
            if both:
                nothing, something = logits.chunk(2)
                logits = nothing + guidance * (something - nothing)
            codes[:, place] = _drawn(logits / temperature, noise[:, place], top_p)
            if given is not None and kept is not None and bool(kept.flatten()[place]):
                codes[:, place] = given.flatten(1)[:, place]
        if not finite:
            raise ModelFileError("the prior gives no numbers", "its weights are too large", "fit it again")
        return codes.unflatten(1, self.config.grid)

    def _next(self, before: Tensor, condition: Tensor, caches: list[Cache] | None, vectors: Tensor) -> Tensor:
        """(N, K): the logits of the place behind ``before`` (N, T), of which all but the last are in the caches."""
        if caches is None:
            return self.logits(before, condition)[:, -1]
        place = torch.full((1,), before.shape[1], device=before.device)
        token = F.embedding(before[:, -1], vectors) if before.shape[1] else self.embeddings.start
        rows = token + self._place(place) + condition
        return self.run(rows, lambda rows: self._read(rows, len(rows), caches)) + self._frequencies(place)


def _dropped(rows: Tensor, count: int, fraction: float, generator: torch.Generator) -> Tensor:
    """(N·T, width) of N = ``count`` sequences with a fraction of the numbers set to 0, and the others made larger."""
    shape = len(rows) // count, rows.shape[1]
    kept = drawn(lambda total: rows.new_empty(total, *shape).bernoulli_(1 - fraction, generator=generator), count)
    return rows * kept.flatten(0, 1) / (1 - fraction)


def _drawn(logits: Tensor, noise: Tensor, top_p: float) -> Tensor:
    """(N,) int64: of codes with logits (N, K) those at which their cumulative probability passes noise (N,)."""
    probabilities = logits.to(widest_dtype(logits.device.type)).softmax(dim=1)
    order = None
    if top_p < 1:
        probabilities, order = probabilities.sort(dim=1, descending=True, stable=True)
        likelier = probabilities.cumsum(dim=1) - probabilities
        probabilities = torch.where(likelier < top_p, probabilities, 0.0)
    passed = probabilities.cumsum(dim=1)
    found = torch.searchsorted(passed, passed[:, -1:] * noise[:, None].to(passed.dtype), right=True)
    found = found.clamp_max(logits.shape[1] - 1)
    return (found if order is None else order.gather(1, found))[:, 0]


def log_frequencies(codes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """float32 of this shape, L or 1 places by K codes: how often each code occurs at each place, as logarithms.

    A place's counts are shrunk towards those of all places, which have one more of each code, so that none is 0.

    Args:
        codes: (N, h, w) whole numbers in 0 … K − 1.
        shape: ``CodePriorConfig.kept_frequencies``.
    """
    places, size = shape
    rows = np.asarray(codes).reshape(len(codes), -1)
    everywhere = np.zeros(size)
    counts = np.zeros(shape)
    for place in range(rows.shape[1]):
        found = np.bincount(rows[:, place], minlength=size)
        everywhere += found
        counts[place if places > 1 else 0] += found
    everywhere = (everywhere + 1) / (everywhere + 1).sum()
    shrunk = counts + SHRUNK * everywhere
    frequencies: np.ndarray = np.log(shrunk / shrunk.sum(axis=1, keepdims=True)).astype(np.float32)
    return frequencies


@torch.no_grad()
def scaled_vectors(model: "TrainedModel") -> Tensor:
    """(K, D) float32 on the CPU: the vectors of a model's codes, less their mean, with values around ±1."""
    quantiser: Any = model.latent_network.quantiser
    vectors = quantiser.vectors_of(torch.arange(quantiser.size, device=model.device)).float().cpu()
    vectors = vectors - vectors.mean(dim=0)
    scaled: Tensor = vectors / vectors.square().mean().sqrt().clamp_min(1e-12)
    return scaled


def _within(codes: np.ndarray, size: int) -> bool:
    return not len(codes) or bool(codes.min() >= 0 and codes.max() < size)


def codes_of(model: "TrainedModel") -> tuple[tuple[int, int], int]:
    """Height and width of a model's maps of codes, and how many codes there are.

    Raises:
        UsageError: the model has none.
        ModelFileError: it has no latent space.
    """
    network: Any = model.latent_network
    if "codes" not in network.FEATURES:
        raise UsageError(
            f"{model.name} is a {model.family}, whose latents are no codes", "expected a model of maps of codes",
            "train a vqvae or fsq",
        )  # fmt: skip
    return network.config.grid, network.quantiser.size
