"""``latentcli``, also as ``python -m latentcli``."""

import sys
from typing import NoReturn

from latentcli.core.terminating import INTERRUPTED, interrupts_kept


def main() -> NoReturn:
    """The entry point of ``latentcli``: an interrupt ends it without a word from its first moment on."""
    try:
        with interrupts_kept():
            from latentcli.cli import run

            run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
