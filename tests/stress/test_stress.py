"""A short run of each row of ``python tests/stress``: always the same cases, in half a minute together."""

from importlib import import_module

import pytest

from stress.commands import prepared
from stress.trial import Trial

MOST = {"failing_calls": 12, "fuzzing": 30, "kills": 6, "bad_inputs": 40}
"""Cases of each."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("stress")) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("name", MOST)
def test_a_short_run_of(name, place, tmp_path):
    trial = Trial(tmp_path, seed=0, most=MOST[name])
    import_module(f"stress.{name}").run(trial, place, fast=True)
    assert trial.tried
    assert not trial.failed
