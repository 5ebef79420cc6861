"""ONNX: a graph a part, which onnxruntime and many others run, in browsers and on phones, too.

``torch.onnx.export(dynamo=True)`` writes the graph that ``torch.export`` recorded. The older exporter, which traces
TorchScript, is what PyTorch 2.9 and later calls deprecated; it would need a graph of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from latentcli.core.errors import UsageError
from latentcli.exports.base import Format, Runner, as_json, facts_of
from latentcli.exports.examples import Dialect, text_of
from latentcli.exports.parts import Part
from latentcli.exports.recording import cannot, record
from latentcli.formats.atomic import output_errors
from latentcli.models.trained import TrainedModel

OPSET = 18
"""The version of ONNX's operators: the oldest that the exporter writes, so that the most programs read it."""

MAX_BYTES = 2**31 - 1
"""Of an ONNX file, which is one message of protobuf."""


class OnnxGraphs(Format):
    """``encoder.onnx``, ``decoder.onnx``, ``classifier.onnx``."""

    PACKAGES = ("onnx", "onnxscript", "onnxruntime")

    def write(self, folder: Path, model: TrainedModel, parts: Sequence[Part]) -> None:
        for part in parts:
            size = sum(each.nbytes for each in part.network.state_dict().values())
            data = self._graph(model, part) if size < MAX_BYTES else b""
            if not 0 < len(data) <= MAX_BYTES:
                found = f"the weights of the {part.name} have {size:,} bytes"
                raise UsageError("an ONNX file holds 2 GiB at most", found, "take the `format` torch-export")
            path = folder / f"{part.name}.onnx"
            with output_errors(path):
                path.write_bytes(data)

    def _graph(self, model: TrainedModel, part: Part) -> bytes:
        program = record(part)
        try:
            found: Any = torch.onnx.export(
                program, (part.example,), dynamo=True, opset_version=OPSET, optimize=True, verbose=False
            )
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
            raise cannot(part, error) from error
        return _cleaned(found, part, facts_of(model, part))

    def runner(self, folder: Path, part: Part) -> Runner:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        file = str(folder / f"{part.name}.onnx")
        try:
            session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no class in common, and say what it cannot do
            raise cannot(part, error) from error
        return lambda batch: tuple(session.run(list(part.outputs), {part.input: batch}))

    def example(self, parts: Sequence[Part]) -> str:
        return text_of(parts, PYTHON)


PYTHON = Dialect(
    install="onnxruntime",
    imports=("import numpy as np", "from onnxruntime import InferenceSession"),
    images="np.random.default_rng(0).integers(0, 256, (3, {sizes}), np.uint8)",
    load='InferenceSession(folder / "{part}.onnx")',
    call='{part}.run(None, {{"{input}": {given}}})',
    joined="np.concatenate([{given}], axis=1)",
    facts='classifier.get_modelmeta().custom_metadata_map["latentcli"]',
)


def _cleaned(found: Any, part: Part, facts: dict[str, Any]) -> bytes:
    """The bytes of a graph whose values are called by their numbers, its inputs and outputs as those of the part."""
    model = found.model
    graph = model.graph
    for number, node in enumerate(graph.all_nodes()):
        node.metadata_props.clear()
        node.doc_string, node.name = None, f"node_{number}"
        for place, value in enumerate(node.outputs):
            value.name = f"value_{number}_{place}"
            value.metadata_props.clear()
    for values, names in ((graph.inputs, (part.input,)), (graph.outputs, part.outputs)):
        for value, name in zip(values, names, strict=True):
            value.name = name
            value.metadata_props.clear()
    graph.metadata_props.clear()
    graph.name = part.name
    proto = found.model_proto
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del proto.graph.value_info[:]
    proto.producer_name, proto.doc_string = "latentcli", ""
    del proto.metadata_props[:]
    proto.metadata_props.add(key="latentcli", value=as_json(facts))
    data: bytes = proto.SerializeToString(deterministic=True)
    return data
