"""The README keeps its word: its commands run, and every command, exit code and file is in it."""

import re
import shlex
from pathlib import Path

import pytest

import latentcli.cli  # registers the commands
from latentcli.cli.app import app, run
from latentcli.core import errors
from latentcli.data import SOURCES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    """The code block behind the comment of that name."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.+?)\n```", README, re.DOTALL)
    assert found, f"the README has no block {name}"
    return found.group(1)


def test_every_command_is_documented():
    assert latentcli.cli.__all__
    names = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    assert len(names) >= 7
    for name in names:
        assert f"`{name} " in README, name


def test_every_exit_code_and_data_set_is_documented():
    codes = {error.exit_code for error in vars(errors).values() if isinstance(error, type)}
    for code in codes | {0, 130}:
        assert f"| {code} |" in README
    for name in SOURCES:
        assert f"`{name}`" in README


def test_both_commands_are_one_line_each():
    assert len(block("try").splitlines()) == len(block("test").splitlines()) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)  # minutes on a slow or a busy machine
def test_the_first_command_does_what_it_says(tmp_path, monkeypatch, capsys):
    """All of it but the making of the environment, which is the one that runs the tests, and few epochs."""
    monkeypatch.chdir(tmp_path)
    calls = [part.strip() for part in block("try").split("&&")]
    wanted = [call for call in calls if call.startswith(".venv/bin/latentcli")]
    assert len(wanted) == 2
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    for call in wanted:
        arguments = shlex.split(call)[1:]
        arguments += ["--set", "max_epochs=15"] if arguments[0] == "train" else []
        with pytest.raises(SystemExit) as end:
            run(arguments)
        told = capsys.readouterr()
        assert end.value.code == 0, told.err
    assert {"vae.pth", "gmm_params.pkl", "vae.csv", "vae.metrics.jsonl"} <= {path.name for path in tmp_path.iterdir()}
    accuracy = re.search(r"accuracy +(0\.\d+|1\.0+)", told.out)
    assert accuracy, told.out
    assert float(accuracy.group(1)) > 0.75  # of three classes, from 422 images
    pictures = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"history.png", "latent.png", "manifold.png", "reconstructions.png", "confusion.png"} <= pictures
