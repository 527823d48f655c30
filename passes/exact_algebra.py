"""`exact-algebra`: the same integers from fewer products."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.transforms.dead_code_elimination import dce

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.passes.algebra.pools import place_pools
from calocc.passes.algebra.repeated import weigh_before_repeating
from calocc.passes.algebra.unread import drop_unread


@dataclass(frozen=True)
class ExactAlgebra(ModulePass):
    """Rewrite layers such that the same integers take fewer products and memories."""

    name = "exact-algebra"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place; it must be on fixed-point numbers."""
        function = main_function(op)
        bounds = intervals(function)
        place_pools(function, bounds)
        weigh_before_repeating(function, bounds)
        drop_unread(function)
        dce(op)
