"""Fewer bits than exactness takes, within a certified bound of every output.

Exactness is given up where it saves most per risk: from the outputs backwards, since what a layer
does to the result grows with the layers behind it. Each layer becomes as coarse as the bound
allows before the next one is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import Port, return_op
from calocc.passes.lowering.lowering import Lowering

COARSEST = 16
"""Steps by which a layer becomes coarser: LSB that a chain may be off, or bits that constants
which no quantizer follows lose."""


@dataclass(eq=False)
class BudgetNotReached(CaloccError):
    """A bound that even exact constants do not keep, or that cannot be certified."""

    most: float
    bound: float | None

    @property
    def where(self) -> str:
        return f"option --max-error {self.most:g}"

    @property
    def what(self) -> str:
        if self.bound is None:
            return "how far an output can be from the model is not known"
        return f"an output can be {self.bound:.3g} from the model, whatever the constants"

    @property
    def hint(self) -> str:
        return "allow more, give tables and inserted quantizers more bits, or leave the option out"


def within(function: FuncOp, inputs: Sequence[Port], most: float) -> tuple[Lowering, list[Port]]:
    """The coarsest lowering of a function whose outputs are certified to within `most`.

    Returns it with the inputs' formats. Raises BudgetNotReached, and what `Lowering` raises.
    """
    coarse: dict[str, int] = {}
    lowering, ports = _lowered(function, inputs, coarse)
    if (bound := _bound(function, lowering)) is None or bound > most:
        raise BudgetNotReached(most, bound)
    for layer in reversed(lowering.adjustable):
        steps = _coarsest(function, inputs, coarse, layer, most)
        coarse[layer] = steps
    lowering, ports = _lowered(function, inputs, coarse)
    return lowering, ports


def _coarsest(
    function: FuncOp, inputs: Sequence[Port], coarse: dict[str, int], layer: str, most: float
) -> int:
    """By how many steps a layer may become coarser, by bisection; others stay as they are."""
    low, high = 0, COARSEST
    while low < high:
        middle = (low + high + 1) // 2
        lowering, _ = _lowered(function, inputs, {**coarse, layer: middle})
        bound = _bound(function, lowering)
        low, high = (middle, high) if bound is not None and bound <= most else (low, middle - 1)
    return low


def _lowered(
    function: FuncOp, inputs: Sequence[Port], coarse: dict[str, int]
) -> tuple[Lowering, list[Port]]:
    lowering = Lowering(function, coarse=coarse)
    return lowering, lowering.run(inputs)


def _bound(function: FuncOp, lowering: Lowering) -> float | None:
    """The largest bound of all outputs; None if one of them has none."""
    bounds = [lowering.bound(value) for value in return_op(function).operands]
    known = [bound for bound in bounds if bound is not None]
    return max(known, default=0.0) if len(known) == len(bounds) else None
