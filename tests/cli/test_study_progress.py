"""How long a study still takes, told while its cells are computed."""

from latentcli.cli.study import StudyProgress
from latentcli.experiments.cells import Cell


def test_the_time_that_is_left_is_that_of_cells_like_those_that_are_left(capsys):
    plan = [Cell(f"{kind}-{seed}", {}, dict) for seed in range(2) for kind in ("short", "long")]
    watch = StudyProgress(plan)
    watch(plan[0], "kept from before", 60.0)
    watch(plan[1], "done", 600.0)
    watch(plan[2], "begins", 0.0)
    watch(plan[2], "done", 120.0)
    watch(plan[3], "done", 600.0)
    assert capsys.readouterr().err.splitlines() == [
        "1/4 short-0: kept from before",
        "2/4 long-0: done, about 11:00 left",
        "3/4 short-1: begins, about 11:00 left",
        "3/4 short-1: done, about 10:00 left",
        "4/4 long-1: done",
    ]


def test_cells_unlike_any_finished_one_are_taken_for_the_last(capsys):
    watch = StudyProgress([Cell(name, {}, dict) for name in ("model-0", "short-0", "other-0")])
    watch(Cell("model-0", {}, dict), "kept from before", 600.0)
    watch(Cell("short-0", {}, dict), "done", 30.0)
    assert capsys.readouterr().err.splitlines()[-1] == "2/3 short-0: done, about 0:30 left"
