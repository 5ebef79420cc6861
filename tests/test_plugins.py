"""Another package adds a model family, a data set and a probe by entry points, and every command knows them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
"""What a package of one's own may hold."""

from dataclasses import dataclass

import numpy as np
from latentcli import ImageSet, Labels
from latentcli.classifiers.probes.nearest import NearestNeighbours
from latentcli.core.settings import setting
from latentcli.models.base import Encoding, LatentModel, LossTerms, ModelConfig
from torch import nn


@dataclass(frozen=True)
class LinearConfig(ModelConfig):
    """Of an autoencoder of two linear layers.

    Attributes:
        latent_dim: dimensions of the latent space.
    """

    latent_dim: int = setting(2, between=(1, 64))


class Linear(LatentModel):
    """An autoencoder of two linear layers: principal components."""

    Config = LinearConfig
    MEASURES = ("spread",)
    FEATURES = ("mean", "pixels")

    def __init__(self, config):
        super().__init__()
        self.config = config
        pixels = int(np.prod(config.image_shape))
        self.encoder, self.decoder = nn.Linear(pixels, config.latent_dim), nn.Linear(config.latent_dim, pixels)

    @property
    def dimensions(self):
        return self.config.latent_dim

    def encode(self, images):
        flat = self.encoder(images.flatten(1))
        return Encoding({"mu": flat, "logvar": flat * 0 - 9}, flat)

    def decode(self, latents):
        return self.decoder(latents).clamp(0, 1).reshape(-1, *self.config.image_shape)

    def draw(self, count, generator):
        raise NotImplementedError

    def measures(self, arrays):
        return {"spread": float(arrays["mu"].std())}

    def loss(self, images, generator, progress=1.0):
        error = (self.decoder(self.encode(images).flat) - images.flatten(1)).square().sum(1).mean()
        return LossTerms(error, {"reconstruction": error})


class OneNeighbour(NearestNeighbours):
    """The nearest labelled image says it all."""

    KIND = "tiny-probe"

    def __init__(self, *, features=None, shape=None, n_neighbors=1, random_state=0, device="cpu"):
        super().__init__(
            features=features, shape=shape, n_neighbors=n_neighbors, random_state=random_state, device=device
        )


def stripes(split, roots, progress):
    """Bright on the left, or on the right."""
    images = np.random.default_rng(len(split)).integers(0, 99, (60, 1, 8, 8)).astype(np.uint8)
    images[::2, :, :, :3] += 150
    images[1::2, :, :, 5:] += 150
    return ImageSet(images, Labels.of(["left", "right"] * 30), name="tiny-data")
'''

ENTRY_POINTS = """
[latentcli.models]
tiny-family = tiny_plugin:Linear

[latentcli.data]
tiny-data = tiny_plugin:stripes

[latentcli.classifiers]
tiny-probe = tiny_plugin:OneNeighbour
"""


@pytest.fixture
def package(tmp_path) -> Path:
    """The folder that a package was installed to."""
    folder = tmp_path / "site"
    described = folder / "tiny_plugin-1.0.dist-info"
    described.mkdir(parents=True)
    (folder / "tiny_plugin.py").write_text(MODULE)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def call(folder: Path, *arguments: object, package: Path | None) -> subprocess.CompletedProcess[str]:
    """``latentcli`` in a process of its own, with or without that package."""
    paths = [str(package or ""), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"}
    command = [sys.executable, "-m", "latentcli", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_another_packages_family_data_and_probe(tmp_path, package):
    def succeed(*arguments: object) -> str:
        done = call(tmp_path, *arguments, package=package)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "tiny-family" in (help_text := succeed("train", "--help"))
    assert "tiny-data" in help_text
    assert "tiny-probe" in succeed("fit-probe", "--help")
    assert "latent_dim" in succeed("settings", "train", "--model", "tiny-family")
    cpu = ["--device", "cpu"]
    succeed("train", "tiny-data", "--model", "tiny-family", "--epochs", 30, "--latent-dim", 3, *cpu)
    described = json.loads(succeed("info", "vae.pth", "--json"))
    assert (described["family"], described["classes"]) == ("tiny-family", ["left", "right"])
    gates = ["--fail-under", "accuracy=0.95", "--fail-under", "spread=0"]
    succeed("evaluate", "tiny-data", "vae.pth", "gmm_params.pkl", *gates, *cpu)
    succeed("fit-probe", "tiny-data", "vae.pth", "--probe", "tiny-probe", *cpu)
    succeed("evaluate", "tiny-data", "vae.pth", "probe.pth", *gates, *cpu)

    for names in (["gmm_params.pkl"], ["probe.pth"]):
        without = call(tmp_path, "classify", "digits", "vae.pth", *names, package=None)
        assert without.returncode == 4, without.stderr
        assert "unknown model family 'tiny-family'" in without.stderr
        assert "another package" in without.stderr
        assert "Traceback" not in without.stderr


LOADS = """
import latentcli as lc
try:
    lc.load_classifier("probe.pth")
except lc.ModelFileError as error:
    print(error.problem, error.remedy)
"""


@pytest.mark.slow
def test_a_package_that_is_missing_or_broken(tmp_path, package):
    train = ["train", "tiny-data", "--model", "tiny-family", "--epochs", 1, "--device", "cpu"]
    assert call(tmp_path, *train, package=package).returncode == 0
    fitted = call(tmp_path, "fit-probe", "tiny-data", "vae.pth", "--probe", "tiny-probe", package=package)
    assert fitted.returncode == 0, fitted.stderr
    done = subprocess.run([sys.executable, "-c", LOADS], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "unknown kind" in done.stdout
    assert "another package" in done.stdout

    (package / "tiny_plugin.py").write_text("import a_module_that_is_not_there\n")
    broken = call(tmp_path, "reconstruct", "digits", "vae.pth", package=package)
    assert broken.returncode == 4, broken.stderr
    assert "cannot be imported" in broken.stderr
    assert "a_module_that_is_not_there" in broken.stderr
    unknown = call(tmp_path, *train, package=package)
    assert unknown.returncode == 2, unknown.stderr
    assert "cannot be imported" in unknown.stderr
    fine = call(tmp_path, "train", "digits", "--epochs", 1, "--set", "width=16", "--device", "cpu", package=package)
    assert fine.returncode == 0, fine.stderr  # all else goes on as before
