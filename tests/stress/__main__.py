"""Breaks latentcli on purpose, and counts what was tried: ``python tests/stress [NAME…] [--minutes M] [--seed S]``.

Prints the rows of the table that stands in tests/stress/README.md; what fails is told on stderr at once.
"""

import argparse
import os
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts: copies of this process are made by fork
sys.path[0] = str(Path(__file__).parents[1])


def main() -> int:
    from stress.commands import prepared
    from stress.rows import NUMBERS, SHORT
    from stress.trial import Trial

    parser = argparse.ArgumentParser(prog="python tests/stress", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", choices=[*NUMBERS, []], help="rows; all by default")
    parser.add_argument("--minutes", type=float, help="at most, of each row; by default until all of it is tried")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--fast", action="store_true", help="leave out commands that take longer than a second")
    parser.add_argument("--short", action="store_true", help=f"only the first cases of {', '.join(SHORT)}")
    chosen = parser.parse_args()
    print("| # | row | tried | minutes | failures |\n|---|---|---|---|---|", flush=True)
    failed = 0
    for name in chosen.name or (SHORT if chosen.short else NUMBERS):
        row = import_module(f"stress.{name}")
        with tempfile.TemporaryDirectory(prefix="stress-") as folder, prepared(Path(folder)) as place:
            most = SHORT.get(name) if chosen.short else None
            trial = Trial(Path(folder), chosen.seed, None if chosen.minutes is None else 60 * chosen.minutes, most)
            with suppress(KeyboardInterrupt):  # what was tried until then is told
                row.run(trial, place, chosen.fast)
        failed += len(trial.failed) + (not trial.tried)
        found = f"{trial.told} | {trial.spent / 60:.1f} | {len(trial.failed)}"
        print(f"| {NUMBERS[name]} | {row.TITLE} | {found} |", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
