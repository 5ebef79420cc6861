"""What reads a map of codes best, with many labels and with few.

    python -m latentcli train mnist --model vqvae
    python tests/benchmarks/probes_of_codes.py mnist vqvae.pth

Each probe, and a small transformer beside them, reads the codebook's vectors of each image of the training part, and
the codes as names. 10,000 of these images (or a sixth), drawn once, are kept from all probes, and are what is read at
last: mean over draws of labels of the others.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

import latentcli as lc
from latentcli.classifiers.probes.convolutional_probe import ConvolutionalProbe, random_shift
from latentcli.classifiers.probes.network_probes import LinearProbe, MLPProbe
from latentcli.classifiers.probes.probe import MapShape
from latentcli.classifiers.probes.probe_network import ProbeNetwork, dropped

LABELS = {5: 3, 50: 3, 500: 1, None: 1}  # labels a class: draws of them; None: all
HEADS, LAYERS = 4, 2


class TransformerNetwork(ProbeNetwork):
    """Places with a vector each that is learned, ``LAYERS`` of attention, the mean over places, a linear layer."""

    ROWS_AT_ONCE = 256

    def __init__(self, shape: MapShape, codes: int, classes: int, width: int, dropout: float, shift: float) -> None:
        super().__init__(classes)
        self.shape, self.dropout, self.shift, self.codes = shape, dropout, shift, codes
        height, columns, channels = shape
        self.entry: nn.Module = nn.Embedding(codes + 1, width) if codes else nn.Linear(channels, width)
        self.scaling = nn.Identity() if codes else nn.BatchNorm1d(channels, affine=False)
        self.places = nn.Parameter(torch.zeros(height * columns, width))
        layer = nn.TransformerEncoderLayer(width, HEADS, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, classes)

    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        with torch.no_grad():
            self.places.normal_(0, 0.1, generator=generator)
            for layer in self.layers.layers:
                attention = cast(nn.TransformerEncoderLayer, layer).self_attn
                attention.in_proj_weight.normal_(0, len(attention.in_proj_weight[0]) ** -0.5, generator=generator)

    def prepare(self, X: np.ndarray, labelled: np.ndarray) -> None:
        """Nothing: channels are standardised as it learns."""

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        maps = x.unflatten(1, self.shape)
        if generator is not None:
            maps = random_shift(maps, self.shift, 0.0, generator)
        places = maps.flatten(1, 2)  # (N, h·w, C)
        if self.codes:
            rows = self.entry(places[..., 0].long().clamp(max=self.codes))
        else:
            rows = self.entry(self.scaling(places.float().movedim(-1, 1)).movedim(1, -1))
        rows = dropped(rows + self.places, self.dropout, generator)
        return self.last(dropped(self.norm(self.layers(rows)).mean(dim=1), self.dropout, generator))


@dataclass(kw_only=True, eq=False, repr=False)
class TransformerProbe(ConvolutionalProbe):
    """Learns as the convolutional probe does, three networks from few labels."""

    KIND = "transformer"

    def _network(self) -> Any:
        shape = cast(MapShape, self._map_shape())
        return TransformerNetwork(shape, self.codes_, len(self.classes_), self.width, self.dropout, self.shift)


PROBES: dict[str, Callable[..., Any]] = {
    "conv": ConvolutionalProbe, "transformer": TransformerProbe, "transformer, lr 1e-3": TransformerProbe,
    "mlp": MLPProbe, "linear": LinearProbe,
}  # fmt: skip
SETTINGS = {"transformer, lr 1e-3": {"lr": 1e-3}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("model")
    parser.add_argument("--probes", nargs="*", choices=[*PROBES], default=[*PROBES])
    parser.add_argument("--labels", type=int, nargs="*", help="labels a class; 0: all; by default 5, 50, 500 and all")
    parser.add_argument("--images", type=int, default=10_000, help="that are read at last, a sixth of all at most")
    chosen = parser.parse_args()
    model = lc.load_model(chosen.model)
    images = lc.load(chosen.data, prefer="train", **model.load_options)
    latents = model.encode(images)
    order = np.random.default_rng(0).permutation(len(images))
    kept = min(chosen.images, len(images) // 6)
    test, train = order[:kept], order[kept:]
    texts = latents.labels.texts
    counts = (
        LABELS if chosen.labels is None else {count or None: LABELS.get(count or None, 1) for count in chosen.labels}
    )
    print(
        f"| probe | features | {' | '.join(str(count or 'all') for count in counts)} |\n|{'---|' * (2 + len(counts))}"
    )
    for features in ("quantized", "codes"):
        numbers = latents.arrays[features]
        shape = latents.feature_shape(features)
        X = numbers.reshape(len(numbers), -1)
        for name in chosen.probes:
            found = []
            for count, draws in counts.items():
                right = []
                for draw in range(draws):
                    random = np.random.default_rng(draw)
                    rows = random.permutation(train)
                    if count is not None:
                        rows = np.concatenate([rows[texts[rows] == each][:count] for each in np.unique(texts)])
                    probe = PROBES[name](shape=shape, random_state=draw, **SETTINGS.get(name, {}))
                    right.append(float((probe.fit(X[rows], texts[rows]).predict(X[test]) == texts[test]).mean()))
                found.append(f"{100 * np.mean(right):.1f}")
            print(f"| {name} | {features} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
