"""The agreement of views: closed forms, and what it makes of an encoder."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from latentcli.models import FAMILIES, create
from latentcli.models.agreement import disagreement


@given(angle=st.floats(0, math.pi), temperature=st.floats(0.1, 2.0))
def test_of_two_images_it_has_a_closed_form(angle, temperature):
    """Both views of an image are one vector, and the two images lie at an angle: cosines 1, and twice cos(angle)."""
    pair = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    others = 1 / temperature, math.cos(angle) / temperature, math.cos(angle) / temperature
    expected = math.log(sum(math.exp(each) for each in others)) - 1 / temperature
    assert_close(float(disagreement(pair, pair, temperature)), expected, atol=1e-6, rtol=1e-6)


def test_it_is_the_cross_entropy_of_finding_the_partner():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 7, 5, generator=generator)
    cosines = F.cosine_similarity(*(each for each in _all_pairs(torch.cat([first, second]))), dim=2)
    logits = (cosines / 0.3).fill_diagonal_(-torch.inf)
    partner = torch.arange(14).roll(7)
    assert_close(disagreement(first, second, 0.3), F.cross_entropy(logits, partner))


def _all_pairs(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rows[:, None].expand(-1, len(rows), -1), rows[None].expand(len(rows), -1, -1)


@given(count=st.integers(2, 9), scale=st.floats(0.1, 100))
def test_views_that_are_all_the_same_leave_a_guess(count, scale):
    same = torch.full((count, 4), scale, dtype=torch.float64)
    assert_close(float(disagreement(same, same, 0.2)), math.log(2 * count - 1), atol=1e-6, rtol=1e-6)


def model(**settings):
    config = FAMILIES["vae"].Config.for_data((1, 16, 16), 3, **({"views": "scans", "width": 64} | settings))
    return create("vae", config, 0)


def loss_of(network, training=True):
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    return network.train(training).loss(images, torch.Generator().manual_seed(2))


def test_it_is_part_of_the_loss_in_training_alone():
    network = model()
    found = loss_of(network)
    rest = found.terms["reconstruction"] + network.config.beta * found.terms["kl"]
    rest = rest - network.config.information * found.terms["information"]
    assert_close(found.total, rest + network.config.agreement * found.terms["disagreement"])
    assert "disagreement" not in loss_of(network, training=False).terms


def test_without_views_nothing_is_distorted_or_compared():
    network = model(views="none")
    assert set(loss_of(network).terms) == {"reconstruction", "kl"}
    assert not any("projection" in name for name in network.state_dict())


def test_its_gradient_reaches_the_encoder_and_leaves_the_details_alone():
    network = model(latent_dim=12, details=4)
    loss_of(network).terms["disagreement"].backward()
    assert network.posterior.weight.grad.abs().sum() > 0
    assert network.details.weight.grad is None or not network.details.weight.grad.any()


def test_digits_have_the_information_instead():
    assert model(views="digits").config.agreement == 0
    assert model(views="scans").config.agreement > 0 < model(views="photos").config.agreement


@pytest.mark.parametrize("backbone", ["conv-mlp", "resnet"])
def test_details_are_kept_apart_and_decoded_with_the_rest(backbone):
    network = model(latent_dim=12, details=4, backbone=backbone).eval()
    images = torch.rand(5, 1, 16, 16)
    with torch.inference_mode():
        encoding = network.encode(images)
        assert {name: array.shape[1] for name, array in encoding.arrays.items()} == {
            "mu": 8, "logvar": 8, "details": 4, "details_logvar": 4,
        }  # fmt: skip
        assert_close(torch.cat([encoding.arrays["mu"], encoding.arrays["details"]], dim=1), encoding.flat)
        assert_close(network.flat_of(encoding.arrays), encoding.flat)
        unknown = network.flat_of({"mu": encoding.arrays["mu"]})
        assert_close(unknown[:, :8], encoding.flat[:, :8])
        assert not unknown[:, 8:].any()
        assert network.features(images, "mean").shape == (5, 8)
        assert network.draw(3, torch.Generator()).shape == (3, 12)
        measured = network.measures({name: array.numpy() for name, array in encoding.arrays.items()})
    assert np.isfinite(measured["kl"])
    mean, directions = network.prior_plane()
    assert mean.shape == (12,)
    assert directions.shape == (2, 12)


def test_the_divergence_counts_the_details():
    network = model(latent_dim=12, details=4)
    mean, log_variance = torch.zeros(2, 12), torch.zeros(2, 12)
    shifted = mean.clone()
    shifted[:, 8:] = 2.0
    assert_close(network._kl(shifted, log_variance) - network._kl(mean, log_variance), torch.full((2,), 4 * 2.0))


def test_images_of_many_values_get_a_deeper_encoder_and_details():
    config = FAMILIES["vae"].Config.for_data((3, 64, 64), None, views="photos")
    assert (config.backbone, config.latent_dim, config.details) == ("resnet", 256, 192)
    config = FAMILIES["vae"].Config.for_data((3, 64, 64), None, views="photos", latent_dim=16)
    assert (config.latent_dim, config.details) == (16, 0)


def test_a_plane_of_two_read_dimensions_has_the_mean_details():
    mean, directions = model(latent_dim=6, details=4).prior_plane()
    assert mean.shape == (6,)
    assert directions.shape == (2, 6)
    assert not mean[2:].any()


def codes_model(**settings):
    config = FAMILIES["vqvae"].Config.for_data(
        (1, 16, 16), 3, **({"width": 32, "codes": 8, "latent_dim": 4} | settings)
    )
    return create("vqvae", config, 0)


@pytest.mark.parametrize("backbone", ["residual", "conv"])
@pytest.mark.parametrize("views", ["scans", "photos"])
def test_codes_have_it_too_on_their_encoder_s_features(backbone, views):
    network = codes_model(agreement=5.0, views=views, backbone=backbone)
    found = loss_of(network)
    assert_close(found.total - 5.0 * found.terms["disagreement"], _without(found, network))
    found.terms["disagreement"].backward()
    reached = {name.split(".")[0] for name, weight in network.named_parameters() if weight.grad is not None}
    assert reached == {"encoder", "projection"}
    assert "disagreement" not in loss_of(network, training=False).terms


def _without(found, network):
    values = math.prod(network.config.image_shape)
    return found.terms["reconstruction"] + network.config.beta * values * found.terms["commitment"]


def test_codes_are_learned_as_before_where_it_is_not_asked_for():
    assert set(codes_model().state_dict()) == set(codes_model(views="photos").state_dict())
    assert_close(loss_of(codes_model()).total, loss_of(codes_model(views="photos")).total, rtol=0, atol=0)


@pytest.mark.parametrize(("make", "of"), [(model, {"agreement": 5.0}), (codes_model, {"agreement": 5.0})])
def test_the_validation_loss_does_not_choose_where_views_agree(make, of):
    assert not make(**({"views": "scans"} | of)).validated
    assert make(**({"views": "none"} | of)).validated
    assert make(views="scans", agreement=0.0).validated
