"""Tables of a study against numpy and by eye."""

import csv
import io
import json

import numpy as np
import pytest

from latentcli.experiments import tables

RESULTS = [
    {"data": "a", "model": "vae", "seed": 0, "mlp_accuracy": 0.5, "mse": 0.1},
    {"data": "a", "model": "vae", "seed": 1, "mlp_accuracy": 0.7, "mse": 0.3},
    {"data": "a", "model": "vqvae", "seed": 0, "mlp_accuracy": 0.25, "mse": 0.2, "perplexity": 300.4},
]
COLUMNS = [column for column in tables.latents(["mlp"]) if column.key in ("mlp_accuracy", "mse", "perplexity")]


def test_markdown_has_means_and_spreads_and_dashes():
    assert tables.markdown(RESULTS, ("data", "model"), COLUMNS).splitlines() == [
        "| data | model | mlp probe, % | MSE | perplexity |",
        "|---|---|---|---|---|",
        "| a | vae | 60.00 ± 14.14 | 0.2000 ± 0.1414 | – |",
        "| a | vqvae | 25.00 | 0.2000 | 300 |",
    ]


def test_json_holds_the_same_and_every_cell():
    found = json.loads(tables.as_json(RESULTS, ("data", "model"), COLUMNS))
    assert found["cells"] == RESULTS
    vae = found["rows"][0]
    assert vae["seeds"] == 2
    assert vae["mlp_accuracy"] == pytest.approx({"mean": 0.6, "sd": np.std([0.5, 0.7], ddof=1)})
    assert "perplexity" not in vae


def test_csv_has_a_row_for_each_result():
    rows = list(csv.DictReader(io.StringIO(tables.comma_separated(RESULTS))))
    assert [row["perplexity"] for row in rows] == ["", "", "300.4"]
    assert [float(row["mlp_accuracy"]) for row in rows] == [0.5, 0.7, 0.25]
