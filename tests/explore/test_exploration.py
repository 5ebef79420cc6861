"""A person at work, without a browser: selecting, labelling, fitting, decoding, saving."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.explore import between, plane
from latentcli.explore.colouring import COLOURINGS, coloured
from latentcli.explore.exploration import Exploration
from latentcli.explore.jobs import LOOKING, SAVING, Jobs
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import material
from latentcli.formats import atomic


def full_disk(_):
    raise OSError(28, os.strerror(28))


def label_some(exploration, truth, each=5):
    for name in np.unique(truth):
        exploration.select(np.flatnonzero(truth == name)[:each])
        exploration.give(str(name))
    exploration.jobs.finish()


def texts(exploration) -> list[str]:
    return [text for _, text in exploration.board.told]


def test_labels_make_a_classifier_at_once(exploration, truth):
    exploration.select(np.array([0]))
    exploration.give(truth[0])
    exploration.jobs.finish()
    assert exploration.learning.reading is None  # of one class there is nothing to tell
    label_some(exploration, truth)
    assert (exploration.learning.reading.texts(np.arange(len(truth))) == truth).mean() > 0.7
    assert "changed class" in texts(exploration)[-1]
    exploration.undo()
    exploration.jobs.finish()
    assert (exploration.labelling.codes >= 0).sum() < 16


def test_the_estimate_is_of_what_was_said_before(exploration, truth):
    label_some(exploration, truth)
    assert exploration.learning.accuracy[1] == 0  # the classes were new
    rows = np.flatnonzero(exploration.labelling.codes < 0)[:20]
    said = exploration.learning.reading.texts(rows)
    for row in rows:
        exploration.select(np.array([row]))
        exploration.give(truth[row])  # fits beside, and is not waited for
    right, count, low, high = exploration.learning.accuracy
    assert (right, count) == ((said == truth[rows]).sum(), 20)
    assert low <= right / count <= high
    exploration.undo()
    assert exploration.learning.accuracy[1] == 19


def test_a_label_makes_no_text_of_every_image(exploration, truth, monkeypatch):
    label_some(exploration, truth)

    def never(_):
        raise AssertionError("of a million images that takes longer than the label")

    monkeypatch.setattr(lc.Labels, "texts", property(never))
    exploration.select(np.array([77]))
    exploration.give("4")
    assert exploration.label(77) == "4"
    assert exploration.learning.accuracy[1] == 1
    assert exploration.learning.fitting.quick(exploration.labelling.labels).names == ("1", "4", "8")


def test_a_lasso_is_looked_through_least_certain_first(exploration, truth):
    label_some(exploration, truth)
    exploration.select(np.arange(50))
    rows = exploration.gallery()
    assert (np.diff(exploration.learning.reading.uncertainty(rows)) <= 0).all()
    exploration.toggle(int(rows[0]))
    assert rows[0] not in exploration.targets
    assert rows[0] in exploration.gallery()
    exploration.toggle(int(rows[0]))
    assert len(exploration.targets) == 50
    exploration.select(np.empty(0, int))
    assert exploration.targets.tolist() == [exploration.current]


def test_suggestions_are_followed(exploration, truth):
    label_some(exploration, truth)
    seen = []
    for _ in range(4):
        exploration.next_suggestion()
        (row,) = exploration.targets
        seen.append(int(row))
        assert exploration.label(row) == ""
        exploration.give(truth[row])
        exploration.jobs.finish()
    assert len({*seen}) == 4


def test_keys_are_the_names_where_these_are_digits(exploration):
    for name in "cat", "dog":
        exploration.add_class(name)
    assert exploration.keys == {"1": "cat", "2": "dog"}
    for number in range(10):
        exploration.add_class(f"{number:02d}")
    assert exploration.keys["0"] == "07"
    exploration.add_class("8")
    assert exploration.keys == {"8": "8", "1": "cat", "2": "dog"} | {f"{3 + key}": f"{key:02d}" for key in range(5)} | {
        "9": "05", "0": "06",
    }  # fmt: skip


def test_the_shell_suggests_the_same(exploration, truth, digits):
    label_some(exploration, truth)
    labelled = lc.Latents(exploration.latents.arrays, exploration.latents.checkpoint, exploration.labelling.labels)
    found = lc.suggest(labelled, exploration.learning.reading.classifier, len(exploration.learning.suggestions))
    np.testing.assert_array_equal(exploration.learning.suggestions, found.rows)


def test_nearest_are_nearest(exploration):
    points = exploration.latents.flat
    rows = exploration.nearest(7)
    assert rows[0] == 7
    distances = np.linalg.norm(points - points[7], axis=1)
    np.testing.assert_allclose(distances[rows], np.sort(distances)[: len(rows)], rtol=1e-5)


@pytest.mark.parametrize("colouring", COLOURINGS)
def test_points_are_coloured(exploration, truth, colouring):
    exploration.colouring = colouring
    for _ in range(2):
        index, colours, legend = coloured(colouring, exploration.labelling.labels, exploration.learning.reading)
        assert index.shape == (len(exploration),)
        assert 0 <= index.min() <= index.max() < len(colours)
        assert all(place < len(colours) for _, place in legend)
        assert exploration.picture((-5, 5), (-5, 5), (60, 40)).shape == (40, 60)
        label_some(exploration, truth)


def test_errors_are_where_label_and_prediction_differ(exploration, truth):
    label_some(exploration, truth)
    exploration.colouring = "error"
    index, _, _ = coloured("error", exploration.labelling.labels, exploration.learning.reading)
    known = exploration.labelling.codes >= 0
    wrong = exploration.learning.reading.texts(np.arange(len(truth))) != exploration.labelling.labels.texts
    np.testing.assert_array_equal(index, np.where(known, wrong, 2))


def test_likely_wrong_labels_are_shown(exploration, truth):
    label_some(exploration, truth, 20)
    wrong = int(np.flatnonzero(truth == "1")[3])
    exploration.select(np.array([wrong]))
    exploration.give("8")
    exploration.jobs.finish()
    exploration.look_through("trouble")
    exploration.jobs.finish()
    assert wrong in [each.row for each in exploration.findings if each.kind == "label"]
    assert wrong in exploration.gallery()


def test_a_path_between_two_images_is_decoded_and_kept(exploration, truth):
    exploration.current = 0
    exploration.mark_end()
    exploration.current = 9
    exploration.mark_end()
    found = exploration.between
    assert found.images.shape == (between.STEPS, 1, 8, 8)
    np.testing.assert_allclose(found.points[[0, -1]], exploration.points[[0, 9]], atol=1e-6)
    exploration.keep()
    assert "there is no hybrid to keep" in texts(exploration)[-1]  # without classes
    label_some(exploration, truth)
    exploration.mark_end()
    exploration.current = 5
    exploration.mark_end()
    exploration.keep()
    exploration.keep(np.array([3]))
    hybrids = lc.read_hybrids(exploration.output.with_name("hybrids.npz"))
    assert hybrids["images"].shape == (between.STEPS - 2 + 1, 8, 8)
    assert hybrids["classes"].tolist() == ["1", "4", "8"]
    np.testing.assert_allclose(hybrids["soft_labels"][-1], exploration.between.soft[3], atol=1e-6)
    exploration.decode(0.0, 0.0)
    exploration.keep()
    assert len(lc.read_hybrids(exploration.output.with_name("hybrids.npz"))["images"]) == between.STEPS


def test_two_runs_add_no_hybrids_at_once(exploration, truth):
    """One would write what it had read before the other one wrote."""
    from latentcli.formats.locks import exclusive

    label_some(exploration, truth)
    exploration.decode(0.0, 0.0)
    with exclusive(exploration.output.with_name("hybrids.npz")):
        exploration.keep()
    assert "another run is writing" in texts(exploration)[-1]
    exploration.keep()
    assert "holds 1 hybrid" in texts(exploration)[-1]


def test_hybrids_of_other_classes_stay(tmp_path):
    path, image = tmp_path / "hybrids.npz", np.zeros((1, 1, 8, 8), np.uint8)
    assert between.keep(path, image, np.array([[0.2, 0.8]]), ("a", "b"), np.zeros((1, 3))) == 1
    assert between.keep(path, image, np.array([[0.3, 0.7]]), ("c", "a"), np.ones((1, 3))) == 2
    found = lc.read_hybrids(path)
    assert found["classes"].tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found["soft_labels"], [[0.2, 0.8, 0], [0.7, 0, 0.3]])
    with pytest.raises(lc.DataError, match="another model"):
        between.keep(path, np.zeros((1, 1, 9, 9), np.uint8), np.array([[1.0]]), ("a",), np.zeros((1, 3)))


def test_what_is_saved_is_what_the_commands_read(exploration, truth, digits, vae, tmp_path):
    label_some(exploration, truth)
    exploration.select(np.array([1, 2, 3]))
    exploration.save()
    exploration.jobs.finish()
    labelled = lc.load_classifier(tmp_path / "graph.npz", vae)
    found = lc.classify(digits, vae, labelled)
    assert (found.labels.texts == truth).mean() > 0.7
    assert (tmp_path / "selection.csv").read_text() == "File\n1\n2\n3\n"
    assert Image.open(tmp_path / "plane.png").size == (1200, 1000)
    before = (tmp_path / "graph.npz").stat().st_mtime_ns
    assert exploration.saving.finish() == []  # nothing is new
    assert (tmp_path / "graph.npz").stat().st_mtime_ns == before


def test_the_end_writes_what_is_new(exploration, truth, tmp_path):
    label_some(exploration, truth)
    assert exploration.saving.finish() == [tmp_path / "graph.npz"]
    assert lc.load_classifier(tmp_path / "graph.npz").classes_.tolist() == ["1", "4", "8"]


def test_an_end_writes_labels_whose_writing_was_interrupted(exploration, truth, monkeypatch):
    """By the very Ctrl-C that ends the page."""
    label_some(exploration, truth)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", interrupted)
        exploration.select(np.array([77]))
        with pytest.raises(KeyboardInterrupt):
            exploration.give("4")
    assert exploration.labelling.path in exploration.saving.finish()
    assert "\n77,4\n" in exploration.labelling.path.read_text()


def test_an_end_at_a_full_disk_keeps_the_labels_elsewhere_and_says_where(
    exploration, truth, monkeypatch, tmp_path, tmp_path_factory
):
    label_some(exploration, truth)
    elsewhere, fsync = tmp_path_factory.mktemp("temporary"), os.fsync
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))

    def full(descriptor):
        """For labels alone."""
        if any("labels" in each.name for each in tmp_path.glob("*.tmp")):
            raise OSError(28, os.strerror(28))
        fsync(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", full)
    exploration.select(np.array([77]))
    exploration.give("4")
    with pytest.raises(lc.OutputError, match="nothing is lost, the labels are in ") as told:
        exploration.saving.finish()
    (rescued,) = elsewhere.rglob("labels.csv")
    assert str(rescued) in str(told.value)
    assert "\n77,4\n" in rescued.read_text()
    assert lc.load_classifier(exploration.output).classes_.tolist() == ["1", "4", "8"]  # what can be written is


def test_an_end_is_after_what_is_being_saved(exploration, truth, tmp_path):
    """Else a classifier of older labels would come to lie over the one that the end writes."""
    label_some(exploration, truth)
    begun, go = threading.Event(), threading.Event()
    write = exploration.saving._write_classifier

    def slowly(*of):
        here = threading.current_thread() is threading.main_thread()
        if not here:
            begun.set()
            assert go.wait(20)
        found = write(*of)
        if here:
            go.set()
        return found

    exploration.saving._write_classifier = slowly
    exploration.save()
    assert begun.wait(20)
    exploration.select(np.array([77]))
    exploration.give("owl")
    threading.Timer(1.0, go.set).start()
    exploration.saving.finish()
    assert "owl" in lc.load_classifier(tmp_path / "graph.npz").classes_.tolist()


def test_a_second_signal_leaves_the_classifier_and_no_third_does_more(exploration, truth, monkeypatch, tmp_path):
    label_some(exploration, truth)
    exploration.labelling.path.unlink()

    def fitted(*_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(exploration.saving, "_write_classifier", fitted)
    assert exploration.saving.finish() == [tmp_path / "labels.csv"]


def test_an_end_waits_for_nothing_that_nobody_asked_to_keep():
    """t-SNE, a look for trouble and suggestions: they are told to end, and if they do not hear, they are left."""
    script = (
        "import time; from latentcli.explore import jobs\n"
        "jobs.PATIENCE = 0.1; work = jobs.Jobs()\n"
        "work.submit('looking', lambda: time.sleep(60), print, print, jobs.LOOKING)\n"
        "work.close()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_work_that_is_given_up_hears_of_it():
    jobs, steps = Jobs(), []
    begun = threading.Event()

    def look() -> None:
        with jobs.progress("looking", 100) as advance:
            while True:
                advance(1)
                steps.append(1)
                begun.set()

    jobs.submit("looking", look, print, print, LOOKING)
    assert begun.wait(20)
    jobs.close()
    done = len(steps)
    jobs.submit("saving", look, print, print, SAVING)  # too late
    assert jobs.doing == ["looking"]
    time.sleep(0.1)
    assert len(steps) == done


def test_an_end_without_a_new_label_writes_nothing(digits, vae, truth, tmp_path):
    """Also where the images have labels of their own: who only looks changes no file."""
    known = lc.ImageSet(digits.images, lc.Labels.of(truth))
    given = lc.fit_graph(vae.encode(known), labels_per_class=5)
    for classifier in (given, None):
        of = material(known, vae, classifier)
        explored = Exploration(of, Labelling(known, tmp_path / "labels.csv"), tmp_path / "graph.npz")
        explored.jobs.finish()
        assert explored.saving.finish() == []
    assert [*tmp_path.iterdir()] == []


def test_an_end_without_labels_writes_nothing(exploration, tmp_path):
    assert exploration.saving.finish() == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("fit", [lc.fit_mixture, lc.fit_graph, partial(lc.fit_probe, probe="knn")])
def test_a_classifier_that_was_given_is_gone_on_with(digits, vae, truth, tmp_path, fit):
    known = lc.ImageSet(digits.images, lc.Labels.of(truth))
    given = fit(vae.encode(known), labels_per_class=5)
    explored = Exploration(material(digits, vae, given), Labelling(digits, tmp_path / "labels.csv", ["1", "4", "8"]),
                           tmp_path / "given")  # fmt: skip
    assert explored.learning.reading.names == ("1", "4", "8")
    assert explored.saving.finish() == []  # it is as it was
    explored = Exploration(material(digits, vae, given), Labelling(digits, tmp_path / "labels.csv"), tmp_path / "given")
    label_some(explored, truth)
    explored.jobs.close()
    assert type(explored.learning.reading.classifier) is type(given)
    assert len(explored.ellipses()) == (len(given.weights_) if fit is lc.fit_mixture else 0)


def test_a_classifier_of_pixels_is_looked_at(digits, vae, truth, tmp_path):
    known = lc.ImageSet(digits.images, lc.Labels.of(truth))
    cnn = lc.train_cnn(known, width=8, epochs=1, min_steps=0)
    explored = Exploration(material(digits, vae, cnn), Labelling(digits, tmp_path / "labels.csv", cnn.class_names),
                           tmp_path / "graph.npz")  # fmt: skip
    np.testing.assert_allclose(explored.learning.reading.probabilities, cnn.probabilities(digits), atol=1e-6)
    label_some(explored, truth)
    explored.learning.fit(whole=True)
    assert "train-cnn" in texts(explored)[-1]
    assert explored.saving.finish() == []


def test_a_classifier_of_another_model_is_refused(digits, vae, truth):
    other = lc.train(digits, backbone="mlp", width=16, latent_dim=8, epochs=1, seed=1)
    known = lc.ImageSet(digits.images, lc.Labels.of(truth))
    with pytest.raises(lc.ModelFileError, match="another checkpoint"):
        material(digits, vae, lc.fit_graph(other.encode(known), labels_per_class=5))


def test_a_fit_that_fails_is_told_and_labels_stay(exploration, truth, monkeypatch):
    label_some(exploration, truth)
    before = exploration.learning.reading

    def failing(_):
        raise lc.FitError("a component collapsed", None, "label more")

    monkeypatch.setattr(exploration.learning.fitting, "quick", failing)
    exploration.select(np.array([77]))
    exploration.give("4")
    exploration.jobs.finish()
    assert exploration.board.told[-1] == (True, "a component collapsed · label more")
    assert exploration.learning.reading is before
    assert exploration.label(77) == "4"


def test_labels_of_another_program_are_seen(exploration, truth):
    label_some(exploration, truth)
    row = int(np.flatnonzero(exploration.labelling.codes < 0)[0])
    with exploration.labelling.path.open("a") as file:
        file.write(f"{row},owl\n")
    exploration.poll()
    exploration.jobs.finish()
    assert exploration.label(row) == "owl"
    assert "owl" in exploration.learning.reading.names


def test_planes_are_chosen(exploration, truth):
    exploration.choose_plane("discriminant")
    exploration.jobs.finish()
    assert exploration.plane_kind == "principal"
    assert "two classes" in texts(exploration)[-1]
    label_some(exploration, truth)
    exploration.choose_plane("discriminant")
    exploration.jobs.finish()
    assert exploration.plane_kind == "discriminant"


def test_a_map_is_made_once(exploration, monkeypatch):
    kept = exploration.labelling.path.with_name("labels.tsne.npz")

    def choose(kind: str) -> np.ndarray:
        exploration.choose_plane(kind)
        exploration.jobs.finish()
        assert exploration.plane_kind == kind
        return exploration.plane.points

    monkeypatch.setattr("latentcli.figures.tsne.embed", lambda latents, seed: latents[:, :2] + 1)
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full_disk)
        np.testing.assert_allclose(choose("tsne"), exploration.latents.flat[:, :2] + 1)  # it is shown all the same
    assert not kept.exists()
    choose("principal")
    first = choose("tsne")
    assert kept.exists()
    choose("principal")
    monkeypatch.setattr("latentcli.figures.tsne.embed", None)
    np.testing.assert_array_equal(choose("tsne"), first)


def test_a_defect_is_told_and_raised(exploration, monkeypatch):
    monkeypatch.setattr(plane, "make", lambda *_, **__: 1 / 0)
    exploration.choose_plane("discriminant")
    with pytest.raises(ZeroDivisionError):
        exploration.jobs.finish()
    assert "ZeroDivisionError" in texts(exploration)[-1]
    assert exploration.wanted_plane == "principal"


def test_unreadable_files_are_trouble(prepared, tmp_path):
    bad = tuple((f"{number:02}.png", "cut short") for number in range(12))
    images = replace(prepared.images, bad_files=bad)
    explored = Exploration(
        replace(prepared, images=images), Labelling(images, tmp_path / "labels.csv"), tmp_path / "graph.npz"
    )
    explored.look_through("trouble")
    explored.jobs.finish()
    assert (True, f"unreadable: {', '.join(file for file, _ in bad[:10])}, …") in explored.board.told


def test_undo_goes_back_to_the_image_whose_label_it_takes(exploration):
    """So that what is typed next is meant for it, wherever the page has gone on to."""
    exploration.select(np.array([3]))
    exploration.give("one")
    exploration.select(np.array([7]))
    exploration.undo()
    assert (exploration.current, [*exploration.targets]) == (3, [3])


def test_an_end_writes_the_classifier_that_there_is_none_of_for_labels_of_earlier(digits, vae, truth, tmp_path):
    """Or an older one, as after a run that was killed; one that was given is as it was, and that is told."""
    labels, graph = tmp_path / "labels.csv", tmp_path / "graph.npz"
    labelling = Labelling(digits, labels)
    for name in "1", "4":
        labelling.give(np.flatnonzero(truth == name)[:5], name)
    of = material(digits, vae)
    assert Exploration(of, Labelling(digits, labels), graph).saving.finish() == [graph]
    assert Exploration(of, Labelling(digits, labels), graph).saving.finish() == []
    labelling.give(np.flatnonzero(truth == "8")[:5], "8")
    os.utime(graph, (1, 1))
    given = lc.load_classifier(graph, vae)
    explored = Exploration(material(digits, vae, given), Labelling(digits, labels), graph)
    assert explored.saving.finish() == []
    assert any("is older than" in text for text in texts(explored))
    assert Exploration(of, Labelling(digits, labels), graph).saving.finish() == [graph]
    assert lc.load_classifier(graph, vae).classes_.tolist() == ["1", "4", "8"]
