"""``export`` and ``import``: what they print, what they refuse, and the way there and back."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from latentcli.artifacts.models import load_model

GOLDEN = Path(__file__).parent.parent / "golden"
VAE, MIXTURE, GRAPH, CNN = (GOLDEN / name for name in ("vae.pth", "gmm_params.pkl", "graph.npz", "cnn.pth"))


@pytest.fixture
def exported(call) -> Path:
    """The weights of the VAE."""
    assert call("export", VAE, "--format", "safetensors").code == 0
    return Path("exported/weights.safetensors")


def test_the_largest_deviation_is_printed(call):
    done = call("export", CNN, "--format", "torch-export", "-o", "out")
    assert (done.code, done.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    name, _, deviation = lines["largest_deviation"].rpartition(" ")
    assert name == "classifier probabilities"
    assert 0 <= float(deviation) < 1e-6
    assert (lines["format"], lines["images"], lines["tolerance"]) == ("torch-export", "16", "probabilities 0.0010")
    assert lines["written"] == "out/classifier.pt2, out/example.py"


def test_in_json_deviations_are_numbers(call):
    found = call("export", VAE, "--format", "safetensors", "--json").json
    assert found["largest_deviation"].keys() == {"encoder mean", "encoder log_variance", "decoder images"}
    assert max(found["largest_deviation"].values()) <= found["tolerance"]["numbers"] == 1e-4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["vae.none"], 4, "cannot read vae.none"),
        ([VAE, "--format", "tflite"], 2, "unknown export format 'tflite'"),
        ([VAE, GRAPH], 2, "a graph cannot be exported"),
        ([VAE, MIXTURE, "--format", "safetensors"], 2, "take the --format onnx"),
        ([CNN, MIXTURE], 4, "is a classifier of pixels"),
        ([MIXTURE, VAE], 2, f"latentcli export {VAE} {MIXTURE}"),
        ([VAE, "-o", "taken"], 6, "it exists and is not empty"),
    ],
)
def test_what_it_cannot_do_is_said_in_three_lines(call, arguments, code, said):
    Path("taken").mkdir()
    Path("taken/file").touch()
    done = call("export", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert len(done.err.splitlines()) <= 3
    assert [path.name for path in Path().iterdir()] == ["taken"]


def test_there_and_back_is_the_same_file(call, trained):
    assert call("export", trained.vae, "--format", "safetensors").code == 0
    done = call("import", "exported/weights.safetensors", "--like", trained.vae)
    assert (done.code, done.err) == (0, "")
    assert Path("imported.pth").read_bytes() == trained.vae.read_bytes()
    assert f"fingerprint  {load_model(trained.vae).fingerprint}" in done.out


def test_other_weights_are_another_model_that_says_where_they_come_from(call, exported):
    weights = safetensors.torch.load_file(exported)
    changed = {name: tensor * 2 if name == "posterior.weight" else tensor for name, tensor in weights.items()}
    safetensors.torch.save_file(changed, "tuned.safetensors")
    assert call("import", "tuned.safetensors", "--like", VAE, "-o", "tuned.pth").code == 0
    first, second = load_model(VAE, "cpu"), load_model("tuned.pth", "cpu")
    assert torch.equal(second.network.state_dict()["posterior.weight"], changed["posterior.weight"])
    assert second.fingerprint != first.fingerprint
    assert second.training["imported"]["file"] == "tuned.safetensors"
    assert second.training["imported"]["like"] == first.fingerprint
    assert second.training["data"] == first.training["data"]
    assert "history" not in second.training
    assert "tuned.safetensors" in call("info", "tuned.pth").out
    done = call("classify", GOLDEN / "images.npz", "tuned.pth", MIXTURE)
    assert (done.code, "was fitted on another checkpoint" in done.err) == (4, True)
    assert call("import", "tuned.safetensors", "--like", "tuned.pth", "-o", "same.pth").code == 0
    assert Path("same.pth").read_bytes() == Path("tuned.pth").read_bytes()


def test_an_input_is_never_replaced(call, exported):
    done = call("import", exported, "--like", VAE, "-o", exported)
    assert (done.code, "is an input of this command" in done.err) == (2, True)
