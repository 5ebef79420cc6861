"""Files of one kind each: a format, a version, named entries of known types, and a SHA-256 over all of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentcli.core.errors import ModelFileError
from latentcli.formats import torch_zip
from latentcli.formats.digests import short


@dataclass(frozen=True)
class FileSchema:
    """What all files of a kind have in common.

    Attributes:
        name: with its article, for messages: "a checkpoint".
        format: what the file says it is.
        types: of the entries, all of which a file has, and no other.
        version: of the format; a file of another is refused.
        checksum: the name of the entry that holds the SHA-256 of all others.
    """

    name: str
    format: str
    types: Mapping[str, type | tuple[type, ...]]
    version: int = 1
    checksum: str = "sha256"

    def checksum_of(self, content: Mapping[str, Any]) -> str:
        """The SHA-256 of a file with these entries, which are plain (``torch_zip.plain``)."""
        return torch_zip.digest({**self._header(), **content})

    def write(self, path: Path, content: Mapping[str, Any], checksum: str | None = None) -> None:
        """Write the entries, whole or not at all: the same content gives the same bytes, whatever the path.

        Args:
            path: of the file.
            content: the entries.
            checksum: what ``checksum_of`` gave for them, which are plain then, and not copied and digested again.

        Raises:
            OutputError: the file cannot be written.
            TypeError: something is neither a plain value nor a dense tensor.
        """
        if checksum is None:
            content = torch_zip.plain(content)
            checksum = self.checksum_of(content)
        torch_zip.write(path, {**self._header(), **content, self.checksum: checksum})

    def _header(self) -> dict[str, Any]:
        return {"format": self.format, "version": self.version}

    def read(self, path: Path, remedy: str) -> dict[str, Any]:
        """The entries and the checksum of a file that ``write`` wrote, tensors on the CPU; their meaning is unchecked.

        Args:
            path: of the file.
            remedy: what to do when it cannot be used, for the message.

        Raises:
            ModelFileError: the file is missing, damaged, unsafe, changed, of another kind or version.
        """
        content, name = torch_zip.read(path, remedy), path
        if type(content) is not dict or content.get("format") != self.format:
            raise ModelFileError(f"{name} is not {self.name}", f"expected the format {self.format!r}", remedy)
        if content.get("version") != self.version:
            found = f"expected version {self.version} of its format, found {str(content.get('version'))[:20]}"
            install = "install the latentcli that wrote it"
            raise ModelFileError(f"{name} is of another version of latentcli", found, install)
        types = {"format": str, "version": int, **self.types, self.checksum: str}
        unlike = [key for key, kind in types.items() if not _is(content.get(key), kind)]
        if unlike or set(content) != set(types):
            raise ModelFileError(
                f"{name} is not {self.name} as a whole",
                f"unlike: {', '.join(unlike)}" if unlike else f"expected the entries {', '.join(types)}",
                remedy,
            )
        expected = content[self.checksum]
        found = torch_zip.digest({key: value for key, value in content.items() if key != self.checksum})
        if expected != found:
            difference = f"expected SHA-256 {short(expected)}, found {short(found)}"
            raise ModelFileError(f"{name} was changed after it was written", difference, remedy)
        return {key: value for key, value in content.items() if key not in ("format", "version")}


def _is(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether it is of one of these types, and not merely of a class below them: a bool is no int."""
    return type(value) in (kinds if isinstance(kinds, tuple) else (kinds,))
