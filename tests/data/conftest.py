"""Tests name files as people do: from the folder that they are in, so that messages are those that people see."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """pytest's folder of this test, as the current one."""
    with chdir(tmp_path):
        yield Path()


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Takes away the right to read a file or a folder, from root, too."""
    forbidden: set[str] = set()

    def guarded(honest: Callable[..., object]) -> Callable[..., object]:
        def call(path: str | Path | int = ".", *rest: object, **named: object) -> object:
            if not isinstance(path, int) and os.path.realpath(path) in forbidden:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return honest(path, *rest, **named)

        return call

    for name in ("open", "scandir", "listdir"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    return lambda path: forbidden.add(os.path.realpath(path))
