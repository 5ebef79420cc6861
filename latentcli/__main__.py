"""``latentcli``, also as ``python -m latentcli``."""

import atexit
import signal
import sys
from typing import NoReturn

from latentcli.core.terminating import INTERRUPTED, interrupts_kept


def main() -> NoReturn:
    """The entry point of ``latentcli``: an interrupt ends it without a word, from its first moment to its last."""
    try:
        with interrupts_kept():
            from latentcli.cli import run

            run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:  # what is to be done is done; libraries that are interrupted as they end complain
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
