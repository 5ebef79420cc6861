"""Which labels a classifier of latents is fitted to, and whose latents they are."""

import pickle
import tracemalloc

import numpy as np
import pytest

from latentcli.classifiers import chunks
from latentcli.classifiers.checks import drawn_seed
from latentcli.classifiers.fitting import fit_graph, fit_mixture, fit_probe, labelled
from latentcli.core import growing
from latentcli.core.errors import DataError, ModelFileError, UsageError
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents


def latents(count: int = 90, names=("b", "c", "a"), checkpoint: str = "a" * 64, seed: int = 0) -> Latents:
    """Round clusters, one for each class."""
    codes = np.arange(count) % 3
    points = 9.0 * np.eye(3)[codes] + np.random.default_rng(seed).normal(size=(count, 3))
    return Latents({"mu": points.astype(np.float32)}, checkpoint, Labels(codes, names))


def mixture(*given, **settings):
    return fit_mixture(*given, components=3, **settings)


def probe(*given, **settings):
    return fit_probe(*given, probe="knn", **settings)


fits = pytest.mark.parametrize("fit", [mixture, probe, fit_graph])


@fits
def test_a_classifier_says_whose_latents_it_reads_and_keeps_the_order_of_the_classes(fit):
    given = latents()
    fitted = fit(given)
    assert fitted.fitted_on_ == given.checkpoint
    assert list(fitted.classes_) == ["b", "c", "a"]
    assert np.mean(fitted.predict(given.flat) == given.labels.texts) > 0.98


@fits
def test_labelled_images_of_several_classes_that_are_all_the_same_are_refused(fit):
    val = latents(6)
    same = Latents({"mu": np.repeat(val.flat[:1], 6, 0)}, val.checkpoint, val.labels)
    with pytest.raises(DataError, match="of 3 classes, all have the same latents"):
        fit(latents(), same)


@fits
def test_latents_of_another_checkpoint_never_name_the_clusters(fit):
    with pytest.raises(ModelFileError, match="made by different checkpoints") as caught:
        fit(latents(), latents(9, checkpoint="b" * 64))
    assert caught.value.remedy == "encode both with the same checkpoint"


@fits
def test_only_the_labels_of_val_count_where_there_are_any(fit):
    wrong, few = latents(names=("x", "y", "z")), latents(9, seed=1)
    fitted = fit(wrong, few)
    assert list(fitted.classes_) == ["b", "c", "a"]
    assert np.mean(fitted.predict(wrong.flat) == latents().labels.texts) > 0.98
    whole = labelled(wrong, few, None, 0)
    assert whole.labels.texts.tolist() == [""] * 90 + few.labels.texts.tolist()


@fits
def test_so_many_labels_of_each_class_are_used_and_no_more(fit):
    given = latents()
    few = labelled(given, None, 4, seed=5)
    assert few.labels.counts.tolist() == [4, 4, 4]
    one, other = fit(given, labels_per_class=4, seed=5), fit(few, seed=5)
    np.testing.assert_array_equal(one.predict_proba(given.flat), other.predict_proba(given.flat))
    with pytest.raises(DataError, match="too few labels of class 'b'"):
        fit(given, labels_per_class=31)


@fits
def test_without_labels_there_is_nothing_to_learn(fit):
    with pytest.raises(DataError, match="no labels to learn the classes from"):
        fit(latents().unlabelled())
    with pytest.raises(DataError, match="no labels to learn the classes from"):
        fit(latents(), latents(9).unlabelled())


def test_an_unknown_kind_setting_or_feature_is_refused():
    with pytest.raises(UsageError, match="unknown"):
        fit_probe(latents(), probe="forest")
    with pytest.raises(UsageError, match="hold no features 'encoder'"):
        fit_probe(latents(), features="encoder")


def test_a_graph_of_codes_is_refused():
    codes = np.arange(90).reshape(90, 1, 1) % 3
    given = Latents({"codes": codes, "quantized": codes[..., None].astype(np.float32)}, "a" * 64, latents().labels)
    with pytest.raises(DataError, match="which are codes"):
        fit_graph(given, features="codes")


@pytest.mark.parametrize("fit", [mixture, fit_graph])
def test_a_seed_of_any_size_counts_and_none_below_zero(fit):
    for seed in (2**31, 2**32, 2**63 - 1):
        one, again = (fit(latents(), seed=seed).predict_proba(latents().flat) for _ in range(2))
        assert np.array_equal(one, again)
    for seed in (-1, 2**63, 1.5):
        with pytest.raises(UsageError, match="seed is "):
            fit(latents(), seed=seed)


def test_seeds_that_numpy_takes_draw_what_they_always_did_and_larger_ones_differ():
    assert drawn_seed(7) == np.random.RandomState(7).randint(2**31 - 1)
    assert len({drawn_seed(seed) for seed in (0, 1, 2**32, 2**32 + 1, 2**33, 2**63 - 1)}) == 6


@pytest.mark.parametrize("width", [6, 40])
def test_a_mixture_of_mapped_latents_is_that_of_latents_in_memory_and_holds_few_bytes_of_an_image(
    tmp_path, monkeypatch, width
):
    monkeypatch.setattr(growing, "COPIED", 2**20)
    monkeypatch.setattr(chunks, "_VALUES_AT_ONCE", 2**16)
    count, rng = 40_000, np.random.default_rng(0)
    codes = np.where(np.arange(count) < 60, np.arange(count) % 3, -1)
    points = 9 * np.eye(3, width)[np.arange(count) % 3] + rng.normal(size=(count, width))
    for name, array in {"mu": points, "logvar": rng.normal(size=(count, width))}.items():
        np.save(tmp_path / name, array.astype(np.float32))
    found, most = [], []
    for mode in (None, "r", "r"):  # the first time modules are loaded
        arrays = {name: np.load(tmp_path / f"{name}.npy", mmap_mode=mode) for name in ("mu", "logvar")}
        given = Latents(arrays, "a" * 64, Labels(codes, ("a", "b", "c")))
        tracemalloc.start()
        found.append(fit_mixture(given, components=3).to_params())
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert pickle.dumps(found[0]) == pickle.dumps(found[1])
    assert most[-1] < 80 * count + 2**22  # what is known of each image, and some chunks
