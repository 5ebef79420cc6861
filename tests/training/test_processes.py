"""Two processes that share out the batches of a training do what one does, to rounding.

Run as a script this file is one of these processes.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import latentcli as lc
from latentcli.core import device, processes
from latentcli.core.errors import UsageError
from latentcli.formats.schemas import TRAINING_STATE
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create, family_of
from latentcli.numerics import precision, shared_batches
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples
from latentcli.training.loop import Callbacks, Interrupted, Run
from latentcli.training.resumable import fit
from latentcli.training.steps import Steps
from latentcli.training.whole_batch import at_hand, shared_out

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1"}
IMAGES = 43
"""Of a training, so that batches and the rows of two processes are of unlike sizes."""

RUNS: dict[str, dict[str, Any]] = {
    "vae": {"family": "vae", "components": 3, "latent_dim": 5, "beta": 1.0},
    "vae with details": {"family": "vae", "components": 2, "latent_dim": 6, "details": 3, "backbone": "conv"},
    "vae in two dimensions": {"family": "vae", "latent_dim": 2, "fourier": 8, "loss": "mse", "norm": "layer"},
    "vae of photos": {"family": "vae", "channels": 3, "backbone": "resnet", "views": "photos", "agreement": 20.0},
    "vae of maps": {"family": "vae", "backbone": "residual", "latent_dim": 3, "views": "scans", "agreement": 5.0},
    "vqvae": {"family": "vqvae", "codes": 12, "latent_dim": 4},
    "vqvae that learns by gradients": {"family": "vqvae", "codes": 12, "latent_dim": 4, "codebook": "gradient"},
    "vqvae of scans": {"family": "vqvae", "codes": 8, "latent_dim": 4, "views": "scans", "agreement": 5.0},
    "fsq": {"family": "fsq", "latent_dim": 3},
    "fsq of photos": {"family": "fsq", "channels": 3, "latent_dim": 3, "views": "photos", "agreement": 5.0},
    "cnn": {"family": "cnn", "flip": 0.5, "width": 16},
    "cnn of mixtures": {"family": "cnn", "mixup": 0.5, "augment": False, "width": 16},
}


def trained(name: str) -> dict[str, Any]:
    """The losses of each step of a run, its history, and how far apart the weights of its processes end."""
    settings = {"width": 32} | RUNS[name]
    family, channels = settings.pop("family"), settings.pop("channels", 1)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (IMAGES, channels, 16, 16), dtype=np.uint8)
    examples: Any = images
    config = TrainingConfig(epochs=3, batch_size=13, held_out=0.25, seed=2, lr=1e-3)
    if family in PIXEL_CLASSIFIERS:
        settings["classes"] = 3
        targets = random.dirichlet(np.ones(3), IMAGES).astype(np.float32)
        examples = Examples(images, np.arange(11, IMAGES), np.arange(11), targets)
    model = create(family, family_of(family).Config((channels, 16, 16), **settings), 3)
    losses: list[float] = []
    run = Run(model, examples, config)
    # biases before a normalisation, whose gradients are rounding alone, would else move, and show in the validation
    run.steps.optimizer.param_groups[0]["eps"] = 1e-2
    history = run.fit(Callbacks(on_step=lambda images, loss: losses.append(loss)))
    weights = torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])
    others = processes.gathered(weights.numpy()[None])
    return {"losses": losses, "history": history, "apart": float(np.ptp(others, axis=0).max())}


def stopped(folder: Path) -> dict[str, Any]:
    """A run of which the second process gets a SIGTERM in the fifth step, resumed by both; its state is kept."""
    take, state = Steps.take, folder / "state"

    def struck(self: Any, batch: Any, number: int, *rest: Any) -> None:
        take(self, batch, number, *rest)
        if number == 4 and processes.rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    Steps.take = struck  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="interrupted at step 5 of 9"):
        fitted(state)
    Steps.take = take  # type: ignore[method-assign]
    if processes.is_first():
        shutil.copy(state, folder / "kept")
    return {"resumed": fitted(state)}


def fitted(state: Path) -> list[dict[str, float]]:
    """The history of a run that keeps its state in a file, or resumes from it."""
    images = np.random.default_rng(1).integers(0, 256, (IMAGES, 1, 8, 8), dtype=np.uint8)
    model = create("vae", FAMILIES["vae"].Config((1, 8, 8), width=32, latent_dim=2, fourier=8), 3)
    config = TrainingConfig(epochs=3, batch_size=13, held_out=0.25, seed=2)
    return fit(model, images, config, identity={"this": "run"}, state=state)


def called(*arguments: str | Path) -> int:
    """The exit code of a call of the command line."""
    from latentcli.__main__ import main

    sys.argv = ["latentcli", *map(str, arguments)]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def others_refused() -> bool:
    """Whether processes that find unlike data do not go on together."""
    processes.check_alike("the same")
    with pytest.raises(UsageError, match="what number 1 found is not what number 0 found"):
        processes.check_alike(f"data of process {processes.rank()}")
    return True


def told_twice() -> list[list[str] | None]:
    """What the first process hears, the second time from one that is later."""
    found = []
    for time_of in ("first", "second"):
        time.sleep(0.5 * processes.rank())
        found.append(processes.told(f"{time_of} of {processes.rank()}"))
    return found


@pytest.fixture(autouse=True)
def no_bfloat16(monkeypatch) -> None:
    """It rounds coarsely."""
    monkeypatch.setattr(precision, "AMX", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What two processes have written to it."""
    folder = tmp_path_factory.mktemp("two")
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, 301)
    points = (4 * random.standard_normal((3, 4))[classes] + random.standard_normal((301, 4))).astype(np.float32)
    labels = lc.Labels.of([str(label) if row < 20 else "" for row, label in enumerate(classes)])
    lc.write_latents(
        folder / "latents.npz", lc.Latents({"mu": points, "logvar": np.zeros_like(points)}, "0" * 64, labels)
    )
    both = two(__file__, folder)
    said = [process.communicate(timeout=250) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[1][0] == "", "the first alone has something to say"
    (folder / "stdout").write_text(said[0][0])
    return folder


def two(*call: str | Path, **how: Any) -> list[subprocess.Popen[str]]:
    """Two processes of one call of Python, with the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    there = {**ENVIRONMENT, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, *call], env={**there, "RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **how,
        )
        for rank in "01"
    ]  # fmt: skip


@pytest.fixture(scope="module")
def shared(folder) -> dict[str, Any]:
    return json.loads((folder / "found.json").read_text())


def test_what_libraries_print_where_processes_meet_is_not_in_stdout(capfd):
    with processes._stdout_kept_clean():
        os.write(1, b"[Gloo] Rank 0 is connected")
    os.write(1, b"kept")
    assert capfd.readouterr() == ("kept", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_loss_of_each_step_is_that_of_one_process(shared, name):
    alone, two = trained(name), shared[name]
    assert len(alone["losses"]) == 9
    np.testing.assert_allclose(two["losses"], alone["losses"], rtol=2e-5)
    check_same(two["history"], alone["history"])
    assert two["apart"] == 0.0, "both processes have the same weights"


def check_same(history: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert [row.keys() for row in history] == [row.keys() for row in expected]
    for mine, theirs in zip(history, expected, strict=True):
        np.testing.assert_allclose([*mine.values()], [*theirs.values()], rtol=1e-3, atol=1e-4)


def test_a_run_stopped_by_a_signal_to_one_process_goes_on_with_another_number(folder, shared, tmp_path):
    alone = fitted(tmp_path / "state")
    check_same(shared["stopped"]["resumed"], alone)
    check_same(fitted(folder / "kept"), alone)


def test_the_mixture_is_that_of_one_process(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert called("fit-gmm", folder / "latents.npz", "--components", 5, "-q") == 0
    mine, theirs = (lc.load_classifier(path) for path in ("gmm_params.pkl", folder / "gmm_params.pkl"))
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(mine, name), rtol=1e-9, atol=1e-12)


CHANGES: dict[str, dict[str, Any]] = {
    "rows": {"rows": 30}, "files": {"name": "b"}, "labels": {"labelled": 9}, "checkpoint": {"checkpoint": "1" * 64},
    "settings": {"settings": ["--components", 4]}, "seed": {"settings": ["--seed", 4]},
}  # fmt: skip


def test_a_mixture_is_fitted_to_what_all_processes_find_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    monkeypatch.setattr(processes, "check_alike", seen.append)

    def fitted_to(
        rows: int = 31, name: str = "a", labelled: int = 8, checkpoint: str = "0" * 64, settings: Any = ()
    ) -> None:
        points = np.random.default_rng(0).standard_normal((rows, 2)).astype(np.float32)
        labels = lc.Labels.of([str(row % 2) if row < labelled else "" for row in range(rows)])
        files = tuple(f"{name}/{row}" for row in range(rows))
        found = lc.Latents({"mu": points, "logvar": np.zeros_like(points)}, checkpoint, labels, files)
        lc.write_latents("latents.npz", found)
        assert called("fit-gmm", "latents.npz", "-q", *settings) == 0

    for change in ({}, {}, *CHANGES.values()):
        fitted_to(**change)
    assert (len(seen), len({*seen})) == (len(CHANGES) + 2, len(CHANGES) + 1)


def test_the_first_process_alone_writes_and_tells(folder, shared):
    assert shared["codes"] == [0, 0]
    assert shared["refused"]
    lines = (folder / "stdout").read_text().splitlines()
    assert [json.loads(line)["written"][0] for line in lines] == ["gmm_params.pkl", "cnn.pth"]
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "latents.npz", "found.json", "stdout", "state", "kept", "gmm_params.pkl", "cnn.pth", "cnn.metrics.jsonl"
    }  # fmt: skip
    assert lc.load_model(folder / "cnn.pth").family == "cnn"


def test_what_processes_tell_is_that_of_this_time(shared):
    assert shared["told"] == [["first of 0", "first of 1"], ["second of 0", "second of 1"]]


def test_a_process_that_is_killed_ends_all_with_one_error_and_a_state(tmp_path):
    call = ["-m", "latentcli", "train", "digits", "--no-classes", "--latent-dim", "2", "--epochs", "99"]
    first, second = two(*call, "--set", "width=64", "--set", "save_every=0", cwd=tmp_path)
    while not (tmp_path / "vae.pth.partial").exists():
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.02)
    second.kill()
    told = [line for line in first.communicate(timeout=60)[1].splitlines() if not line.startswith("epoch")]
    assert (first.returncode, second.wait()) == (5, -signal.SIGKILL)
    assert len(told) == 3 + 1, told  # one note, that nothing names the clusters
    assert told[1].startswith("error: one of 2 processes has ended, or cannot be reached")
    kept = re.fullmatch(r"  the state after step (\d+) of \d+ was kept", told[2])
    assert kept is not None
    assert told[3] == "  go on with --resume, and any number of processes"
    state = TRAINING_STATE.read(tmp_path / "vae.pth.partial", "")["state"]
    assert state["run"]["step"] == int(kept[1])
    assert second.communicate()[1] == "", "the others are silent"


@pytest.fixture
def one_of(monkeypatch):
    """This process as one of many that have not met."""

    def one_of(count: int, rank: int = 0) -> None:
        for name, value in {"WORLD_SIZE": count, "RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(processes, "_speaks", None)

    return one_of


def test_other_commands_refuse_to_do_the_same_work_many_times(one_of, capsys):
    told = [
        "error: latentcli evaluate does not share its work out to 3 processes",
        "  torchrun is for: classify, encode, fit-gmm, train, train-cnn",
        "  call it once: latentcli evaluate",
    ]
    for rank, expected in enumerate((told, [])):
        one_of(3, rank)
        assert called("evaluate", "digits", "vae.pth", "gmm_params.pkl") == 2
        assert capsys.readouterr().err.splitlines() == expected


def test_more_processes_than_images_of_a_batch_are_refused(one_of):

    one_of(8)
    images = np.zeros((20, 1, 8, 8), np.uint8)
    model = create("fsq", FAMILIES["fsq"].Config((1, 8, 8), width=32), 3)
    with pytest.raises(UsageError, match="batches of 6 of 20 images cannot be shared out to 8 processes") as refused:
        Run(model, images, TrainingConfig(epochs=1, batch_size=7, held_out=0.0))
    assert refused.value.remedy == "start at most 6, or take a larger `batch_size`"
    with shared_out(5) as own:  # as the last images of a validation: each process has all of them
        assert (own, shared_batches.is_shared()) == (slice(None), False)
    with pytest.raises(UsageError, match="5 rows cannot be shared out to 8 processes"):
        processes.share(5)


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(one_of, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(device.resolve()) == "cuda"
    one_of(4)
    for local, expected in (("0", "cuda:0"), ("1", "cuda:1")):
        monkeypatch.setenv("LOCAL_RANK", local)
        assert [str(device.resolve(name)) for name in ("auto", "cuda", "cpu")] == [expected, expected, "cpu"]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="no device cuda:2"):
        device.resolve()


def test_an_environment_that_makes_no_sense_is_told(one_of, monkeypatch, capsys):
    one_of(2)
    monkeypatch.setenv("WORLD_SIZE", "two")
    assert called("info", "vae.pth") == 2
    assert "WORLD_SIZE is 'two' in the environment" in capsys.readouterr().err


if __name__ == "__main__":
    precision.AMX = False
    processes.join("cpu")
    os.chdir(sys.argv[1])
    found: dict[str, Any] = {name: trained(name) for name in RUNS}
    found |= {"stopped": stopped(Path()), "refused": others_refused(), "told": told_twice()}
    short = ["--set", "width=16", "--set", "min_steps=0", "--labels-per-class", 3, "--epochs", 1, "--json", "-q"]
    found["codes"] = [
        called("fit-gmm", "latents.npz", "--components", 5, "--json", "-q"),
        called("train-cnn", "digits", *short),
    ]
    if processes.is_first():
        Path("found.json").write_text(json.dumps(found))


def test_the_rows_that_are_read_ahead_are_those_that_a_process_gets(one_of):
    for rank in range(3):
        one_of(3, rank)
        with shared_out(10) as own:
            assert own == at_hand(10)
        with shared_out(2) as own:
            assert own == at_hand(2) == slice(None)
