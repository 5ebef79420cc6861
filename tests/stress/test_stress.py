"""A short run of ``python tests/stress``: always the same cases, in half a minute together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stress.rows import NUMBERS, SHORT


@pytest.mark.slow
def test_a_short_run_breaks_nothing(tmp_path):
    """In a process of its own: the copies that it makes of itself must not have trained anything before."""
    done = subprocess.run(
        [sys.executable, Path(__file__).parent, "--short", "--fast"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [int(row.split("|")[1]) for row in done.stdout.splitlines()[2:]] == [NUMBERS[name] for name in SHORT]
