"""A sweep: what its cells measure, and that nothing is measured twice."""

import json
import pickle
from contextlib import nullcontext

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.experiments import sweep
from latentcli.experiments.sweep import StudyConfig, study_sweep
from latentcli.experiments.tasks import Task, load_tasks
from latentcli.training import resumable

SMALL = (("backbone", "mlp"), ("width", 32), ("epochs", 2), ("min_steps", 0), ("views", "none"))
KNN = StudyConfig(probes=("knn",), settings=(*SMALL, ("latent_dim", 2)))


@pytest.fixture(scope="module")
def task() -> Task:
    """Digits of three classes: 300 to learn from, and others to measure on."""
    train, test = (lc.load("digits", split=half, classes=["1", "4", "8"]) for half in ("train", "test"))
    return Task(train.take(np.arange(300)), test.take(np.arange(60)))


@pytest.fixture(scope="module")
def study(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, study_sweep(task, {"codes": [4, 32]}, 2, KNN, folder=folder)


def timeless(rows):
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


def test_figures_are_those_of_the_kept_model_on_the_test_images(task, study):
    folder, rows = study
    assert [(row["codes"], row["seed"]) for row in rows] == [(4, 0), (4, 1), (32, 0), (32, 1)]
    row = rows[3]
    model = lc.load_model(folder / "models" / "digits-vqvae,codes=32-1" / "vae.pth")
    assert model.training["settings"]["seed"] == 1
    measured, _ = lc.evaluate(task.test, model)
    for name in ("mse", "ssim", "perplexity", "codes_used", "bits_per_image"):
        assert row[name] == pytest.approx(measured[name])
    assert row["bits_per_image"] == np.prod(model.config.grid) * 5
    probe = lc.fit_probe(model.encode(task.train), probe="knn", seed=1)
    right = probe.predict(model.encode(task.test).flat) == task.test.labels.texts
    assert row["knn_accuracy"] == pytest.approx(right.mean())
    few = [lc.fit_probe(model.encode(task.train), probe="knn", labels_per_class=5, seed=draw) for draw in (3, 4, 5)]
    right = [probe.predict(model.encode(task.test).flat) == task.test.labels.texts for probe in few]
    assert row["knn_accuracy_few"] == pytest.approx(np.mean(right))
    assert 0 < row["processor_seconds"] < 60


def test_a_class_of_four_images_has_no_figure_for_five(task, tmp_path):
    counts = task.train.labels.codes
    kept = np.sort(np.concatenate([np.flatnonzero(counts != 2), np.flatnonzero(counts == 2)[:4]]))
    (row,) = study_sweep(Task(task.train.take(kept), task.test), {"codes": [4]}, 1, KNN, folder=tmp_path)
    assert "knn_accuracy" in row
    assert "knn_accuracy_few" not in row


def test_more_points_keep_what_is_finished(task, study):
    said = []
    again = study_sweep(
        task, {"codes": [4, 8]}, 2, KNN, folder=study[0], on_cell=lambda cell, event, _: said.append((cell.name, event))
    )  # fmt: skip
    assert [name for name, event in said if event == "kept from before"] == [
        "digits-vqvae,codes=4-0", "digits-vqvae,codes=4-1"
    ]  # fmt: skip
    assert again[:2] == study[1][:2]


def test_a_cell_gives_the_same_wherever_it_is_sent(task, study, tmp_path):
    """As joblib sends it to another process."""
    cell = sweep.cells(task, {"codes": [4, 32]}, 2, KNN, tmp_path)[3]
    assert timeless([pickle.loads(pickle.dumps(cell)).work()]) == timeless(study[1])[3:]


def test_continuous_latents_have_no_bits_and_a_setting_goes_before_a_fact_of_its_name(task, tmp_path):
    config = StudyConfig(probes=("knn",), settings=tuple(pair for pair in SMALL if pair[0] != "epochs"))
    rows = study_sweep(
        task, {"model": ["vae", "fsq"], "epochs": [1, 2], "levels": [(4, 3)]}, 1, config, folder=tmp_path
    )
    assert [(row["model"], row["epochs"], row.get("levels")) for row in rows] == [
        ("vae", 1, None), ("vae", 2, None), ("fsq", 1, "4,3"), ("fsq", 2, "4,3"),
    ]  # fmt: skip
    assert ["bits_per_image" in row for row in rows] == [False, False, True, True]
    assert rows[2]["bits_per_image"] == pytest.approx(16 * np.log2(12))


def test_a_training_that_was_interrupted_resumes_and_does_not_claim_to_know_its_time(
    task, study, tmp_path, monkeypatch
):
    left = iter([False] * 5)
    with monkeypatch.context() as patch:
        patch.setattr(resumable, "stop_requests", lambda: nullcontext(lambda: next(left, True)))
        with pytest.raises(KeyboardInterrupt):
            study_sweep(task, {"codes": [4]}, 1, KNN, folder=tmp_path)
    assert [path.name for path in tmp_path.rglob("*.partial")] == ["vae.pth.partial"]
    (row,) = study_sweep(task, {"codes": [4]}, 1, KNN, folder=tmp_path)
    assert timeless([row]) == timeless(study[1][:1])
    assert not {"processor_seconds", "training_seconds"} & row.keys()


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (
            {"codes": [4, 1]},
            "`codes` is 1, at the point model vqvae, codes 1\n  expected a whole number from 2 to 65536",
        ),
        ({"backbone": ["conv", "transformer"]}, "unknown backbone 'transformer'"),
        (
            {"model": ["fsq"], "levels": [4, 64], "latent_dim": [2, 3]},
            "levels 64, latent_dim 3\n  expected a whole number",
        ),
        ({"model": ["fsq"], "levels": [(8, 6, 5)], "latent_dim": [2]}, "there are 3 levels for 2 dimensions"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_before_any_training(task, tmp_path, over, said):
    with pytest.raises(UsageError) as refused:
        study_sweep(task, over, 1, StudyConfig(probes=("knn",)), folder=tmp_path)
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_probe_is_needed_and_must_exist(task, tmp_path):
    for probes, said in (((), "no probe"), (("oracle",), "unknown probe")):
        with pytest.raises(UsageError, match=said):
            study_sweep(task, {"codes": [4]}, 1, StudyConfig(probes=probes), folder=tmp_path)


def test_the_test_part_of_a_named_set_stays_untouched(tmp_path):
    (task,) = load_tasks(["digits"], held_out=True)
    whole = lc.load("digits", split="train")
    assert len(task.train) + len(task.test) == len(whole)
    both = np.concatenate([task.train.images, task.test.images])
    assert sorted(map(bytes, both)) == sorted(map(bytes, whole.images))
    (usual,) = load_tasks(["digits"])
    assert len(usual.train) == len(whole)
    some = ImageSet(whole.images[:50], Labels.of(whole.labels.texts[:50], whole.labels.names))
    lc.write_images(tmp_path / "some.npz", some)
    (given,) = load_tasks(["digits"], [str(tmp_path / "some.npz")], held_out=True)
    assert (len(given.train), len(given.test)) == (len(whole), 50)
    assert json.dumps(given.identity())
