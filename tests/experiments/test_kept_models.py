"""Models that a study has kept: damaged ones are refused with what to do about it."""

import numpy as np
import pytest

from latentcli.core.errors import ModelFileError
from latentcli.data import ImageSet
from latentcli.experiments.hybrids import StudyConfig, model_of


def test_a_damaged_model_is_refused_and_trained_again_once_it_is_gone(tmp_path):
    images = ImageSet(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8))
    protocol = StudyConfig(settings=(("width", 32), ("epochs", 1)))
    model_of(images, 2, 0, protocol, tmp_path)
    path = tmp_path / "vae.pth"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ModelFileError, match="delete it, and the same call trains it again"):
        model_of(images, 2, 0, protocol, tmp_path)
    path.unlink()
    model_of(images, 2, 0, protocol, tmp_path)
    assert path.read_bytes() == whole
