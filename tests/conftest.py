"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from latentcli.cli import console

# Tests run side by side, one process a core; each, and what it starts, computes on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, and no deadlines: the machine's load is not a defect of the code.
settings.register_profile("latentcli", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("latentcli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: side by side, the others fill what time these leave."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_verbosity(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier test's call said of it, with -q, is not this one's."""
    monkeypatch.setattr(console, "verbosity", console.Verbosity())


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where there is one."""
    root = os.environ.get("LATENTCLI_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("no real data here: LATENTCLI_DATA does not name a folder")
    return Path(root)


@pytest.fixture(autouse=True)
def own_cache_of_images(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images are kept in no user's cache folder, nor found there."""
    monkeypatch.setenv("LATENTCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
