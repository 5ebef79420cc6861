"""Tables and pictures of hybrids, from the accuracies that ``studies.py hybrids-…`` has measured.

    python tests/benchmarks/curves.py           # write the tables into README.md, and the pictures, beside this file
    python tests/benchmarks/curves.py STUDY…    # take in the cells of these folders first

``hybrids.json`` beside this file keeps what was measured: a row for each data set, arm and number of labelled images
a class, with the accuracies of its seeds where these are still known one by one.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from latentcli import pictures
from latentcli.experiments import tables as tabling
from latentcli.experiments.arms import ARMS

HERE = Path(__file__).parent
KEPT, README = HERE / "hybrids.json", HERE / "README.md"
BEGIN, END = "<!-- hybrids -->\n", "<!-- end of hybrids -->\n"
BY = "data", "arm", "per_class"
NAMES = {
    "mnist": "MNIST, 1,500 steps",
    "fashion-mnist": "Fashion-MNIST, 250 steps",
    "cifar10_train.npz": "CIFAR-10 subset, 250 steps",
    "brain_mri_80_train.npz": "Brain MRI at 40×40 pixels, 250 steps",
}
"""What the data sets of the rows are called, and how long each classifier was trained."""


def measured(study: Path) -> list[dict[str, Any]]:
    """Rows of the cells that a study has kept, those of its models aside."""
    cells = [json.loads(path.read_text())["result"] for path in sorted((study / "cells").glob("*.json"))]
    cells = [cell for cell in cells if "accuracy" in cell]
    accuracies = {key: [cell["accuracy"] for cell in group] for key, group in tabling.grouped(cells, BY).items()}
    rows = tabling.rows(cells, BY, [tabling.ACCURACY])
    return [row | {"accuracies": accuracies[tuple(str(row[name]) for name in BY)]} for row in rows]


def place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Where a row stands: by data, arm and size."""
    return list(NAMES).index(row["data"]), list(ARMS).index(row["arm"]), row["per_class"]


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each size, a column for each arm; a dash where nothing is measured."""
    arms = [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]
    found = {(row["arm"], row["per_class"]): row["accuracy"] for row in rows}
    lines = [
        "| labelled per class | " + " | ".join(ARMS[arm].title for arm in arms) + " |",
        "|---" * (len(arms) + 1) + "|",
    ]
    for size in sorted({row["per_class"] for row in rows}):
        cells = (tabling.written(found.get((arm, size)), tabling.ACCURACY, several=True) for arm in arms)
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", type=Path, help="folders whose cells are taken in")
    rows = {place(row): row for row in json.loads(KEPT.read_text())} if KEPT.exists() else {}
    for study in parser.parse_args().studies:
        rows |= {place(row): row for row in measured(study)}
    ordered = [rows[key] for key in sorted(rows)]
    KEPT.write_text(json.dumps(ordered, indent=1) + "\n")
    tables = []
    for data, name in NAMES.items():
        own = [row for row in ordered if row["data"] == data]
        if own:
            tables.append(f"{name}:\n\n{table(own)}\n")
            titles = {name: arm.title for name, arm in ARMS.items()}
            pictures.accuracy_curve(HERE / f"hybrids-{data.removesuffix('.npz')}.png", name, own, titles)
    before, rest = README.read_text().split(BEGIN)
    README.write_text(before + BEGIN + "\n".join(tables) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
