"""From images to a trained model, in one call."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from latentcli.core import device as devices
from latentcli.core import processes
from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.progress import Listener
from latentcli.core.rows import Rows
from latentcli.core.settings import check_known
from latentcli.formats import state_dict
from latentcli.formats.schemas import fingerprint
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, PRIORS, create
from latentcli.models.augmentation import AUTO, VIEWS, views_of
from latentcli.models.base import LatentModel, ModelConfig, PixelClassifier
from latentcli.models.pretrained.finding import FoundEncoder, find
from latentcli.models.trained import TrainedModel
from latentcli.training import mixing
from latentcli.training.config import (
    FINE_TUNE_LR,
    LABELLED_FRACTION,
    MAY_DIFFER,
    START_LR,
    ClassifierTrainingConfig,
    TrainingConfig,
)
from latentcli.training.examples import Examples, check_teachable, check_varied
from latentcli.training.identity import check_same, identity, identity_of, provenance
from latentcli.training.measured import STEPS_TO_MEASURE, measures
from latentcli.training.observed import Draw
from latentcli.training.resumable import fit

FEW = 1_000
"""Images below which none are held out by default beside a trained encoder. The latents stand, and what the decoder
makes of a handful of images it never saw gets worse from the first epoch on: the weights kept would draw grey."""

AnyConfig = TypeVar("AnyConfig", bound=TrainingConfig)


def train(
    images: ImageSet, *, model: str | None = None, continue_from: TrainedModel | None = None,
    classes: int | None = None, device: str = "auto",
    state: str | Path | None = None, resume: bool = True, finished: TrainedModel | None = None,
    log: str | Path | None = None, listener: Listener | None = None, **settings: Any,
) -> TrainedModel:  # fmt: skip
    """Train a latent-variable model on images, without their labels.

    Args:
        images: two or more.
        model: a model family: a name in ``FAMILIES``; None: that of ``continue_from``, or else "vae".
        continue_from: a model with whose weights, and settings, a new run begins, on the same images or on others of
            their shape; the optimiser, the learning rate and the count of epochs begin anew.
        classes: how many classes to expect in the latent space, 0 where that is unknown; None: as many as the labels
            name.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        state: file from which an interrupted training resumes; ``TrainedModel.save`` removes it. None keeps none.
        resume: whether to resume from that file if it exists.
        finished: what this very run came to earlier: it is returned, and nothing is trained; None: it has not ended.
        log: file with the metrics of each epoch, one JSON object a line.
        listener: is told how the training goes, as ``Snapshots`` and ``TensorBoard`` are; ``Listeners`` makes one of
            several.
        settings: of the model (``latent_dim``, ``backbone``, ``loss`` …; ``views`` "auto" or None: what ``views_of``
            says of the images) and of its training (``epochs``, ``lr``,
            ``seed`` …); ``latentcli settings`` lists them. None leaves a default.

    Raises:
        UsageError: an unknown family, device or setting, a value out of range, another than ``continue_from`` has, or
            other settings or data than those of the state, or of the ``finished`` run.
        DataError: there is only one image, all are the same, or they do not fit ``continue_from``.
        FitError: the loss is not finite.
        KeyboardInterrupt: after Ctrl-C, or a SIGTERM; the state was saved.

    Example:
        >>> import latentcli as lc
        >>> vae = lc.train(lc.load("digits"), model="vqvae", codes=8, latent_dim=4, width=32, epochs=1, seed=0)
        >>> vae.image_shape, len(vae.history)
        ((1, 8, 8), 1)
    """
    check_teachable(images)
    if continue_from is not None:
        return _continued(
            continue_from, images, model, settings,
            device=device, state=state, resume=resume, finished=finished, log=log, listener=listener,
        )  # fmt: skip
    model = "vae" if model is None else model
    count = len(images.labels.names) if classes is None else classes
    return plan(model, images, count or None, settings).carry_out(
        images, images.class_names,
        device=device, state=state, resume=resume, finished=finished, log=log, listener=listener,
    )  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What is settled before a model of latents is trained.

    Attributes:
        family: a name in ``FAMILIES``.
        network, training: the two configurations.
        encoder: that is trained already; None where the model trains its own.
    """

    family: str
    network: ModelConfig
    training: TrainingConfig
    encoder: FoundEncoder | None

    def identity(self, images: ImageSet) -> dict[str, Any]:
        """The ``identity`` of the run on these images."""
        run = identity(
            self.family, self.network, self.training, images.name, {"images": images.images}, **_spans(images)
        )
        return run if self.encoder is None else run | {"encoder": self.encoder.facts}

    def carry_out(self, images: ImageSet, class_names: tuple[str, ...], **how: Any) -> TrainedModel:
        """The trained model; ``how`` are the last arguments of ``trained``."""
        found = {} if self.encoder is None else self.encoder.network.state_dict()
        weights = {f"encoder.{name}": tensor for name, tensor in found.items()}
        run = self.identity(images)
        examples = Examples.of_images(images.images, self.training, images.labels)
        return trained(self.family, self.network, self.training, examples, run, class_names, weights, **how)


def plan(family: str, images: ImageSet, classes: int | None, settings: Mapping[str, Any]) -> Plan:
    """How a model of these images is trained: with settings by name, which may name an encoder that is trained already.

    Raises:
        UsageError: an unknown setting, or a value out of range; or there is no such encoder.
        ModelFileError: the encoder's weights cannot be read.
    """
    encoder = _encoder(FAMILIES[family].Config, settings)
    if encoder is None:
        settings = with_views(FAMILIES[family].Config, images, settings)
    else:
        few = {"held_out": 0.0} if len(images) < FEW and settings.get("held_out") is None else {}
        settings = {**settings, "encoder": encoder.name, **few}
    return Plan(family, *configure(FAMILIES[family].Config, TrainingConfig, images.shape, classes, settings), encoder)


def _continued(
    start: TrainedModel, images: ImageSet, model: str | None, settings: Mapping[str, Any], **how: Any
) -> TrainedModel:  # fmt: skip
    """What ``train`` returns where it begins with a model; ``how`` are the last arguments of ``trained``."""
    if isinstance(start.network, PixelClassifier):
        raise UsageError(
            f"{start.name} is a classifier of pixels, which is trained on labels", "expected a model of latents",
            f"go on with it by: latentcli train-cnn DATA --continue-from {start.name}",
        )  # fmt: skip
    config = start.latent_network.config
    if model not in (None, start.family):
        raise UsageError(f"`model` is {model}, and {start.name} is a {start.family}", None, "leave out `model`")
    decided = asdict(config)
    if settings.get("views") == AUTO:
        settings = {**settings, "views": None}
    settings = _begun(start, images, {name: decided[name] for name in config.settable()}, settings)
    settings = {"lr": START_LR} | settings
    if len(images) < FEW and decided.get("encoder") is not None:
        settings = {"held_out": 0.0} | settings
    _, training = configure(type(config), TrainingConfig, images.shape, None, settings)
    run = identity(
        start.family, config, training, images.name, {"images": images.images}, start=start.fingerprint,
        **_spans(images),
    )  # fmt: skip
    run |= _facts_of_encoder(start)
    weights = start.network.state_dict()
    examples = Examples.of_images(images.images, training, images.labels)
    return trained(start.family, config, training, examples, run, images.class_names, weights, **how)


def _facts_of_encoder(start: TrainedModel | None) -> dict[str, Any]:
    """What a checkpoint says of an encoder that was trained elsewhere, where the model to begin with has one."""
    facts = None if start is None else start.training.get("encoder")
    return {} if facts is None else {"encoder": facts}


def _spans(images: ImageSet) -> dict[str, Any]:
    """What a checkpoint says of pixels of more than 8 bits; nothing where there were none."""
    return {"spans": {kind: list(span) for kind, span in images.spans.items()}} if images.spans else {}


def _encoder(config: type[ModelConfig], settings: Mapping[str, Any]) -> FoundEncoder | None:
    """The trained encoder that the settings name, where the family takes one; None for none."""
    name = settings.get("encoder")
    if name is None:
        return None
    if "encoder" not in config.settable():
        families = [family for family in FAMILIES if "encoder" in FAMILIES[family].Config.settable()]
        raise UsageError(
            "this model trains an encoder of its own", f"a trained one is taken by: {', '.join(families)}",
            "leave out `encoder`, or take such a `model`",
        )  # fmt: skip
    return find(str(name), state_dict.read, state_dict.digest)


def train_cnn(
    images: ImageSet, val: ImageSet | None = None, *, start: TrainedModel | None = None,
    hybrids: mixing.Hybrids | None = None,
    labelled_fraction: float | None = None, finish: float | None = None, labels_per_class: int | None = None,
    device: str = "auto", state: str | Path | None = None, resume: bool = True, finished: TrainedModel | None = None,
    log: str | Path | None = None, listener: Listener | None = None, **settings: Any,
) -> TrainedModel:  # fmt: skip
    """Train a convolutional classifier of pixels on labelled images, and on hybrids if there are any.

    Args:
        images: some of them labelled.
        val: labelled images to validate with; None holds some of ``images`` out, if there are many.
        start: a model to begin with: a classifier of pixels, with whose weights, settings and classes a new run
            begins; or a model of latents, whose encoder is the classifier's then; one that was trained elsewhere
            stays as it is, unless ``fine_tune`` is True. None: a network of its own.
        hybrids: images with soft labels, as ``latentcli.read_hybrids`` gives them.
        labelled_fraction: fraction of an epoch's images that are labelled ones, not hybrids, in [0, 1].
        finish: fraction of all steps, at the end, that are trained on labelled images alone.
        labels_per_class: learn from this many labels of each class only.
        device, state, resume, finished, log, listener, settings: as for ``train``.

    Raises:
        UsageError: an unknown setting, a value out of range, one that means nothing without hybrids, or one that
            ``start`` decides; or its encoder cannot be taken over.
        DataError: no labels, too few of a class, one class only, images of unlike shapes, or all the same; or classes
            that the classifier to begin with does not have.
        FitError: the loss is not finite.
        KeyboardInterrupt: after Ctrl-C, or a SIGTERM; the state was saved.

    Example:
        >>> import latentcli as lc
        >>> cnn = lc.train_cnn(lc.load("digits"), labels_per_class=5, width=16, epochs=1, min_steps=0)
        >>> cnn.class_names[:3]
        ('0', '1', '2')
    """
    for name, value in (("labelled_fraction", labelled_fraction), ("finish", finish or None)):
        if value is not None and hybrids is None:
            raise UsageError(
                f"`{name}` is {value:g}, and there are no hybrids", "it says how labelled images and hybrids are mixed",
                "give some: `hybrids`",
            )  # fmt: skip
    fraction = LABELLED_FRACTION if labelled_fraction is None else labelled_fraction
    seed = int(settings.get("seed") or 0)
    labelled = mixing.labelled(images, labels_per_class, seed)
    names = mixing.classes_of(labelled, hybrids)
    config, settings = PIXEL_CLASSIFIERS["cnn"].Config, settings | {"finish": finish}
    weights: Mapping[str, Tensor] = {}
    if start is not None:
        weights, decided, names = _from_start(start, names, images.name)
        settings = _begun(start, images, decided, settings)
    elif settings.get("encoder") is not None:
        raise UsageError(
            "a classifier has a trained encoder from a model of latents", "`encoder` alone names no weights",
            f"train one, and begin with it: latentcli train DATA --encoder {settings['encoder']}; `start`",
        )  # fmt: skip
    if hybrids is None:
        check_teachable(labelled)
    if val is not None and len(val) > 1:
        check_varied(val)
    network_config, loop_config = configure(config, ClassifierTrainingConfig, images.shape, len(names), settings)
    if start is not None and start.family == "cnn":
        network_config = start.config
    if start is not None and settings.get("lr") is None:
        loop_config = replace(loop_config, lr=begun_lr(network_config))
    examples = mixing.examples(labelled, names, loop_config, val, hybrids, fraction)
    counts: dict[str, Any] = {"labelled": len(labelled), "hybrids": 0 if hybrids is None else len(hybrids["images"])}
    if start is not None:
        counts["start"] = start.fingerprint
    arrays = {name: array for name, array in vars(examples).items() if isinstance(array, np.ndarray | Rows)}
    run = identity("cnn", network_config, loop_config, images.name, arrays, **counts, labelled_fraction=fraction,
                   **_spans(images))  # fmt: skip
    run |= _facts_of_encoder(start)
    return trained(
        "cnn", network_config, loop_config, examples, run, names,
        weights,
        device=device, state=state, resume=resume, finished=finished, log=log, listener=listener,
    )  # fmt: skip


def _from_start(
    start: TrainedModel, names: tuple[str, ...], data: str
) -> tuple[Mapping[str, Tensor], dict[str, Any], tuple[str, ...]]:
    """Weights, settings and class names of a classifier that begins with this model.

    Args:
        start: a classifier of pixels, or a model of latents.
        names: of the classes that it is to learn, from data of this name.

    Raises:
        DataError: the classifier does not have one of these classes.
        UsageError: the encoder of the model of latents cannot be a classifier's.
    """
    if not isinstance(start.network, PixelClassifier):
        family, latent_model = PIXEL_CLASSIFIERS["cnn"], start.latent_network
        return family.weights_of(latent_model.encoder), family.Config.encoder_of(latent_model.config), names
    if unknown := [name for name in names if name not in start.class_names]:
        raise DataError(
            f"{data} has classes that {start.name} does not: {', '.join(unknown)}",
            f"it tells {', '.join(start.class_names)} apart",
            "leave them out with `classes`, or train a new classifier",
        )  # fmt: skip
    config = asdict(start.config)
    decided = {name: config[name] for name in start.config.settable()}
    return start.network.state_dict(), decided, start.class_names


def begun_lr(config: ModelConfig) -> float:
    """The default learning rate of a classifier with this configuration that begins with a model.

    It is the usual one where the encoder stays as it is, since there is nothing that it could undo.
    """
    if getattr(config, "encoder", None) is None:
        return START_LR
    return FINE_TUNE_LR if config.fine_tune else ClassifierTrainingConfig.lr  # type: ignore[attr-defined]


def _begun(
    start: TrainedModel, images: ImageSet, decided: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings of a training that begins with a model, which has decided some of them.

    Raises:
        DataError: the images are of another shape than the model's.
        UsageError: a setting is another than the model's.
    """
    if start.image_shape != images.shape:
        raise DataError(
            f"the images do not fit {start.name}",
            f"expected {start.image_shape} (channels, height, width), found {images.shape}",
            "load them for this model: `image_shape`",
        )
    given = {name: value for name, value in settings.items() if value is not None}
    for name in decided.keys() & given.keys():
        if given[name] != decided[name]:
            raise UsageError(
                f"`{name}` is {given[name]}, and {start.name}, to begin with, has {decided[name]}",
                "its weights and settings stay together", f"leave out `{name}`, or train a new model",
            )  # fmt: skip
    return given | {name: value for name, value in decided.items() if value is not None}


def trained(
    family: str, network_config: ModelConfig, loop_config: TrainingConfig, examples: Examples,
    run: Mapping[str, Any], class_names: tuple[str, ...],
    weights: Mapping[str, Tensor] | None = None, *, device: str = "auto", state: str | Path | None = None,
    resume: bool = True, finished: TrainedModel | None = None, log: str | Path | None = None,
    listener: Listener | None = None, draw: Draw | None = None,
) -> TrainedModel:  # fmt: skip
    """Create a network of a registered family and train it; the result has its provenance and fingerprint.

    Args:
        family: a name in ``FAMILIES``, ``PIXEL_CLASSIFIERS`` or ``PRIORS``.
        network_config, loop_config: the two configurations; the seed is the latter's.
        examples, run: as ``Run`` takes them, and their ``identity``.
        class_names: kept with the model.
        weights: of parts of the network that are trained already, by their names in its ``state_dict``.
        device, state, resume, finished, log, listener: as for ``train``.
        draw: as ``fit`` takes it.
    """
    if finished is not None:
        again = "leave out `resume` for a new run"
        if family not in PRIORS:
            begun = "`start`" if family in PIXEL_CLASSIFIERS else "`continue_from`"
            again += f", which may begin with these weights: {begun}"
        found, wanted = identity_of(finished), dict(run)
        if family not in FAMILIES:  # these tell classes apart
            found, wanted = ({**each, "classes": {"names": list(names)}}
                             for each, names in ((found, finished.class_names), (wanted, class_names)))  # fmt: skip
        check_same(found, wanted, f"the run of {finished.name}, which has ended,", again, MAY_DIFFER)
        return finished
    processes.join(device)
    state, log = (None if each is None else Path(each) for each in (state, log))
    listener = listener or Listener()
    there = devices.resolve(device)
    network = create(family, network_config, loop_config.seed, there)
    fresh = bool(network.load_state_dict(weights or {}, strict=False).missing_keys)
    listener.configured(network_config, loop_config, str(there))
    history = fit(
        network, examples, loop_config, identity=run, fresh=fresh, state=state, resume=resume, log=log,
        listener=listener, draw=draw,
    )  # fmt: skip
    facts = provenance(run, history)
    steps = len(history) * loop_config.steps_for(len(examples.train_rows))
    sees_once = getattr(network_config, "encoder", None)
    if isinstance(network, LatentModel) and not sees_once and steps >= STEPS_TO_MEASURE:
        facts |= measures(network, examples)
    model = TrainedModel(family, network.eval(), class_names, facts, state=state)
    model.fingerprint = fingerprint(model.entries())
    return model


def with_views(model: type[ModelConfig], images: ImageSet, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with the views that suit the images where the model takes some and none are named."""
    views = settings.get("views")
    if "views" in model.settable() and views not in (None, AUTO, "none", *VIEWS):
        expected = f"expected one of: {', '.join([AUTO, *VIEWS, 'none'])}"
        raise UsageError(f"`views` is {views!r}", expected)
    chosen = "views" in model.settable() and views in (None, AUTO)
    return {**settings, "views": views_of(images.images)} if chosen else dict(settings)


def configure(
    model: type[ModelConfig], training: type[AnyConfig], image_shape: Shape, classes: int | None,
    settings: Mapping[str, Any], facts: Mapping[str, Any] | None = None,
) -> tuple[ModelConfig, AnyConfig]:  # fmt: skip
    """The two configurations of a training, from settings that may name any field of either.

    Args:
        model, training: the classes of the two configurations.
        image_shape: channels, height and width of the images.
        classes: how many classes the images are known to have; None when that is unknown.
        settings: values by name; None leaves a default.
        facts: further ones about the data, for fields of the model's that no setting gives.

    Raises:
        UsageError: an unknown setting, or a value out of range.
    """
    values = {name: value for name, value in settings.items() if value is not None}
    of_training, of_model = {field.name for field in fields(training)}, model.settable()
    check_known(
        values, of_training | of_model,
        f"of the model: {', '.join(sorted(of_model))}", f"of the training: {', '.join(sorted(of_training))}",
    )  # fmt: skip
    chosen = {name: value for name, value in values.items() if name in of_model}
    of_data = model.for_data(image_shape, classes, facts, **chosen)
    return of_data, training(**{**of_data.training_defaults(), **{n: v for n, v in values.items() if n in of_training}})


def check_named(images: ImageSet, asked: str = "") -> None:
    """Raise a ``DataError`` for labels that cannot name clusters: none, all of one class, or of images
    that are the same; before a long training.

    Args:
        images: that have, or lack, the labels.
        asked: what needs them, as the user has called it.
    """
    if not images.labels.any:
        problem = f"{images.name} has no labels to name the clusters with"
        needed = f", which {asked} needs" if asked else ""
        raise DataError(
            problem, f"{images.labels_looked_for}{needed}", "give some: `labels` names a table or an .npy file of them"
        )
    if len(images.labels.occurring) < 2:
        found = f"found {images.labels.occurring[0]!r} alone; a mixture tells two or more apart"
        way_on = "" if "VAL" in asked else ", or train without labels: `no_classes`"
        raise DataError(
            f"all labels of {images.name} are of one class", found, f"label images of another class{way_on}"
        )
    check_varied(images, images.labels.known)
