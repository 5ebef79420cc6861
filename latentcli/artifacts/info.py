"""Describes the files that latentcli writes, in plain values."""

import math
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.artifacts import graphs, parts
from latentcli.artifacts.hybrid_folders import SOFT_LABELS, HybridFolder
from latentcli.artifacts.images import read_hybrids
from latentcli.artifacts.latents import read_latents
from latentcli.artifacts.parameters import read_classifier
from latentcli.core.errors import DataError, ModelFileError
from latentcli.core.latents import ARRAYS_OF_FEATURES
from latentcli.formats import own_files
from latentcli.formats.regular_files import kind, open_regular, reason
from latentcli.numerics.history import kept

KINDS = (
    "checkpoint of a latent model", "classifier of pixels", "prior of codes", "prior of latents", "state of a training",
    "mixture", "graph", "probe", "latents", "hybrids", "predictions",
)  # fmt: skip
"""What ``describe`` knows, as the value of ``kind``."""

_TOLD = ("data", "encoder", "imported", "seed", "versions", "settings")  # of how a model was trained

Description = dict[str, Any]


def describe(path: str | Path) -> Description:
    """What a file holds, what it was made from and its metrics; with all checks of the function that reads it.

    PyTorch is loaded only for the files of networks (``.pth`` and their ``.partial``).

    Args:
        path: of a file of any of the ``KINDS``, or of a folder of hybrids or of parts, whose statistics alone are read.

    Returns:
        ``kind``, and the facts about a file of that kind by name, as JSON can hold them. Numbers that are not finite
        are None.

    Raises:
        ModelFileError: the file is missing or of no known kind, or a model file that is damaged, unsafe or changed.
        DataError: it is a damaged or unsafe file of latents or of hybrids, or a folder of damaged parts alone.

    Example:
        >>> import latentcli as lc
        >>> vae = lc.train(lc.load("digits"), backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> vae.save("vae.pth")
        >>> lc.describe("vae.pth")["kind"]
        'checkpoint of a latent model'
    """
    path = Path(path)
    if kind(path) == stat.S_IFDIR:
        made, damaged = parts.all_statistics(path), parts.damaged(path)
        if damaged and not made:
            number, why = next(iter(damaged.items()))
            raise DataError(f"{path} holds damaged parts alone", f"of {parts.path_of(path, number).name}: {why}",
                            "make them again: remove them, and the same command as before")  # fmt: skip
        if made:
            return _plain(_parts([*made.values()], {parts.path_of(path, each).name: damaged[each] for each in damaged}))
        if not (path / SOFT_LABELS).exists():
            raise _unknown(path, f"found a folder without {SOFT_LABELS}")
        return _plain(_hybrid_folder(path))
    try:
        file, _ = open_regular(path)
        with file:
            beginning = file.read(4)
    except OSError as error:
        raise ModelFileError(f"cannot read {path}", reason(error)) from error
    if beginning[:1] == b"\x80":
        return _plain(_mixture(path))
    if beginning == b"PAR1":
        return _plain(_latents(path))
    if beginning[:2] == b"PK":
        return _plain(_archive_reader(path)(path))
    raise _unknown(path, "found neither an archive nor a pickle nor a table")


def _unknown(path: Path, found: str) -> ModelFileError:
    return ModelFileError(
        f"{path} is not a file that latentcli can describe", found, f"name one of: {', '.join(KINDS)}"
    )


def _archive_reader(path: Path) -> Callable[[Path], Description]:
    """The function that describes an archive: by the names of its members or, of tensors, by their entry ``format``."""
    try:
        file, _ = open_regular(path)
        with file, zipfile.ZipFile(file) as archive:
            names = {Path(name).name for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError) as error:
        found, remedy = f"not a whole archive: {error}", "copy it again from where it is whole"
        raise ModelFileError(f"cannot read {path}", found, remedy) from error
    if "data.pkl" in names:
        return _network_reader(path)
    if own_files.kind_of(path) == "graph":
        return _graph
    if not names.isdisjoint(f"{name}.npy" for name in ARRAYS_OF_FEATURES.values()):
        return _latents
    if {"images.npy", "soft_labels.npy"} <= names:
        return _hybrid_file
    raise _unknown(path, f"found an archive of {', '.join(sorted(names)[:6]) or 'nothing'}"[:120])


def _network_reader(path: Path) -> Callable[[Path], Description]:
    from latentcli.artifacts.probes import PROBE
    from latentcli.formats import torch_zip
    from latentcli.formats.schemas import CHECKPOINT, TRAINING_STATE

    readers = {CHECKPOINT.format: _checkpoint, TRAINING_STATE.format: _training_state, PROBE.format: _probe}
    found = torch_zip.format_of(path)
    if found not in readers:
        raise _unknown(path, f"found tensors of the format {found[:40]!r}" if found else "found tensors, or damage")
    return readers[found]


def _checkpoint(path: Path) -> Description:
    from latentcli.artifacts import checkpoint
    from latentcli.models.base import LatentModel
    from latentcli.models.prior import Prior

    model = checkpoint.read(path)
    network, progress = model.network, _progress(model.training.get("history"))
    return {
        "kind": "checkpoint of a latent model" if isinstance(network, LatentModel) else network.KIND.partition(" ")[2],
        "family": model.family, "image_shape": model.image_shape,
        **({"dimensions": network.dimensions} if isinstance(network, LatentModel) else {}),
        "classes": model.class_names, "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "settings": {name: value for name, value in asdict(model.config).items() if name != "image_shape"},
        "training": {name: model.training.get(name) for name in _TOLD},
        **progress,
        **({"notes": [*model.notes]} if model.notes else {}),
        **({"fitted_on": model.fitted_on} if isinstance(network, Prior) else {}),
        "fingerprint": model.fingerprint,
    }  # fmt: skip


def _training_state(path: Path) -> Description:
    from latentcli.formats.schemas import TRAINING_STATE

    state = TRAINING_STATE.read(path, "start again without `resume`")["state"]
    identity, run = _part(state, "identity"), _part(state, "run")
    return {
        "kind": "state of a training", "family": identity.get("family"), "settings": identity.get("model"),
        "training": {"data": identity.get("data"), "settings": identity.get("training")},
        "step": run.get("step"), **_progress(run.get("history")),
    }  # fmt: skip


def _probe(path: Path) -> Description:
    from latentcli.artifacts import probes

    params = probes.read(path)
    return {
        "kind": "probe", "probe": params["kind"], "features": params["features"], "inputs": params["inputs"],
        "classes": params["classes"], "settings": params["settings"],
        **_progress(params["history"], "val_accuracy"), "fitted_on": params["checkpoint"],
    }  # fmt: skip


def _mixture(path: Path) -> Description:
    from latentcli.classifiers.mixture import params as mixture_params

    params = read_classifier(path)
    mixture, _, classes = mixture_params.from_params(params)
    plane = mixture_params.projection(params, mixture)
    components, dimensions = mixture.means.shape
    return {
        "kind": "mixture", "classifier": params["kind"], "classes": classes.tolist(),
        "components": components, "covariance_type": mixture.covariance_type,
        "dimensions": dimensions if plane is None else len(plane.offset), "fitted_dimensions": dimensions,
        **({"notes": [*mixture.notes]} if mixture.notes else {}), "fitted_on": params["checkpoint"],
    }  # fmt: skip


def _graph(path: Path) -> Description:
    from latentcli.classifiers.graph import params as graph_params

    params = graphs.read(path)
    found = graph_params.from_params(params)
    return {
        "kind": "graph", "features": found["features"], "classes": found["classes_"].tolist(),
        "points": len(found["points_"]), "dimensions": found["n_features_in_"], "labels": len(found["labels_"]),
        "neighbours": found["n_neighbors"], "method": found["method_"], "temperature": found["temperature_"],
        **{f"left_out_accuracy_{name}": value for name, value in found["left_out_accuracy_"].items()},
        "components": found["components_"], "unreached": found["unreached_"], "fitted_on": params["checkpoint"],
    }  # fmt: skip


def _latents(path: Path) -> Description:
    latents = read_latents(path)
    return {
        "kind": "latents", "images": len(latents),
        "arrays": {name: array.shape for name, array in sorted(latents.arrays.items())},
        "classes": latents.class_names, "labelled": int(latents.labels.known.sum()),
        "files": latents.files is not None, "checkpoint": latents.checkpoint,
    }  # fmt: skip


def _parts(made: Sequence[Mapping[str, Any]], damaged: Mapping[str, str]) -> Description:
    """Of a folder of parts, from their statistics, with those that are not what these say, and why."""
    failures = Counter[str]()
    for facts in made:
        failures.update(facts.get("failures", {}))
    return {
        "kind": made[0]["holds"], "images": sum(facts["images"] for facts in made), "failed": failures.total(),
        "failures": dict(failures.most_common()), "parts": len(made), "damaged": damaged,
        "shards": max(facts["shards"] for facts in made),
        "settings": made[0]["settings"], "checkpoint": made[0]["checkpoint"],
    }  # fmt: skip


def _hybrid_file(path: Path) -> Description:
    arrays = read_hybrids(path)
    count, height, width, *channels = arrays["images"].shape
    return _hybrids(count, (*(channels or [1]), height, width), arrays["classes"].tolist(), arrays["soft_labels"])


def _hybrid_folder(path: Path) -> Description:
    folder = HybridFolder.read(path)
    height, width, channels = folder.shape
    return _hybrids(len(folder.files), (channels, height, width), folder.classes, folder.soft_labels)


def _hybrids(count: int, image_shape: tuple[int, ...], classes: Any, soft_labels: np.ndarray) -> Description:
    return {
        "kind": "hybrids", "images": count, "image_shape": image_shape, "classes": classes,
        "mean_confidence": float(soft_labels.max(axis=1).mean()),
    }  # fmt: skip


def _progress(history: Any, best_by: str | None = None) -> Description:
    """The number of epochs, and the metrics of the one whose weights were kept.

    Args:
        history: one row of numbers by name per epoch; anything else counts as no epochs.
        best_by: the name of an accuracy that decides before the loss on the images held out does, of equals the first,
            as probes have it; None: as ``kept`` says.
    """
    rows = [
        row
        for row in (history if isinstance(history, list | tuple) else ())
        if isinstance(row, Mapping) and all(type(value) in (int, float) for value in row.values())
    ]
    if best_by is None or not rows:
        return {"epochs": len(rows), "metrics": rows[kept(rows)] if rows else {}}
    scored = [row for row in rows if math.isfinite(row.get("val_loss", math.nan))]
    best = min(scored, key=lambda row: (-row.get(best_by, 0.0), row["val_loss"]), default=rows[-1])
    return {"epochs": len(rows), "metrics": best}


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = content.get(name)
    return part if isinstance(part, Mapping) else {}


def _plain(value: Any) -> Any:
    """The value as JSON can hold it; a value of any other type, such as a tensor, becomes the name of its type."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else type(value).__name__
