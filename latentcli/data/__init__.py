"""Images and labels from named data sets, arrays and folders, as one type: :class:`ImageSet`.

Only ``SOURCES`` is here from the start, for a help text that lists the names without waiting for numpy; the other names
are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentcli.core.registry import Registry

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet
    from latentcli.core.labels import Labels
    from latentcli.data.loading import load

__all__ = ["SOURCES", "ImageSet", "Labels", "load"]

SOURCES = Registry(
    "data set",
    {
        "digits": "latentcli.data.digits:digits",
        "mnist": "latentcli.data.idx:mnist",
        "fashion-mnist": "latentcli.data.idx:fashion_mnist",
        "cifar10": "latentcli.data.cifar:cifar10",
        "cifar100": "latentcli.data.cifar:cifar100",
        "cifar100-coarse": "latentcli.data.cifar:cifar100_coarse",
    },
    group="latentcli.data",
)
"""Named data sets: functions of (split, roots, progress) that give an ``ImageSet``."""

_MODULES = {"ImageSet": "core.image_set", "Labels": "core.labels", "load": "data.loading"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"latentcli.{_MODULES[name]}"), name)
