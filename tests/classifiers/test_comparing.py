"""Which classifier reads latents best: what is left out, and what is said about it."""

import numpy as np
import pytest

from latentcli.classifiers import comparing
from latentcli.classifiers.comparing import better, compare_classifiers
from latentcli.core.errors import DataError
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents


def rings(count: int = 400, labels: int = 20) -> Latents:
    """Two rings, one within the other: no Gaussian a class tells them apart, their neighbours do."""
    random = np.random.default_rng(0)
    of, angle = np.arange(count) % 2, random.uniform(0, 2 * np.pi, count)
    radius = 1 + 2 * of + random.normal(0, 0.1, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    texts = np.where(np.arange(count) < labels, np.array(["inner", "outer"])[of], "")
    return Latents({"mu": points, "logvar": np.full_like(points, -6.0)}, "", Labels.of(texts))


def test_rings_are_for_the_graph():
    found = compare_classifiers(rings())
    assert set(found) == {"mixture", "graph", "linear"}
    assert found["graph"] == 1.0
    assert better(found, 20) == "graph"


def test_the_same_seed_gives_the_same_figures_and_the_latents_stay_as_they_are():
    latents = rings()
    before = latents.labels.codes.copy()
    assert compare_classifiers(latents, seed=3) == compare_classifiers(latents, seed=3)
    assert np.array_equal(latents.labels.codes, before)


def test_no_classifier_sees_a_label_that_it_is_judged_by(monkeypatch):
    seen = []

    def spied(name, latents, rows, seed, device):
        seen.append((latents.labels.known.sum(), latents.labels.known[rows].any()))
        return latents.labels.texts[rows]

    monkeypatch.setattr(comparing, "_predicted", spied)
    found = compare_classifiers(rings(labels=20))
    assert not any(known for _, known in seen)
    assert {count for count, _ in seen} == {16}
    assert set(found.values()) == {0.0}  # the texts of what was left out are empty


def test_with_one_or_two_labels_a_class_nothing_is_compared():
    assert compare_classifiers(rings(labels=2)) == compare_classifiers(rings(labels=4)) == {}
    assert compare_classifiers(rings(labels=6))
    assert better({}, 2) is None


def test_many_labels_and_images_are_drawn_from(monkeypatch):
    monkeypatch.setattr(comparing, "MOST_LABELS", 30)
    monkeypatch.setattr(comparing, "MOST_IMAGES", 100)
    some = comparing._some(rings(400, 400), np.random.default_rng(0))
    assert len(some) == 100
    assert some.labels.counts.tolist() == [15, 15]


def test_a_small_lead_is_no_advice():
    assert better({"mixture": 0.90, "graph": 0.92}, 50) is None
    assert better({"mixture": 0.60, "graph": 0.80}, 50) == "graph"


def test_without_labels_there_is_nothing_to_compare():
    with pytest.raises(DataError):
        compare_classifiers(rings(labels=0))
