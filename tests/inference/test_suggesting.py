"""Which images to label next: from none to many labels, and what the list says of them."""

import numpy as np
import pytest

import latentcli as lc
from latentcli.classifiers.base import LatentClassifier
from latentcli.inference import suggesting
from latentcli.inference.suggesting import suggest, uncertainty


def blobs(labels: dict[int, str], sizes=(40, 33, 27), seed: int = 0) -> lc.Latents:
    """Latents in clusters of these sizes, of which a few rows have labels."""
    random = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([random.normal(centres[each], 0.5, (size, 2)) for each, size in enumerate(sizes)])
    texts = [labels.get(row, "") for row in range(len(points))]
    files = tuple(f"{row}.png" for row in range(len(points)))
    points = points.astype(np.float32)
    return lc.Latents({"mu": points, "logvar": np.zeros_like(points)}, "", lc.Labels.of(texts), files)


def cluster(row: int) -> int:
    return int(np.searchsorted([40, 73], row, side="right"))


def test_without_labels_each_cluster_is_named_and_the_largest_first():
    found = suggest(blobs({}), count=3)
    assert [cluster(row) for row in found.rows] == [0, 1, 2]
    assert found.covered == 0
    assert found.labels is None
    assert list(found.columns) == ["File", "Label", "Score"]


def test_what_is_labelled_is_not_named_nor_what_is_like_it():
    found = suggest(blobs({0: "a", 40: "b"}), count=1)
    assert cluster(found.rows[0]) == 2
    every = suggest(blobs({0: "a", 40: "b"}), count=1000)
    assert sorted(every.rows.tolist()) == [row for row in range(100) if row not in (0, 40)]


def test_what_is_uncertain_counts_more():
    """Two clusters that are alike: the classifier is sure of the one and knows nothing about the other."""

    class Half(LatentClassifier):
        features, fitted_on_, n_features_in_ = None, "", 2
        classes_ = np.array(["a", "b"])

        def predict_proba(self, X):
            sure = np.where(X[:, :1] > 5, 1.0, 0.5)
            return np.hstack([sure, 1 - sure])

        def to_params(self):
            return {}

    latents = blobs({}, sizes=(40, 40))
    found = suggest(latents, Half(), count=2)
    assert found.rows[0] < 40 <= found.rows[1]
    assert found.scores[0] == pytest.approx(2 * found.scores[1], rel=0.2)
    assert found.columns["Predicted_Label"] == ["a", "a"]
    assert found.columns["Probability"] == [0.5, 1.0]


def test_uncertainty_is_entropy_as_a_fraction():
    rows = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
    assert uncertainty(rows) == pytest.approx([0, 1, np.log(2) / np.log(3)])


def test_of_many_images_some_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(suggesting, "MOST", 50)
    first, again, other = (suggest(blobs({}), count=20, seed=seed) for seed in (0, 0, 1))
    assert first.rows.tolist() == again.rows.tolist() != other.rows.tolist()
    assert first.scores.tolist() == again.scores.tolist()


def test_three_labels_are_enough_for_three_clusters():
    """What the list is for: drawn at random, three images are of three clusters in one of five draws."""
    latents = blobs({})
    truth = np.array(["abc"[cluster(row)] for row in range(100)])
    named = suggest(latents, count=3).rows
    texts = np.where(np.isin(np.arange(100), named), truth, "")
    graph = lc.fit_graph(lc.Latents(latents.arrays, "", lc.Labels.of(texts)))
    assert (graph.predict(latents.flat) == truth).all()


def test_errors():
    full = blobs({row: "ab"[row % 2] for row in range(100)})
    with pytest.raises(lc.DataError, match="every image has a label"):
        suggest(full)
    with pytest.raises(lc.UsageError, match="`count`"):
        suggest(blobs({}), count=0)
    mixture = lc.fit_mixture(full)
    mixture.fitted_on_ = "a" * 64
    with pytest.raises(lc.ModelFileError, match="another model"):
        suggest(lc.Latents(full.arrays, "b" * 64), mixture)
    codes = np.zeros((5, 2, 2), np.int32)
    with pytest.raises(lc.DataError, match="codes"):
        suggest(lc.Latents({"codes": codes}, ""))
    with pytest.raises(lc.DataError, match="not finite"):
        suggest(lc.Latents({"mu": np.full((5, 2), np.nan, np.float32)}, ""))
