"""Models of files that an earlier version wrote: small, and trained, so that their numbers differ."""

import subprocess
import sys
from pathlib import Path

import pytest

from latentcli.artifacts.models import load_classifier, load_model

GOLDEN = Path(__file__).parent.parent / "golden"
WITHOUT_LATENTCLI = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "latentcli":
            raise ImportError("this program is to run without latentcli")
sys.meta_path.insert(0, Refused())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(scope="session")
def golden():
    """A model, or with its classifier, by the names of their files."""

    def load(name: str, classifier: str | None = None):
        model = load_model(GOLDEN / name, "cpu")
        return model if classifier is None else (model, load_classifier(GOLDEN / classifier, model))

    return load


@pytest.fixture
def run_alone(tmp_path):
    """Runs a program from another folder, where latentcli cannot be imported, and returns its lines."""

    def run(program: Path) -> list[str]:
        call = [sys.executable, "-c", WITHOUT_LATENTCLI, str(program)]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run
