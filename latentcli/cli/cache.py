"""``latentcli cache``: images that are kept as they were decoded."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import LOOK, app, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from latentcli.data.cached import CachedImages

cache = typer.Typer(
    name="cache", help="Show or delete images that are kept as they were decoded.", no_args_is_help=True
)
app.add_typer(cache, name="cache", rich_help_panel=LOOK)


@command(cache, name="list", examples=["latentcli cache list", "latentcli cache list --json"])
def list_(cache_dir: options.CacheDir = None, json: options.Json = False) -> None:
    """List the folders and archives whose images are kept: how many, their shape, bytes, and when they were used."""
    from latentcli.data.cached import cached

    _show(cached(cache_dir), "kept", json)


@command(cache, examples=[
    "latentcli cache clear photos", "latentcli cache clear --older-than 30", "latentcli cache clear",
])  # fmt: skip
def clear(
    data: Annotated[list[str] | None, Argument(metavar="[DATA…]", help="Folders and archives. [default: all]")] = None,
    older_than: Annotated[
        float | None, Option(metavar="DAYS", min=0, help="Only what was not used for longer.")
    ] = None,
    cache_dir: options.CacheDir = None,
    json: options.Json = False,
) -> None:
    """Delete images that are kept as they were decoded: all, or those of DATA. They are decoded again when needed."""
    from latentcli.data.cached import clear_cache

    _show(clear_cache(data or (), older_than=older_than, cache_dir=cache_dir), "deleted", json)


def _show(sets: "Sequence[CachedImages]", what: str, json: bool) -> None:
    """A line a set, and their sum; or one JSON object."""
    from latentcli.cli import console
    from latentcli.data.cache import size

    if json:
        console.result({what: [_plain(each) for each in sets], "bytes": sum(each.bytes for each in sets)}, as_json=True)
        return
    width = max((len(each.source) for each in sets), default=0)
    for each in sets:
        shape = "×".join(map(str, each.shape)) if each.shape else "not whole"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
        row = f"{each.images:>11,} images  {shape:<11}  {size(each.bytes):>11}  {used}"
        console.emit(f"{console.printable(each.source):<{width}}  {row}\n")
    console.emit(f"{what} {len(sets)} set(s), {size(sum(each.bytes for each in sets))}\n")


def _plain(each: "CachedImages") -> dict[str, object]:
    """As a script reads it."""
    used = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(each.used))
    return {**vars(each), "path": str(Path(each.path)), "used": used}
