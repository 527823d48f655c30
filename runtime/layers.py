"""What each layer of a `qnn` module yields, by its Keras name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from calocc.compiler.ports import main_function
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.op import Array, QnnOp, is_constant, is_fixed
from calocc.runtime.emulator import execute

Reals = NDArray[np.float64]


def layer_ends(module: ModuleOp) -> dict[str, QnnOp]:
    """The last op of every layer of a `qnn` module, in order: its result is the layer's."""
    ends: dict[str, QnnOp] = {}
    for op in main_function(module).body.block.ops:
        if isinstance(op, QnnOp) and op.layer is not None and not is_constant(op.result):
            ends.pop(op.layer_name, None)
            ends[op.layer_name] = op
    return ends


def layer_values(
    module: ModuleOp, inputs: Sequence[Array], layers: Sequence[str] | None = None
) -> dict[str, Reals]:
    """The values of layers (all, if none are named) by layer name, in order of execution.

    `inputs` are arrays (events, *shape), float64 for a module on reals and mantissas for one on
    fixed-point numbers; values are float64 in both cases. Raises KeyError for an unknown layer.
    """
    ends = layer_ends(module)
    wanted = {ends[name]: name for name in (ends if layers is None else layers)}
    values: dict[str, Reals] = {}

    def observe(op: Operation, results: tuple[Array, ...]) -> None:
        if isinstance(op, QnnOp) and op in wanted:
            values[wanted[op]] = to_real(results[0], op.out.frac) if is_fixed(op) else results[0]

    execute(module, inputs, observe)
    return values


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """The values of one layer (events, *shape), fixed and real, and the format of the former."""

    fixed: Reals
    real: Reals
    format: Format

    @property
    def largest_difference(self) -> float:
        """The largest |fixed - real|."""
        return float(np.abs(self.fixed - self.real).max(initial=0.0))


def trace(
    reals: ModuleOp, fixed: ModuleOp, inputs: Sequence[Reals], mantissas: Sequence[Array]
) -> dict[str, LayerTrace]:
    """Layers that both modules have, by name, in order of execution.

    A layer whose shape lowering has changed, as it moved a quantizer, is left out.
    """
    exact, ends = layer_values(reals, inputs), layer_ends(fixed)
    return {
        name: LayerTrace(values, exact[name], ends[name].out)
        for name, values in layer_values(fixed, mantissas).items()
        if name in exact and exact[name].shape == values.shape
    }
