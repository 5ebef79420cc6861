"""Files with a format, a version, named entries of known types, and a SHA-256 of all of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentcli.core.errors import ModelFileError
from latentcli.formats import torch_zip
from latentcli.formats.digests import short


@dataclass(frozen=True)
class FileSchema:
    """One kind of file."""

    name: str  # with its article, for messages: "a checkpoint"
    format: str  # the value of the file's entry "format"
    types: Mapping[str, type | tuple[type, ...]]  # of the entries, exactly those a file has
    version: int = 1  # of the format; files of other versions are refused
    checksum: str = "sha256"  # the name of the entry that holds the SHA-256 of all others

    def checksum_of(self, content: Mapping[str, Any]) -> str:
        """The SHA-256 of a file with these entries, as ``torch_zip.plain`` gives them."""
        return torch_zip.digest({"format": self.format, "version": self.version, **content})

    def write(self, path: Path, content: Mapping[str, Any]) -> None:
        """Write the entries, whole or not at all: the same content gives the same bytes, whatever the path.

        Raises:
            OutputError: the file cannot be written.
            TypeError: an entry is neither a plain value nor a dense tensor.
        """
        entries = {"format": self.format, "version": self.version, **torch_zip.plain(content)}
        torch_zip.write(path, {**entries, self.checksum: torch_zip.digest(entries)})

    def read(self, path: Path, remedy: str) -> dict[str, Any]:
        """The entries and the checksum of a file that ``write`` wrote, tensors on the CPU; only types are checked.

        The ``remedy`` is for the message: what to do when the file cannot be used.

        Raises:
            ModelFileError: the file is missing, damaged, unsafe, changed, or of another kind or version.
        """
        content = torch_zip.read(path, remedy)
        if type(content) is not dict or content.get("format") != self.format:
            raise ModelFileError(f"{path} is not {self.name}", f"expected the format {self.format!r}", remedy)
        if content.get("version") != self.version:
            found = f"expected version {self.version} of its format, found {str(content.get('version'))[:20]}"
            install = "install the latentcli that wrote it"
            raise ModelFileError(f"{path} was written by another version of latentcli", found, install)
        types = {"format": str, "version": int, **self.types, self.checksum: str}
        allowed = {key: kind if isinstance(kind, tuple) else (kind,) for key, kind in types.items()}
        wrong = [key for key, kinds in allowed.items() if type(content.get(key)) not in kinds]  # a bool is not an int
        if wrong or set(content) != set(types):
            found = f"of the wrong type: {', '.join(wrong)}" if wrong else f"expected the entries {', '.join(types)}"
            raise ModelFileError(f"{path} does not have the entries of {self.name}", found, remedy)
        expected = content[self.checksum]
        if expected != (found := torch_zip.digest({key: content[key] for key in content if key != self.checksum})):
            difference = f"expected SHA-256 {short(expected)}, found {short(found)}"
            raise ModelFileError(f"{path} was changed after it was written", difference, remedy)
        return {key: value for key, value in content.items() if key not in ("format", "version")}
