"""Any network of the package timm, where that is installed."""

from pathlib import Path
from typing import Any

from torch import Tensor

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.models.pretrained.base import Preprocessing, PretrainedEncoder


class TimmEncoder(PretrainedEncoder):
    """A network by timm's name, such as ``resnet18.a1_in1k``; timm pools its features (``num_classes=0``)."""

    def __init__(self, network: str) -> None:
        try:
            import timm
        except ImportError as error:
            raise UsageError(
                f"timm:{network} is a network of the package timm", "it is not installed", "pip install timm"
            ) from error
        try:
            made: Any = timm.create_model(network, pretrained=False, num_classes=0)
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"timm has no network {network!r}", str(error)) from error
        published = made.pretrained_cfg
        mode = "bilinear" if published.get("interpolation") == "bilinear" else "bicubic"
        size = int(published["input_size"][-1])
        super().__init__(Preprocessing(size, tuple(published["mean"]), tuple(published["std"]), mode))
        self.name = network
        self.licence = str(published.get("license") or "see the network's card")
        self.source = f"timm {network}: {published.get('hf_hub_id') or published.get('url') or 'no published weights'}"
        self.network, self.features = made, int(made.num_features)

    def pooled(self, images: Tensor) -> Tensor:
        return self.network(images).flatten(1)

    def weights_file(self) -> Path:
        raise ModelFileError(
            f"the weights of timm:{self.name} are not fetched: their format is not one that latentcli reads",
            "expected a file of torch.save",
            f"save them: torch.save(timm.create_model({self.name!r}, pretrained=True).state_dict(), 'weights.pth'), "
            f"then --encoder timm:{self.name}=weights.pth",
        )
