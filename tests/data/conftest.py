"""Tests name files as people do: from the folder that they are in, so that messages are those that people see."""

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """pytest's folder of this test, as the current one."""
    with chdir(tmp_path):
        yield Path()
