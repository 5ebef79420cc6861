"""What every registered classifier of pixels promises; a newcomer is tested by its line in the registry."""

from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from latentcli.core.errors import UsageError
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create, family_of
from latentcli.models.backbones import count_parameters
from latentcli.models.base import LatentModel, PixelClassifier
from latentcli.models.trained import TrainedModel

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 80, 80), (3, 9, 40), (3, 256, 256)]
classifiers = pytest.mark.parametrize("kind", PIXEL_CLASSIFIERS)


def build(kind: str, shape=(1, 12, 12), seed: int = 0, classes: int = 4, **settings) -> PixelClassifier:
    config = PIXEL_CLASSIFIERS[kind].Config.for_data(shape, classes, **settings)
    return create(kind, config, seed)


def drawn(shape, count: int = 6, seed: int = 7) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def soft(count: int = 6, classes: int = 4, seed: int = 3) -> torch.Tensor:
    return drawn((classes,), count, seed).softmax(dim=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@classifiers
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_every_size_get_probabilities_from_a_small_network(kind, shape):
    model = build(kind, shape, classes=10).eval()
    with torch.inference_mode():
        found = model.predict_proba(drawn(shape, 2))
    assert found.shape == (2, 10)
    assert (found >= 0).all()
    assert_close(found.sum(dim=1), torch.ones(2))
    assert count_parameters(model) <= 1_000_000


@classifiers
def test_the_last_layer_makes_probabilities_of_the_features_that_a_trained_model_gives(kind):
    model = build(kind).eval()
    images = (drawn((1, 12, 12), 7) * 255).byte().numpy()
    trained = TrainedModel(kind, model, tuple("abcd"))
    with torch.inference_mode():
        found = model.last(torch.from_numpy(trained.pooled(images))).softmax(dim=1)
    assert_close(found, torch.from_numpy(trained.probabilities(images)), atol=1e-5, rtol=1e-4)


@classifiers
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 9))
def test_the_loss_is_the_cross_entropy_with_soft_labels(kind, seed, classes):
    model, images, targets = build(kind, classes=classes).eval(), drawn((1, 12, 12)), soft(classes=classes, seed=seed)
    with torch.no_grad():
        terms = model.loss((images, targets), generator())
        probabilities = model.predict_proba(images)
    assert_close(terms.total, -(targets * probabilities.log()).sum(dim=1).mean())
    hits = probabilities.argmax(dim=1) == targets.argmax(dim=1)
    assert terms.terms["accuracy"] == hits.float().mean()


@classifiers
@given(seed=st.integers(0, 2**31))
def test_with_labels_of_one_class_it_is_the_usual_cross_entropy(kind, seed):
    model, images = build(kind).eval(), drawn((1, 12, 12))
    labels = torch.randint(4, (6,), generator=generator(seed))
    with torch.no_grad():
        loss = model.loss((images, F.one_hot(labels, 4).float()), generator()).total
        assert_close(loss, F.nll_loss(model.predict_proba(images).log(), labels))


@classifiers
def test_its_gradient_is_the_probabilities_less_the_targets(kind):
    model, images, targets = build(kind).eval(), drawn((1, 12, 12)), soft()
    model.loss((images, targets), generator()).total.backward()
    expected = (model.predict_proba(images) - targets).mean(dim=0)
    assert_close(model.last.bias.grad, expected.detach())
    assert_close(model.last.bias.grad.sum(), torch.tensor(0.0), atol=1e-6, rtol=0)


@classifiers
def test_evaluation_draws_nothing_and_leaves_the_images_as_they_are(kind):
    model, images = build(kind, mixup=1.0, flip=1.0).eval(), drawn((1, 12, 12))
    given_images, source = images.clone(), generator()
    with torch.no_grad():
        first = model.loss((images, soft()), source).total
        assert torch.equal(first, model.loss((images, soft()), generator(9)).total)
        assert torch.equal(first, build(kind, augment=False).eval().loss((images, soft()), generator()).total)
    assert torch.equal(images, given_images)
    assert torch.equal(source.get_state(), generator().get_state())


@classifiers
@pytest.mark.parametrize(
    "settings", [{}, {"mixup": 0.4}, {"augment": False}, {"dropout": 0.0}, {"augment": False, "mixup": 1.0}], ids=str
)
def test_the_training_loss_is_a_function_of_its_generator_and_reaches_every_weight(kind, settings):
    batch, models = (drawn((1, 12, 12), 16), soft(16)), [build(kind, **settings) for _ in range(3)]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (
        model.loss(batch, generator(seed), 0.5).total for model, seed in zip(models, (1, 1, 2), strict=True)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    again.backward()
    learned = {name: weight for name, weight in models[1].named_parameters() if weight.requires_grad}
    assert [name for name, weight in learned.items() if weight.grad is None] == []


@classifiers
def test_weights_are_a_function_of_the_seed_and_a_model_is_rebuilt_from_its_configuration(kind):
    first, again, other = (build(kind, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    config = build(kind, mixup=0.3).config
    assert type(config)(**asdict(config)) == config


@classifiers
def test_photographs_are_mirrored_and_writing_is_not(kind):
    assert build(kind, (3, 12, 12)).config.flip == 0.5
    assert build(kind, (1, 12, 12)).config.flip == 0.0
    assert build(kind, (3, 12, 12), flip=0.0).config.flip == 0.0


@classifiers
def test_batches_and_fused_normalisations_change_nothing(kind):
    model, images = build(kind).train(), (255 * drawn((1, 12, 12), 300)).byte().numpy()
    for step in range(5):
        model.loss((drawn((1, 12, 12), 16, step) ** 3, soft(16)), generator(step))
    with torch.inference_mode():
        whole = model.eval().predict_proba(torch.from_numpy(images) / 255)
    found = TrainedModel(kind, model, ("a", "b", "c", "d")).probabilities(images)
    assert_close(torch.from_numpy(found), whole, rtol=1e-3, atol=1e-4)


@classifiers
@pytest.mark.parametrize(
    "settings",
    [
        {"width": 0},
        {"stages": 9},
        {"dropout": 1.0},
        {"augment": 1},
        {"flip": -0.1},
        {"mixup": -1.0},
        {"mixup": "a"},
        {"colour": 1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_by_name(kind, settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        build(kind, **settings)


def test_the_two_kinds_of_models_have_different_names():
    assert set(FAMILIES).isdisjoint(PIXEL_CLASSIFIERS)
    assert all(issubclass(family_of(name), LatentModel) for name in FAMILIES)
    assert all(issubclass(family_of(name), PixelClassifier) for name in PIXEL_CLASSIFIERS)
    with pytest.raises(UsageError, match="unknown model family 'forest'"):
        family_of("forest")
