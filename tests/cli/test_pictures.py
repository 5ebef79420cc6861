"""``plot codes`` and ``plot tsne`` on small trained models of two families."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.cli.app import run


@pytest.fixture(scope="module")
def quantised(trained, tmp_path_factory) -> Path:
    """A VQ-VAE after one epoch of digits."""
    folder = tmp_path_factory.mktemp("quantised")
    images = np.load(trained.train)["data"]
    np.savez(folder / "images.npz", data=images)
    options = ["--set", "codes=32", "--set", "width=128", "--latent-dim", 8, "--epochs", 1, "-q"]
    with pytest.raises(SystemExit) as end:
        run(
            [
                str(part)
                for part in ["train", folder / "images.npz", "--model", "vqvae", *options, "-o", folder / "vq.pth"]
            ]
        )
    assert end.value.code == 0
    return folder / "vq.pth"


def test_codes_are_drawn_with_the_measures_of_their_use(call, trained, quantised):
    done = call("plot", "codes", trained.test, quantised, "-o", "codes.png")
    assert (done.code, "perplexity" in done.out, "codes_used" in done.out) == (0, True, True)
    assert Image.open("codes.png").size[0] > 1_000
    assert call("plot", "codes", trained.test, quantised, "-o", "codes.svg").code == 0
    assert "<svg" in Path("codes.svg").read_text()


def test_a_model_without_codes_is_told_which_families_have_some(call, trained):
    done = call("plot", "codes", trained.test, trained.vae)
    assert done.code == 2
    assert "no codes to draw; the families that have are vqvae, fsq" in done.err
    assert not Path("codes.png").exists()


def test_encode_draws_what_its_latents_are(call, trained, quantised):
    assert call("encode", trained.test, quantised, "--figures", "a").code == 0
    assert {path.name for path in Path("a").iterdir()} == {"latent.png", "codes.png"}
    done = call("encode", trained.test, trained.vae, "--figures", "b", "--json")
    assert done.json["written"] == ["latents.npz", "b/latent.png"]


def test_tsne_draws_as_many_points_as_asked_for_of_either_family(call, trained, quantised):
    for model in (trained.vae, quantised):
        done = call("plot", "tsne", trained.test, model, "--points", 30)
        assert done.code == 0
        assert ["points", "30"] in [line.split() for line in done.out.splitlines()]
        assert Image.open("tsne.png").size[0] > 1_000
    first = Path("tsne.png").read_bytes()
    call("plot", "tsne", trained.test, quantised, "--points", 30)
    assert Path("tsne.png").read_bytes() == first
    call("plot", "tsne", trained.test, quantised, "--points", 30, "--seed", 1)
    assert Path("tsne.png").read_bytes() != first
