"""A causal transformer: each place of a sequence reads those before it, and itself."""

from torch import Tensor, nn
from torch.nn import functional as F


class Cache:
    """Keys and values of the places that a ``Block`` has read, for those that follow to look back at.

    Args:
        like: any tensor of their type and device.
        shape: N, heads, places in all, and numbers of a head.
    """

    def __init__(self, like: Tensor, shape: tuple[int, int, int, int]) -> None:
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)
        self.read = 0

    def followed_by(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, heads, places so far, …), with those of the next place (N, heads, 1, …)."""
        self.keys[:, :, self.read], self.values[:, :, self.read] = keys[:, :, 0], values[:, :, 0]
        self.read += 1
        return self.keys[:, :, : self.read], self.values[:, :, : self.read]


class Block(nn.Module):
    """Attention to the places before, then a layer for each place alone; both are added to what they read.

    Args:
        width: numbers of each place.
        heads: of attention, each with width/heads of them.

    Source: Vaswani et al. 2017, with normalisation before each part (Xiong et al. 2020).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_attention, self.from_attention = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, rows: Tensor, count: int, cache: Cache | None = None) -> Tensor:
        """(N·T, width): what becomes of T places of each of N = ``count`` sequences, in this order.

        Matrices go through linear layers faster than stacks of them, see ``FastLinear``.

        Args:
            rows: (N·T, width).
            count: N.
            cache: of the places before, where T is 1 and there are some; it takes in this one. None: all are here.
        """
        found = self.to_attention(self.before_attention(rows)).unflatten(0, (count, -1))
        queries, keys, values = found.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (N, heads, T, …)
        if cache is not None:
            keys, values = cache.followed_by(keys, values)
        read = F.scaled_dot_product_attention(queries, keys, values, is_causal=cache is None)
        rows = rows + self.from_attention(read.transpose(1, 2).flatten(2).flatten(0, 1))
        added: Tensor = self.layers(self.before_layers(rows))
        return rows + added
