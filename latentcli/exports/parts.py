"""The parts of a model that are exported: each a network from bytes of images to named numbers, or back.

Legend of shapes: N images, C channels, H × W pixels, D latent dimensions, h × w positions of a map of codes, K classes.
"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.classifiers.base import LatentClassifier
from latentcli.core.latents import ARRAYS_OF_FEATURES
from latentcli.exports.readers import reader_of
from latentcli.models.base import LatentModel, PixelClassifier
from latentcli.models.pretrained.base import Preprocessing, PretrainedEncoder
from latentcli.models.quantised import QuantisedAutoencoder
from latentcli.models.trained import TrainedModel

IMAGES, LATENTS, CODES, PROBABILITIES = "images", "latents", "codes", "probabilities"
OUTPUTS = {
    "mu": "mean", "logvar": "log_variance", "details": "details", "details_logvar": "details_log_variance",
    "codes": CODES, "quantized": "vectors",
}  # fmt: skip
"""What the arrays of ``latents.npz`` are called in an export."""


@dataclass(frozen=True)
class Part:
    """A network of one input, (N, …), to be written as a file of its own.

    Attributes:
        name: "encoder", "decoder" or "classifier".
        network: the input to a tuple of outputs, each (N, …); on the CPU, in evaluation mode.
        input: its name: "images" (N, C, H, W) uint8, "latents" (N, D) float32, or "codes" (N, h, w) int32.
        example: (2, …): an input.
        outputs: their names, in their order; of floats all are float32, of codes int32.
        classes: the names of the classes whose probabilities it gives; empty where it gives none.
    """

    name: str
    network: nn.Module
    input: str
    example: Tensor
    outputs: tuple[str, ...]
    classes: tuple[str, ...] = ()


class MatrixPreprocessing(nn.Module):
    """A ``Preprocessing`` of images of one size, of which the resizing is a product with two matrices.

    Runtimes resize each in their own way. How much of each pixel ``F.interpolate`` takes does not depend on the pixels,
    and it takes rows and columns apart: so what it makes of an identity matrix is all that it does.
    """

    mean: Tensor
    deviation: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, of: Preprocessing, height: int, width: int) -> None:
        super().__init__()
        for name, values in (("mean", of.mean), ("deviation", of.deviation)):
            self.register_buffer(name, torch.tensor(values)[:, None, None])
        self.resizes = (height, width) != (of.size, of.size)
        for name, size in (("rows", height), ("columns", width)):
            shape = (of.size, size)
            taken = F.interpolate(torch.eye(size)[None, None], shape, mode=of.interpolation, antialias=True)[0, 0]
            self.register_buffer(name, taken)

    def forward(self, images: Tensor) -> Tensor:
        """As ``Preprocessing``."""
        if self.resizes:
            images = (self.rows @ images @ self.columns.T).clamp(0, 1)
        return (images.expand(-1, 3, -1, -1) - self.mean) / self.deviation


def of_model(model: TrainedModel, classifier: LatentClassifier | None = None) -> tuple[TrainedModel, tuple[Part, ...]]:
    """The model, copied to the CPU, and the parts that it is exported in.

    Args:
        model: of latents, for an encoder and a decoder; or a classifier of pixels.
        classifier: fitted to the latents of the model, for one part more, from images to its probabilities.

    Raises:
        UsageError: the classifier cannot be said as a fixed computation.
        ModelFileError: it is a prior, whose sampling is none either.
    """
    if not isinstance(model.network, PixelClassifier):
        model.check_latents()
    network = copy.deepcopy(model.network).cpu().eval().requires_grad_(False)
    model = replace(model, network=network)
    prepared = copy.deepcopy(network)
    channels, height, width = model.image_shape
    for module in [module for module in prepared.modules() if isinstance(module, PretrainedEncoder)]:
        module.preprocessing = MatrixPreprocessing(module.preprocessing, height, width)  # type: ignore[assignment]
    images = torch.zeros(2, channels, height, width, dtype=torch.uint8)
    if isinstance(prepared, PixelClassifier):
        model.pixel_classifier  # noqa: B018  # raises the error where it does not name its classes
        return model, (Part("classifier", _Classifier(prepared), IMAGES, images, (PROBABILITIES,), model.class_names),)
    assert isinstance(prepared, LatentModel)
    with torch.inference_mode():
        encoding = prepared.encode(images.float())
    names = tuple(OUTPUTS.get(name, name) for name in encoding.arrays)
    encoder = Part("encoder", _Encoder(prepared), IMAGES, images, names)
    if isinstance(prepared, QuantisedAutoencoder):
        codes = torch.zeros(2, *prepared.config.grid, dtype=torch.int32)
        decoder = Part("decoder", _DecoderOfCodes(prepared), CODES, codes, (IMAGES,))
    else:
        decoder = Part("decoder", _Decoder(prepared), LATENTS, torch.zeros(2, prepared.dimensions), (IMAGES,))
    if classifier is None:
        return model, (encoder, decoder)
    whole = _ClassifierOfLatents(prepared, classifier)
    classes = tuple(map(str, classifier.classes_))
    return model, (encoder, decoder, Part("classifier", whole, IMAGES, images, (PROBABILITIES,), classes))


def joined(encoder: Part, decoder: Part) -> tuple[str, ...]:
    """Which outputs of an encoder, one behind the other, are the decoder's input."""
    if decoder.input == CODES:
        return (CODES,)
    return tuple(name for name in ("mean", "details") if name in encoder.outputs) or encoder.outputs[:1]


def _floats(images: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]."""
    return images.float() / 255.0


class _Encoder(nn.Module):
    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        arrays = self.model.encode(_floats(images)).arrays.values()
        return tuple(array.float() if array.is_floating_point() else array.int() for array in arrays)


class _Decoder(nn.Module):
    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> tuple[Tensor, ...]:
        return (self.model.decode(latents),)


class _DecoderOfCodes(nn.Module):
    def __init__(self, model: QuantisedAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, codes: Tensor) -> tuple[Tensor, ...]:
        vectors = self.model.quantiser.vectors_of(codes.long())
        return (torch.sigmoid(self.model.logits_of(vectors.movedim(-1, 1))),)


class _Classifier(nn.Module):
    def __init__(self, model: PixelClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.model.predict_proba(_floats(images)),)


class _ClassifierOfLatents(nn.Module):
    def __init__(self, model: LatentModel, classifier: LatentClassifier) -> None:
        super().__init__()
        self.model, self.features = model, classifier.features or model.FEATURES[0]
        self.reader = reader_of(classifier)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        name, floats = ARRAYS_OF_FEATURES.get(self.features), _floats(images)
        found = self.model.features(floats, self.features) if name is None else self.model.encode(floats).arrays[name]
        return (self.reader(found.flatten(1)),)
