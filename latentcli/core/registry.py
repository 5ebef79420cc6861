"""Names resolved to classes on use: listing the names imports nothing heavy."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from latentcli.core.errors import UsageError


class Registry(Mapping[str, Any]):
    """A mapping of names to ``"module:attribute"``, imported when a name is looked up.

    Other packages add entries of their own by an entry point of the registry's group: in their ``pyproject.toml``
    ``[project.entry-points."latentcli.models"]`` with ``mine = "my_package.my_model:MyModel"``. They cannot replace
    entries of this package, and none where there is no group. ``kind`` is what the entries are, in the singular, for
    messages ("model family").
    """

    def __init__(self, kind: str, entries: Mapping[str, str], group: str | None = None) -> None:
        self.kind, self.group = kind, group
        self._own = dict(entries)

    @cached_property
    def _entries(self) -> dict[str, str]:
        others = _entry_points().select(group=self.group) if self.group else ()
        return self._own | {entry.name: entry.value for entry in others if entry.name not in self._own}

    def __getitem__(self, name: str) -> Any:
        """The attribute of that name; a ``UsageError`` if it is unknown, or is another package's and not importable."""
        value = self._own.get(name) or self._entries.get(name)
        if value is None:
            raise UsageError(f"unknown {self.kind} {name!r}", f"expected one of: {', '.join(self._entries)}")
        module, _, attribute = value.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            if name in self._own:
                raise
            raise UsageError(
                f"the {self.kind} {name!r} of another package cannot be imported", f"{value}: {error}",
                "install the package that adds it again",
            ) from error  # fmt: skip

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


@cache
def _entry_points() -> Any:
    """Of all packages: what lists them reads a file of each, so it is done once for all registries."""
    return entry_points()
