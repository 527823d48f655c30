"""`lower-to-fixed`: reals become fixed-point numbers; the only pass that sets numerics.

Sums and products become exact, in formats computed from intervals with the actual weights. Real
constants without a finite form (batch norm scales, slopes, 1/area, tables) are met in chains
that end in a quantizer, and get the fewest bits for which the quantized result equals the
float64 reference on every reachable operand; see `calocc.passes.lowering.chain`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.compiler.ports import (
    input_ports,
    main_function,
    output_ports,
    replace_body,
    return_op,
    set_ports,
)
from calocc.compiler.stages import Stage
from calocc.passes.lowering import embedding, layer_norm, recurrent, softmax
from calocc.passes.lowering.budget import Search
from calocc.passes.lowering.lowering import Lowering

BUILT_IN = (embedding, layer_norm, recurrent, softmax)
"""Modules whose import fills the registry of rules."""


@dataclass(frozen=True)
class LowerToFixed(ModulePass):
    """Replace reals by fixed-point numbers; the only pass that sets numerics.

    `policy` is `exact`, or `budget` for the fewest bits with which no output can be further than
    `max_error` from the model. `exact_argmax` lets no two operands of a softmax that differ have
    the same greatest result.
    """

    name = "lower-to-fixed"
    takes = Stage.QNN

    policy: Literal["exact", "budget"] = "exact"
    max_error: float = 0.0
    exact_argmax: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rebuild `main` in place; raise CaloccError for what cannot be lowered."""
        function, outputs = main_function(op), output_ports(op)
        start = partial(Lowering, function, exact_argmax=self.exact_argmax)
        if self.policy == "budget":
            search = Search(
                lambda coarse: start(coarse=coarse), function, input_ports(op), self.max_error
            )
            lowering, inputs = search.run()
        else:
            lowering = start()
            inputs = lowering.run(input_ports(op))
        bounds = [lowering.bound(value) for value in return_op(function).operands]
        replace_body(function, lowering.block)
        certified = zip(outputs, bounds, strict=True)
        set_ports(function, inputs, [replace(port, bound=bound) for port, bound in certified])
