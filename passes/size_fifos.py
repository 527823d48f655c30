"""`size-fifos`: the smallest FIFO depths that slow nothing down, with the proof that they do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import OpResult
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from calocc.compiler.network import fifos_of, network_of
from calocc.compiler.ports import main_function
from calocc.compiler.stages import Stage
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.qnn.conv import int_array
from calocc.runtime.cycles import fifo_depths, postpone, simulate, verify_depths
from calocc.runtime.hasten import hasten

EVENTS = 3
"""Events that stream back to back: the third runs in the steady state."""


def set_depths(function: FuncOp) -> None:
    """Write the depth of every FIFO on the op that fills it."""
    network = network_of(function)
    late = postpone(network, simulate(network, EVENTS))
    depths = fifo_depths(network, hasten(network, late))
    bounded = verify_depths(network, depths, EVENTS)
    if bounded.slowdown_cycles:
        raise PassFailedException(f"FIFOs slow the design by {bounded.slowdown_cycles} cycles")
    by_op: dict[DataflowOp, dict[int, int]] = defaultdict(dict)
    for channel, fifo in zip(network.channels, fifos_of(function), strict=True):
        source = fifo.source
        if isinstance(source, OpResult) and isinstance(source.op, DataflowOp):
            by_op[source.op][source.index] = depths[channel.name]
    for op, own in by_op.items():
        op.depths = int_array([own[k] for k in range(len(op.results))])


@dataclass(frozen=True)
class SizeFifos(ModulePass):
    """Size every FIFO by token simulation; prove that nothing deadlocks or slows down."""

    name = "size-fifos"
    takes = Stage.DATAFLOW

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Annotate the module in place; raise Deadlock (a CaloccError) if it gets stuck."""
        set_depths(main_function(op))
