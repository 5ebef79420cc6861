"""The sizes that images may have, and how arrays are resized."""

from dataclasses import replace

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import LARGEST, SMALLEST, ImageSet, Shape
from latentcli.core.progress import Progress
from latentcli.data.array_axes import other_order

_ROUND = 256  # images that are copied at a time


def in_range(height: int, width: int) -> bool:
    """Whether models take images of this size."""
    return min(height, width) >= SMALLEST and max(height, width) <= LARGEST


def fit(
    images: ImageSet, image_shape: Shape | None, image_size: int | None, resize: bool, progress: Progress
) -> ImageSet:
    """The same images in the ``image_shape`` of a model, where ``resize`` allows it, or else in the ``image_size``.

    Raises:
        DataError: the images have another shape than the model's, or are smaller or larger than models take.
    """
    channels, height, width = images.shape
    if image_shape is not None:
        if channels != image_shape[0]:
            raise DataError(
                f"{images.name} does not have the channels that the model was trained on",
                f"expected {_colours(image_shape[0])}, found {_colours(channels)}",
                f"convert the array: {_conversion(images)}; or train a model on {_colours(channels)} images",
            )
        if (height, width) == image_shape[1:]:
            return images
        if not resize:
            found = f"expected {image_shape[1]}×{image_shape[2]} pixels, found {height}×{width}"
            remedy = "resize them while loading: `resize`"
            raise DataError(f"{images.name} does not have the image size of the model", found, remedy)
        return _resized(images, image_shape[1], image_shape[2], progress)
    if image_size is not None and (height, width) != (image_size, image_size):
        return _resized(images, image_size, image_size, progress)
    if not in_range(height, width):
        problem = f"{images.name} has images of {height}×{width} pixels"
        remedy = f"resize them while loading, such as with `image_size` {min(max(SMALLEST, height), 64)}"
        if images.files is None and images.numpy == "data" and (way := other_order(images.layout, images.images.shape)):
            remedy = f"{way}; else {remedy}"
        raise DataError(problem, f"expected {SMALLEST} to {LARGEST} pixels a side", remedy)
    return images


def _conversion(images: ImageSet) -> str:
    """The call of numpy that makes an array in colour grey, or a grey one colour."""
    axis = 1 if images.layout == "NCHW" else -1
    if images.shape[0] == 1:
        grey = f"{images.numpy}[..., None]" if images.layout == "NHW" else images.numpy
        return f"numpy.repeat({grey}, 3, axis={axis})"
    return f"{images.numpy}.mean(axis={axis}).astype(data.dtype)"


def _resized(images: ImageSet, height: int, width: int, progress: Progress) -> ImageSet:
    """Each image as a whole at another size, with Lanczos' filter, antialiased when it shrinks."""
    from PIL import Image

    source, channels = images.images, images.shape[0]
    result = np.empty((len(source), channels, height, width), dtype=np.uint8)
    with progress("resizing images", len(source)) as advance:
        for start in range(0, len(source), _ROUND):
            rows = np.ascontiguousarray(source[start : start + _ROUND])
            for row, image in enumerate(rows, start):
                for channel in range(channels):
                    plane = Image.fromarray(image[channel]).resize((width, height), Image.Resampling.LANCZOS)
                    result[row, channel] = np.asarray(plane)
            advance(len(rows))
    return replace(images, images=result)


def _colours(channels: int) -> str:
    return "colour (3 channels)" if channels == 3 else "grey (1 channel)"
