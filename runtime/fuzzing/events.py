"""Inputs that are hard: ends of formats, saturation, ties and their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.ports import Port
from calocc.dialects.fixed.format import Format

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

KINDS = ("anything", "ends", "small", "constant", "single", "beyond", "ties", "near ties")
"""What the events are, in turns."""


def drawn_events(ports: Sequence[Port], seed: int, events: int) -> list[Reals]:
    """So many events of every kind in turns, as reals (events, *shape) by port."""
    random = np.random.default_rng(seed)
    return [_of_port(random, port, events) for port in ports]


def _of_port(random: np.random.Generator, port: Port, events: int) -> Reals:
    assert port.format is not None
    drawn = np.empty((events, *port.shape))
    for k, kind in enumerate(KINDS):
        rows = drawn[k :: len(KINDS)]
        rows[:] = _alike(random, kind, port.format, rows.shape)
    return drawn * port.format.lsb


def _alike(random: np.random.Generator, kind: str, format: Format, shape: tuple[int, ...]) -> Reals:
    """Events (events, *shape) of one kind in units of the LSB."""
    lo, hi = format.min_mantissa, format.max_mantissa
    anything = random.integers(lo, hi + 1, shape).astype(np.float64)
    each = (shape[0], *(1 for _ in shape[1:]))
    match kind:
        case "ends":
            return np.where(random.random(shape) < 0.5, float(lo), float(hi))
        case "small":
            return np.clip(random.integers(-2, 3, shape), lo, hi).astype(np.float64)
        case "constant":
            return np.broadcast_to(random.choice([lo, hi, 0], each).astype(np.float64), shape)
        case "single":
            return np.where(random.random(shape) * prod(shape[1:]) < 1.5, anything, 0.0)
        case "beyond":
            return anything * 2.0 ** random.integers(0, 6, shape) + random.normal(0, 1, shape)
        case "ties":
            return anything + 0.5
        case "near ties":
            return anything + 0.5 + random.choice([-1, 1], shape) * 2.0**-12
        case _:
            return anything
