"""The same work on the device again and again: on CUDA recorded once as a graph, and replayed."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

WARM = 3
"""Calls before one is recorded: libraries choose their algorithms in the first ones, and ask the host for memory."""


class Replayer:
    """Calls functions of tensors on a device, and records those on CUDA that are called alike again and again.

    A step of a small network is some hundred kernels of a few microseconds, and starting each takes longer than it
    runs. A graph starts all of them at once. Whatever else than the inputs such a function reads and writes has to be
    the same tensors in every call, and it may ask the host for nothing.

    Args:
        device: of the inputs; on others than CUDA every call is an ordinary one.
        generator: of all randomness of the functions, on that device. It may be seeded anew before each call.

    Source: CUDA graphs as ``torch.cuda.CUDAGraph`` documents them.
    """

    def __init__(self, device: torch.device, generator: torch.Generator) -> None:
        self.device, self.generator = device, generator
        self.calls: Counter[Hashable] = Counter()
        self.graphs: dict[Hashable, tuple[Any, Sequence[Tensor]]] = {}
        self.pool: Any = None

    def __call__(self, function: Callable[..., None], inputs: Sequence[Tensor], key: Hashable) -> None:
        """Call a function of the inputs, or replay what it did.

        Args:
            function: to call; it leaves its results in tensors of its own.
            inputs: whose values differ from call to call, on the device.
            key: calls with the same key, and inputs of the same shapes, do the same; None: this call is like no other.
        """
        alike = (key, *((tuple(tensor.shape), tensor.dtype) for tensor in inputs))
        if key is None or self.device.type != "cuda" or self.calls[alike] < WARM:
            self.calls[alike] += 1
            function(*inputs)
            return
        if alike not in self.graphs:
            self.graphs[alike] = self._recorded(function, inputs)
        graph, own = self.graphs[alike]
        for buffer, tensor in zip(own, inputs, strict=True):
            buffer.copy_(tensor, non_blocking=True)
        graph.replay()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """A context for all calls: on CUDA a stream of their own, since none can be recorded on the usual one."""
        if self.device.type != "cuda":
            yield
            return
        usual, own = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        own.wait_stream(usual)
        with torch.cuda.stream(own):
            yield
        usual.wait_stream(own)

    def _recorded(self, function: Callable[..., None], inputs: Sequence[Tensor]) -> tuple[Any, Sequence[Tensor]]:
        """A graph of what the function does, which has not been done yet, and the tensors that it reads as inputs."""
        graph, own = torch.cuda.CUDAGraph(), [tensor.clone() for tensor in inputs]
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, pool=self.pool, stream=torch.cuda.current_stream(self.device)):
            function(*own)
        self.pool = self.pool or graph.pool()  # graphs that are never replayed at once share their memory
        return graph, own
