"""`partition-streams`: layers on tensors become processes joined by streams.

Every stream inside carries one element per beat; `balance` widens them. The streams at the ports
carry one pixel (the last axis) per beat, as hls4ml's `io_stream` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.compiler.ports import (
    input_ports,
    main_function,
    output_ports,
    replace_body,
    set_ports,
)
from calocc.compiler.stages import Stage
from calocc.passes.partitioning import (
    elementwise,
    embedding,
    interpolate,
    layer_norm,
    layers,
    recurrent,
    tap_sum,
)
from calocc.passes.partitioning.partition import Partition

BUILT_IN = (elementwise, embedding, interpolate, layer_norm, layers, recurrent, tap_sum)
"""Modules whose import fills the registry of rules."""


@dataclass(frozen=True)
class PartitionStreams(ModulePass):
    """Turn layers on tensors into processes joined by streams."""

    name = "partition-streams"
    takes = Stage.FIXED

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rebuild `main` in place; it must be on fixed-point numbers."""
        inputs, outputs = input_ports(op), output_ports(op)
        function = main_function(op)
        partition = Partition()
        for argument in function.args:
            partition.input(argument)
        for layer in function.body.block.ops:
            partition.lower(layer)
        replace_body(function, partition.block)
        set_ports(function, inputs, outputs)
