"""Names resolved to classes on use: listing the names imports nothing heavy."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from latentcli.core.errors import UsageError


class Registry(Mapping[str, Any]):
    """A mapping of names to ``"module:attribute"``, imported when a name is looked up.

    Args:
        kind: what the entries are, in the singular, for messages ("model family").
        entries: name → ``"package.module:attribute"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        """The attribute registered under ``name``.

        Raises:
            UsageError: the name is unknown; the message lists the valid ones.
        """
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} {name!r}", f"expected one of: {', '.join(self._entries)}")
        module, attribute = self._entries[name].split(":")
        return getattr(import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
