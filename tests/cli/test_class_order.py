"""Classes have one order from the data to the last file, and it is not that of their texts."""

from pathlib import Path

import numpy as np
import pytest

from latentcli import artifacts
from latentcli.artifacts import checkpoint
from latentcli.artifacts import probes as probe_files


@pytest.fixture
def numbers(trained, tmp_path) -> None:
    """train.npz and test.npz of classes 2, 9 and 10, which texts sort as 10, 2, 9."""
    for name in ("train", "test"):
        digits = np.load(trained.folder / f"{name}.npz")
        labels = np.select([digits["labels"] == 1, digits["labels"] == 4], [9, 10], 2)
        np.savez(tmp_path / f"{name}.npz", data=digits["data"], labels=labels)


@pytest.mark.parametrize(("asked", "order"), [([], ["2", "9", "10"]), (["--classes", "9,10,2"], ["9", "10", "2"])])
def test_nine_ten_two_come_in_one_order_everywhere(call, numbers, fast, asked, order):
    few = ["--labels-per-class", 10]
    assert call("train", "train.npz", *asked, *few, *fast).code == 0
    assert list(checkpoint.read(Path("vae.pth")).class_names) == order
    assert call("info", "gmm_params.pkl", "--json").json["classes"] == order
    assert call("encode", "test.npz", "vae.pth", *asked, "-q").code == 0
    assert np.load("latents.npz")["class_names"].tolist() == order

    for arguments in (["test.npz", "vae.pth", "gmm_params.pkl"], ["test.npz", "vae.pth", "probe.pth"]):
        if "probe.pth" in arguments:
            fit = ["fit-probe", "train.npz", "vae.pth", *asked, "--probe", "knn", "--json", "-q"]
            assert call(*fit).json["classes"] == order
            assert list(probe_files.read(Path("probe.pth"))["classes"]) == order
        done = call("classify", *arguments, *asked, "--json")
        assert done.json["classes"] == order
        assert_rows_are_of(done.json, order)
        assert call("evaluate", *arguments, *asked, "--json").json["confusion_matrix"] == done.json["confusion_matrix"]

    assert (
        call("hybridize", "vae.pth", "gmm_params.pkl", "-n", 40, "--folder", "hybrids", "-o", "hybrids.npz").code == 0
    )
    assert artifacts.read_hybrids(Path("hybrids.npz"))["classes"].tolist() == order
    assert Path("hybrids/soft_labels.csv").read_text().splitlines()[0] == ",".join(["File", *order])

    mixed = ["--hybrids", "hybrids.npz", "--set", "width=16", "--epochs", 4, "-q"]
    assert call("train-cnn", "train.npz", *asked, *mixed, "--json").json["classes"] == order
    done = call("classify", "test.npz", "cnn.pth", *asked, "--json")
    assert done.json["classes"] == order
    assert_rows_are_of(done.json, order)


def assert_rows_are_of(result: dict, order: list[str]) -> None:
    """Row by row the confusion matrix counts the images of that class, column by column what was predicted."""
    truth = np.load("test.npz")["labels"].astype(str)
    predicted = np.array(Path("vae.csv").read_text().splitlines()[1:])
    expected = [[int(((truth == true) & (predicted == other)).sum()) for other in order] for true in order]
    assert result["confusion_matrix"] == expected
