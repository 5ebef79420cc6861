"""All metrics of a model, and of a classifier of its latents, on a set of images."""

from typing import Any

from latentcli.classifiers.base import LatentClassifier
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.inference.classification import Predictions, check_reader, classify_latents
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics


def evaluate(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *, progress: Progress = silent
) -> tuple[dict[str, Any], Predictions | None]:
    """Metrics of a model's reconstructions and latents, and of a classifier of them.

    Args:
        images: of the model's shape.
        model: of latents.
        classifier: fitted to them; None leaves its metrics out.
        progress: told about the images.

    Returns:
        metrics by name: ``mse``, ``psnr``, ``ssim``, the family's own, ``images``, with labelled images and a
        classifier also ``accuracy`` and the like; and the predictions, None without a classifier.

    Raises:
        ModelFileError: the model has no latent space, or the classifier was not fitted on it.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", split="test")
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> metrics, _ = lc.evaluate(images, vae)
        >>> sorted(metrics)
        ['active_units', 'images', 'kl', 'mse', 'psnr', 'ssim']
    """
    predictions = latents = None
    if classifier is not None:
        check_reader(model, classifier)
        latents = model.encode(images, classifier.features, progress)
        predictions = classify_latents(latents, classifier)
    if latents is None or not latents.is_flat:
        latents = model.encode(images, progress=progress)
    score = metrics.ReconstructionScore()
    for rows, decoded in model.reconstructions(images, progress):
        score.add(images.images[rows], decoded)
    scores = {} if predictions is None else predictions.scores()
    return {**score.result(), **model.measures(latents), **scores, "images": len(images)}, predictions
