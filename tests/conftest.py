"""What all tests share."""

import io
import itertools
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from latentcli.cli import console

# Tests run side by side, one process a core; each, and what it starts, computes on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, and no deadlines: the machine's load is not a defect of the code.
settings.register_profile("latentcli", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("latentcli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: side by side, the others fill what time these leave."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_verbosity(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier test's call said of it, with -q, is not this one's."""
    monkeypatch.setattr(console, "verbosity", console.Verbosity())


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where there is one."""
    root = os.environ.get("LATENTCLI_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("no real data here: LATENTCLI_DATA does not name a folder")
    return Path(root)


def png_of(level: int, side: int = 16, seed: int = 0) -> bytes:
    """A PNG file of noise around a level of grey."""
    noise = np.random.default_rng([seed, level]).integers(0, 30, (side, side))
    file = io.BytesIO()
    Image.fromarray((noise + min(level, 220)).astype(np.uint8)).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """``png_of``, for tests."""
    return png_of


def tar_of(path: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    """A tar of members by name and content, or with headers of their own."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = member.size or len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(scope="session")
def tar() -> Callable[..., Path]:
    """``tar_of``, for tests."""
    return tar_of


@pytest.fixture(scope="session")
def make_shards() -> Callable[..., list[Path]]:
    """Tars in WebDataset's layout, of two classes in turn: where, how many, and how many images in each."""

    def made(folder: Path, count: int = 3, images: int = 4, side: int = 16) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number in range(count):
            members = []
            for row in range(images):
                key = f"{number:04d}{row:05d}"
                content = png_of(200 * (row % 2), side, seed=1000 * number + row)
                members += [
                    (f"{key}.png", content),
                    (f"{key}.cls", str(row % 2).encode()),
                    (f"{key}.txt", b"a picture"),
                ]
            paths.append(tar_of(folder / f"{number:05d}.tar", members))
        return paths

    return made


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that do not exist yet, one after the other."""
    folder = tmp_path_factory.mktemp("caches")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_cache_of_images(caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images are kept in no user's cache folder, nor found there."""
    monkeypatch.setenv("LATENTCLI_CACHE", str(next(caches)))
