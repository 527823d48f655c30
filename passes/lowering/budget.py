"""Fewer bits than exactness takes, within a certified bound of every output.

Exactness is given up where it saves most per risk: from the outputs backwards, since what a layer
does to the result grows with the layers behind it. Each layer becomes as coarse as the bound
allows before the next one is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


Start = Callable[[Mapping[str, int]], Lowering]
"""A new lowering of a function, some of whose layers are coarser."""


@dataclass(frozen=True)
class Search:
    """The coarsest lowering whose outputs are certified to within `most`."""

    start: Start
    function: FuncOp
    inputs: Sequence[Port]
    most: float

    def run(self) -> tuple[Lowering, list[Port]]:
        """The lowering, run, and the inputs' formats.

        Raises BudgetNotReached, and what `Lowering` raises.
        """
        coarse: dict[str, int] = {}
        lowering, ports = self._lowered(coarse)
        if (bound := self._bound(lowering)) is None or bound > self.most:
            raise BudgetNotReached(self.most, bound)
        for layer in reversed(lowering.adjustable):
            coarse[layer] = self._coarsest(coarse, layer)
        lowering, ports = self._lowered(coarse)
        return lowering, ports

    def _coarsest(self, coarse: Mapping[str, int], layer: str) -> int:
        """By how many steps a layer may be coarser, by bisection; others stay as they are."""
        low, high = 0, COARSEST
        while low < high:
            middle = (low + high + 1) // 2
            bound = self._bound(self._lowered({**coarse, layer: middle})[0])
            kept = bound is not None and bound <= self.most
            low, high = (middle, high) if kept else (low, middle - 1)
        return low

    def _lowered(self, coarse: Mapping[str, int]) -> tuple[Lowering, list[Port]]:
        lowering = self.start(coarse)
        return lowering, lowering.run(self.inputs)

    def _bound(self, lowering: Lowering) -> float | None:
        """The largest bound of all outputs; None if one of them has none."""
        bounds = [lowering.bound(value) for value in return_op(self.function).operands]
        known = [bound for bound in bounds if bound is not None]
        return max(known, default=0.0) if len(known) == len(bounds) else None
