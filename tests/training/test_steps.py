"""Steps that ask the host for nothing: refused ones change nothing, and recorded ones do what called ones do."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentcli.core.errors import FitError
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create
from latentcli.numerics.replay import WARM, Replayer
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples
from latentcli.training.loop import Callbacks, Interrupted, Run
from latentcli.training.steps import Means, Steps, changed_by_forward

CONFIG = TrainingConfig(epochs=3, batch_size=16, held_out=0.0, seed=3)
SETTINGS = {
    "vae": {}, "low": {"latent_dim": 2, "beta_warmup": 0.5}, "views": {"views": "scans", "agreement": 1.0},
    "vqvae": {}, "fsq": {}, "cnn": {},
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", SETTINGS)
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
devices = ["cpu", pytest.param("cuda", marks=cuda)]


def made(kind: str, device: str = "cpu"):
    if kind in PIXEL_CLASSIFIERS:
        config = PIXEL_CLASSIFIERS[kind].Config((1, 8, 8), classes=3, width=16)
        return create(kind, config, 3).to(device)
    family = kind if kind in FAMILIES else "vae"
    settings = {"width": 32, "latent_dim": 5} | ({"components": 3} if family == "vae" else {}) | SETTINGS[kind]
    return create(family, FAMILIES[family].Config((1, 8, 8), **settings), 3).to(device).train()


def batches(kind: str, count: int, device: str = "cpu") -> list[list[torch.Tensor]]:
    random = np.random.default_rng(1)
    images = torch.from_numpy(random.integers(0, 256, (count, 16, 1, 8, 8), dtype=np.uint8)).to(device)
    targets = torch.from_numpy(random.dirichlet(np.ones(3), (count, 16)).astype(np.float32)).to(device)
    return [
        [image, target] if kind in PIXEL_CLASSIFIERS else [image] for image, target in zip(images, targets, strict=True)
    ]


def contents(model) -> list[bytes]:
    tensors = [*model.state_dict().values(), *model.training_state().values()]
    return [tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() for tensor in tensors]


@kinds
def test_a_refused_step_and_all_after_it_change_nothing(kind):
    """No one asks before the end, as on CUDA; the counts are of the steps that were taken."""

    def ended(good: int, then: int):
        model = made(kind)
        steps, loss = Steps(model, CONFIG), model.loss
        for number, batch in enumerate(batches(kind, 9)[: good + then]):
            if number == good:
                model.loss = lambda *given: replace(terms := loss(*given), total=terms.total * math.nan)
            steps.take(batch, number, 1e-3, 0.7)
        seen, counts = steps.seen(), {name: count for name, (_, count) in steps.sums.state().items()}
        assert (seen.taken, seen.refused, math.isnan(seen.loss)) == (good, then > 0, then > 0)
        moments = [values["exp_avg"].numpy().tobytes() for values in steps.state()["optimizer"]["state"].values()]
        taken = [float(values["step"]) for values in steps.state()["optimizer"]["state"].values()]
        return contents(model), moments, taken, counts, steps.sums.result()

    for one, other in zip(ended(4, 0), ended(4, 5), strict=True):
        assert one == other


@kinds
def test_losses_of_one_phase_do_not_depend_on_how_far_training_is(kind):
    """Else a recorded step would go on with a weight of long ago."""
    begun = made(kind)
    steps = Steps(begun, CONFIG)
    for number, batch in enumerate(batches(kind, 3)):
        steps.take(batch, number, 1e-3, 0.7)
    (images, *targets) = batches(kind, 1)[0]
    batch = (images.float() / 255, *targets) if targets else images.float() / 255
    found: dict = {}
    for progress in np.linspace(0, 1, 21):
        model = copy.deepcopy(begun)
        total = model.loss(batch, torch.Generator().manual_seed(1), progress).total
        values = (float(total.detach()), model.state_dict())
        found.setdefault(model.phase(progress), []).append(values)
    assert any(len(same) > 1 for same in found.values())
    for same in found.values():
        assert len({total for total, _ in same}) == 1
        for _, state in same[1:]:
            assert all(torch.equal(tensor, same[0][1][name]) for name, tensor in state.items())


def test_a_model_that_says_nothing_of_its_phases_is_never_recorded():
    class Other(FAMILIES["vae"]):
        def phase(self, progress):
            return super(FAMILIES["vae"], self).phase(progress)

    assert Other(FAMILIES["vae"].Config((1, 8, 8), width=16)).phase(0.5) is None
    assert made("cnn").phase(0.5) is not None
    assert create("cnn", PIXEL_CLASSIFIERS["cnn"].Config((1, 8, 8), classes=3, mixup=0.5), 3).phase(0.5) is None


def test_means_are_over_the_images_that_have_a_term_and_begin_anew_when_cleared():
    means, losses = Means(torch.device("cpu")), made("vae").loss(torch.rand(4, 1, 8, 8), torch.Generator())
    two, other = replace(losses, total=torch.tensor(2.0), terms={}), torch.tensor(5.0)
    means.add(two, 10)
    means.add(replace(two, total=torch.tensor(8.0), terms={"other": other}), 5)
    means.add(replace(two, terms={"never": torch.tensor(torch.nan)}), 5, torch.tensor(False))
    assert means.result() == {"loss": 4.0, "other": 5.0}
    again = Means(torch.device("cpu"), means.state())
    again.add(two, 15)
    assert again.result() == {"loss": 3.0, "other": 5.0}
    again.clear()
    assert again.result() == {}


def test_elsewhere_than_on_cuda_every_call_is_an_ordinary_one():
    called = []
    replayer = Replayer(torch.device("cpu"), torch.Generator())
    for number in range(WARM + 3):
        replayer(lambda tensor: called.append(int(tensor)), [torch.tensor(number)], "key")
    assert called == list(range(WARM + 3))


@cuda
@kinds
def test_recorded_steps_do_what_called_ones_do(kind, monkeypatch):
    ends = []
    for record in (True, False):
        model = made(kind, "cuda")
        if not record:
            monkeypatch.setattr(model, "phase", lambda progress: None)
        steps = Steps(model, CONFIG)
        with steps.replayer.stream():
            for number, batch in enumerate(batches(kind, 12, "cuda")):
                steps.take(batch, number, 1e-3 * (number + 1), number / 12)
            assert bool(steps.replayer.graphs) == record
            seen = steps.seen()
        ends.append(([tensor.float().cpu() for tensor in model.state_dict().values()], seen.loss))
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-2)
    for one, other in zip(ends[0][0], ends[1][0], strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)  # sums without an order, see ``Run``


@cuda
@kinds
def test_a_step_asks_the_host_for_nothing(kind):
    model = made(kind, "cuda")
    monitored = Steps(model, CONFIG)
    monitored.replayer.calls.clear()
    with monitored.replayer.stream():
        some = batches(kind, 6, "cuda")
        for number in range(2):
            monitored.take(some[number], number, 1e-3, 0.7)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for number in range(2, 6):
                monitored._step(some[number], 0.7)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def ended(kind: str, device: str, stop_after: int = -1) -> tuple[list[np.ndarray], list[float], list[bytes]]:
    """Of a run that is stopped after so many steps and resumed: the rows of its batches, its losses, the model."""
    images = np.random.default_rng(0).integers(0, 256, (70, 1, 8, 8), dtype=np.uint8)
    targets = np.random.default_rng(1).dirichlet(np.ones(3), 70).astype(np.float32)
    examples = Examples(images, np.arange(60), np.arange(60, 70), targets if kind in PIXEL_CLASSIFIERS else None)
    saved: list = [None]
    count = iter(range(1, 1_000))
    while True:
        model = made(kind, device)
        run = Run(model, examples, CONFIG, saved[-1])
        rows = [batch for epoch in range(CONFIG.epochs) for batch in run.batches(epoch)]
        try:
            history = run.fit(Callbacks(save_state=saved.append, interrupted=lambda: next(count) == stop_after))
        except Interrupted:
            continue
        return rows, [value for row in history for name, value in row.items() if "loss" in name], contents(model)


@pytest.mark.parametrize("device", devices)
@kinds
def test_a_seed_gives_the_same_batches_and_losses_again_and_after_an_interruption(kind, device):
    """On the CPU the same bytes; on CUDA to rounding, since sums have no order there, see ``Run``."""
    rows, losses, model = ended(kind, device)
    assert len(losses) >= CONFIG.epochs
    for stop_after in (-1, 5):
        again, same, other = ended(kind, device, stop_after)
        assert all(np.array_equal(one, two) for one, two in zip(rows, again, strict=True))
        if device == "cpu":
            assert (same, other) == (losses, model)
        else:
            assert same == pytest.approx(losses, rel=2e-2)


@pytest.mark.parametrize("device", devices)
def test_a_loss_that_is_not_finite_ends_a_run_with_the_last_good_weights(device):
    """Also on CUDA, where the host learns of it some steps later."""
    model, saved = made("vae", device), []
    factor, count, original = torch.ones((), device=device), iter(range(1, 1_000)), model.loss

    def loss(*arguments):
        terms = original(*arguments)
        return replace(terms, total=terms.total * factor)

    def interrupted() -> bool:
        if next(count) == 6:
            factor.fill_(math.inf)
        return False

    model.loss = loss
    images = np.random.default_rng(0).integers(0, 256, (70, 1, 8, 8), dtype=np.uint8)
    with pytest.raises(FitError, match="not finite at step 7 of 15"):
        Run(model, images, CONFIG).fit(Callbacks(save_state=saved.append, interrupted=interrupted))
    assert saved[-1]["step"] == 6
    assert all(tensor.isfinite().all() for tensor in saved[-1]["model"].values())


def test_a_step_keeps_what_the_forward_pass_changes_and_nothing_else():
    """Moving averages and statistics of normalisations; not those of a part that is never in training."""

    class Frozen(torch.nn.Sequential):
        def train(self, mode=True):
            return super().train(False)

    model = made("vqvae")
    model.frozen = Frozen(torch.nn.Conv2d(1, 1, 3), torch.nn.BatchNorm2d(1)).requires_grad_(False)
    kept = {tensor.data_ptr() for tensor in changed_by_forward(model)}
    state, learned = model.state_dict(), {name for name, each in model.named_parameters() if each.requires_grad}
    fixed = {name for name in state if name.endswith(".bias")} - learned
    assert "encoder.layers.0.bias" in fixed
    expected = {name for name in state if name not in learned | fixed and not name.startswith("frozen")}
    assert {name for name, tensor in state.items() if tensor.data_ptr() in kept} == expected
    assert {"quantiser.vectors", "quantiser.counts", "quantiser.sums", "quantiser.updates"} <= expected
