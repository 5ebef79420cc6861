"""The optimiser: PyTorch's own, step for step, without its compiler."""

import subprocess
import sys

import torch

from latentcli.numerics.optimizer import AdamW


def test_its_steps_and_its_state_are_those_of_pytorch():
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(5, 3, generator=generator), torch.randn(4, generator=generator)]
    ours, theirs = ([each.clone().requires_grad_() for each in start] for _ in range(2))
    pairs = [
        (ours, AdamW(ours, 0.1, weight_decay=0.3)),
        (theirs, torch.optim.AdamW(theirs, 0.05, weight_decay=0.3, fused=True)),
    ]
    pairs[0][1].set_lr(0.05)
    for step in range(4):
        gradients = [torch.randn(each.shape, generator=generator) for each in start]
        for parameters, optimizer in pairs:
            optimizer.zero_grad()
            assert all(parameter.grad is None for parameter in parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
            if step == 2:
                optimizer.load_state_dict(optimizer.state_dict())
            optimizer.step()
            assert all(parameter.requires_grad for parameter in parameters)
        assert all(map(torch.equal, ours, theirs))


def test_training_does_not_load_the_compiler():
    training = "import latentcli, sys; latentcli.train(latentcli.load('digits'), backbone='mlp', width=8, epochs=1)"
    asked = f"{training}; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], timeout=120).returncode == 0
