"""Folders and arrays as people have them, through train, classify and evaluate: read right, told, or refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DIM = np.random.default_rng(0).integers(0, 200, (24, 8, 8)).astype(np.uint8)
DIM[::2, 2:6, 2:6] = 255  # of class 0


def folder(save: Callable[[np.ndarray, Path], object]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        for number, pixels in enumerate(DIM):
            (path / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
            save(pixels, path / "ab"[number % 2] / str(number))

    return make


def array(pixels: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.savez(path, data=pixels, labels=np.array(list("ab" * 12)))


def ink(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(np.dstack([0 * pixels] * 3 + [pixels])).save(path.with_suffix(".png"))


INPUTS = {  # name, what makes it, what is told
    "twelve bits": ("set", folder(lambda x, p: Image.fromarray(x.astype("u2") * 16).save(f"{p}.png")), "0…4095"),
    "ink": ("set", folder(ink), "laid on white in 24 file(s)"),
    "gif": ("set", folder(lambda x, p: Image.fromarray(x).save(f"{p}.gif")), ""),
    "junk": ("set", folder(lambda x, p: (Image.fromarray(x).save(f"{p}.pgm"), Path(f"{p}.dcm").touch())), "24 .dcm"),
    "about zero": ("set.npz", array((DIM / 127.5 - 1).astype("f4")), "-1…1"),
    "truth values": ("set.npz", array(DIM > 127), "0…1"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs_go_through_all_commands_and_each_tells_how_they_were_read(call, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    data, make, told = INPUTS[case]
    make(Path(data))
    small = ["--backbone", "mlp", "--latent-dim", 2, "--epochs", 1, "--set", "width=8"]
    for line in (["train", data, *small], ["classify", data, "vae.pth", "gmm_params.pkl"],
                 ["evaluate", data, "vae.pth", "gmm_params.pkl"]):  # fmt: skip
        done = call(*line)
        assert done.code == 0, done.err
        assert told in done.err
    assert len(Path("vae.csv").read_text().splitlines()) == 25
