"""A trained network: batches, order and fused normalisations change nothing, and its latents say whose they are."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from latentcli.core.errors import DataError, ModelFileError, OutputError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create, trained
from latentcli.models.backbones import BACKBONES
from latentcli.models.layers import NORMS
from latentcli.models.map_backbones import MAPS
from latentcli.models.trained import TrainedModel
from latentcli.models.vae import VAEConfig

CPU = torch.device("cpu")

SHAPE = (1, 12, 12)
FINGERPRINT = "3f9c1a" + "0" * 58
families = pytest.mark.parametrize("family", FAMILIES)


def vae(backbone: str = "conv-mlp", norm: str = "batch") -> TrainedModel:
    """A model whose normalisations have seen data, so that fusing them matters."""
    network = create("vae", VAEConfig(SHAPE, backbone=backbone, norm=norm, width=64, latent_dim=8), seed=0).train()
    with torch.no_grad():
        for step in range(5):
            network.loss(torch.rand(16, *SHAPE) ** 3, torch.Generator().manual_seed(step))
    return TrainedModel("vae", network.eval(), fingerprint=FINGERPRINT)


def of(family: str) -> TrainedModel:
    """A small model of any family."""
    if family in PIXEL_CLASSIFIERS:
        config = PIXEL_CLASSIFIERS[family].Config(SHAPE, classes=3, width=16)
        return TrainedModel(family, create(family, config, 0).eval(), ("a", "b", "c"), name="cnn.pth")
    config = FAMILIES[family].Config(SHAPE, backbone="residual", width=32, latent_dim=3)
    return TrainedModel(family, create(family, config, 0).eval(), fingerprint=FINGERPRINT, name="vae.pth")


class Counting:
    """Progress that remembers what it was told."""

    def __init__(self):
        self.works: list[tuple[str, int]] = []
        self.steps: list[int] = []

    @contextmanager
    def __call__(self, doing, total):
        self.works.append((doing, total))
        yield self.steps.append


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (100, *SHAPE), dtype=np.uint8)


@pytest.fixture
def small_batches(monkeypatch) -> None:
    """The images go through in several batches, of which the last is smaller."""
    monkeypatch.setattr(trained, "BATCH", 32)


@pytest.mark.parametrize("backbone", [*BACKBONES, *MAPS])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.usefixtures("small_batches")
def test_batches_and_fused_normalisations_change_nothing(images, backbone, norm):
    model = vae(backbone, norm)
    with torch.inference_mode():
        whole = model.network.encode(torch.from_numpy(images) / 255)
        decoded = model.network.decode(whole.flat)
    latents = model.encode(images)
    assert_allclose(latents.arrays["mu"], whole.arrays["mu"], rtol=1e-3, atol=1e-4)
    assert_allclose(model.decode(latents.flat), decoded, rtol=1e-3, atol=1e-4)
    assert_allclose(model.reconstruct(images), decoded, rtol=1e-3, atol=1e-4)


def test_the_network_itself_is_left_as_it_is(images):
    model = vae()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    model.encode(images)
    after = model.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.usefixtures("small_batches")
def test_reconstructions_come_in_order_and_progress_counts_all(images):
    model = vae()
    parts = [[*range(rows.start, rows.stop)] for rows, _ in model.reconstructions(images)]
    assert [len(part) for part in parts] == [32, 32, 32, 4]
    assert [row for part in parts for row in part] == list(range(100))
    for work, doing in ((model.encode, "encoding"), (model.reconstruct, "reconstructing")):
        progress = Counting()
        work(images, progress=progress)
        assert (progress.works, progress.steps) == ([(doing, 100)], [32, 32, 32, 4])
    progress = Counting()
    model.decode(np.zeros((40, 8)), progress)
    assert (progress.works, progress.steps) == ([("decoding", 40)], [32, 8])


def test_larger_images_come_in_smaller_batches():
    assert trained.batch_size((1, 28, 28), CPU) == trained.batch_size((1, 8, 8), CPU) == trained.BATCH
    assert trained.batch_size((3, 56, 56), CPU) == trained.BATCH // 12
    assert trained.batch_size((3, 100_000, 100_000), CPU) == 1


@families
def test_no_points_are_no_images_and_no_images_no_latents(family):
    model = of(family)
    none = model.decode(np.empty((0, model.network.dimensions)))
    assert none.shape == (0, *SHAPE)
    arrays = {name: array[:0] for name, array in model.encode(np.zeros((1, *SHAPE), np.uint8)).arrays.items()}
    assert model.decode(Latents(arrays, FINGERPRINT)).shape == (0, *SHAPE)


@families
def test_latents_are_signed_and_keep_what_is_known_of_their_images(images, family):
    labels = Labels(np.arange(100) % 3 - 1, ("8", "1"))
    files = tuple(f"{number}.png" for number in range(100))
    model = of(family)
    found = model.encode(ImageSet(images, labels, files))
    assert (found.checkpoint, found.files, found.class_names) == (FINGERPRINT, files, ("8", "1"))
    assert found.labels.codes.tolist() == labels.codes.tolist()
    assert found.flat.shape == (100, model.network.dimensions)
    assert {array.dtype.name for array in found.arrays.values()} <= {"float32", "int32"}
    unknown = model.encode(images)
    assert (unknown.files, unknown.labels.any) == (None, False)
    assert {name: array.tobytes() for name, array in unknown.arrays.items()} == {
        name: array.tobytes() for name, array in found.arrays.items()
    }


@families
@pytest.mark.usefixtures("small_batches")
def test_features_that_are_asked_for_come_alone_and_are_those_of_the_network(images, family):
    model = of(family)
    for name in model.network.FEATURES:
        found = model.encode(images, name)
        with torch.inference_mode():
            expected = model.network.features(torch.from_numpy(images) / 255, name).numpy()
        assert_allclose(found.features(name), expected, rtol=1e-3, atol=1e-4)
        assert found.checkpoint == FINGERPRINT
        shape = model.network.feature_shape(name)
        assert found.feature_shape(name) == shape
        assert shape is None or np.prod(shape) == expected.shape[1]
        if name in ("encoder", "pixels"):
            assert list(found.arrays) == [name]
            assert not found.is_flat
            with pytest.raises(UsageError, match="no features"):
                found.features(model.network.FEATURES[0])
    several = [name for name in model.network.FEATURES if name != "mean"]
    together = model.encode(images, several)
    assert len(together.arrays) == len(several)
    for name in several:
        assert np.array_equal(together.features(name), model.encode(images, name).features(name))
    with pytest.raises(UsageError, match="no features 'colours'") as caught:
        model.encode(images, "colours")
    assert caught.value.found == f"expected one of: {', '.join(model.network.FEATURES)}"


@families
def test_latents_decode_to_what_images_are_reconstructed_to(images, family):
    model = of(family)
    latents, expected = model.encode(images[:20]), model.reconstruct(images[:20])
    assert expected.dtype == np.float32
    assert_allclose(model.decode(latents), expected, atol=1e-5)
    assert_allclose(model.decode(latents.flat), expected, atol=1e-5)
    if "codes" in latents.arrays:  # alone they are enough
        assert_allclose(model.decode(Latents({"codes": latents.arrays["codes"]}, "")), expected, atol=1e-5)
    assert_array_equal(model.images(latents.flat), np.round(model.decode(latents.flat) * 255).astype(np.uint8))


@families
def test_what_is_of_another_model_is_refused(images, family):
    model = of(family)
    for latents in (np.zeros((3, 1)), np.zeros((3, 999)), np.zeros(3), Latents({"mu": np.zeros((3, 999))}, "")):
        with pytest.raises(DataError, match="not latents of this model"):
            model.decode(latents)
    for shape in ((1, 12, 13), (3, 12, 12), (1, 24, 24)):
        for work in (model.encode, model.reconstruct, of("cnn").probabilities):
            with pytest.raises(DataError, match=r"do not fit (vae|cnn)\.pth\n  expected \(1, 12, 12\)"):
                work(np.zeros((2, *shape), np.uint8))


@families
def test_draws_from_the_prior_depend_on_the_generator_alone_and_are_valid(family):
    model = of(family)
    torch.manual_seed(1)
    points = model.prior(20, np.random.default_rng(5))
    torch.manual_seed(2)
    assert_array_equal(points, model.prior(20, np.random.default_rng(5)))
    assert not np.array_equal(points, model.prior(20, np.random.default_rng(6)))
    assert points.shape == (20, model.network.dimensions)
    assert_allclose(model.valid(points), points, atol=1e-5)
    assert model.valid(points[:0]).shape == (0, model.network.dimensions)


def test_a_classifier_of_pixels_has_probabilities_and_no_latents(images):
    model = of("cnn")
    found = model.probabilities(images)
    assert found.shape == (100, 3)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(model.probabilities(ImageSet(images)), found)
    points = np.zeros((2, 3))
    for work, argument in (
        (model.encode, images), (model.reconstruct, images), (model.decode, points), (model.check_features, "mean"),
    ):  # fmt: skip
        with pytest.raises(ModelFileError, match=r"cnn\.pth is a classifier of pixels; it has no latent space"):
            work(argument)
    with pytest.raises(UsageError, match=r"vae\.pth is a model of latents"):
        of("vae").probabilities(images)


@pytest.mark.parametrize("names", [(), ("a", "b"), ("a", "b", "b"), ("a", "b", ""), ("a", "b", "c", "d")])
def test_a_classifier_that_does_not_name_its_classes_is_refused(images, names):
    model = TrainedModel("cnn", of("cnn").network, names, name="cnn.pth")
    with pytest.raises(ModelFileError, match=r"cnn\.pth does not name the classes that it tells apart"):
        model.probabilities(images)


def test_what_is_saved_is_all_that_is_known_and_the_state_of_its_training_goes(tmp_path):
    state: Path = tmp_path / "vae.pth.partial"
    state.write_bytes(b"to go on from")
    model = of("vae")
    model.class_names, model.training, model.state = ("8", "1"), {"seed": 3, "history": [{"epoch": 1.0}]}, state
    entries = model.entries()
    assert entries.keys() == {"family", "config", "image_shape", "class_names", "state_dict", "training"}
    assert (entries["class_names"], entries["image_shape"]) == (["8", "1"], [1, 12, 12])
    assert model.history == [{"epoch": 1.0}]
    with pytest.raises(OutputError):
        model.save(tmp_path / "missing" / "vae.pth")
    assert state.exists()  # until there is a checkpoint
    model.save(tmp_path / "vae.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["vae.pth"]


def test_a_device_without_enough_memory_is_told_to_take_another(images, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    model, cnn = of("vae"), of("cnn")
    points = model.encode(images).flat
    monkeypatch.setattr(model.latent_model.encoder, "forward", full)
    monkeypatch.setattr(model.latent_model.decoder, "forward", full)
    monkeypatch.setattr(cnn.pixel_classifier.layers, "forward", full)
    for work, argument in (
        (model.encode, images), (model.reconstruct, images), (model.decode, points), (cnn.probabilities, images),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"memory is full\n  with batches of 512 images\n  .*`device` cpu"):
            work(argument)
