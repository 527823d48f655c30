"""Draws stored numbers: ordinary ones, and those on which compilers stumble."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.runtime.fuzzing.source import Source

KINDS = ("normal", "coarse", "zeros", "largest", "alternating", "ties", "sparse", "tiny", "wide")
"""How the numbers of a tensor are distributed; `KINDS[0]` is what training leaves behind."""


def drawn(source: Source, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The weight of that name, as float32 or, where Keras stores integers, as int8."""
    random = np.random.default_rng(source.seed())
    short = name.rpartition("/")[2]
    if short in _STORED:
        return _STORED[short](random, shape)
    kind = source.pick("normal", "coarse", *KINDS)
    values = _values(random, kind, shape)
    return (np.abs(values) + 0.1 if short == "moving_variance" else values).astype(np.float32)


def _values(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    normal = random.normal(0, 0.7, shape)
    match kind:
        case "coarse":
            return np.rint(normal * 16) / 16
        case "zeros":
            return np.zeros(shape)
        case "largest":
            return np.full(shape, random.choice([-100.0, 100.0]))
        case "alternating":
            return random.choice([-100.0, 100.0], shape)
        case "ties":
            return (random.integers(-8, 8, shape) + 0.5) / 2.0 ** random.integers(0, 6)
        case "sparse":
            return np.where(random.random(shape) < 0.8, 0.0, normal)
        case "tiny":
            return normal * 2.0**-12
        case "wide":
            return normal * 2.0 ** random.integers(-6, 4, shape)
        case _:
            return normal


def _bits(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return random.integers(1, 8, shape).astype(np.int8)


def _integers(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return random.integers(-1, 5, shape).astype(np.int8)


def _signs(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return random.integers(0, 2, shape).astype(np.int8)


def _least(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return -np.abs(random.normal(0, 2, shape)).astype(np.float32)


def _most(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return -_least(random, shape)


_STORED = {
    "bits": _bits,
    "integers": _integers,
    "keep_negative": _signs,
    "ema_min": _least,
    "ema_max": _most,
}
"""Numbers that have a meaning of their own."""
