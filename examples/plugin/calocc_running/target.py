"""`-t process-graph`: the processes of a design as a graph for Graphviz."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.target import Target

from calocc.compiler.network import fifos_of, processes_of
from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.process import ProcessOp


@dataclass(frozen=True)
class ProcessGraph(Target):
    """Print a node per process and an edge per FIFO."""

    name = "process-graph"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        """Write the graph of a dataflow module."""
        function = main_function(module)
        number = {op: k for k, op in enumerate(processes_of(function))}
        output.write("digraph {\n")
        for op, k in number.items():
            output.write(f'  p{k} [label="{op.layer_name}\\n{op.name}"]\n')
        for fifo in fifos_of(function):
            producer, consumer = fifo.source.owner, fifo.consumer
            if isinstance(producer, ProcessOp) and isinstance(consumer, ProcessOp):
                output.write(f"  p{number[producer]} -> p{number[consumer]}\n")
        output.write("}\n")
