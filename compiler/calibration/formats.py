"""Formats and scales that data need: pure arithmetic on arrays."""

from __future__ import annotations

from enum import StrEnum
from math import ceil, frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding

Reals = NDArray[np.float64]

FURTHEST = 32
"""Bits between the binary point and the nearest bit of a format."""
TAIL = 1e-4
"""The fraction of the values that the percentile criterion gives up."""
CLIPS = np.linspace(1.0, 0.4, 25)
"""Fractions of the largest weight at which the square criterion tries to clip."""


class Criterion(StrEnum):
    """What a format is chosen for."""

    RANGE = "range"
    """All values that were seen."""
    PERCENTILE = "percentile"
    """All but a ten-thousandth of them."""
    SQUARE = "mse"
    """The least mean square error."""


def format_for(values: NDArray[Any], bits: int, criterion: Criterion) -> Format:
    """A format of `bits` bits for values like these; signed if any is negative."""
    x = np.asarray(values, np.float64).reshape(-1)
    signed = bool((x < 0).any())
    widest = Format(signed, bits, _integer_bits(float(np.abs(x).max(initial=0))) + signed)
    if criterion is Criterion.RANGE:
        return widest
    if criterion is Criterion.PERCENTILE:
        reach = float(np.quantile(np.abs(x), 1 - TAIL))
        return Format(signed, bits, _integer_bits(reach) + signed)
    choices = [Format(signed, bits, widest.integer - k) for k in range(6)]
    choices = [c for c in choices if c.integer - signed >= -FURTHEST] or [widest]
    return min(choices, key=lambda format: _square_error(x, format))


def _integer_bits(reach: float) -> int:
    """The bits left of the binary point of magnitudes up to `reach`, not counting a sign."""
    return max(frexp(reach)[1], -FURTHEST)


def _square_error(x: Reals, format: Format) -> float:
    rounded = to_real(quantize_real(x, format, Rounding.RND_CONV, Overflow.SAT), format.frac)
    return float(np.mean((rounded - x) ** 2))


def levels_of(
    weights: NDArray[Any], bits: int, channels: int, criterion: Criterion
) -> tuple[Reals, Reals]:
    """Integers of `bits` bits, symmetric about 0, and the real scale of each channel.

    Channels lie on the last `channels` axes; the scale has the shape of these axes, and
    levels * scale are the weights that are left. Raises ValueError for fewer than 2 bits.
    """
    if bits < 2:
        raise ValueError("levels that are symmetric about 0 need 2 bits")
    w = np.asarray(weights, np.float64)
    rows = w.reshape(-1, int(np.prod(w.shape[w.ndim - channels :])))
    largest = np.abs(rows).max(axis=0)
    most = 2 ** (bits - 1) - 1
    full = np.where(largest > 0, largest, 1.0) / most
    scale = _clipped(rows, largest, full, most, criterion)
    levels = np.clip(np.rint(rows / scale), -most, most)
    return levels.reshape(w.shape), scale.reshape(w.shape[w.ndim - channels :])


def _clipped(rows: Reals, largest: Reals, full: Reals, most: int, criterion: Criterion) -> Reals:
    """The scale of each column; `full` is the one with which the largest weight just fits."""
    if criterion is Criterion.RANGE:
        return full
    if criterion is Criterion.PERCENTILE:
        kept = ceil((1 - TAIL) * len(rows)) - 1
        reach = np.sort(np.abs(rows), axis=0)[kept]
        return np.where(reach > 0, reach, np.maximum(largest, full)) / most
    errors = [_level_errors(rows, full * clip, most) for clip in CLIPS]
    return full * CLIPS[np.argmin(errors, axis=0)]


def _level_errors(rows: Reals, scale: Reals, most: int) -> Reals:
    rounded = np.clip(np.rint(rows / scale), -most, most) * scale
    return ((rounded - rows) ** 2).sum(axis=0)
