"""The images of one shard, a few at a time, each decoded by itself."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from latentcli.core.errors import DataError
from latentcli.data.records import Record
from latentcli.data.shards.finding import Shard
from latentcli.data.shards.opening import at_hand, records
from latentcli.formats.pixel_values import PixelRules, Span, UnclearValues, span_for
from latentcli.formats.regular_files import InMemory, reason

if TYPE_CHECKING:
    from latentcli.formats.image_files import Wanted

_CONTENT = 2**26  # bytes of image files, as they are packed, that end a block
_SAMPLE = 2**12  # numbers of an image of more than 8 bits, by which it is judged


@dataclass(frozen=True)
class Block:
    """Images of a shard that follow one another.

    Attributes:
        files: (n,) what they are called, with their shard's name before it.
        labels: (n,) names of their classes, as they stand in the shard; "" where there is none.
        label_errors: (n,) why a label could not be read; "" where it could, or there is none.
        errors: (n,) why an image could not be read; "" where it could.
        images: (m, C, H, W) uint8: the m ≤ n that could.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]
    label_errors: tuple[str, ...]
    errors: tuple[str, ...]
    images: np.ndarray


def blocks(shard: Shard, rows: int, wanted: "Wanted", rules: PixelRules) -> Generator[Block, None, None]:
    """The images of a shard, ``rows`` at a time, decoded while the block before is in use; fewer of 64 MiB or more.

    Each image is read by itself: numbers of more than 8 bits are those of a model (``rules.spans``) or of
    ``rules.span``, or else lie in 0…65535 or 0…1, whatever those of the images beside it are.

    Args:
        shard: as ``find`` gives it.
        rows: images in a block, but the last.
        wanted: height, width and channels, and the ground of transparent pixels.
        rules: what is said of the pixels; each image is the first page of its file.

    Raises:
        DataError: the shard cannot be read as a whole, from here on; its disk, say, reads no further.
    """
    from joblib import cpu_count

    from latentcli.formats.image_files import DEEP_SPANS

    rules = replace(rules, spans={**DEEP_SPANS, **rules.spans})
    wanted = replace(wanted, span=rules.span, units=rules.spans.get("units"), strict=False, sample=_SAMPLE)
    waiting: list[tuple[Sequence[Record], list[Future[np.ndarray | str]]]] = []
    with at_hand(shard) as path, ThreadPoolExecutor(cpu_count()) as pool:
        try:
            for some in _together(records(shard, path), rows):
                waiting.append((some, [pool.submit(_decoded, record, wanted, rules) for record in some]))
                if len(waiting) > 1:
                    yield _block(*waiting.pop(0), wanted)
            while waiting:
                yield _block(*waiting.pop(0), wanted)
        except OSError as error:
            raise DataError(f"cannot read {shard.origin}", reason(error), "try again, or copy it again") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _together(found: Iterable[Record], rows: int) -> Iterator[Sequence[Record]]:
    """Records that follow one another: so many, or fewer whose files are large."""
    some, size = list[Record](), 0
    for record in found:
        some.append(record)
        size += record.content.size if record.content is not None else 0
        if len(some) == rows or size >= _CONTENT:
            yield some
            some, size = [], 0
    if some:
        yield some


def _block(some: Sequence[Record], futures: "Sequence[Future[np.ndarray | str]]", wanted: "Wanted") -> Block:
    results = [future.result() for future in futures]
    images = [result for result in results if not isinstance(result, str)]
    shape = (wanted.channels or 1, wanted.height, wanted.width)
    return Block(
        tuple(record.name for record in some), tuple(record.label for record in some),
        tuple(record.label_why for record in some),
        tuple(result if isinstance(result, str) else "" for result in results),
        np.stack(images) if images else np.empty((0, *shape), np.uint8),
    )  # fmt: skip


def _decoded(record: Record, wanted: "Wanted", rules: PixelRules) -> np.ndarray | str:
    """(C, H, W) uint8 of a record, or why it is no image; an OSError where its shard reads no further."""
    from latentcli.formats import image_files

    if record.content is None:
        return record.why
    content = InMemory(record.content.name, record.content.open()[0].read())
    deep: list[tuple[str, image_files.FoundNumbers]] = []
    hearing = image_files.Hearing(tell_deep=lambda kind, found: deep.append((kind, found)))
    try:
        pixels = image_files.decode_as(content, wanted, hearing)
        for of_kind, found in deep if rules.span is None else ():
            plain: Mapping[str, Span] = image_files.DEEP_SPANS
            if of_kind not in plain or found.nothing:
                continue
            if not (span := span_for(found, rules)[0]).same_as(plain[of_kind]):
                pixels = image_files.decode_as(content, replace(wanted, span=span))
    except image_files.UnreadableImage as error:
        return str(error)
    except UnclearValues as unclear:
        return f"{unclear}: black and white are unclear; say which: `range`"
    if not deep and rules.span is not None and 0 <= rules.span.low < rules.span.high <= 255:
        return rules.span.bytes_of(pixels)
    return pixels
