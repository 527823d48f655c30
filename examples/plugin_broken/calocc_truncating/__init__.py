"""`cheap-casts`: casts without an adder. A pass with a mistake, for calocc-fuzz to find.

Rounding half to even takes an adder in hardware and truncation none, but only a cast that cuts no
bits off may truncate in the place of rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.universe import Universe

from calocc.compiler.plugins import Placement
from calocc.compiler.stages import Stage
from calocc.dialects.fixed.format import Rounding
from calocc.dialects.fixed.types import RoundingAttr
from calocc.dialects.qnn.op import format_of
from calocc.dialects.qnn.quantize import QuantizeOp


@dataclass(frozen=True)
class CheapCasts(ModulePass):
    """Let casts truncate that need not round."""

    name = "cheap-casts"
    takes = Stage.FIXED

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        for cast in op.walk():
            # The mistake: >= would be right.
            if isinstance(cast, QuantizeOp) and cast.out.frac <= format_of(cast.x).frac:
                cast.rounding = RoundingAttr(Rounding.TRN)


UNIVERSE = Universe(all_passes={CheapCasts.name: lambda: CheapCasts})
PLACEMENT = Placement(CheapCasts.name, after="narrow-widths")
