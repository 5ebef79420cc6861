"""``python -m latentcli`` is ``latentcli``."""

from latentcli.cli import main

if __name__ == "__main__":
    main()
