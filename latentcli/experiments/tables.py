"""The results of a study as one table: JSON, CSV and Markdown of means and spreads over seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentcli.artifacts.tables import as_csv
from latentcli.experiments.cells import Result
from latentcli.formats.atomic import atomic_write
from latentcli.numerics.front import non_dominated


@dataclass(frozen=True)
class Column:
    """One metric of a table: its key in results, its title with the unit, its format, and a factor on the values."""

    key: str
    title: str
    form: str
    scale: float = 1.0


QUALITY = (
    Column("mse", "MSE", ".4f"),
    Column("ssim", "SSIM", ".4f"),
    Column("psnr", "PSNR, dB", ".2f"),
    Column("bits_per_image", "bits per image", ",.0f"),
    Column("codes_used", "codes used, %", ".1f", 100.0),
    Column("perplexity", "perplexity", ".0f"),
    Column("training_seconds", "training, s", ",.0f"),
)

ACCURACY = Column("accuracy", "accuracy, %", ".2f", 100.0)

COST = Column("processor_seconds", "processor, s", ",.0f")

FRONT = "front"
"""The entry of a result that no other beats in both bits per image and structural similarity: "yes"."""

LEAKS = (
    Column("leaked", "probe given labels at fitting and test (leaked), %", ".2f", 100.0),
    Column("labels_at_fitting", "at fitting only (leaked), %", ".2f", 100.0),
    Column("without_labels", "never (honest), %", ".2f", 100.0),
)
LEAKED = (
    "The VQ-VAE that is given the labels: codes made with labels hold the labels, so the first two accuracies say "
    "nothing of the latent space; only the last is comparable with the table above."
)

SAMPLES = (
    Column("frechet_distance", "Fréchet distance", ".4g"),
    Column("precision", "precision, %", ".1f", 100.0),
    Column("recall", "recall, %", ".1f", 100.0),
    Column("density", "density", ".3f"),
    Column("coverage", "coverage, %", ".1f", 100.0),
    Column("read_right", "read right by the CNN, %", ".2f", 100.0),
    Column("nearer", "nearer to training images than real ones, %", ".1f", 100.0),
    Column("copied", "nearer than 99 % of real ones, %", ".2f", 100.0),
)
BY_IMAGES = ("data", "model", "images")


def latents(probes: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a comparison of latent spaces: the accuracy of each probe, then the quality of reconstructions."""
    return (*(Column(f"{kind}_accuracy", f"{kind} probe, %", ".2f", 100.0) for kind in probes), *QUALITY)


def sweep(probes: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a sweep: bits and reconstructions, the accuracy of each probe with all labels and with few."""
    of_codes = [column for column in QUALITY if column.key not in ("psnr", "training_seconds")]
    read = [
        Column(f"{kind}_accuracy{few}", f"{kind} probe{labels}, %", ".2f", 100.0)
        for kind in probes for few, labels in (("", ""), ("_few", ", 5 labels a class"))
    ]  # fmt: skip
    return (*of_codes, *read, COST)


def with_front(results: Sequence[Result], by: Sequence[str]) -> list[Result]:
    """The results of a sweep, those of points that no other point dominates with the entry ``FRONT``.

    A point dominates another that takes no fewer bits per image for no more structural similarity, in the mean over
    seeds; continuous latents have no bits.

    Args:
        results: of its cells.
        by: the entries that say which point a result is of.
    """
    groups = [*grouped([result for result in results if "bits_per_image" in result], by).values()]
    bits, ssim = (
        np.array([np.mean([each[key] for each in group]) for group in groups]) for key in ("bits_per_image", "ssim")
    )
    kept = {id(result) for number in non_dominated(bits, ssim) for result in groups[number]}
    return [{**result, FRONT: "yes"} if id(result) in kept else result for result in results]


def by_arm(results: Sequence[Result]) -> list[Result]:
    """The accuracies of all arms with the same data, labelled images and seed as one result, by the arms' names."""
    groups = grouped(results, ("data", "per_class", "seed"))
    return [
        {"data": data, "labelled per class": size, **{result["arm"]: result["accuracy"] for result in group}}
        for (data, size, _), group in groups.items()
    ]


def grouped(results: Sequence[Result], by: Sequence[str]) -> dict[tuple[str, ...], list[Result]]:
    """Results by the values under these keys, a dash for none, in the order in which they first occur."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(tuple(str(result.get(key, "–")) for key in by), []).append(result)
    return groups


def summary(results: Sequence[Result], key: str) -> dict[str, float] | None:
    """Mean and sample standard deviation (0 for one value) of a metric over seeds; None if no result has it."""
    values = [result[key] for result in results if key in result]
    if not values:
        return None
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}


def written(value: Mapping[str, float] | None, column: Column, several: bool) -> str:
    """Mean ± standard deviation, or a dash for None."""
    if value is None:
        return "–"
    mean = format(value["mean"] * column.scale, column.form)
    return f"{mean} ± {format(value['sd'] * column.scale, column.form)}" if several else mean


def markdown(results: Sequence[Result], by: Sequence[str], columns: Sequence[Column]) -> str:
    """A table with a row for each group."""
    lines = [f"| {' | '.join(row)} |" for row in cells(results, by, columns)]
    lines.insert(1, "|" + "---|" * (len(by) + len(columns)))
    return "\n".join(lines) + "\n"


def cells(results: Sequence[Result], by: Sequence[str], columns: Sequence[Column]) -> list[list[str]]:
    """The header of a table with a row for each group, and its rows."""
    found = [[*by, *(column.title for column in columns)]]
    for names, group in grouped(results, by).items():
        found.append([*names, *(written(summary(group, each.key), each, len(group) > 1) for each in columns)])
    return found


def comma_separated(results: Sequence[Result]) -> str:
    """Every result as a row, every metric as a column; empty where a result lacks it."""
    names = list(dict.fromkeys(name for result in results for name in result))
    return as_csv([names, *([result.get(name, "") for name in names] for result in results)])


def rows(results: Sequence[Result], by: Sequence[str], columns: Sequence[Column]) -> list[Result]:
    """One row per group, with the ``summary`` of each metric."""
    return [
        {
            **{name: group[0][name] for name in by if name in group[0]}, "seeds": len(group),
            **{column.key: found for column in columns if (found := summary(group, column.key)) is not None},
        }
        for group in grouped(results, by).values()
    ]  # fmt: skip


def as_json(results: Sequence[Result], by: Sequence[str], columns: Sequence[Column]) -> str:
    """The rows, and all results."""
    return json.dumps({"rows": rows(results, by, columns), "cells": list(results)}, indent=1) + "\n"


def of_sweep(results: Sequence[Result], by: Sequence[str], columns: Sequence[Column]) -> dict[str, str]:
    """A sweep as ``table.json``, ``table.csv`` and ``table.md``, by name, a row for each point but in the second."""
    return {
        "table.json": as_json(results, by, columns), "table.csv": comma_separated(results),
        "table.md": markdown(results, by, columns),
    }  # fmt: skip


def of_latents(results: Sequence[Result], columns: Sequence[Column]) -> dict[str, str]:
    """A comparison of latent spaces as ``table.json``, ``table.csv`` and ``table.md``, by name."""
    return {
        "table.json": as_json(results, ("data", "model"), (*columns, *LEAKS)),
        "table.csv": comma_separated(results),
        "table.md": shown(results, columns, f"{LEAKED}\n\n"),
    }


def shown(results: Sequence[Result], columns: Sequence[Column], caption: str = "") -> str:
    """A comparison of latent spaces in Markdown; label leaks in a second table, with this text above it."""
    text = markdown([row for row in results if "leaked" not in row], ("data", "model"), columns)
    leaks = [row for row in results if "leaked" in row]
    return text + (f"\n{caption}{markdown(leaks, ('data', 'model'), LEAKS)}" if leaks else "")


def of_samples(results: Sequence[Result]) -> dict[str, str]:
    """A study of samples as ``table.json``, ``table.csv`` and ``table.md``, by name."""
    return {
        "table.json": as_json(results, BY_IMAGES, SAMPLES),
        "table.csv": comma_separated(results),
        "table.md": markdown(results, BY_IMAGES, SAMPLES),
    }


def of_hybrids(results: Sequence[Result], titles: Mapping[str, str]) -> tuple[dict[str, str], list[Result]]:
    """A study of hybrids as ``table.json``, ``table.csv`` and ``table.md``, by name, and the rows of the first.

    Args:
        results: of its cells; those without an accuracy were not measured.
        titles: of the arms, by name.
    """
    measured, by = [result for result in results if "accuracy" in result], ("data", "arm", "per_class")
    contents = {
        "table.json": as_json(measured, by, [ACCURACY]),
        "table.csv": comma_separated(results),
        "table.md": markdown(by_arm(measured), ("data", "labelled per class"), _of_arms(titles)),
    }
    return contents, rows(measured, by, [ACCURACY])


def cells_of_hybrids(results: Sequence[Result], titles: Mapping[str, str]) -> list[list[str]]:
    """The rows of ``table.md``; arguments are those of ``of_hybrids``."""
    measured = by_arm([result for result in results if "accuracy" in result])
    return cells(measured, ("data", "labelled per class"), _of_arms(titles))


def _of_arms(titles: Mapping[str, str]) -> list[Column]:
    return [Column(arm, f"{title}, %", ".2f", 100.0) for arm, title in titles.items()]


def write(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Write texts as files of these names; an ``OutputError`` if one cannot be written."""
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content.encode("utf-8", "backslashreplace"))
    return [folder / name for name in contents]
