"""Runs that are stopped, by whatever signal and wherever, end as runs that never were."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "latentcli", "train", "digits", "--classes", "1,4,8", "--labels-per-class", "5"]
SETTINGS = ["--set", "width=64", "--latent-dim", "2", "--epochs", "8", "--set", "save_every=0.2", "--seed", "5"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1"}


def start(folder: Path, *more: str) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    call = [*PROGRAM, *SETTINGS, *more]
    return subprocess.Popen(
        call, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = start(folder)
    assert run.wait() == 0, run.stderr.read()
    return outputs(folder)


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("vae.pth", "gmm_params.pkl")}


def wait_for(path: Path, run: subprocess.Popen) -> None:
    while not path.exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, uninterrupted, number):
    folder = tmp_path / "run"
    run = start(folder)
    wait_for(folder / "vae.pth.partial", run)
    run.send_signal(number)
    out, err = run.communicate()
    assert run.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert not (folder / "vae.pth").exists()
    assert out == ""
    if number != signal.SIGKILL:
        assert "--resume" in err
    again = start(folder, "--resume")
    assert again.wait() == 0, again.stderr.read()
    assert outputs(folder) == uninterrupted
    assert not (folder / "vae.pth.partial").exists()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] in ([], leftovers(folder))


def leftovers(folder: Path) -> list[str]:
    """Temporary files of a write that SIGKILL cut: nothing can remove them, and nothing takes them for an output."""
    return [
        path.name
        for path in folder.iterdir()
        if re.fullmatch(r"\.(vae\.pth\.partial|vae\.metrics\.jsonl)\.\w+\.tmp", path.name)
    ]


@pytest.mark.slow
def test_a_run_is_not_resumed_under_other_settings(tmp_path):
    folder = tmp_path / "run"
    run = start(folder)
    wait_for(folder / "vae.pth.partial", run)
    run.kill()
    run.communicate()
    before = (folder / "vae.pth.partial").read_bytes()
    again = start(folder, "--resume", "--lr", "0.5")
    assert again.wait() == 2
    message = again.stderr.read()
    assert "lr is 0.5" in message
    assert len(message.splitlines()) <= 3
    assert (folder / "vae.pth.partial").read_bytes() == before


def test_nothing_to_resume_starts_at_the_beginning(tmp_path, call, fast):
    done = call("train", "digits", "--resume", *fast, "--epochs", 4)
    assert done.code == 0
    assert (tmp_path / "vae.pth").exists()


def test_the_same_call_gives_the_same_bytes_wherever_it_runs(tmp_path, call, fast):
    short = ["--epochs", 4]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files = ["-o", tmp_path / name / "vae.pth", "--gmm", tmp_path / name / "gmm_params.pkl"]
        assert call("train", "digits", "--seed", 3, *files, *fast, *short).code == 0
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
    assert call("train", "digits", "--seed", 4, *fast, *short).code == 0
    assert outputs(tmp_path)["vae.pth"] != outputs(tmp_path / "a")["vae.pth"]


def test_a_loss_that_explodes_ends_with_five_and_keeps_the_last_good_state(tmp_path, call, fast):
    done = call(
        "train", "digits", "--lr", "10", "--set", "weight_decay=1.0", "--set", "warmup=0", "--beta", "1e6", *fast
    )
    if done.code == 0:
        pytest.skip("this machine's arithmetic survived it")
    assert done.code == 5
    assert "--lr" in done.err
    assert (tmp_path / "vae.pth.partial").exists()
    assert not (tmp_path / "vae.pth").exists()
