"""Threads: few spins and no more than a quota allows, before torch is loaded, and never against the user's word."""

import os
import subprocess
import sys
import threading
import time

import pytest
from threadpoolctl import ThreadpoolController

from latentcli.numerics import threads
from latentcli.numerics.threads import SPINS, available, cpu_quota, one_thread_each, settle, side_by_side

READ_BY_A_CHILD = "import latentcli, os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_NUM_THREADS'))"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": str(SPINS)}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_NUM_THREADS": "5"}, {"OMP_NUM_THREADS": "5", "GOMP_SPINCOUNT": str(SPINS)}),
    ],
)
def test_what_the_environment_says_goes_first(given, expected, monkeypatch):
    monkeypatch.setattr(threads, "available", lambda: 2)
    monkeypatch.setattr(threads, "_by_affinity", lambda: 2)
    settle(given)
    assert given == expected


def test_a_quota_sets_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "_by_affinity", lambda: 64)
    monkeypatch.setattr(threads, "cpu_quota", lambda: 1.5)
    environment = {}
    settle(environment)
    assert environment["OMP_NUM_THREADS"] == "2"
    monkeypatch.setattr(threads, "cpu_quota", lambda: 0.5)
    assert available() == 1
    monkeypatch.setattr(threads, "cpu_quota", lambda: None)
    assert available() == 64


def test_importing_the_package_settles_it_for_whatever_is_started_from_it():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    done = subprocess.run(
        [sys.executable, "-c", READ_BY_A_CHILD], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == str(SPINS)


GROUPS = {
    "version 2": ("0::/jobs/mine\n", {"jobs/mine/cpu.max": "50000 100000\n", "jobs/cpu.max": "max 100000\n"}, 0.5),
    "a group above limits more": (
        "0::/jobs/mine\n", {"jobs/mine/cpu.max": "400000 100000\n", "jobs/cpu.max": "150000 100000\n"}, 1.5,
    ),
    "in a container only the root is there": ("0::/docker/abc\n", {"cpu.max": "200000 100000\n"}, 2.0),
    "version 1": (
        "4:memory:/x\n3:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "25000\n", "cpu/x/cpu.cfs_period_us": "50000\n"},
        0.5,
    ),
    "version 1 without a limit": (
        "3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "50000\n"}, None,
    ),
    "no limit": ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    "nothing that can be read": ("garbage\n", {}, None),
}  # fmt: skip


@pytest.mark.parametrize(("own", "files", "expected"), GROUPS.values(), ids=GROUPS)
def test_the_quota_is_the_least_of_all_groups(tmp_path, own, files, expected):
    root, described = tmp_path / "cgroup", tmp_path / "own"
    described.write_text(own)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert cpu_quota(described, root) == expected


def test_where_there_are_no_control_groups_there_is_no_quota(tmp_path):
    assert cpu_quota(tmp_path / "missing", tmp_path) is None


def test_torch_threads_are_as_before_after_the_block():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with threads.torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads_of_numpy", [1, 2, 5])
def test_results_come_in_order_whatever_the_threads(threads_of_numpy):
    limits = ThreadpoolController().select(user_api="blas")
    seen = []

    def compute(item):
        seen.append(threading.get_ident())
        time.sleep(0.02 if item == 0 else 0)  # the first is the last to be done
        return item, [library["num_threads"] for library in limits.info()]

    with limits.limit(limits=threads_of_numpy):
        found = list(side_by_side(compute, range(20)))
        after = {library["num_threads"] for library in limits.info()}
    assert [item for item, _ in found] == list(range(20))
    assert {count for _, counts in found for count in counts} == {1}  # no product on threads of its own
    assert after == {threads_of_numpy}
    assert 1 <= len(set(seen)) <= threads_of_numpy
    assert (threading.get_ident() in seen) == (threads_of_numpy == 1)


def test_few_items_stay_on_the_thread_that_asks():
    with ThreadpoolController().select(user_api="blas").limit(limits=5):
        assert set(side_by_side(lambda item: threading.get_ident(), range(7))) == {threading.get_ident()}


def test_an_error_of_one_item_ends_all_and_gives_the_threads_back():
    limits = ThreadpoolController().select(user_api="blas")
    before = [library["num_threads"] for library in limits.info()]
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda item: 1 // item, [1, 2, 3, 0] * 5))
    assert [library["num_threads"] for library in limits.info()] == before


def threads_of_blas():
    return max(library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info())


def failing_within_two_blocks():
    with one_thread_each() as had:
        with one_thread_each() as had_within:
            assert (had, had_within, threads_of_blas()) == (3, 3, 1)
        assert threads_of_blas() == 1
        return 1 // 0


def test_blocks_within_one_another_give_the_threads_back_when_the_outer_one_ends():
    with ThreadpoolController().select(user_api="blas").limit(limits=3):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                failing_within_two_blocks()
            assert threads_of_blas() == 3


def test_within_a_block_there_are_as_many_threads_side_by_side_as_outside():
    together = threading.Barrier(2)
    with ThreadpoolController().select(user_api="blas").limit(limits=2), one_thread_each():
        found = list(
            side_by_side(lambda item: together.wait(30) >= 0, range(8))
        )  # each waits for one of another thread
    assert found == [True] * 8


def test_what_is_not_read_to_its_end_is_closed_without_waiting_for_its_threads():
    """As the collector of garbage closes it, which may run where the lock is held that joining a thread needs."""
    leave, began = threading.Event(), threading.Event()

    def compute(item):
        if item > 2:
            began.set()
            leave.wait(30)
        return item

    with ThreadpoolController().select(user_api="blas").limit(limits=2):
        found = side_by_side(compute, range(20))
        assert next(found) == 0
        began.wait(30)
        start = time.monotonic()
        found.close()
        assert time.monotonic() - start < 10
    leave.set()
