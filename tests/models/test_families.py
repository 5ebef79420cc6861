"""What every registered family promises; a newcomer is tested by its line in the registry."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from latentcli.core.errors import DataError, UsageError
from latentcli.core.settings import described
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create, family_of
from latentcli.models.backbones import MAX_PARAMETERS, count_parameters
from latentcli.models.layers import channels_last
from latentcli.numerics import precision

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 80, 80), (3, 9, 40), (3, 256, 256)]
CHOICES = {family: FAMILIES[family].Config.__dataclass_fields__["backbone"].metadata["choices"] for family in FAMILIES}
every_backbone = pytest.mark.parametrize(
    ("family", "backbone"), [(family, backbone) for family, names in CHOICES.items() for backbone in names]
)
families = pytest.mark.parametrize("family", FAMILIES)


def build(family: str, shape=(1, 28, 28), seed: int = 0, classes: int | None = 3, **settings):
    config = FAMILIES[family].Config.for_data(shape, classes, **settings)
    return create(family, config, seed)


def batch(shape, count: int = 4) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(7))


@every_backbone
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_every_size_go_in_and_come_out_in_range(family, backbone, shape):
    model = build(family, shape, backbone=backbone).eval()
    images = batch(shape, 2)
    with torch.inference_mode():
        encoding = model.encode(images)
        decoded = model.decode(encoding.flat)
    assert decoded.shape == images.shape
    assert ((decoded >= 0) & (decoded <= 1)).all()
    assert encoding.flat.shape[0] == 2
    assert all(len(array) == 2 for array in encoding.arrays.values())


@every_backbone
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_default_networks_stay_small(family, backbone, shape):
    assert count_parameters(build(family, shape, backbone=backbone)) <= MAX_PARAMETERS


@every_backbone
def test_encoding_is_deterministic_and_each_image_on_its_own(family, backbone):
    model, images = build(family, backbone=backbone).eval(), batch((1, 28, 28))
    with torch.inference_mode():
        whole = model.encode(images).flat
        assert torch.equal(whole, model.encode(images).flat)
        assert_close(whole, torch.cat([model.encode(image[None]).flat for image in images]), rtol=1e-4, atol=1e-4)


@every_backbone
def test_the_loss_is_a_function_of_its_generator_and_reaches_every_weight(family, backbone):
    images, models = batch((1, 28, 28), 8), [build(family, backbone=backbone) for _ in range(2)]
    first, again = (model.loss(images, torch.Generator().manual_seed(1), 1.0) for model in models)
    assert first.total.isfinite()
    assert torch.equal(first.total, again.total)
    again.total.backward()
    named = models[1].named_parameters()
    unreached = [name for name, weight in named if weight.requires_grad and weight.grad is None]
    assert unreached == []


@families
def test_weights_are_a_function_of_the_seed(family):
    torch.manual_seed(0)
    first = build(family, seed=1).state_dict()
    torch.manual_seed(99)
    again, other = build(family, seed=1).state_dict(), build(family, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@families
def test_a_model_is_rebuilt_from_its_own_configuration(family):
    model = build(family, latent_dim=3)
    config = FAMILIES[family].Config(**asdict(model.config))
    assert config == model.config
    assert build(family, latent_dim=3).state_dict().keys() == model.state_dict().keys()


@families
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_the_plane_of_the_prior_lies_in_the_space_that_a_classifier_reads(family, latent_dim):
    model = build(family, latent_dim=latent_dim).eval()
    dimensions = model.encode(batch((1, 28, 28))).flat.shape[1]
    plane = model.prior_plane()
    if plane is None:
        pytest.skip("the prior of this family is not spread over a plane")
    mean, directions = plane
    assert mean.shape == (dimensions,) == (model.dimensions,)
    assert directions.shape == (2, dimensions)
    assert latent_dim == 2 or directions[0].norm() >= directions[1].norm()  # two dimensions are drawn as they are
    assert_close(directions[0] @ directions[1], torch.tensor(0.0), atol=1e-4, rtol=0)
    assert model.decode(mean + directions).shape == (2, 1, 28, 28)


@families
@pytest.mark.parametrize("backbone", ["mlp", "residual"])
def test_draws_from_the_prior_are_valid_latents_that_depend_on_the_generator_alone(family, backbone):
    model = build(family, latent_dim=3, backbone=backbone).eval()
    points = model.draw(50, torch.Generator().manual_seed(1))
    assert points.shape == (50, model.dimensions)
    assert torch.equal(points, model.draw(50, torch.Generator().manual_seed(1)))
    assert not torch.equal(points, model.draw(50, torch.Generator().manual_seed(2)))
    assert_close(model.valid(points), points)
    assert model.decode(points).shape == (50, 1, 28, 28)


@families
def test_a_reconstruction_is_the_decoded_code_of_its_image(family):
    """What is stored of an image is all that its reconstruction needs, and decoding finds valid latents by itself."""
    model, images = build(family).eval(), batch((1, 28, 28))
    with torch.inference_mode():
        encoding = model.encode(images)
        for name, array in encoding.arrays.items():
            if name in ("mu", "codes", "quantized"):
                assert torch.equal(model.flat_of({name: array}), encoding.flat)
        assert len(model.measures({name: array.numpy() for name, array in encoding.arrays.items()})) >= 2


@families
@pytest.mark.parametrize(
    "arrays", [{}, {"mu": torch.zeros(3, 999)}, {"codes": torch.zeros(3, 2, 2, dtype=int)}], ids=str
)
def test_latents_of_another_model_are_refused(family, arrays):
    with pytest.raises(DataError, match="not latents of this model"):
        build(family).flat_of(arrays)


@families
def test_every_feature_is_one_row_an_image_and_the_first_is_what_a_classifier_reads(family):
    model, images = build(family).eval(), batch((1, 28, 28))
    with torch.inference_mode():
        features = {name: model.features(images, name) for name in model.FEATURES}
        assert torch.equal(next(iter(features.values())), model.encode(images).flat)
    assert all(array.shape[0] == 4 and array.dim() == 2 for array in features.values())
    assert torch.equal(features["pixels"], images.movedim(1, -1).flatten(1))
    with pytest.raises(UsageError, match="no features 'colours'"):
        model.features(images, "colours")


@families
@pytest.mark.parametrize(
    "settings",
    [
        {"latent_dim": 0},
        {"latent_dim": 2.5},
        {"backbone": "transformer"},
        {"loss": "l1"},
        {"colour": 1},
        {"beta": -1.0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_by_name(family, settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        build(family, **settings)


@families
@pytest.mark.parametrize("shape", [(1, 7, 28), (1, 28, 257), (2, 28, 28), (4, 32, 32)], ids=str)
def test_images_that_no_backbone_takes_are_refused(family, shape):
    with pytest.raises(UsageError, match="cannot be modelled"):
        build(family, shape)


@families
def test_losses_stay_in_full_precision_where_networks_do_not(family, monkeypatch):
    """What happens on CUDA and with AMX, on any processor: autocast knows bfloat16 everywhere."""
    model, images = build(family), batch((1, 28, 28), 16)
    monkeypatch.setattr(precision, "AMX", False)
    exact = model.loss(images, torch.Generator().manual_seed(0))
    monkeypatch.setattr(precision, "AMX", True)
    reduced = model.loss(images, torch.Generator().manual_seed(0))
    assert reduced.total.dtype == torch.float32
    assert reduced.total != exact.total
    assert_close(reduced.total, exact.total, rtol=0.02, atol=1.0)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=str)
@pytest.mark.parametrize("offset", [0, 1])
def test_maps_keep_their_channels_together(shape, offset):
    images = batch(shape, 5)[offset:]
    found = channels_last(images)
    assert torch.equal(found, images)
    convolved = torch.nn.functional.conv2d(found, torch.ones(8, shape[0], 3, 3))
    assert convolved.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(channels_last(images[:, :, 1:, 2:]), images[:, :, 1:, 2:])


@pytest.mark.parametrize("name", [*FAMILIES, *PIXEL_CLASSIFIERS])
def test_each_setting_has_a_meaning_and_a_range_that_its_values_are_held_to(name):
    config = family_of(name).Config
    for each in described(config, leave_out=config.OF_DATA):
        assert each.meaning, each.name
        if each.name not in ("loss", "encoder"):  # its terms are checked one by one; encoders are looked for
            assert each.range or each.kind == "true or false", each.name
            with pytest.raises(UsageError, match=each.name):
                config.for_data((1, 16, 16), 3, **{each.name: -1})


@pytest.mark.parametrize("name", [*FAMILIES, *PIXEL_CLASSIFIERS])
def test_an_image_is_not_halved_to_nothing(name):
    config = family_of(name).Config
    assert config.for_data((1, 16, 40), 3, stages=4).stages == 4
    with pytest.raises(UsageError, match="stages is 5"):
        config.for_data((1, 16, 40), 3, stages=5)


@pytest.mark.parametrize(
    ("family", "metrics", "said"),
    [
        ("vae", {"kl": 0.199}, "the posterior has collapsed: latents hold 0.2 nats of an image"),
        ("vae", {"kl": 0.201}, None),
        ("vae", {"kl": 3.0, "mutual_information": 0.1}, "latents hold 0.1 nats of an image"),
        ("vae", {"kl": float("nan")}, None),
        ("vae", {}, None),
        ("vqvae", {"perplexity": 1.49}, "(a perplexity of 1.49)"),
        ("vqvae", {"perplexity": 1.5}, None),
        ("fsq", {"perplexity": 1.0}, "the codebook has collapsed"),
    ],
)
def test_what_has_collapsed_is_told_with_its_figure(family, metrics, said):
    told = create(family, FAMILIES[family].Config((1, 8, 8), width=16, latent_dim=4), 0).collapse(metrics)
    assert (told is None) == (said is None)
    assert said is None or said in told


def test_many_dimensions_that_share_little_tell_images_apart():
    wide = create("vae", FAMILIES["vae"].Config((1, 8, 8), width=16, latent_dim=512), 0)
    assert wide.collapse({"kl": 0.7}) is None
    assert "hold 0.69 nats" in wide.collapse({"kl": 0.69})


def test_the_information_of_latents_is_that_of_gaussians_as_wide():
    """Of a dimension whose means are N(0, 3²), with deviations of 0.5: ½ ln(1 + 36); of one that says nothing: none."""
    random, count = np.random.default_rng(0), 40_000
    mean = np.stack([random.normal(0, 3, count), np.full(count, 2.0)], axis=1).astype(np.float32)
    logvar = np.full((count, 2), 2 * np.log(0.5), np.float32)
    vae = create("vae", FAMILIES["vae"].Config((1, 8, 8), width=16, latent_dim=2), 0)
    found = vae.measures({"mu": mean, "logvar": logvar})
    assert found["mutual_information"] == pytest.approx(0.5 * np.log(37), abs=0.02)
    assert found["mutual_information"] <= found["kl"]
