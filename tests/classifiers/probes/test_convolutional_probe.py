"""The convolutional probe: what it finds wherever it lies, and which features it reads."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from latentcli.artifacts import probes as probe_files
from latentcli.classifiers import PROBES
from latentcli.classifiers.probes import network_probes
from latentcli.classifiers.probes.convolutional_probe import MapNetwork, random_shift
from latentcli.core.errors import UsageError

SHAPE = (8, 8, 2)


def patterns(samples=300, seed=0):
    """Noise (N, 8·8·2) with a bar somewhere, lying or standing; and which it is."""
    generator = np.random.default_rng(seed)
    standing = np.arange(samples) % 2
    maps = generator.normal(0, 0.3, (samples, *SHAPE)).astype(np.float32)
    for one, tall, (y, x) in zip(maps, standing, generator.integers(0, 6, (samples, 2)), strict=True):
        one[(slice(y, y + 3), x) if tall else (y, slice(x, x + 3))] += 1.0
    return maps.reshape(samples, -1), np.array(["lying", "standing"])[standing]


def small(**settings):
    return PROBES["conv"](**{"shape": SHAPE, "width": 16, "epochs": 15} | settings)


def accuracy(probe):
    unseen, truth = patterns(400, seed=1)
    return np.mean(probe.fit(*patterns()).predict(unseen) == truth)


def test_it_learns_from_few_rows_a_pattern_that_may_lie_anywhere(monkeypatch):
    monkeypatch.setattr(network_probes, "ENSEMBLE_BELOW", 0)  # a single network does
    assert accuracy(small(epochs=10)) > 0.95
    assert accuracy(PROBES["mlp"](epochs=30)) < 0.8


def test_the_same_seed_gives_the_same_bytes_and_another_others():
    points, names = patterns(100)
    torch.manual_seed(1)
    first = small(epochs=3, random_state=5).fit(points, names)._arrays()
    torch.manual_seed(2)
    again = small(epochs=3, random_state=5).fit(points, names)._arrays()
    other = small(epochs=3, random_state=6).fit(points, names)._arrays()
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in again.items()
    }
    assert not np.array_equal(first["0.last.weight"], other["0.last.weight"])


def test_its_file_gives_it_back(tmp_path):
    points, names = patterns(100)
    probe = small(epochs=3, features="quantized", flip=0.5).fit(points, names)
    probe_files.write(tmp_path / "probe.pth", probe.to_params() | {"checkpoint": "a" * 64})
    again = PROBES["conv"].from_params(probe_files.read(tmp_path / "probe.pth"))
    assert (again.shape, again.features, again.flip) == (SHAPE, "quantized", 0.5)
    assert_array_equal(again.predict_proba(points), probe.predict_proba(points))


def test_what_is_no_map_is_refused_with_what_to_do():
    points, names = patterns(30)
    with pytest.raises(UsageError, match="reads maps") as caught:
        small(shape=None).fit(points, names)
    assert "take `features` that are maps" in caught.value.remedy
    with pytest.raises(UsageError, match="shape is not"):
        small(shape=(8, 8, 3)).fit(points, names)


@pytest.mark.parametrize("shape", [(1, 1, 5), (3, 3, 8), (2, 9, 1), (7, 7, 64), (20, 20, 3), (80, 80, 1)])
def test_maps_of_any_size_are_halved_to_a_few_positions(shape):
    network = MapNetwork(shape, 0, 3, 16, 0.2, 0.1, 0.0)
    maps = torch.zeros(2, *shape)
    assert max(network.stages(maps.movedim(-1, 1)).shape[2:]) <= 5
    assert network(maps.flatten(1), torch.Generator()).shape == (2, 3)


def test_maps_move_within_their_edges_and_channels_stay_together():
    maps = torch.arange(50 * 6 * 6 * 2.0).reshape(50, 6, 6, 2)
    found = random_shift(maps, 0.1, 0.0, torch.Generator().manual_seed(0))
    assert_array_equal(found[..., 1], found[..., 0] + 1)
    for before, after in zip(maps, found, strict=True):  # the four inner rows and columns are among what is left
        assert any(
            torch.equal(after[1:5, 1:5], before[1 + y : 5 + y, 1 + x : 5 + x]) for y in (-1, 0, 1) for x in (-1, 0, 1)
        )
    assert len({tuple(row.tolist()) for row in (found - maps)[:, 2, 2]}) == 9
    assert torch.equal(random_shift(maps, 0.0, 0.0, torch.Generator()), maps)
    assert torch.equal(random_shift(maps, 0.0, 1.0, torch.Generator()), maps.flip(2))


def test_channels_are_standardised_over_rows_and_places():
    points, _ = patterns()
    points = points.reshape(-1, 2) * [3.0, 50.0] + [1.0, -7.0]
    network = MapNetwork(SHAPE, 0, 2, 16, 0.2, 0.1, 0.0)
    network.prepare(points.reshape(300, -1), np.arange(300))
    np.testing.assert_allclose(network.mean, points.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(network.scale, points.std(axis=0), rtol=0.2)


def coded(samples=300, seed=0):
    """Codes (N, 8·8) by chance from 0 … 19, among them a pair somewhere: 20 before 21, or 21 before 20; and which."""
    generator = np.random.default_rng(seed)
    turned = np.arange(samples) % 2
    maps = generator.integers(0, 20, (samples, 8, 8), dtype=np.int32)
    for one, other, (y, x) in zip(maps, turned, generator.integers(0, 7, (samples, 2)), strict=True):
        one[y, x : x + 2] = (21, 20) if other else (20, 21)
    return maps.reshape(samples, -1), np.array(["as it is", "turned"])[turned]


def test_of_codes_it_learns_vectors_and_finds_a_pattern_of_them_wherever_it_lies(monkeypatch):
    monkeypatch.setattr(network_probes, "ENSEMBLE_BELOW", 0)
    codes, names = coded(600)
    unseen, truth = coded(400, seed=1)
    settings = {"shape": (8, 8, 1), "width": 32, "epochs": 30}
    assert np.mean(small(**settings).fit(codes, names).predict(unseen) == truth) > 0.95
    assert np.mean(PROBES["mlp"](epochs=30).fit(codes, names).predict(unseen) == truth) < 0.8


def test_codes_that_no_labelled_row_has_say_nothing_however_large_they_are():
    codes, names = coded(100)
    codes[50:, 5], names[50:] = 30, ""  # it occurs in rows without a label alone
    probe = small(shape=(8, 8, 1), epochs=2).fit(codes, names)
    others = codes[:50].copy()
    others[:, 9] = 30
    expected = probe.predict_proba(others)
    for unknown in (25, 31, 10**6):
        others[:, 9] = unknown
        assert_array_equal(probe.predict_proba(others), expected)
    others[:, 9] = 20
    assert (probe.predict_proba(others) != expected).any()
