"""Images and labels from named data sets, arrays and folders, as one type: :class:`ImageSet`."""

from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import UNLABELLED, Labels, labelled_per_class
from latentcli.data.loading import SOURCES, load

__all__ = ["SOURCES", "UNLABELLED", "ImageSet", "Labels", "Shape", "labelled_per_class", "load"]
