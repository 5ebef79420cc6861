"""``latentcli study`` from the shell: a whole small comparison, stopped and gone on with."""

import csv
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from latentcli.cli.app import run
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.experiments import arms
from latentcli.experiments.arms import ARMS, CODES, Arm, Lesson
from latentcli.experiments.tasks import load_tasks
from latentcli.hybrids import Recipe
from latentcli.training.loop import Run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """120 images of two classes, which differ in where they are bright."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = random.integers(0, 2, 120)
    images = random.integers(0, 120, (120, 8, 8))
    images[labels == 0, :4] += 120
    np.savez(folder / "halves.npz", data=images.astype(np.uint8), labels=labels)
    np.savez(folder / "unlabelled.npz", data=images.astype(np.uint8))
    return folder


SMALL = [
    "--set",
    "epochs=2",
    "--set",
    "backbone=mlp",
    "--set",
    "width=64",
    "--seeds",
    "2",
    "--device",
    "cpu",
    "--probe",
    "knn",
]


@pytest.mark.slow
def test_a_study_writes_its_table_and_its_pictures_and_computes_nothing_twice(data, tmp_path, call):
    arguments = ["study", "latents", data / "halves.npz", "-o", "study", *SMALL, "--label-embedding"]
    first = call(*arguments)
    assert first.code == 0, first.err
    lines = first.out.splitlines()
    assert [line.split(" | ")[1] for line in lines[2:5]] == ["pixels", "vae", "vqvae"]
    assert "leaked" in first.out
    kept = json.loads((tmp_path / "study" / "table.json").read_text())
    pixels = next(row for row in kept["rows"] if row["model"] == "pixels")
    assert pixels["knn_accuracy"]["mean"] == 1.0
    leak = [row for row in kept["cells"] if "leaked" in row]
    assert len(leak) == 2
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "study" / "table.csv").read_text())))) == 8
    assert "say nothing of the latent space" in " ".join((tmp_path / "study" / "table.md").read_text().split())
    pictures = {path.name for path in (tmp_path / "study").glob("*.png")}
    names = {f"{kind}-halves_npz-{family}.png" for kind in ("tsne", "reconstructions") for family in ("vae", "vqvae")}
    assert pictures == names | {"comparison.png"}

    again = call(*arguments, "--json", "--report", "study.html")
    assert again.err.count("kept from before") == 8
    page = (tmp_path / "study.html").read_text()
    assert page.count("<figcaption>") == len(pictures)
    assert "<figcaption>A t-SNE map of the latents: halves_npz-vqvae" in page
    assert '<th scope="row" dir="auto">halves.npz</th><td>pixels</td>' in page
    assert again.json["cells"] == kept["cells"]

    for model in (tmp_path / "study" / "models").rglob("vae.pth"):
        model.write_bytes(b"damaged")
    damaged = call(*arguments)
    assert (damaged.code, "delete it, and the same call trains it again" in damaged.err) == (4, True), damaged.err


LONGER = ["--models", "fsq", *SMALL, "--set", "epochs=12", "--seeds", "1"]


def timeless(folder):
    """Cells of a study, without the seconds they took."""
    cells = json.loads((folder / "table.json").read_text())["cells"]
    return [{name: value for name, value in cell.items() if "seconds" not in name} for cell in cells]


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.raises(SystemExit) as end:
        run(["study", "latents", str(data / "halves.npz"), *LONGER, "-o", str(folder)])
    assert end.value.code == 0
    return timeless(folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_study_that_was_stopped_ends_as_one_that_was_not(data, tmp_path, call, number, undisturbed):
    arguments = ["study", "latents", data / "halves.npz", *LONGER, "-o", tmp_path]
    program = [sys.executable, "-m", "latentcli", *map(str, arguments)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch 3/"):
                process.send_signal(number)
                _, rest = process.communicate()
                break
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert rest.splitlines()[-1] == "interrupted: what is finished is kept, and the same call goes on"
    assert call(*arguments).code == 0
    assert timeless(tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.npz"], 3, "nowhere.npz"),
        (["unlabelled.npz"], 3, "no labels"),
        (["halves.npz", "--models", "gan"], 2, "unknown model family"),
        (["halves.npz", "--recipe", "worst"], 2, "unknown recipe"),
        (["halves.npz", "--probe", "oracle"], 2, "oracle"),
        (["halves.npz", "--probe", ""], 2, "no probe"),
        (["halves.npz", "--set", "colour=1"], 2, "colour"),
        (["halves.npz", "--labels", "medium"], 2, "--labels is 'medium'\n  expected coarse or fine"),
        (["halves.npz", "halves.npz"], 2, "the same name"),
        (["halves.npz", "--test", "halves.npz", "--test", "halves.npz"], 2, "2 test parts"),
    ],
    ids=str,
)
def test_bad_calls_end_with_their_code_before_any_training(data, tmp_path, call, monkeypatch, arguments, code, said):
    monkeypatch.chdir(data)
    done = call("study", "latents", *arguments, "-o", tmp_path / "study")
    assert (done.code, said in done.err) == (code, True), done.err
    assert len(done.err.strip().splitlines()) <= 3
    assert not (tmp_path / "study").exists()


def test_both_parts_are_brought_to_the_size_that_is_asked_for(data):
    halves = str(data / "halves.npz")
    for data_of, tests in (([halves], []), ([halves], [halves]), (["digits"], [])):
        (task,) = load_tasks(data_of, tests, None, 12, None)
        assert task.train.shape == task.test.shape == (1, 12, 12)


TINY = ["--per-class", "2,8", "--seeds", "2", "--quick", "--steps", "40", "--device", "cpu"]
TINY += ["--set", "width=32", "--set", "epochs=4"]


@pytest.mark.slow
def test_a_study_of_hybrids_measures_every_arm_and_computes_nothing_twice(data, tmp_path, call):
    folder, alike = tmp_path / "study", ["study", "hybrids", data / "halves.npz", *TINY, "--jobs", 1]
    first = call(*alike[:-1], 2, "-o", folder, "--arms", "augmented,hybrids-unlabelled")
    assert first.code == 0, first.err
    assert first.err.count(": done") == 10  # two models, two sizes, two seeds, two arms
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    assert {(row["arm"], row["per_class"], row["seed"]) for row in rows} == {
        (arm, size, seed) for arm in ("augmented", "hybrids-unlabelled") for size in "28" for seed in "01"
    }
    assert all(float(row["accuracy"]) > 0.9 for row in rows)
    assert all((float(row["added"]) > 0) == row["arm"].startswith("hybrids") for row in rows)
    assert (folder / "table.md").read_text() == first.out
    assert (folder / "curve.png").stat().st_size > 10_000
    kept = call(*alike, "-o", folder, "--arms", "augmented,hybrids-unlabelled")
    assert kept.code == 0, kept.err
    assert kept.err.count("kept from before") == 10
    assert kept.out == first.out
    one = ["--per-class", 8, "--seeds", 1]
    quick_ones = [name for name, arm in ARMS.items() if CODES not in arm.shares]  # test_arms.py has the others
    again = call(*alike, *one, "-o", folder, "--arms", ",".join(quick_ones))
    assert again.code == 0, again.err
    assert again.err.count("kept from before") == 3
    cells = json.loads((folder / "table.json").read_text())["cells"]
    assert [cell["arm"] for cell in cells] == quick_ones
    other = call(*alike, *one, "-o", tmp_path / "other", "--arms", "hybrids-unlabelled")
    assert other.code == 0, other.err
    (alone,) = json.loads((tmp_path / "other" / "table.json").read_text())["cells"]
    (found,) = (cell for cell in cells if cell["arm"] == "hybrids-unlabelled")
    assert alone["accuracy"] == found["accuracy"]


def test_an_arm_is_trained_by_its_recipe_and_kept_results_of_another_are_refused(data, tmp_path, call, monkeypatch):
    added = {"images": np.zeros((50, 8, 8), np.uint8), "soft_labels": np.full((50, 2), 0.5), "classes": ("0", "1")}
    runs: list[Run] = []
    monkeypatch.setattr(Run, "fit", lambda self, callbacks: runs.append(self) or [])
    recipe = {"labelled_fraction": 0.25, "finish": 0.5}
    monkeypatch.setitem(ARMS, "tried", Arm("tried", lambda given, **recipe: Lesson(added, **recipe), recipe))
    arguments = ["--arms", "tried", "--per-class", "4", "--seeds", "1", "--steps", "40", "--jobs", "1"]
    done = call("study", "hybrids", data / "halves.npz", *arguments, "-o", tmp_path / "s")
    assert done.code == 0, done.err
    (only,) = runs
    assert sorted(only.examples.final_rows) == [*range(8)]
    assert np.isin(only.examples.train_rows, only.examples.final_rows).mean() == pytest.approx(0.25, abs=0.02)
    assert (only.total_steps, only.examples.final_fraction) == (40, 0.5)
    monkeypatch.setitem(ARMS, "tried", replace(ARMS["tried"], recipe={**recipe, "finish": 0.0}))
    again = call("study", "hybrids", data / "halves.npz", *arguments, "-o", tmp_path / "s")
    assert (again.code, "holds another study" in again.err) == (2, True), again.err


@pytest.mark.parametrize(
    ("labelled", "fraction", "count"), [(50, 0.25, 72_000), (3_600, 0.375, 60_000), (9_600, 0.5, 48_000)]
)
def test_the_share_of_many_labelled_images_grows_to_half_and_all_others_are_seen_once(
    labelled, fraction, count, monkeypatch
):
    made: list[tuple[Recipe, int]] = []

    class Space:
        def __init__(self, images, given):
            pass

        def hybrids(self, recipe, count):
            made.append((recipe, count))

    monkeypatch.setattr(arms, "LatentSpace", Space)
    few = ImageSet(np.zeros((labelled, 1, 1, 1), np.uint8), Labels.none(labelled))
    given = arms.Given(few, few, seed=3, seen=96_000, count=7, model=lambda images, which: None)
    lesson = arms.of_unlabelled(given, labelled_fraction=0.25, passes=10)
    assert (lesson.labelled_fraction, lesson.finish, lesson.settings) == (fraction, 0.0, {})
    assert made == [(Recipe("posterior", "neighbours", seed=3), count)]


def test_an_arm_that_has_nothing_to_add_is_not_passed_off_as_measured(data, tmp_path, call):
    few = ["--per-class", "1", "--seeds", "1", "--quick", "--steps", "5", "--set", "epochs=2", "--jobs", "1"]
    done = call("study", "hybrids", data / "halves.npz", *few, "--arms", "augmented,as-published", "-o", tmp_path / "s")
    assert done.code == 0, done.err
    assert "as-published with 1 a class: there was nothing to add" in done.err
    assert done.out.splitlines()[2].endswith("| – |")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s" / "table.csv").read_text())))
    assert [(row["arm"], row["accuracy"] == "", row["added"]) for row in rows] == [
        ("augmented", False, "0"), ("as-published", True, "0")
    ]  # fmt: skip


def test_the_usual_sizes_are_those_that_the_data_has(data, tmp_path, call):
    one_step = ["--arms", "plain", "--seeds", "1", "--steps", "1", "--jobs", "1", "-o", tmp_path / "s"]
    done = call("study", "hybrids", data / "halves.npz", *one_step, "--report", "study.html")
    assert done.code == 0, done.err
    page = (tmp_path / "study.html").read_text()
    assert "<figcaption>Accuracy against the number of labelled images</figcaption>" in page
    assert page.count('<tr><th scope="row" dir="auto">halves.npz</th>') == 4
    assert "labelled images of each class: 1, 5, 10, 20\n" in done.err
    assert len(json.loads((tmp_path / "s" / "table.json").read_text())["cells"]) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.npz"], 3, "nowhere.npz"),
        (["unlabelled.npz"], 3, "no labels"),
        (["halves.npz", "--arms", "luck"], 2, "unknown arm"),
        (["halves.npz", "--arms", ""], 2, "needs an arm"),
        (["halves.npz", "--per-class", "0"], 2, "--per-class"),
        (["halves.npz", "--per-class", "five"], 2, "--per-class"),
        (["halves.npz", "--per-class", ""], 2, "--per-class"),
        (["halves.npz", "--per-class", "2,,5"], 2, "--per-class"),
        (["halves.npz", "--arms", "plain", "--set", "nosuch=1"], 2, "nosuch"),
        (["halves.npz", "--per-class", "1000"], 3, "too few labelled images"),
        (["halves.npz", "--model", "gan"], 2, "unknown model family"),
        (["halves.npz", "-o", "halves.npz"], 6, "halves.npz"),
    ],
    ids=str,
)
def test_bad_calls_of_a_study_of_hybrids_end_with_their_code(data, tmp_path, call, monkeypatch, arguments, code, said):
    monkeypatch.chdir(data)
    where = [] if "-o" in arguments else ["-o", tmp_path / "study"]
    done = call("study", "hybrids", *arguments, *where)
    assert (done.code, said in done.err) == (code, True), done.err
    assert len(done.err.strip().splitlines()) <= 3
