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


def swept(settings, bits, *ssim):
    codes = {} if bits is None else {"bits_per_image": bits, "codes_used": 1.0}
    return [{"data": "a", "model": "m", **settings, "seed": seed, **codes, "ssim": s} for seed, s in enumerate(ssim)]


def test_the_front_of_a_sweep_is_of_means_over_seeds_and_of_codes_alone():
    results = [
        *swept({"codes": 2}, 10.0, 0.5, 0.9),
        *swept({"codes": 4}, 20.0, 0.65, 0.65),
        *swept({"codes": 8}, 20.0, 0.8, 0.8),
        *swept({"levels": "8,6"}, 30.0, 0.8, 0.7),
        *swept({"codes": 16}, None, 0.99, 0.99),
    ]
    found = tables.with_front(results, ("data", "model", "codes", "levels"))
    assert [row.get("front") for row in found] == ["yes"] * 2 + [None] * 2 + ["yes"] * 2 + [None] * 4
    assert tables.with_front(swept({}, None, 0.5), ("data",)) == swept({}, None, 0.5)


def test_points_of_unlike_settings_share_a_table_with_dashes():
    results = [*swept({"codes": 2}, 10.0, 0.5), *swept({"levels": "8,6"}, 30.0, 0.8), *swept({}, None, 0.9)]
    by, columns = ("data", "model", "codes", "levels"), tables.sweep(["mlp", "knn"])
    files = tables.of_sweep(results, by, columns)
    header, _, *lines = files["table.md"].splitlines()
    assert [line.split(" | ")[2:5] for line in lines] == [["2", "–", "–"], ["–", "8,6", "–"], ["–", "–", "–"]]
    assert header.split(" | ")[4:9] == ["MSE", "SSIM", "bits per image", "codes used, %", "perplexity"]
    assert header.split(" | ")[9:11] == ["mlp probe, %", "mlp probe, 5 labels a class, %"]
    assert [row.get("codes") for row in json.loads(files["table.json"])["rows"]] == [2, None, None]
    assert [row["levels"] for row in csv.DictReader(io.StringIO(files["table.csv"]))] == ["", "8,6", ""]


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
