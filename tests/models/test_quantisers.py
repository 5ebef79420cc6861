"""Quantisers against brute force and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch.testing import assert_close

from latentcli.models.codebook import Codebook, kmeans, nearest
from latentcli.models.fsq import ScalarQuantiser
from latentcli.models.quantiser import Quantiser, perplexity
from latentcli.numerics import metrics


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codebook(size: int = 8, dimensions: int = 3, **settings) -> Codebook:
    made = Codebook(size, dimensions, **settings)
    made.initialise(generator(1))
    return made


def quantisers() -> list[Quantiser]:
    scalar = [ScalarQuantiser(levels) for levels in ((2, 2, 2), (5, 5, 5), (4, 3, 2))]
    return [codebook().eval(), codebook(learning="gradient").eval(), *scalar]


def maps(seed: int = 0, count: int = 4, dimensions: int = 3) -> torch.Tensor:
    return torch.randn(count, dimensions, 5, 6, generator=generator(seed))


each = pytest.mark.parametrize("quantiser", quantisers(), ids=lambda made: f"{type(made).__name__}-{made.size}")


@each
def test_values_are_the_vectors_of_their_codes(quantiser):
    taken = quantiser(maps(), generator())
    assert torch.equal(taken.codes, quantiser.codes_of(maps()))
    assert taken.codes.shape == (4, 5, 6)
    assert_close(taken.values, quantiser.vectors_of(taken.codes).movedim(-1, 1))


@each
def test_every_code_is_its_own_nearest(quantiser):
    codes = torch.arange(quantiser.size)[:, None, None]
    vectors = quantiser.vectors_of(codes).movedim(-1, 1)
    assert torch.equal(quantiser.nearest(vectors), codes)
    assert len(vectors.flatten(1).unique(dim=0)) == quantiser.size


@each
def test_the_nearest_code_is_the_nearest(quantiser):
    points = 2 * maps(3)
    vectors = quantiser.vectors_of(torch.arange(quantiser.size))
    distances = torch.cdist(points.movedim(1, -1).reshape(-1, 3).double(), vectors.double())
    found = quantiser.nearest(points).flatten()
    assert_close(distances.gather(1, found[:, None])[:, 0], distances.min(dim=1).values, rtol=1e-4, atol=1e-5)


@each
def test_the_shares_of_codes_are_those_seen(quantiser):
    frequencies = quantiser.frequencies()
    assert frequencies.shape == (quantiser.size,)
    assert_close(frequencies.sum(), torch.tensor(1.0))
    assert_close(frequencies, torch.full_like(frequencies, 1 / quantiser.size))  # none was seen yet


def test_a_codebook_counts_what_it_sees():
    book = codebook().train()
    for step in range(200):
        book(maps(step), generator(step), progress=1.0)
    codes = torch.cat([book.codes_of(maps(step)).flatten() for step in range(200)])
    expected = torch.bincount(codes, minlength=book.size) / len(codes)
    assert (book.frequencies() - expected).abs().max() < 0.1


def test_the_gradient_passes_straight_through_a_codebook():
    points = maps().requires_grad_()
    values = codebook().eval()(points, generator()).values
    upstream = torch.randn(values.shape, generator=generator(5))
    assert torch.equal(torch.autograd.grad(values, points, upstream)[0], upstream)


def test_the_gradient_of_rounding_is_that_of_the_bound():
    quantiser, points = ScalarQuantiser((5, 5, 5)), maps().requires_grad_()
    values = quantiser(points, generator()).values
    smooth = 2 * quantiser.bounded(points) / 4 - 1
    upstream = torch.randn(values.shape, generator=generator(5))
    expected, found = (torch.autograd.grad(output, points, upstream)[0] for output in (smooth, values))
    assert_close(found, expected)


def test_each_dimension_has_its_own_levels_from_minus_1_to_1_and_its_own_place_in_the_code():
    quantiser = ScalarQuantiser((8, 6, 5))
    assert (quantiser.size, quantiser.dimensions) == (240, 3)
    vectors = quantiser.vectors_of(torch.arange(240))
    for dimension, levels in enumerate((8, 6, 5)):
        assert_close(vectors[:, dimension].unique(), torch.linspace(-1, 1, levels))
    digits = np.stack(np.unravel_index(np.arange(240), (5, 6, 8))[::-1], axis=1)  # the lowest digit first
    assert_close(vectors, torch.from_numpy(2 * digits / np.array([7, 5, 4]) - 1).float())


@given(st.lists(st.integers(2, 9), min_size=1, max_size=4), st.integers(0, 99))
def test_values_far_out_have_the_outermost_levels_and_all_levels_are_reached(levels, seed):
    quantiser = ScalarQuantiser(levels)
    wide = 3 * torch.randn(4, len(levels), 40, 40, generator=generator(seed))
    values = quantiser(wide, generator()).values
    for dimension, count in enumerate(levels):
        assert_close(values[:, dimension].unique(), torch.linspace(-1, 1, count))
    assert_close(
        quantiser(torch.full((1, len(levels), 1, 1), 99.0), generator()).values.flatten(), torch.ones(len(levels))
    )
    assert quantiser.codes_of(torch.full((1, len(levels), 1, 1), -99.0)).item() == 0


def test_commitment_moves_what_is_encoded_and_the_codebook_loss_the_vectors():
    """Equation 3 of van den Oord et al.: each term has a side that it does not move."""
    book, points = codebook(learning="gradient").eval(), maps().requires_grad_()
    terms = book(points, generator()).terms
    distances = (points - book.vectors_of(book.codes_of(points)).movedim(-1, 1)).square().mean()
    assert_close(terms["commitment"], distances)
    assert_close(terms["codebook"], distances)
    of_points, of_vectors = torch.autograd.grad(
        terms["commitment"], [points, book.vectors], retain_graph=True, allow_unused=True
    )
    assert of_points.abs().sum() > 0
    assert of_vectors is None
    of_points, of_vectors = torch.autograd.grad(terms["codebook"], [points, book.vectors], allow_unused=True)
    assert of_vectors.abs().sum() > 0
    assert of_points is None or of_points.abs().sum() == 0


def clusters(count: int, each: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 20.0])] * 4)
    centres = corners[torch.randperm(16, generator=generator(seed))[:count]]
    points = centres.repeat_interleave(each, dim=0) + torch.randn(count * each, 4, generator=generator(seed + 1))
    return points, centres


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_kmeans_comes_close_to_scikit_learns(seed):
    points = torch.randn(400, 3, generator=generator(seed))
    ours = kmeans(points, 10, generator(seed))
    reference = KMeans(10, n_init=3, random_state=0).fit(points.numpy())
    distortion = (points - ours[nearest(points, ours)]).square().sum().item()
    assert distortion < 1.2 * reference.inertia_


def test_a_codebook_finds_the_clusters_of_what_it_is_shown():
    points, centres = clusters(10, 40)
    book = Codebook(10, 4).train()
    for step in range(300):
        book(points.T[None, :, :, None], generator(step), progress=step / 300)
    distances = torch.cdist(centres, book.vectors).min(dim=1).values
    assert (distances < 1).all()  # of 20 between the centres


def test_codes_out_of_use_are_revived_and_left_alone_at_the_end():
    points, _ = clusters(6, 50)
    for progress, revived in ((0.0, True), (0.9, False)):
        book = codebook(12, 4).train()
        book.updates.fill_(1_000)
        with torch.no_grad():
            book.vectors[1:] = 1e4 * torch.arange(1.0, 12.0)[:, None]  # only the first is ever nearest
            book.sums.copy_(book.vectors)
        for step in range(600):
            taken = book(points.T[None, :, :, None], generator(step), progress)
        assert (len(taken.codes.unique()) >= 6) == revived


def test_a_first_batch_smaller_than_the_codebook_will_do():
    taken = Codebook(512, 3).train()(maps(count=1), generator())
    assert taken.values.isfinite().all()


def test_evaluation_leaves_the_codebook_as_it_is():
    book = codebook().eval()
    before = {name: tensor.clone() for name, tensor in book.state_dict().items()}
    book(maps(), generator())
    assert all(torch.equal(tensor, before[name]) for name, tensor in book.state_dict().items())


def test_the_search_needs_no_tensor_of_all_differences():
    points, vectors = torch.zeros(20_000, 1_024), torch.ones(512, 1_024)  # all differences would be 42 GB
    vectors[7] = 0
    assert (nearest(points, vectors) == 7).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_perplexity_of_tensors_and_of_arrays_agree(codes):
    spread, used = perplexity(torch.tensor(codes), 10)
    expected = metrics.codes(np.array(codes), 10)
    assert spread.item() == pytest.approx(expected["perplexity"], rel=1e-5)
    assert used.item() == pytest.approx(expected["codes_used"])
