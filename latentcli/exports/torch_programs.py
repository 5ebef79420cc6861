"""``torch.export``: a program a part, which PyTorch alone runs, from Python and after compilation from C++."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from latentcli.exports.base import Format, Runner, as_json, facts_of
from latentcli.exports.examples import Dialect, text_of
from latentcli.exports.parts import Part
from latentcli.exports.recording import record
from latentcli.formats.atomic import output_errors
from latentcli.models.trained import TrainedModel

FACTS = "latentcli.json"


class TorchPrograms(Format):
    """``encoder.pt2``, ``decoder.pt2``, ``classifier.pt2``."""

    def write(self, folder: Path, model: TrainedModel, parts: Sequence[Part]) -> None:
        for part in parts:
            path = folder / f"{part.name}.pt2"
            facts = {FACTS: as_json(facts_of(model, part))}
            buffer = io.BytesIO()  # where a file cannot be written to its end torch ends the interpreter
            torch.export.save(record(part), buffer, extra_files=facts)
            with output_errors(path):
                path.write_bytes(buffer.getbuffer())

    def runner(self, folder: Path, part: Part) -> Runner:
        with (folder / f"{part.name}.pt2").open("rb") as file:
            network = torch.export.load(file).module()

        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            with torch.inference_mode():
                return tuple(output.numpy() for output in network(torch.from_numpy(batch)))

        return run

    def example(self, parts: Sequence[Part]) -> str:
        return text_of(parts, PYTHON)


PYTHON = Dialect(
    install="torch",
    imports=("import torch", "", "torch.set_grad_enabled(False)"),
    images="torch.randint(0, 256, (3, {sizes}), dtype=torch.uint8)",
    load=f'torch.export.load(folder / "{{part}}.pt2", extra_files=(facts := {{{{"{FACTS}": ""}}}})).module()',
    call="{part}({given})",
    joined="torch.cat([{given}], dim=1)",
    facts=f'facts["{FACTS}"]',
)
