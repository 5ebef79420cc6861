"""Images and labels from named data sets, arrays and folders, as one type: :class:`ImageSet`."""

from latentcli.core.image_set import UNLABELLED, ImageSet, Shape
from latentcli.core.labels import labelled_per_class
from latentcli.data.loading import SOURCES, load

__all__ = ["SOURCES", "UNLABELLED", "ImageSet", "Shape", "labelled_per_class", "load"]
