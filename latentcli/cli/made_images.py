"""Images that a command makes, block by block, into its files: an .npz file, a new folder, or both."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentcli.hybrids.making import HybridBlock


def written(
    blocks: "Iterable[HybridBlock]", count: int, image_shape: tuple[int, int, int], dimensions: int,
    classes: Sequence[str], *, npz: Path | None, folder: Path | None, doing: str,
) -> "Iterator[HybridBlock]":  # fmt: skip
    """The same blocks, each of which has been written; the outputs are there, whole, when the last has been taken.

    Args:
        blocks: ``count`` images in all, with soft labels (n, K) and latents (n, D).
        image_shape, dimensions, classes: of all blocks: channels, height and width; D; and K names.
        npz, folder: where they go; None: not there.
        doing: what the progress bar says.
    """
    from latentcli import artifacts
    from latentcli.cli import console

    with ExitStack() as stack:
        writers: list[Any] = []
        if npz is not None:
            hybrids = artifacts.hybrids_writer(npz, count, image_shape, dimensions, classes)
            writers.append(stack.enter_context(hybrids))
        if folder is not None:
            writers.append(stack.enter_context(artifacts.hybrid_folder_writer(folder, count, classes)))
        advance = stack.enter_context(console.progress(doing, count))
        for block in blocks:
            for write in writers:
                write(*block)
            yield block
            advance(len(block.images))
