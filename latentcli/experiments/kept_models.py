"""Models that the cells of a study have trained and kept."""

from pathlib import Path
from typing import TYPE_CHECKING

from latentcli.core.errors import ModelFileError

if TYPE_CHECKING:
    from latentcli.models.base import LatentModel


def kept_model(path: Path, device: str) -> "LatentModel":
    """The model of this checkpoint, on the device of that name.

    Raises:
        ModelFileError: the file is damaged; the study can do without it.
    """
    from latentcli.artifacts import checkpoint
    from latentcli.core import device as devices
    from latentcli.models.base import LatentModel

    try:
        network = checkpoint.build(checkpoint.load(path)).to(devices.resolve(device))
    except ModelFileError as error:
        raise ModelFileError(error.problem, error.found, "delete it, and the same call trains it again") from error
    assert isinstance(network, LatentModel)
    return network
