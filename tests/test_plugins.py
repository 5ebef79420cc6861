"""Another package adds a model family, a data set and a probe by entry points, and every command knows them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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


CALLS = """
import contextlib, io, json, os, sys
import sklearn.metrics, torch, torch.export  # before the process is copied: these take seconds

def called(arguments):
    from latentcli.cli.app import run
    import latentcli.cli

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(arguments)
        except SystemExit as end:
            return int(end.code or 0), out.getvalue(), err.getvalue()

for line in sys.stdin:
    path, commands = json.loads(line)
    if (child := os.fork()) == 0:
        sys.path.insert(0, path)
        print(json.dumps([called(arguments) for arguments in commands]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


Outcomes = list[tuple[int, str, str]]


@pytest.fixture
def call(tmp_path) -> Iterator[Callable[..., Outcomes]]:
    """Exit code, output and errors of commands, in a process that has loaded latentcli with that package, or without.

    The first argument is the package's folder, or any other.
    """
    with subprocess.Popen(
        [sys.executable, "-c", CALLS], cwd=tmp_path, env=os.environ | {"COLUMNS": "200"}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        def call(folder: Path, *commands: list[object]) -> Outcomes:
            line = json.dumps([str(folder), [[str(part) for part in arguments] for arguments in commands]])
            print(line, file=process.stdin, flush=True)
            return [tuple(outcome) for outcome in json.loads(process.stdout.readline())]

        yield call


CPU = ["--device", "cpu"]
FEW = ["--labels-per-class", 2, *CPU]
"""So few that ``train`` compares no classifiers, which has tests of its own."""
TRAIN = ["train", "tiny-data", "--model", "tiny-family", "--epochs", 30, "--latent-dim", 3, *FEW]


@pytest.mark.slow
def test_another_packages_family_data_and_probe(call, tmp_path, package):
    gates = ["--fail-under", "accuracy=0.95", "--fail-under", "spread=0", *CPU]
    outcomes = call(
        package,
        ["train", "--help"],
        ["fit-probe", "--help"],
        ["settings", "train", "--model", "tiny-family"],
        TRAIN,
        ["info", "vae.pth", "--json"],
        ["evaluate", "tiny-data", "vae.pth", "gmm_params.pkl", *gates],
        ["fit-probe", "tiny-data", "vae.pth", "--probe", "tiny-probe", *CPU],
        ["evaluate", "tiny-data", "vae.pth", "probe.pth", *gates],
        ["encode", "tiny-data", "vae.pth", *CPU],
        ["export", "vae.pth", "probe.pth", "--format", "torch-export"],
    )
    assert [err for code, _, err in outcomes if code] == []
    train_help, probe_help, settings, _, info, *_ = (out for _, out, _ in outcomes)
    assert "tiny-family" in train_help
    assert "tiny-data" in train_help
    assert "tiny-probe" in probe_help
    assert "latent_dim" in settings
    assert json.loads(info)["family"] == "tiny-family"
    assert json.loads(info)["classes"] == ["left", "right"]

    without_family, without_probe = call(
        tmp_path,
        ["classify", "digits", "vae.pth", "gmm_params.pkl", *CPU],
        ["classify", "latents.npz", "probe.pth", *CPU],
    )
    for (code, _, err), said in (
        (without_family, "unknown model family 'tiny-family'"),
        (without_probe, "probe.pth holds a classifier of an unknown kind"),
    ):
        assert code == 4
        assert said in err
        assert "another package" in err

    (package / "tiny_plugin.py").write_text("import a_module_that_is_not_there\n")
    broken, unknown, fine = call(
        package,
        ["reconstruct", "digits", "vae.pth", *CPU],
        TRAIN,
        ["train", "digits", "--epochs", 1, "--set", "width=16", "--backbone", "mlp", *FEW],
    )
    for (code, _, err), expected in ((broken, 4), (unknown, 2)):
        assert code == expected
        assert "cannot be imported" in err
        assert "a_module_that_is_not_there" in err
    assert fine[0] == 0, fine[2]  # all else goes on as before
