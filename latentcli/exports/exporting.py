"""A model as other programs read it: written, run again from its files, and compared with latentcli's own."""

from dataclasses import dataclass
from pathlib import Path

from latentcli.classifiers.base import LatentClassifier
from latentcli.core.errors import UsageError
from latentcli.core.settings import check_number
from latentcli.core.stages import stage
from latentcli.exports import FORMATS
from latentcli.exports.base import Format, check_packages
from latentcli.exports.parity import NUMBERS, TOLERANCES, check, deviations, expected, random_images
from latentcli.exports.parts import of_model
from latentcli.formats.atomic import atomic_folder, check_new_folder, output_errors
from latentcli.inference.classification import check_reader
from latentcli.models.low_dimensional import LowDimensionalVAE
from latentcli.models.trained import TrainedModel

EXAMPLE = "example.py"
REMEMBERED = "in so few dimensions `reconstruct` also tries remembered latents, which exported files do not"


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from the model.

    Attributes:
        files: in the folder, one a part, and ``example.py``.
        images: how many were compared.
        deviations: the largest of each output, by "part output", as a fraction of its largest number where that is
            more than 1; of codes the fraction that are others.
        notes: what the user should know, a line each.
    """

    files: tuple[Path, ...]
    images: int
    deviations: dict[str, float]
    notes: tuple[str, ...] = ()

    @property
    def tolerance(self) -> dict[str, float]:
        """What the deviations may be at most: of "codes", of "probabilities", and of all other "numbers"."""
        outputs = [name.rpartition(" ")[2] for name in self.deviations]
        kinds = {output if output in TOLERANCES else NUMBERS for output in outputs}
        return {kind: limit for kind, limit in TOLERANCES.items() if kind in kinds}


@stage("exporting")
def export(
    model: TrainedModel, path: str | Path, classifier: LatentClassifier | None = None, *, format: str = "onnx",
    seed: int = 0,
) -> Exported:  # fmt: skip
    """Write a model for other programs into a folder: ``encoder`` and ``decoder``, or ``classifier``, and an example.

    Each part takes a batch of any size: images as bytes (N, C, H, W), whose preprocessing is inside; a decoder points
    (N, D), the means and behind them the details where there are some, or codes (N, h, w). Numbers are float32, codes
    int32. What was written is run again on 16 images, 14 drawn by the seed, one black, one white, and compared with
    what latentcli makes of them: where one number is too far, nothing is written. The same model gives the same bytes.

    Args:
        model: of latents, or a classifier of pixels.
        path: of the folder, which is new or empty.
        classifier: a mixture or a probe fitted to the model's latents: ``classifier`` then is encoder and classifier
            in one.
        format: "onnx", "safetensors" (weights alone, which ``import_weights`` reads) or "torch-export".
        seed: of the images.

    Raises:
        UsageError: the format is unknown, its packages are not installed, or it cannot hold this model or classifier.
        ModelFileError: the classifier was not fitted on this model.
        OutputError: the folder cannot be written, or what was written computes something else.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> done = lc.export(vae, "exported", format="torch-export")
        >>> [file.name for file in done.files], max(done.deviations.values()) < 1e-4
        (['decoder.pt2', 'encoder.pt2', 'example.py'], True)
    """
    check_number("seed", seed, 0, 2**63 - 1)
    writer: Format = FORMATS[format]()
    check_packages(format, writer.PACKAGES)
    folder = Path(path)
    check_new_folder(folder)
    if classifier is not None:
        check_reader(model, classifier)
        if not writer.COMPUTES:
            raise UsageError(
                f"{format} holds weights, and no computation that a classifier of latents could be a part of",
                "its own file is already plain arrays", "leave it out, or take the `format` onnx",
            )  # fmt: skip
    own, parts = of_model(model, classifier)
    images = random_images(own.image_shape, seed)
    wanted = expected(own, classifier, parts, images)
    found: dict[str, float] = {}
    with atomic_folder(folder) as temporary:
        writer.write(temporary, own, parts)
        with output_errors(folder / EXAMPLE):
            (temporary / EXAMPLE).write_text(writer.example(parts), encoding="utf-8")
        for part in parts:
            apart = deviations(part, writer.runner(temporary, part), *wanted[part.name])
            check(part, apart, format)
            found |= {f"{part.name} {output}": deviation for output, deviation in apart.items()}
        names = sorted(file.name for file in temporary.iterdir())
    notes = (REMEMBERED,) if isinstance(own.network, LowDimensionalVAE) and len(own.network.landmarks.entries) else ()
    return Exported(tuple(folder / name for name in names), len(images), found, notes)
