"""Random legal foldings: other lanes, PE and SIMD than any goal would choose."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.process import DataflowOp, most_lanes
from calocc.dialects.dataflow.stream import stream_of
from calocc.passes.balance import longest_loop
from calocc.passes.balancing.choice import Share
from calocc.passes.balancing.folding import Goal, matvecs, refold
from calocc.runtime.fuzzing.source import Seeded, Source


@dataclass(frozen=True)
class AnyGoal(Goal):
    """For every process a number of cycles of its own."""

    cycles: tuple[int, ...] = ()

    def targets(self, function: FuncOp) -> dict[Operation, int]:
        """As they were drawn, in the order of the processes."""
        ops = [op for op in function.body.block.ops if isinstance(op, DataflowOp)]
        return dict(zip(ops, self.cycles, strict=True))


def fold_at_random(module: ModuleOp, source: Source) -> None:
    """Give every process of a dataflow module a folding that it may have, in place.

    Matrix products get any SIMD, PE and pixels that fit into a beat, in logic or not; others the
    layouts that some number of cycles asks for.
    """
    function = main_function(module)
    processes = [op for op in function.body.block.ops if isinstance(op, DataflowOp)]
    longest = longest_loop(function)
    kept = [op for op in processes if op.name != "dataflow.lanes"]  # refolding makes new ones
    cycles = tuple(source.pick(longest, 1, source.integer(1, longest)) for _ in kept)
    products = matvecs(function)
    shares = tuple(Share(1, source.flag()) for _ in products)
    refold(function, AnyGoal(shares, longest, cycles), _pins(products, source))


def _pins(products: list[MatvecOp], source: Source) -> dict[str, dict[str, int]]:
    """A folding by layer; layers with several products have none."""
    names = [op.layer_name for op in products]
    return {
        op.layer_name: _pin(op, source)
        for op in products
        if names.count(op.layer_name) == 1 and source.flag()
    }


def _pin(op: MatvecOp, source: Source) -> dict[str, int]:
    """SIMD, PE and pixels of which none need divide anything."""
    (n, m), wide, high = op.weights.shape, most_lanes(stream_of(op.x)), most_lanes(op.outputs[0])
    simd, pe = source.integer(1, min(n, wide)), source.integer(1, min(m, high))
    pixels = source.integer(1, min(op.row, wide // simd, high // pe))
    return {"simd": simd, "pe": pe, "pixels": pixels}


@dataclass(frozen=True)
class RandomFolding(ModulePass):
    """Fold at random, from a seed."""

    name = "random-folding"
    seed: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        fold_at_random(op, Seeded("folding", self.seed))
