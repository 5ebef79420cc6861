"""The data set of a study: images to learn from, and images to be measured on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentcli.formats.files import digest

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet


@dataclass(frozen=True)
class Task:
    """One data set of a study, both parts labelled."""

    train: "ImageSet"
    test: "ImageSet"

    @property
    def name(self) -> str:
        """Of the data set, fit for the name of a file."""
        return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.train.name)

    def images_in_both(self) -> int:
        """How many test images are in the training part, too, pixel by pixel."""
        from latentcli.training.mixing import in_both

        return in_both(self.train, self.test)

    def identity(self) -> dict[str, Any]:
        """The images and labels by SHA-256."""
        return {
            half: digest({"images": images.images, "labels": images.labels, "names": images.class_names})
            for half, images in (("train", self.train), ("test", self.test))
        }
