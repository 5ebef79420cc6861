"""What is exported is what latentcli computes, runs without it, and is the same bytes for the same model."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch

from latentcli.core.errors import OutputError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.exports import FORMATS, base, exporting
from latentcli.exports.exporting import export
from latentcli.exports.onnx_graphs import OnnxGraphs
from latentcli.exports.parts import of_model
from latentcli.inference.classification import classify

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
IMAGES = np.random.default_rng(3).integers(0, 256, (7, 1, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def onnx_of_vae(golden, tmp_path_factory):
    model, mixture = golden("vae.pth", "gmm_params.pkl")
    folder = tmp_path_factory.mktemp("onnx") / "vae"
    return folder, export(model, folder, mixture)


@pytest.mark.slow
def test_onnxruntime_computes_what_latentcli_does(golden, onnx_of_vae):
    folder, done = onnx_of_vae
    model, mixture = golden("vae.pth", "gmm_params.pkl")
    latents, found = model.encode(IMAGES), classify(ImageSet(IMAGES), model, mixture)
    run = {part: onnxruntime.InferenceSession(folder / f"{part}.onnx") for part in ("encoder", "decoder", "classifier")}
    for count in (1, 3, 7):
        mean, log_variance = run["encoder"].run(["mean", "log_variance"], {"images": IMAGES[:count]})
        np.testing.assert_allclose(mean, latents.arrays["mu"][:count], atol=1e-5)
        np.testing.assert_allclose(log_variance, latents.arrays["logvar"][:count], atol=1e-5)
        (restored,) = run["decoder"].run(["images"], {"latents": mean})
        np.testing.assert_allclose(restored, model.decode(latents)[:count], atol=1e-5)
        (probabilities,) = run["classifier"].run(["probabilities"], {"images": IMAGES[:count]})
        np.testing.assert_allclose(probabilities, found.probabilities[:count], atol=1e-4)
    assert done.deviations.keys() == {
        "encoder mean", "encoder log_variance", "decoder images", "classifier probabilities",
    }  # fmt: skip
    assert 0 < max(done.deviations.values()) < 1e-5


def test_a_graph_says_what_it_is_and_nothing_of_where_it_was_made(golden, onnx_of_vae):
    folder, _ = onnx_of_vae
    graph = onnx.load(folder / "classifier.onnx")
    onnx.checker.check_model(graph, full_check=True)
    facts = json.loads({each.key: each.value for each in graph.metadata_props}["latentcli"])
    assert facts["fingerprint"] == golden("vae.pth").fingerprint
    assert (facts["class_names"], facts["image_shape"], facts["part"]) == (["1", "4", "8"], [1, 8, 8], "classifier")
    assert {each.data_type for each in graph.graph.initializer} <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert b"/latentcli/" not in (folder / "classifier.onnx").read_bytes()
    assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)


def test_the_same_part_gives_the_same_graph(golden, onnx_of_vae):
    model, (_, decoder) = of_model(golden("vae.pth"))
    (onnx_of_vae[0] / "again").mkdir(exist_ok=True)
    OnnxGraphs().write(onnx_of_vae[0] / "again", model, [decoder])
    again = (onnx_of_vae[0] / "again" / "decoder.onnx").read_bytes()
    assert (onnx_of_vae[0] / "decoder.onnx").read_bytes() == again


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_needs_is_in_the_extra(name):
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    named = {re.split(r"[<>=]", each)[0] for each in extras["export"]}
    assert {*FORMATS[name].PACKAGES} <= named <= {re.split(r"[<>=]", each)[0] for each in extras["test"]}


def test_codes_are_whole_numbers_and_what_the_decoder_takes(golden, tmp_path, run_alone):
    model = golden("vqvae.pth")
    done = export(model, tmp_path / "exported")
    assert done.tolerance == {"numbers": 1e-4, "codes": 0.01}
    assert done.deviations["encoder codes"] == 0
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / "exported" / f"{part}.onnx") for part in ("encoder", "decoder")
    )  # fmt: skip
    codes, vectors = encoder.run(["codes", "vectors"], {"images": IMAGES})
    arrays = model.encode(IMAGES).arrays
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, arrays["codes"])
    np.testing.assert_allclose(vectors, arrays["quantized"], atol=1e-6)
    (restored,) = decoder.run(["images"], {"codes": codes})
    np.testing.assert_allclose(restored, model.decode(model.encode(IMAGES)), atol=1e-5)
    assert run_alone(tmp_path / "exported" / "example.py")[0] == "(3, 4, 4) (3, 4, 4, 2)"


def test_the_example_classifies_without_latentcli(onnx_of_vae, run_alone):
    lines = run_alone(onnx_of_vae[0] / "example.py")
    assert lines[0] == "(3, 5) (3, 5)"
    assert lines[1].startswith("(3, 1, 8, 8) 0.")
    assert set(eval(lines[2].partition("]")[0] + "]")) <= {"1", "4", "8"}


def test_torch_runs_a_classifier_of_pixels_without_latentcli(golden, tmp_path, run_alone):
    model = golden("cnn.pth")
    done = export(model, tmp_path / "exported", format="torch-export")
    assert [file.name for file in done.files] == ["classifier.pt2", "example.py"]
    network = torch.export.load(tmp_path / "exported" / "classifier.pt2").module()
    for count in (1, 3, 7):
        (found,) = network(torch.from_numpy(IMAGES[:count]))
        np.testing.assert_allclose(found.detach().numpy(), model.probabilities(IMAGES[:count]), atol=1e-6)
    (line,) = run_alone(tmp_path / "exported" / "example.py")
    assert "'1'" in line or "'4'" in line or "'8'" in line


def test_safetensors_holds_the_weights_and_the_configuration(golden, tmp_path, run_alone):
    model = golden("vae.pth")
    export(model, tmp_path / "exported", format="safetensors")
    found = safetensors.torch.load_file(tmp_path / "exported" / "weights.safetensors")
    own = model.network.state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)
    assert run_alone(tmp_path / "exported" / "example.py")[0] == "vae [1, 8, 8] ['1', '4', '8']"


@pytest.mark.parametrize(("name", "format"), [("cnn.pth", "torch-export"), ("vae.pth", "safetensors")])
def test_the_same_model_gives_the_same_bytes(golden, tmp_path, name, format):
    first, again = (
        export(golden(name), tmp_path / folder, format=format, seed=seed) for folder, seed in (("a", 0), ("b", 1))
    )
    assert [file.name for file in first.files] == [file.name for file in again.files]
    assert [file.read_bytes() for file in first.files] == [file.read_bytes() for file in again.files]


def test_a_file_that_computes_something_else_is_an_error_and_is_not_left(golden, tmp_path, monkeypatch):
    written = FORMATS["safetensors"].runner

    def changed(self, folder, part):
        run = written(self, folder, part)
        return lambda batch: tuple(output + np.float32(2e-3) for output in run(batch))

    monkeypatch.setattr(FORMATS["safetensors"], "runner", changed)
    with pytest.raises(OutputError, match="does not compute what the model does") as refused:
        export(golden("cnn.pth"), tmp_path / "exported", format="safetensors")
    assert "expected probabilities within 0.001, found 0.002" in refused.value.found
    assert list(tmp_path.iterdir()) == []


def test_other_codes_than_a_few_are_an_error(golden, tmp_path, monkeypatch):
    written = FORMATS["safetensors"].runner

    def changed(self, folder, part):
        run = written(self, folder, part)
        return lambda batch: tuple(each + 1 for each in run(batch))

    monkeypatch.setattr(FORMATS["safetensors"], "runner", changed)
    with pytest.raises(OutputError, match="encoder") as refused:
        export(golden("vqvae.pth"), tmp_path / "exported", format="safetensors")
    assert refused.value.found.endswith("of its codes are others")


def test_numbers_that_are_not_finite_are_an_error(golden, tmp_path, monkeypatch):
    monkeypatch.setattr(FORMATS["safetensors"], "runner", lambda *_: lambda batch: (np.full((len(batch), 3), np.nan),))
    with pytest.raises(OutputError, match="does not compute"):
        export(golden("cnn.pth"), tmp_path / "exported", format="safetensors")


def test_what_cannot_be_is_refused_before_any_work(golden, tmp_path, monkeypatch):
    model, mixture = golden("vae.pth", "gmm_params.pkl")
    with pytest.raises(UsageError, match="unknown export format 'tflite'"):
        export(model, tmp_path / "exported", format="tflite")
    with pytest.raises(UsageError, match="safetensors holds weights"):
        export(model, tmp_path / "exported", mixture, format="safetensors")
    (tmp_path / "file").write_text("mine")
    for taken in (tmp_path, tmp_path / "file", tmp_path / "none" / "exported"):
        with pytest.raises(OutputError):
            export(model, taken)
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as refused:
        export(model, tmp_path / "exported")
    assert str(refused.value).splitlines() == [
        "the format onnx needs onnx, onnxscript, onnxruntime", "  not installed: onnx, onnxscript, onnxruntime",
        "  pip install 'latentcli[export]'",
    ]  # fmt: skip


def test_a_network_that_is_no_graph_is_refused(golden, tmp_path):
    model = golden("cnn.pth")
    model.network.predict_proba = lambda images: images.flatten(1)[:, :3] if images.sum() > 0 else images
    with pytest.raises(UsageError, match="cannot be made into a graph") as refused:
        export(model, tmp_path / "exported", format="torch-export")
    assert refused.value.remedy == "its weights can: `format` safetensors"


def test_in_few_dimensions_what_reconstruct_does_beside_is_told(golden, tmp_path):
    done = export(golden("vae2d.pth"), tmp_path / "exported", format="safetensors")
    assert done.notes == (exporting.REMEMBERED,)
