"""Commands that messages advise write the file that the user has named, and never over one of another kind."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from latentcli.artifacts.models import load_classifier, load_model
from latentcli.core.errors import LatentError
from latentcli.formats.own_files import command


def zipped(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x" * 200)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-90])


DAMAGES = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("404: not found"),
    "cut pickle": lambda path: path.write_bytes(pickle.dumps({"weights": np.ones(99)})[:-90]),
    "cut archive": lambda path: (zipped(path, "archive/data.pkl"), half(path)),
}
OTHERS = {
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a frame": Path("x")})),
    "archive": lambda path: zipped(path, "xl/workbook.xml"),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize(
    ("made", "name", "damage"),
    [
        *(("mixture", "g t.pkl", damage) for damage in ("missing", "empty", "text", "cut pickle")),
        *(("graph", "my.npz", damage) for damage in ("missing", "empty", "text", "cut archive")),
        *(("probe", "a/b.pth", damage) for damage in ("missing", "empty", "text", "cut archive")),
    ],
)
def test_a_damaged_file_is_made_again_where_it_was(tmp_path, monkeypatch, made, name, damage):
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    DAMAGES[damage](Path(name))
    with pytest.raises(LatentError) as caught:
        load_classifier(name)
    call = {"mixture": "fit-gmm", "graph": "fit-graph", "probe": "fit-probe"}[made]
    quoted = f"'{name}'" if " " in name else name
    assert caught.value.remedy == f"fit it again: latentcli {call} DATA vae.pth -o {quoted}"


@pytest.mark.parametrize(("other", "name"), [("pickle", "gt.pkl"), ("archive", "x.pth"), ("folder", "gt.pkl")])
def test_a_whole_file_of_another_kind_is_not_written_over(tmp_path, other, name):
    OTHERS[other](tmp_path / name)
    with pytest.raises(LatentError) as caught:
        load_classifier(tmp_path / name)
    assert "DATA vae.pth" in (caught.value.remedy or "")
    assert "-o" not in (caught.value.remedy or "")


def test_what_is_called_otherwise_is_not_written_over(tmp_path):
    (tmp_path / "labels.csv").write_text("File,Label\n")
    assert "-o" not in command("mixture", tmp_path / "labels.csv", "vae.pth")


@pytest.mark.parametrize("damage", ["missing", "empty", "cut archive"])
def test_a_damaged_model_is_trained_again_where_it_was(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    DAMAGES[damage](Path("m.pth"))
    with pytest.raises(LatentError, match=r"latentcli train DATA -o m[.]pth, or train-cnn"):
        load_model("m.pth")
