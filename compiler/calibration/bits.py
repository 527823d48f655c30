"""How many bits a calibrated model has, and where they go."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.calibration.formats import Criterion
from calocc.compiler.calibration.points import Role
from calocc.compiler.inputs import WIDEST

WIDEST_ARGUMENT = 12
"""Bits of the operand of a function, which a table may have to enumerate."""
MORE = 4
"""Bits that a term or an argument has beyond those of a factor."""


@dataclass(frozen=True)
class Bits:
    """Bits of weights and of activations that are multiplied, and how formats are chosen."""

    weights: int
    activations: int
    criterion: Criterion = Criterion.SQUARE

    def of(self, role: Role) -> int:
        """Bits of a quantized value."""
        if role is Role.FACTOR:
            return self.activations
        widest = WIDEST_ARGUMENT if role is Role.ARGUMENT else WIDEST
        return min(self.activations + MORE, widest)
