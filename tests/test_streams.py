"""What is written as it comes has the bytes of what is made whole, in memory that does not grow with the images."""

import errno
import io
import os
import signal
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import OutputError
from latentcli.formats import atomic, checksummed_npz
from latentcli.inference import classification
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create, trained
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics

NAMES = ("10", "9", "2")


def images(count: int = 50, shape: tuple[int, ...] = (1, 8, 8)) -> lc.ImageSet:
    """Squares of three greys with noise, every fourth unlabelled, from a folder in which two files are unreadable."""
    random = np.random.default_rng(0)
    codes = np.arange(count) % 3
    pixels = (100 * codes[:, None, None, None] + random.integers(0, 50, (count, *shape))).astype(np.uint8)
    files = tuple(f"{number:06}.png" for number in range(count))
    bad = (("000003.pn", "cut"), ("zz.png", "empty"))
    return lc.ImageSet(pixels, lc.Labels(np.where(np.arange(count) % 4, codes, -1), NAMES), files, bad_files=bad)


def model(family: str = "vae") -> TrainedModel:
    if family in PIXEL_CLASSIFIERS:
        network = create(family, PIXEL_CLASSIFIERS[family].Config((1, 8, 8), classes=3, width=16), 0).eval()
        return TrainedModel(family, network, NAMES, name="cnn.pth")
    network = create(family, FAMILIES[family].Config((1, 8, 8), width=32, latent_dim=6), 0).eval()
    return TrainedModel(family, network, fingerprint="a" * 64, name="vae.pth")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several batches in a block of a classifier, whose ends are not those of batches, and several blocks."""
    monkeypatch.setattr(trained, "BATCH", 7)
    monkeypatch.setattr(trained, "batch_size", lambda shape, device: 7)
    monkeypatch.setattr(classification, "rows_in_block", lambda classifier: 16)


@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_latents_are_written_as_if_whole(tmp_path, family, files):
    given, encoder = images(), model(family)
    given = given if files else lc.ImageSet(given.images)
    kept = np.array([0, 6, 7, 49])
    found = lc.encode_to(tmp_path / "a.npz", given, encoder, kept=kept)
    whole = encoder.encode(given)
    lc.write_latents(tmp_path / "b.npz", whole)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert found.measures == encoder.measures(whole)
    assert (found.images, found.dimensions) == whole.flat.shape
    np.testing.assert_array_equal(found.kept.flat, whole.flat[kept])
    np.testing.assert_array_equal(found.kept.labels.codes, whole.labels.codes[kept])


@pytest.mark.parametrize("reject_below", [None, 0.3])
@pytest.mark.parametrize("fit", ["mixture", "graph", "linear", "knn", "codes", "pixels", "cnn"])
def test_labels_are_written_as_if_whole(tmp_path, fit, reject_below):
    given, kept = images(), np.array([1, 15, 16, 40])
    vae = model("cnn" if fit == "cnn" else "vqvae" if fit == "codes" else "vae")
    latents = None if fit == "cnn" else vae.encode(given, fit if fit in ("codes", "pixels") else None)
    classifier = {
        "mixture": lambda: lc.fit_mixture(latents, components=3), "graph": lambda: lc.fit_graph(latents),
        "linear": lambda: lc.fit_probe(latents, probe="linear", epochs=2),
        "knn": lambda: lc.fit_probe(latents, probe="knn"), "cnn": lambda: None,
        "codes": lambda: lc.fit_probe(latents, probe="knn", features="codes"),
        "pixels": lambda: lc.fit_probe(latents, probe="knn", features="pixels"),
    }[fit]()  # fmt: skip
    if fit not in ("mixture", "graph"):
        reject_below = None
    found = lc.classify_to(tmp_path / "a.csv", given, vae, classifier, reject_below=reject_below, kept=kept)
    whole = lc.classify(given, vae, classifier, reject_below=reject_below)
    whole.to_csv(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert found.scores() == whole.scores()
    assert (len(found), found.rejected, found.labelled) == (len(whole), whole.rejected, whole.labelled)
    assert found.labelled == given.labels.known.sum()
    assert found.notes == whole.notes
    if latents is None:
        assert found.latents is None
        return
    for name, array in found.latents.arrays.items():
        np.testing.assert_array_equal(array, whole.latents.arrays[name][kept])
    stream, of_latents = io.StringIO(), io.StringIO()
    again = lc.classify_latents_to(stream, latents, classifier, reject_below)
    lc.write_predictions(lc.classify_latents(latents, classifier, reject_below), of_latents)
    assert (again.counts == found.counts).all()
    assert stream.getvalue() == of_latents.getvalue()


@pytest.mark.parametrize("family", FAMILIES)
def test_reconstructions_are_written_and_measured_as_if_whole(tmp_path, family):
    given, vae = images(), model(family)
    found = lc.reconstruct_to(tmp_path / "r.npz", given, vae)
    with np.load(tmp_path / "r.npz") as written:
        np.testing.assert_array_equal(written["data"], vae.reconstruct(given)[:, 0])
    expected, _ = lc.evaluate(given, vae)
    assert found == {name: expected[name] for name in ("images", "mse", "psnr", "ssim")}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fit", ["none", "default", "pixels"])
def test_measuring_is_evaluating(family, fit):
    given, vae = images(), model(family)
    if fit == "none":
        classifier = None
    elif fit == "pixels":
        classifier = lc.fit_probe(vae.encode(given, "pixels"), probe="knn", features="pixels")
    elif family == "vae":
        classifier = lc.fit_mixture(vae.encode(given), components=3)
    else:
        classifier = lc.fit_probe(vae.encode(given), probe="knn")
    found, tally = lc.measure(given, vae, classifier)
    expected, predictions = lc.evaluate(given, vae, classifier)
    assert found == expected
    assert (tally is None) == (predictions is None)
    if tally is not None:
        at_once = lc.classify(given, vae, classifier)
        assert (tally.counts == at_once.tally.counts).all()
        for name in ("probabilities", "files", "bad_files", "rejects"):
            np.testing.assert_equal(getattr(predictions, name), getattr(at_once, name))
        np.testing.assert_equal(predictions.latents.arrays, at_once.latents.arrays)
        of_both = [(each.labels, each.known, each.latents.labels) for each in (predictions, at_once)]
        for found, expected in zip(*of_both, strict=True):
            np.testing.assert_array_equal(found.codes, expected.codes)
            assert found.names == expected.names


def test_pictures_show_all_of_few_images_and_a_part_of_many_with_the_labelled_ones():
    few, many = lc.Labels.none(4_000), np.full(20_000, -1)
    assert lc.pictures.shown(few).tolist() == list(range(4_000))
    many[[7, 19_999]] = 0
    rows = lc.pictures.shown(lc.Labels(many, ("a",)))
    assert len(rows) == 5_000
    assert {7, 19_999} < set(rows.tolist())
    assert (np.diff(rows) > 0).all()


def peak(call) -> int:
    """Bytes that Python and numpy held at most in a call; what torch holds is of one batch."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("command", ["encode", "classify", "reconstruct", "evaluate"])
def test_memory_does_not_grow_with_the_images(tmp_path, monkeypatch, command):
    """18,000 images more, of whose latents alone there are 864,000 bytes; lists of what is free take a part of that."""
    monkeypatch.setattr(trained, "batch_size", lambda shape, device: 1_000)
    monkeypatch.setattr(classification, "rows_in_block", lambda classifier: 1_000)
    monkeypatch.setattr(checksummed_npz, "_BLOCK", 4_096)
    monkeypatch.setattr(metrics, "_similarity", lambda x, y: np.zeros(len(x)))  # slow, and of one image at a time
    vae = model()
    few, many = (lc.ImageSet(given.images, given.labels) for given in (images(2_000), images(20_000)))
    mixture = lc.fit_mixture(vae.encode(few), components=3)
    call = {
        "encode": lambda given: lc.encode_to(tmp_path / "l.npz", given, vae),
        "classify": lambda given: lc.classify_to(tmp_path / "c.csv", given, vae, mixture),
        "reconstruct": lambda given: lc.reconstruct_to(tmp_path / "r.npz", given, vae),
        "evaluate": lambda given: lc.measure(given, vae, mixture),
    }[command]
    call(few)  # what is loaded and made once is not of the images
    assert peak(lambda: call(many)) - peak(lambda: call(few)) < 250_000


@pytest.mark.parametrize("fails_at", [1, 2])
@pytest.mark.parametrize("name", ["latents.npz", "vae.csv", "reconstructed.npz"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, name, fails_at):
    monkeypatch.setattr(trained, "batch_size", lambda shape, device: 100)
    vae, given, blocks = model(), images(1_000), []
    mixture = lc.fit_mixture(vae.encode(given), components=3)
    path = tmp_path / name
    path.write_text("old")

    def write(self, data):
        blocks.append(len(data))
        with atomic.output_errors(self.path):
            if len(blocks) >= fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return io.FileIO.write(self, data)

    monkeypatch.setattr(atomic._Output, "write", write)
    call = {
        "latents.npz": lambda: lc.encode_to(path, given, vae),
        "vae.csv": lambda: lc.classify_to(path, given, vae, mixture),
        "reconstructed.npz": lambda: lc.reconstruct_to(path, given, vae),
    }[name]
    with pytest.raises(OutputError, match=f"cannot write .*{name}") as caught:
        call()
    assert caught.value.found == "No space left on device"
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
@pytest.mark.parametrize("name", ["latents.npz", "vae.csv", "reconstructed.npz"])
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path, name):
    vae, given = model(), images()
    mixture = lc.fit_mixture(vae.encode(given), components=3)
    path = tmp_path / name
    path.write_text("old")

    @contextmanager
    def killed(doing, total):
        done = []

        def advance(count):
            done.append(count)
            if sum(done) > total / 2:
                os.kill(os.getpid(), signal.SIGKILL)

        yield advance

    if not (child := os.fork()):
        try:
            if name == "latents.npz":
                lc.encode_to(path, given, vae, progress=killed)
            elif name == "vae.csv":
                lc.classify_to(path, given, vae, mixture, progress=killed)
            else:
                lc.reconstruct_to(path, given, vae, progress=killed)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.read_text() == "old"
