"""Files of safetensors: a header in JSON, then the bytes of each tensor; nothing in them runs.

The same tensors give the same bytes: the package writes several texts in a header in any order, so there is one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, contiguous_format

from latentcli.core.errors import ModelFileError, printable
from latentcli.formats.json_text import readable_json
from latentcli.formats.regular_files import open_regular, reason

KEY = "latentcli"
MOST_TENSORS = 20_000


def bytes_of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """A file of these tensors, with facts in plain values beside them."""
    import safetensors.torch

    # copied, since safetensors refuses two names of one tensor
    whole = {name: tensor.detach().cpu().clone(memory_format=contiguous_format) for name, tensor in tensors.items()}
    text = readable_json(facts, sort_keys=True)
    data: bytes = safetensors.torch.save(whole, metadata={KEY: text})
    return data


class SafetensorsFile:
    """The tensors of a file of unknown origin, told by name, type and shape before any of them is read.

    Args:
        path: of the file.
        remedy: for the message.

    Raises:
        ModelFileError: the file is missing, damaged, or holds no tensors.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        from safetensors import SafetensorError, safe_open

        self.path, self.problem, self.remedy = path, f"cannot read {printable(str(path))}", remedy
        try:
            file, _ = open_regular(path)
            file.close()
            self._file: Any = safe_open(path, framework="pt")
            self.names: list[str] = sorted(self._file.keys())
        except OSError as error:
            raise ModelFileError(self.problem, reason(error), remedy) from error
        except (SafetensorError, ValueError, MemoryError, OverflowError) as error:
            raise ModelFileError(self.problem, f"damaged, or no safetensors: {error}", remedy) from error
        if not 0 < len(self.names) <= MOST_TENSORS:
            found = f"expected 1 to {MOST_TENSORS:,} tensors, found {len(self.names):,}"
            raise ModelFileError(self.problem, found, remedy)

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type, as safetensors calls it ("F32"), and shape of each tensor, by name."""
        slices = {name: self._file.get_slice(name) for name in self.names}
        return {name: (str(each.get_dtype()), tuple(each.get_shape())) for name, each in slices.items()}

    def tensors(self) -> dict[str, Tensor]:
        """All of them, in memory of their own."""
        return {name: self._file.get_tensor(name).clone() for name in self.names}

    def facts(self) -> dict[str, Any]:
        """What ``bytes_of`` was given beside the tensors; {} in files of other programs."""
        try:
            found = json.loads((self._file.metadata() or {}).get(KEY, "{}"))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
