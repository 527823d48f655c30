"""What data show of a model: the range that each quantizer meets, and what it clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.ports import main_function
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.op import is_constant
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.runtime.emulator import EVENTS_AT_ONCE, execute

Reals = NDArray[np.float64]
Json = dict[str, Any]

WORTH_A_WARNING = 1e-3
"""The clipped fraction from which a quantizer is warned of."""


@dataclass
class Range:
    """What one quantizer has met so far; `reach` are the ends of its format."""

    layer: str
    format: Format
    reach: tuple[float, float]
    least: float = np.inf
    greatest: float = -np.inf
    clipped: int = 0
    values: int = 0

    def add(self, x: Reals) -> None:
        """Meet more values. Negative ones before an unsigned format are not clipped but cut off,
        as a rectifier does."""
        low, high = self.reach
        half = self.format.lsb / 2
        outside = x > high + half
        if self.format.signed:
            outside |= x < low - half
        self.least, self.greatest = min(self.least, x.min()), max(self.greatest, x.max())
        self.clipped += int(outside.sum())
        self.values += x.size

    def row(self) -> Json:
        """As plain data."""
        return {
            "layer": self.layer,
            "format": str(self.format),
            "reach": list(self.reach),
            "least": float(self.least),
            "greatest": float(self.greatest),
            "clipped": self.clipped / self.values,
        }


def observed_ranges(module: ModuleOp, inputs: Sequence[Reals]) -> list[Json]:
    """For each quantizer of a `qnn` module on reals that rounds and saturates: its layer, format,
    the ends of the format, the least and greatest value that met it and the fraction beyond them.

    `inputs` are arrays (events, *shape), at least one event. Weights are left out.
    """
    ranges = dict(_quantized(module))

    def meet(value: SSAValue, array: Reals) -> None:
        for use in value.uses:
            if use.operation in ranges:
                ranges[use.operation].add(array)

    def observe(op: Operation, results: tuple[Reals, ...]) -> None:
        for value, array in zip(op.results, results, strict=True):
            meet(value, array)

    for k in range(0, len(inputs[0]), EVENTS_AT_ONCE):
        events = [x[k : k + EVENTS_AT_ONCE] for x in inputs]
        for argument, x in zip(main_function(module).args, events, strict=True):
            meet(argument, x)
        execute(module, events, observe)
    return [r.row() for r in ranges.values() if r.values]


def _quantized(module: ModuleOp) -> Iterator[tuple[Operation, Range]]:
    for op in main_function(module).walk():
        if not isinstance(op, QuantizeOp) or op.quantizer is None or is_constant(op.x):
            continue
        quantizer = op.quantizer.quantizer
        if quantizer.format is not None and quantizer.rule is not None:
            low, high = quantizer(np.array([-1e30, 1e30]))
            yield op, Range(op.layer_name, quantizer.format, (float(low), float(high)))


def warnings(rows: Sequence[Json]) -> list[str]:
    """A sentence for each quantizer that clips more than a thousandth of the values."""
    return [
        f"layer {row['layer']!r} clips {row['clipped']:.2%} of its values: {row['format']} reaches "
        f"{row['reach'][0]:g} to {row['reach'][1]:g}, the data {row['least']:g} to "
        f"{row['greatest']:g}"
        for row in rows
        if row["clipped"] >= WORTH_A_WARNING
    ]
