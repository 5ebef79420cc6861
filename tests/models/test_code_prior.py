"""The prior of codes against what can be counted: all maps of two codes, frequencies, and other ways to the same."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from latentcli.core.errors import UsageError
from latentcli.core.settings import described
from latentcli.models import PRIORS, create, family_of
from latentcli.models.code_prior import CodePrior, CodePriorConfig, log_frequencies

SHAPE = (1, 8, 8)
MAPS = torch.tensor([*itertools.product(range(2), repeat=4)]).reshape(-1, 2, 2)
"""All 16 maps of two codes."""


def prior(seed: int = 0, **config) -> CodePrior:
    """A prior with weights that are drawn, those of the last layer, too."""
    given = {"grid": (2, 2), "codes": 2, "dimensions": 3, "classes": 3, "width": 16, "layers": 2, "heads": 2} | config
    network = create("transformer", CodePriorConfig(SHAPE, **given), seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        network.to_logits.weight.normal_(0.0, 0.5, generator=generator)
        network.to_vectors.weight.normal_(0.0, 0.2, generator=generator)
        network.vectors.normal_(generator=generator)
        network.log_frequencies.normal_(0.0, 0.3, generator=generator)
    return network


def one_hot(*classes: int) -> torch.Tensor:
    return torch.eye(3)[list(classes)]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("classes", [None, one_hot(2), torch.tensor([[0.2, 0.0, 0.5]])])
def test_the_probabilities_of_all_maps_sum_to_one(classes):
    expanded = None if classes is None else classes.expand(len(MAPS), -1)
    found = prior().log_likelihood(MAPS, expanded).sum(dim=1)
    assert_close(found.exp().sum(), torch.tensor(1.0))
    assert found.std() > 0.1


def test_a_code_depends_on_those_before_it_alone():
    """The likelihood of a map is the product of what prefixes say of the next code: nothing that follows is seen."""
    network, condition = prior(codes=5), one_hot(1)
    for codes in torch.tensor(np.random.default_rng(0).integers(0, 5, (10, 2, 2))):
        flat, product = codes.flatten(), 0.0
        for place in range(4):
            logits = network.logits(flat[None, :place], network.condition(1, condition))
            product += float(logits[0, -1].log_softmax(dim=0)[flat[place]])
        assert float(network.log_likelihood(codes[None], condition).sum()) == pytest.approx(product, abs=1e-5)


def test_maps_are_drawn_as_often_as_their_likelihood_says():
    network, count = prior(seed=3), 20_000
    noise = torch.rand((count, 4), generator=torch.Generator().manual_seed(0))
    drawn = network.sample(noise, one_hot(1).expand(count, -1)).flatten(1) @ torch.tensor([8, 4, 2, 1])
    expected = network.log_likelihood(MAPS, one_hot(1).expand(16, -1)).sum(dim=1).exp() * count
    deviation = (drawn.bincount(minlength=16) - expected).square() / expected
    assert float(deviation.sum()) < 37.7  # χ² of 15 degrees of freedom, p = 0.001


@pytest.mark.parametrize("how", [{}, {"temperature": 0.7, "top_p": 0.8, "guidance": 2.5}, {"guidance": 0.0}])
def test_looking_back_gives_the_same_codes_as_computing_all_anew(how):
    network = prior(grid=(3, 4), codes=11)
    noise = torch.rand((30, 12), generator=torch.Generator().manual_seed(1))
    classes = one_hot(0, 1, 2).repeat(10, 1)
    found = network.sample(noise, classes, **how)
    assert torch.equal(found, network.sample(noise, classes, cached=False, **how))
    assert found.shape == (30, 3, 4)
    assert found.unique().numel() > 4


def first_codes(network: CodePrior, count: int = 5_000, **how) -> torch.Tensor:
    """(K,) how often each code is drawn for the first place, of noise at even distances."""
    noise = torch.full((count, 4), 0.5)
    noise[:, 0] = (torch.arange(count) + 0.5) / count
    classes = one_hot(1).expand(count, -1)
    return network.sample(noise, classes, **how)[:, 0, 0].bincount(minlength=network.config.codes) / count


def test_guidance_goes_from_no_class_through_the_class_and_beyond_it():
    network = prior(codes=6)
    none, of_class = (network.logits(torch.empty(1, 0, dtype=torch.int64), network.condition(1, each))[0, 0]
                      for each in (None, one_hot(1)))  # fmt: skip
    for guidance, logits in ((0.0, none), (1.0, of_class), (3.0, none + 3 * (of_class - none))):
        assert_close(first_codes(network, guidance=guidance), logits.softmax(dim=0), atol=1e-3, rtol=0)
    noise = torch.rand((50, 4), generator=torch.Generator().manual_seed(1))
    unconditional = network.sample(noise)
    assert torch.equal(network.sample(noise, one_hot(1).expand(50, -1), guidance=0.0), unconditional)
    assert not torch.equal(network.sample(noise, one_hot(1).expand(50, -1)), unconditional)


def test_temperature_and_top_p_are_what_they_are_called():
    network = prior(codes=6)
    logits = network.logits(torch.empty(1, 0, dtype=torch.int64), network.condition(1, one_hot(1)))[0, 0]
    assert_close(first_codes(network, temperature=0.5), (2 * logits).softmax(dim=0), atol=1e-3, rtol=0)
    probabilities = logits.softmax(dim=0)
    likeliest = probabilities.argsort(descending=True)
    top_p = float(probabilities[likeliest[:3]].sum()) - 0.01  # three codes, and not two, have so much together
    kept = torch.zeros(6)
    kept[likeliest[:3]] = probabilities[likeliest[:3]]
    assert_close(first_codes(network, top_p=top_p), kept / kept.sum(), atol=1e-3, rtol=0)
    assert first_codes(network, top_p=1e-6).max() == 1


def test_what_a_class_lacks_to_one_is_no_class():
    network = prior()
    found = network.condition(3, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.25, 0.0, 0.0]]))
    classes, nothing = network.embeddings.classes, network.embeddings.no_class[0]
    expected = torch.stack([classes[:2].mean(dim=0), nothing, 0.25 * classes[0] + 0.75 * nothing])
    assert_close(found, expected)
    assert torch.equal(network.log_likelihood(MAPS, torch.zeros(16, 3)), network.log_likelihood(MAPS))


def test_it_begins_with_the_frequencies_of_each_place():
    codes = np.random.default_rng(0).integers(0, 3, (500, 2, 2))
    codes[:, 0, 1] = 1
    frequencies = log_frequencies(codes, (4, 4))
    assert np.allclose(np.exp(frequencies).sum(axis=1), 1)
    assert np.allclose(np.exp(frequencies[0, :3]), np.bincount(codes[:, 0, 0]) / 500, atol=0.01)
    assert frequencies[1].argmax() == 1
    assert (frequencies[:, 3] > -math.inf).all()  # a code that never occurs
    (shared,) = log_frequencies(codes, (1, 4))
    assert np.allclose(np.exp(shared[:3]), np.bincount(codes.ravel()) / 2000, atol=0.01)
    network = create("transformer", CodePriorConfig(SHAPE, (2, 2), codes=4, dimensions=3, classes=0), 0).eval()
    network.log_frequencies.copy_(torch.from_numpy(frequencies))
    share = np.exp(frequencies).mean(axis=0)
    bits = -(share * np.log2(share)).sum()
    assert network.collapse({"val_bits_per_code": bits - 1e-3}) is network.collapse({}) is None
    assert f"takes {bits + 1:.3g} bits with this prior, and {bits:.3g}" in network.collapse(
        {"val_bits_per_code": bits + 1}
    )
    expected = frequencies[np.arange(4), codes.reshape(-1, 4)]
    assert_close(network.log_likelihood(torch.from_numpy(codes)), torch.from_numpy(expected), atol=1e-5, rtol=1e-5)


def test_classes_are_hidden_in_training_as_often_as_asked():
    """With all of them hidden the loss knows no class; in evaluation none is hidden."""
    batch = MAPS, one_hot(1).expand(16, -1)
    generator = torch.Generator().manual_seed(0)
    hiding = prior(drop_class=1.0, dropout=0.0)
    known = hiding.loss(batch, generator).total
    hidden = hiding.train().loss(batch, generator).total
    assert_close(hidden, -hiding.log_likelihood(MAPS).sum(dim=1).mean())
    assert not torch.isclose(known, hidden)
    showing = prior(drop_class=0.0, dropout=0.0).train()
    assert_close(showing.loss(batch, generator).total, known)
    terms = showing.loss(batch, generator).terms
    assert float(terms["bits_per_code"]) == pytest.approx(float(known) / 4 / math.log(2))


def test_dropout_drops_in_training_alone():
    network, generator = prior(dropout=0.5), torch.Generator().manual_seed(0)
    still = network.loss(MAPS, generator).total
    assert torch.equal(network.loss(MAPS, generator).total, still)
    moving = [float(network.train().loss(MAPS, generator).total) for _ in range(3)]
    assert len({*moving, float(still)}) == 4


def test_given_codes_stay_and_the_others_follow_from_them():
    network = prior(grid=(3, 3), codes=7)
    noise = torch.rand((20, 9), generator=torch.Generator().manual_seed(2))
    given = torch.from_numpy(np.random.default_rng(1).integers(0, 7, (20, 3, 3)))
    kept = torch.tensor([[True] * 3, [True, False, False], [False] * 3])
    found = network.sample(noise, given=given, kept=kept)
    assert torch.equal(found[:, kept], given[:, kept])
    assert not torch.equal(found, given)
    assert not torch.equal(found[:, ~kept], network.sample(noise)[:, ~kept])


@pytest.mark.parametrize("name", PRIORS)
def test_each_setting_has_a_meaning_and_a_range(name):
    config, facts = family_of(name).Config, {"dimensions": 3, "classes": 0}
    facts |= {"grid": (2, 2), "codes": 4} if name == "transformer" else {}
    for each in described(config, leave_out=config.OF_DATA):
        assert each.meaning, each.name
        assert each.range, each.name
        with pytest.raises(UsageError, match=each.name):
            config.for_data(SHAPE, None, facts, **{each.name: -1})


def test_a_grid_has_two_sides_and_heads_have_equal_parts():
    facts = {"grid": (2, 2), "codes": 4, "dimensions": 3, "classes": 0}
    with pytest.raises(UsageError, match="`width` is 10, and `heads` is 4"):
        CodePriorConfig.for_data(SHAPE, None, facts, width=10)
    for grid in ((2,), (0, 2), (2, 1000)):
        with pytest.raises(UsageError, match="grid of codes"):
            CodePriorConfig.for_data(SHAPE, None, facts | {"grid": grid})


def test_codes_of_the_same_vector_are_alike_until_they_are_learned_apart():
    network = prior(codes=6)
    network.vectors[4] = network.vectors[1]
    before = torch.tensor([[1], [4], [2]])
    found = network.logits(before, network.condition(3, None))[:, 1]
    assert not torch.allclose(found[0], found[1])
    network.embeddings.codes.zero_()
    network.to_logits.weight.zero_()
    found = network.logits(before, network.condition(3, None))[:, 1] - network.log_frequencies[1]
    assert_close(found[0], found[1])
    assert_close(found[:, 1], found[:, 4])
    assert not torch.allclose(found[0], found[2])
