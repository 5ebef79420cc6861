"""Randomness by seed, purpose and index."""

import hashlib

import torch


def generator_for(seed: int, purpose: str, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator that is a function of its arguments alone: seed, purpose ("order", "noise" …), step or epoch.

    Randomness by purpose and index, instead of one stream that is used up, lets a run go on from any step
    without its generators' states, and keeps one draw from shifting all later ones.
    """
    return torch.Generator(device=device).manual_seed(seed_of(seed, purpose, index))


def seed_of(seed: int, purpose: str, index: int = 0) -> int:
    """What ``generator_for`` seeds its generator with."""
    key = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(key[:8], "little") >> 1
