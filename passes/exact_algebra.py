"""`exact-algebra`: the same integers from fewer products."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.transforms.dead_code_elimination import dce

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.passes.algebra.known import fold_known, shorten_factors
from calocc.passes.algebra.padding import give_padding_to_windows
from calocc.passes.algebra.pools import place_pools
from calocc.passes.algebra.repeated import weigh_before_repeating
from calocc.passes.algebra.scales import join_lines
from calocc.passes.algebra.unread import drop_unread
from calocc.passes.algebra.wires import reshape_late


@dataclass(frozen=True)
class ExactAlgebra(ModulePass):
    """Rewrite layers such that the same integers take fewer products and memories."""

    name = "exact-algebra"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place; it must be on fixed-point numbers."""
        function = main_function(op)
        shorten_factors(function)
        give_padding_to_windows(function)
        reshape_late(function)
        bounds = intervals(function)
        fold_known(function, bounds)
        dce(op)
        join_lines(function, bounds)
        place_pools(function, bounds)
        weigh_before_repeating(function, bounds)
        drop_unread(function)
        reshape_late(function, dense=True)
        dce(op)
