"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where there is one."""
    root = os.environ.get("LATENTCLI_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("no real data here: LATENTCLI_DATA does not name a folder")
    return Path(root)
