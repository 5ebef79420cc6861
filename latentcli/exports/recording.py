"""A part of a model as a graph of operations, recorded once for all formats that hold computations."""

from typing import Any

import torch
from torch import fx
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from latentcli.core.errors import UsageError
from latentcli.exports.parts import Part

_OF_THE_SOURCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
"""What torch notes of each operation: paths, lines and classes of this package."""


def record(part: Part) -> ExportedProgram:
    """The part's graph in float32, for batches of any size; it holds the weights that it uses, and no word of where
    it comes from.

    Raises:
        UsageError: it does what cannot be recorded, as networks of other packages may.
    """
    try:
        with torch.no_grad():
            program = torch.export.export(part.network, (part.example,), dynamic_shapes=({0: Dim("batch")},))
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        raise cannot(part, error) from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            for name in _OF_THE_SOURCE:
                node.meta.pop(name, None)
    _drop_unused(program)
    return program


def cannot(part: Part, error: Exception) -> UsageError:
    """The error for a part of which no graph can be made."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UsageError(f"the {part.name} cannot be made into a graph", reason, "its weights can: `format` safetensors")


def _drop_unused(program: ExportedProgram) -> None:
    """Drop weights that the graph does not use: an encoder's are not the decoder's."""
    kept: list[Any] = []
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    for node, spec in zip(nodes, program.graph_signature.input_specs, strict=True):
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and not node.users:
            program.graph.erase_node(node)
            program.state_dict.pop(spec.target, None)
        else:
            kept.append(spec)
    program.graph_signature.input_specs[:] = kept
    program.graph_module.recompile()
