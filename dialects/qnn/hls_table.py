"""Functions as hls4ml tabulates them (`nnet_utils/nnet_activation.h`). Free of xDSL and hls4ml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.quantizers import FixedPoint, Quantizer

Array = NDArray[np.float64]


def _sigmoid(x: Array) -> Array:
    """In the types of `sigmoid_fcn_float`: single precision, but for the quotient."""
    denominator = np.float32(1) + np.exp(-x.astype(np.float32))
    return (1.0 / denominator.astype(np.float64)).astype(np.float32).astype(np.float64)


def _softplus(x: Array) -> Array:
    """In the types of `softplus_fcn_float`."""
    power = np.exp(x.astype(np.float32)).astype(np.float64)
    return np.log(power + 1.0).astype(np.float32).astype(np.float64)


TABLES: Mapping[str, tuple[Callable[[Array], Array], int]] = {
    "sigmoid": (_sigmoid, 16),
    "softplus": (_softplus, 16),
    "tanh": (np.tanh, 8),
}
"""The functions, and over how long an interval around 0 their tables reach."""


@dataclass(frozen=True)
class HlsTable(Quantizer):
    """`table[clip(trunc(x size/reach) + size/2, 0, size - 1)]`, entries cast to a type.

    Entry k is the function at `(k - size/2) reach/size`; so each holds for numbers from its own
    away from zero. `bits`, `integer`, `signed`, `rounding` and `overflow` are those of
    `FixedPoint`.
    """

    NAME: ClassVar[str] = "hls_table"

    bits: int
    integer: int
    signed: bool = True
    rounding: str = Rounding.TRN
    overflow: str = Overflow.WRAP
    function: str = "tanh"
    size: int = 1024

    def __post_init__(self) -> None:
        self._require("function", self.function in TABLES, f"is none of {', '.join(TABLES)}")
        power = 16 <= self.size <= 1 << 16 and self.size & (self.size - 1) == 0
        self._require("size", power, "must be a power of two from 16 to 65536")
        object.__setattr__(self, "rounding", self._type.rounding)
        object.__setattr__(self, "overflow", self._type.overflow)

    @property
    def _type(self) -> FixedPoint:
        return FixedPoint(self.bits, self.integer, self.signed, self.rounding, self.overflow)

    @property
    def reach(self) -> int:
        """The length of the interval that the table covers."""
        return TABLES[self.function][1]

    @property
    def entries(self) -> Array:
        """The table."""
        steps = np.arange(self.size, dtype=np.float64) - self.size // 2
        return self._type(TABLES[self.function][0](steps * (self.reach / self.size)))

    @property
    def index(self) -> FixedPoint:
        """The cast of an operand to the number whose entry is read."""
        integer = self.reach.bit_length() - 1
        bits = self.size.bit_length() - 1
        return FixedPoint(bits, integer, True, Rounding.TRN_ZERO, Overflow.SAT)

    @property
    def format(self) -> Format:
        return self._type.format

    @property
    def monotone(self) -> bool:
        return bool((np.diff(self.entries) >= 0).all())

    def __call__(self, x: Array) -> Array:
        steps = np.rint(self.index(x) * (self.size / self.reach)).astype(np.int64)
        return self.entries[steps + self.size // 2]


SIGNATURE = (HlsTable, "bits integer signed rounding overflow function size")
"""How `quantizers.parse` reads it."""
