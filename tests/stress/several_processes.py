"""Row 9: two and five processes at once, of one command in one folder, or of commands that read what others write.

Each ends with 0, or with 6 and a message that says that another run is writing; and what is there then is what one
undisturbed run makes, whoever was last.
"""

import os
import time
from collections.abc import Callable

from .commands import COMMANDS, SLOW, Outcome, Place, call, forked, strays
from .trial import Trial

TITLE = "several processes"
ROUNDS = 3


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Start them at one moment."""
    cases = [(command, count) for command in COMMANDS if not (fast and command in SLOW)
             for count in ((2,) if fast else (2, 5) * ROUNDS)]  # fmt: skip
    for command, count in trial.cases(cases):
        undisturbed = place.expected(command)
        place.fresh()
        start = time.time() + 0.05 * count

        def work(command: str = command, start: float = start) -> Outcome:
            time.sleep(max(0.0, start - time.time()))
            return call(COMMANDS[command], place.work)

        outcomes = together([work] * count)
        trial.count("processes", count)
        trial.count("refused", sum(done.code == 6 for done in outcomes))
        name = f"{command}, {count} processes"
        if all(done.code for done in outcomes):
            trial.fail(f"{name}: none came to an end: {outcomes[0].err[-300:]}")
            continue
        for done in outcomes:
            new = "not empty" in done.err or "is not a folder" in done.err  # of folders that must be new
            if done.code not in (0, 6) or (done.code == 6 and "another run" not in done.err and not new):
                trial.fail(f"{name}: {done.code}: {done.err.strip()[-400:]}")
        after = place.listed()
        for path in sorted({*after, *undisturbed}):
            if path.startswith("cache/"):
                continue
            if path in strays([path]) or path.startswith("tmp/"):
                trial.fail(f"{name}: {path} is left")
            elif after.get(path, b"\0") != undisturbed.get(path, b"\0"):
                trial.fail(f"{name}: {path} is {'missing' if path not in after else 'not as undisturbed'}")


def together(works: list[Callable[[], Outcome]]) -> list[Outcome]:
    """What each comes to, all at once, each in a copy of this process."""
    from concurrent.futures import ThreadPoolExecutor

    assert hasattr(os, "fork")
    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(forked, works))
