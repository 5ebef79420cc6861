"""Models that the cells of a study have trained and saved."""

from pathlib import Path

from latentcli.artifacts.models import load_model
from latentcli.core.errors import ModelFileError
from latentcli.models.trained import TrainedModel


def kept_model(path: Path, device: str = "cpu") -> TrainedModel:
    """The model of this checkpoint, on the device of that name.

    Raises:
        ModelFileError: the file is damaged; the study can train the model again.
    """
    try:
        return load_model(path, device)
    except ModelFileError as error:
        raise ModelFileError(error.problem, error.found, "delete it, and the same call trains it again") from error
