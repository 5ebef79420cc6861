"""The packages for data beyond one machine, where they are installed: pyarrow for Parquet, fsspec for addresses."""

from importlib import import_module
from typing import Any

from latentcli.core.errors import UsageError

INSTALL = "pip install 'latentcli[scale]'"
PYARROW = 26


def parquet() -> tuple[Any, Any]:
    """``pyarrow``, with its ``compute``, and ``pyarrow.parquet``; a ``UsageError`` where they are not there.

    Or where they are older than ``PYARROW``, and neither write nor read lists of one length of which some are missing.
    """
    _package("pyarrow.compute", "Parquet files")
    package = _package("pyarrow", "Parquet files")
    if int(package.__version__.partition(".")[0]) < PYARROW:
        found = f"expected pyarrow {PYARROW} or newer, found {package.__version__}"
        raise UsageError("pyarrow is too old", found, f"install a newer one: {INSTALL}")
    return package, _package("pyarrow.parquet", "Parquet files")


def fsspec() -> Any:
    """``fsspec``, with its ``core``; a ``UsageError`` where it is not there."""
    _package("fsspec.core", "addresses")
    return _package("fsspec", "addresses")


def _package(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        missing = f"{what} are read and written by {name.partition('.')[0]}, which is not installed"
        raise UsageError(missing, None, f"install it: {INSTALL}") from error
