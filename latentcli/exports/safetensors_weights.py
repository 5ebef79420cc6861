"""safetensors: the weights of a model by their names, with its configuration, and nothing that runs."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from latentcli.exports.base import Format, Runner, facts_of
from latentcli.exports.parts import Part, of_model
from latentcli.formats.atomic import output_errors
from latentcli.formats.safetensors_file import SafetensorsFile, bytes_of
from latentcli.models import family_of
from latentcli.models.trained import TrainedModel

FILE = "weights.safetensors"


class SafetensorsWeights(Format):
    """``weights.safetensors``: what ``import`` reads, and programs that build a network of their own."""

    PACKAGES = ("safetensors",)
    COMPUTES = False

    def write(self, folder: Path, model: TrainedModel, parts: Sequence[Part]) -> None:
        facts = facts_of(model) | {"config": asdict(model.config)}
        with output_errors(folder / FILE):
            (folder / FILE).write_bytes(bytes_of(model.network.state_dict(), facts))

    def runner(self, folder: Path, part: Part) -> Runner:
        file = SafetensorsFile(folder / FILE, "")
        facts = file.facts()
        family = family_of(facts["family"])
        with torch.device("meta"):
            network = family.of(family.Config(**facts["config"]))
        network.load_state_dict(file.tensors(), strict=True, assign=True)
        _, parts = of_model(TrainedModel(facts["family"], network.eval(), tuple(facts["class_names"])))
        (same,) = (each for each in parts if each.name == part.name)

        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            with torch.inference_mode():
                return tuple(output.numpy() for output in same.network(torch.from_numpy(batch)))

        return run

    def example(self, parts: Sequence[Part]) -> str:
        return EXAMPLE


EXAMPLE = f'''"""What latentcli exported, read without latentcli: pip install safetensors numpy"""

import json
from pathlib import Path

from safetensors import safe_open

with safe_open(Path(__file__).with_name("{FILE}"), framework="np") as file:
    model = json.loads(file.metadata()["latentcli"])
    weights = {{name: file.get_tensor(name) for name in file.keys()}}
print(model["family"], model["image_shape"], model["class_names"])
print(len(weights), "tensors", sum(each.size for each in weights.values()), "numbers")
'''
