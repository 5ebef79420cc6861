"""Models of few latent dimensions: the latents of training, and looking up the best for an image."""

import copy

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import latentcli as lc
from latentcli.models import create
from latentcli.models.latent_memory import MAX_VALUES, LatentMemory, NearestEntries
from latentcli.models.low_dimensional import MEMORY_FRACTION, LowDimensionalVAE
from latentcli.models.trained import TrainedModel
from latentcli.models.vae import LOW_DIMENSIONS, VAEConfig
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Run


def random_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)


GOOD = torch.tensor(True)


def push(memory, latents, images=None):
    """Keep latents (N, D), all of deviation 0.1; without images what they were decoded to does not matter."""
    blank = torch.zeros(len(latents), 1, 1, memory.values)
    memory.push(latents, torch.full_like(latents, 0.1), blank if images is None else images, GOOD)


def test_the_newest_replace_the_oldest():
    memory = LatentMemory(1, MAX_VALUES // 3)
    for batch in ([0.0, 1.0], [2.0, 3.0], [4.0]):
        push(memory, torch.tensor(batch)[:, None])
    assert sorted(memory.latents.flatten().tolist()) == [2.0, 3.0, 4.0]
    memory = LatentMemory(1, 10_000_000)
    for batch in (torch.arange(2.0), torch.arange(10.0)):  # more at once than are kept
        memory.push(batch[:, None], batch[:, None], torch.zeros(len(batch), 1, 1, 10_000_000), GOOD)
    assert memory.entries.flatten().tolist() == [9.0]


def decoded(latents: torch.Tensor) -> torch.Tensor:
    """Images (N, 1, 8, 8) in [0, 1], of points (N, 2) no two of which look alike."""
    weights = torch.randn(2, 64, generator=torch.Generator().manual_seed(5))
    return (0.5 + 0.5 * torch.sin(3 * latents @ weights)).unflatten(1, (1, 8, 8))


def test_the_nearest_is_found_as_if_each_were_compared():
    memory, random = LatentMemory(2, 64), torch.Generator().manual_seed(0)
    push(memory, torch.rand(3000, 2, generator=random))
    images = torch.rand(20, 1, 8, 8, generator=random)
    found, errors = NearestEntries(memory.entries, decoded)(images)
    known = memory.latents[:3000]
    table = (decoded(known)[None] - images[:, None]).square().sum(dim=(2, 3, 4))
    assert torch.equal(found, known[table.argmin(dim=1)])
    assert_close(errors, table.min(dim=1).values)


def test_a_lookup_finds_the_entry_that_was_decoded_most_alike():
    memory, random = LatentMemory(2, 64), torch.Generator().manual_seed(0)
    assert memory.lookup(torch.rand(3, 1, 8, 8)) is None
    points = torch.rand(500, 2, generator=random)
    for part in points.split(100):
        push(memory, part, decoded(part))
    images = torch.rand(50, 1, 8, 8, generator=random)
    found, deviations = memory.lookup(images)
    assert torch.equal(deviations, torch.full((50, 2), 0.1))
    errors = (decoded(found) - images).square().sum(dim=(1, 2, 3))
    table = (decoded(points)[None] - images[:, None]).square().sum(dim=(2, 3, 4))
    assert (errors <= table.min(dim=1).values * 1.05).all()  # products may be in bfloat16
    assert torch.equal(memory.lookup(decoded(points[:1]))[0], points[:1])


def test_what_entries_were_decoded_to_is_no_part_of_a_checkpoint_but_of_the_training_state():
    memory, other = LatentMemory(2, 64), LatentMemory(2, 64)
    points = torch.rand(50, 2)
    push(memory, points, decoded(points))
    assert memory.state_dict().keys() == {"latents", "seen"}
    other.load_state_dict(memory.state_dict())
    assert other.lookup(decoded(points)) is None
    other.load_training_state(memory.training_state())
    assert torch.equal(other.lookup(decoded(points))[0], points)
    other.load_training_state({})
    assert other.lookup(decoded(points)) is None


def test_at_the_end_of_training_the_decoder_learns_alone_where_images_are_decoded_best():
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=2, width=64, components=1), seed=0)
    images, random = torch.rand(16, 1, 8, 8), torch.Generator()

    def learns(progress: float) -> set[str]:
        model.zero_grad()
        model.loss(images, random.manual_seed(1), progress).total.backward()
        model.step_taken(GOOD)
        return {name.partition(".")[0] for name, weights in model.named_parameters() if weights.grad is not None}

    everything = {"encoder", "posterior", "expand", "decoder"}
    assert learns(1.0) == everything  # nothing is known before the first step
    assert learns(0.99 - MEMORY_FRACTION) == everything
    assert learns(1.01 - MEMORY_FRACTION) == {"expand", "decoder"}
    assert int(model.landmarks.seen) == 3 * 16


@pytest.fixture(scope="module")
def trained():
    """A model of few dimensions, and the images that it has learned."""
    images = random_images(64, 0)
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=2, width=64, components=1), seed=0)
    Run(model, images, TrainingConfig(epochs=60, batch_size=16, held_out=0.0)).fit(Callbacks())
    return model, images


def test_images_come_back_at_least_as_well_as_the_encoder_alone_would_have_it(trained):
    network, learned = trained
    model = TrainedModel("vae", network)
    unseen = np.clip(learned.astype(int) + np.random.default_rng(1).integers(-60, 60, learned.shape), 0, 255)
    unseen = unseen.astype(np.uint8)
    alone = model.decode(model.encode(unseen))
    looked_up = model.reconstruct(unseen)
    before, after = (np.square(found - unseen / 255).mean(axis=(1, 2, 3)) for found in (alone, looked_up))
    assert (after <= before + 1e-6).all()
    assert after.mean() < 0.98 * before.mean()


def test_the_images_next_to_an_image_do_not_matter(trained):
    model = TrainedModel("vae", trained[0])
    images = random_images(40, 3)
    together = model.reconstruct(images)
    apart = np.concatenate([model.reconstruct(image[None]) for image in images])
    np.testing.assert_allclose(together, apart, atol=1e-4)


@pytest.mark.parametrize("dimensions", [LOW_DIMENSIONS, LOW_DIMENSIONS + 1])
def test_only_few_dimensions_have_a_memory(dimensions):
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=dimensions), seed=0).eval()
    assert isinstance(model, LowDimensionalVAE) == (dimensions == LOW_DIMENSIONS)
    assert ("landmarks.latents" in model.state_dict()) == (dimensions == LOW_DIMENSIONS)
    images = torch.rand(3, 1, 8, 8)
    with torch.inference_mode():  # untrained, or of more dimensions: the encoder's own
        assert torch.equal(model.inverse()(images), model.encode(images).flat)


def test_a_map_of_few_dimensions_in_all_has_one_and_a_larger_one_has_none():
    small = VAEConfig((1, 8, 8), backbone="residual", latent_dim=1, stages=2)
    assert small.dimensions == 4
    assert isinstance(create("vae", small, 0), LowDimensionalVAE)
    assert not isinstance(create("vae", VAEConfig((1, 8, 8), backbone="residual", latent_dim=1), 0), LowDimensionalVAE)


def test_a_step_that_is_not_taken_is_not_remembered():
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=2, width=64), seed=0)
    model.loss(torch.rand(16, 1, 8, 8), torch.Generator())
    assert int(model.landmarks.seen) == 0
    assert not model.training_state()
    model.step_taken(GOOD)
    assert int(model.landmarks.seen) == 16
    model.step_taken(GOOD)  # once for each loss
    assert int(model.landmarks.seen) == 16


def test_entries_are_decoded_once_until_the_model_changes(trained, monkeypatch):
    model, images = copy.deepcopy(trained[0]), torch.rand(5, 1, 8, 8)
    entries, decode, counted = len(model.landmarks.entries), model.decode, []
    monkeypatch.setattr(model, "decode", lambda latents: (counted.append(len(latents)), decode(latents))[1])

    def inverse() -> tuple[torch.Tensor, int]:
        counted.clear()
        with torch.inference_mode():
            return model.inverse()(images), sum(counted)

    first, decoded_at_first = inverse()
    again, decoded_again = inverse()
    assert (decoded_at_first, decoded_again) == (entries + 5, 5)
    assert torch.equal(first, again)
    model.train().eval()
    assert inverse()[1] == entries + 5
    weights = model.state_dict()
    model.load_state_dict(
        {name: tensor.clone() * 0.9 if "decoder" in name else tensor for name, tensor in weights.items()}
    )
    assert inverse()[1] == entries + 5


def test_in_training_entries_are_looked_up_by_what_they_were_decoded_to(trained, monkeypatch):
    model, images = copy.deepcopy(trained[0]).train(), torch.rand(5, 1, 8, 8)
    with torch.no_grad():
        decoded_anew, entries = model.inverse()(images), model.landmarks.entries.clone()
        push(model.landmarks, entries, model.decode(entries))  # as the decoder is now: the two must agree
        counted, decode = [], model.decode
        monkeypatch.setattr(model, "decode", lambda latents: (counted.append(len(latents)), decode(latents))[1])
        found = model.inverse()(images)
        assert sum(counted) == 2 * len(images)

        def errors(latents):
            return (decode(latents) - images).square().sum(dim=(1, 2, 3))

        assert (errors(found) <= errors(decoded_anew) * 1.05).all()  # products may be in bfloat16
        assert (errors(found) <= errors(model.encode(images).flat) + 1e-6).all()


def test_reconstructing_twice_gives_the_same_even_of_a_copy(trained):
    model, images = TrainedModel("vae", copy.deepcopy(trained[0])), random_images(5, 1)
    first = model.reconstruct(images)
    np.testing.assert_array_equal(model.reconstruct(images), first)
    np.testing.assert_array_equal(TrainedModel("vae", copy.deepcopy(model.network)).reconstruct(images), first)


def test_a_refused_step_replaces_nothing():
    memory, points = LatentMemory(2, 64), torch.rand(50, 2)
    push(memory, points, decoded(points))
    before = {name: tensor.clone() for name, tensor in {**memory.state_dict(), **memory.decoded}.items()}
    memory.push(points + 1, points, decoded(points) + torch.nan, ~GOOD)
    for name, tensor in {**memory.state_dict(), **memory.decoded}.items():
        assert torch.equal(tensor, before[name]), name


def test_training_that_goes_on_from_a_model_looks_up_no_entry_whose_image_it_does_not_know():
    earlier, memory = LatentMemory(2, 64), LatentMemory(2, 64)
    push(earlier, torch.full((50, 2), 7.0))
    memory.load_state_dict(earlier.state_dict())
    push(memory, torch.ones(3, 2), torch.ones(3, 1, 8, 8))
    latents, deviations = memory.lookup(torch.zeros(4, 1, 8, 8))  # black, as images that are not held would be
    assert torch.equal(latents, torch.ones(4, 2))
    assert (deviations > 0).all()
    assert len(memory.entries) == 3


def test_a_posterior_that_has_collapsed_is_told_though_what_is_remembered_lies_far_from_the_prior():
    images = lc.load("digits", classes=["1", "4", "8"])
    how = {"width": 16, "latent_dim": 2, "backbone": "mlp", "views": "none", "components": 1, "information": 0.0}
    collapsed = lc.train(images, epochs=8, beta=2_000.0, held_out=0.0, device="cpu", **how)
    assert collapsed.history[-1]["kl"] > 1
    assert len(collapsed.notes) == 1
    assert "the posterior has collapsed" in collapsed.notes[0]
    assert not lc.train(images, epochs=8, lr=3e-3, device="cpu", **how | {"width": 64}).notes


def test_checkpoints_of_before_there_was_a_memory_and_of_one_of_another_size_are_taken():
    network = create("vae", VAEConfig((1, 8, 8), width=16, latent_dim=2), 0)
    state = network.state_dict()
    assert network.of_older(state) is state

    def entries(**changed: torch.Tensor) -> torch.Tensor:
        others = {name: tensor for name, tensor in state.items() if not name.startswith("landmarks")}
        memory = {f"landmarks.{name}": tensor for name, tensor in changed.items()}
        network.load_state_dict(network.of_older(others | memory), strict=True, assign=True)
        return network.landmarks.entries

    assert len(entries()) == 0
    old = torch.arange(10.0).reshape(5, 2)
    assert torch.equal(entries(latents=old, seen=torch.tensor(3)), old[:3])
    assert torch.equal(entries(latents=old, seen=torch.tensor(30)), old)
    assert len(entries(latents=old, seen=torch.tensor(-3))) == 0
    many = torch.randn(len(network.landmarks.latents) + 7, 2)
    assert torch.equal(entries(latents=many, seen=torch.tensor(len(many))), many[:-7])
    one = torch.tensor(1)
    for wrong in ({"latents": old.T, "seen": one}, {"latents": old, "seen": one[None]},
                  {"latents": old.double(), "seen": one}):  # fmt: skip
        with pytest.raises(RuntimeError, match="landmarks"):
            entries(**wrong)
