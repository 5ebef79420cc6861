"""Models that the cells of a study train, save and load."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from latentcli.artifacts.models import load_model
from latentcli.core.errors import ModelFileError
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Listener
from latentcli.experiments.cells import Cell, Result, compute
from latentcli.formats.atomic import make_folder
from latentcli.models.trained import TrainedModel
from latentcli.training.train import Plan


def trained_once(
    how: Plan, images: ImageSet, path: Path, run: Mapping[str, Any], device: str = "cpu",
    watch: Callable[[], Any] = Listener,
) -> tuple[TrainedModel, Result]:  # fmt: skip
    """The model of a plan, loaded if it was saved before, else trained and saved; and facts of its training.

    A training that was interrupted resumes; how long it took in all is not known then, and left out.

    Args:
        how, images: the plan, and what it is carried out on.
        path: of the checkpoint, in a folder of its own.
        run: everything that the model depends on, as plain values.
        device: where it is trained.
        watch: makes a listener for the training.

    Returns:
        the model; ``epochs``, ``parameters``, and the seconds of training, by the clock and of the processors.
    """
    work = partial(_trained, how, images, path, device, watch)
    facts = compute(Cell("training", run, work), path.parent, path).result
    return kept_model(path, device), facts


def _trained(how: Plan, images: ImageSet, path: Path, device: str, watch: Callable[[], Any]) -> Result:
    from latentcli.models.backbones import count_parameters

    resumed = state_of(path).exists()
    began, processors = time.monotonic(), time.process_time()
    model = in_study(watch, path, how.carry_out, images, images.class_names, device=device)
    seconds = {"training_seconds": time.monotonic() - began, "processor_seconds": time.process_time() - processors}
    model.save(path)
    parameters = count_parameters(model.network)
    return {**({} if resumed else seconds), "epochs": len(model.history), "parameters": parameters}


def in_study(watch: Callable[[], Any], path: Path, train: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call ``train`` with a listener, entered if it is a context manager, and with state and log beside the path."""
    make_folder(path.parent)
    state, log = state_of(path), path.with_name(f"{path.stem}.metrics.jsonl")
    listener = watch()
    with listener if hasattr(listener, "__enter__") else nullcontext():
        return train(*arguments, state=state, resume=state.exists(), log=log, listener=listener, **named)


def state_of(path: Path) -> Path:
    """Where the state of a training lies until its checkpoint is written."""
    return path.with_name(f"{path.name}.partial")


def kept_model(path: Path, device: str = "cpu") -> TrainedModel:
    """The model of this checkpoint, on the device of that name.

    Raises:
        ModelFileError: the file is damaged; the study can train the model again.
    """
    try:
        return load_model(path, device)
    except ModelFileError as error:
        raise ModelFileError(error.problem, error.found, "delete it, and the same call trains it again") from error
