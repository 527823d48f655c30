"""What must hold of an integer program besides its bits: monotone outputs, order in a softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.ports import main_function, return_op
from calocc.dialects.fixed.format import Overflow
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp, MaximumOp, MinimumOp, ReluOp, SubtractOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.movement import ConcatOp, MovementOp
from calocc.dialects.qnn.pool import PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.softmax import SoftmaxOp
from calocc.runtime.emulator import execute

Ints = NDArray[np.int64]
Way = int | None
"""1 for results that never fall where no input falls, -1 for ones that never rise, 0 for constant
ones, None where nothing is known."""


def directions(module: ModuleOp) -> list[Way]:
    """How each output of a `qnn` module on fixed-point numbers moves with the inputs."""
    ways: dict[SSAValue, Way] = dict.fromkeys(main_function(module).args, 1)
    for op in main_function(module).body.block.ops:
        for result in op.results:
            ways[result] = _way(op, [ways[o] for o in op.operands])
    return [ways[o] for o in return_op(main_function(module)).operands]


def _common(ways: Sequence[Way]) -> Way:
    """The way of what rises with all of these."""
    found = {way for way in ways if way != 0}
    return 0 if not found else found.pop() if len(found) == 1 else None


def _way(op: Operation, ways: Sequence[Way]) -> Way:
    if isinstance(op, ConstantOp):
        return 0
    if isinstance(op, QuantizeOp):
        overflow = op.modes[1]
        return ways[0] if overflow in (Overflow.SAT, Overflow.SAT_SYM) else _common([None])
    if isinstance(op, SubtractOp):
        second = ways[1]
        return _common([ways[0], None if second is None else -second])
    if isinstance(op, DenseOp | ConvolutionOp):
        return _weighted(op, ways[0])
    rising = (AddOp, MaximumOp, MinimumOp, ReluOp, MovementOp, ConcatOp, PoolOp, InterpolateOp)
    return _common(ways) if isinstance(op, rising) else None


def _weighted(op: Operation, way: Way) -> Way:
    """Sums with weights that all have one sign."""
    weights = op.operands[1].owner
    if way is None or not isinstance(weights, ConstantOp):
        return None
    values = weights.value.numpy()
    signs = set(np.sign(values[values != 0]).astype(int).tolist())
    return way * signs.pop() if len(signs) == 1 else 0 if not signs else None


def broken_order(module: ModuleOp, mantissas: Sequence[Ints]) -> str | None:
    """A softmax that gives a larger operand a smaller result; None if there is none."""
    if not any(isinstance(op, SoftmaxOp) for op in module.walk()):
        return None
    values: dict[SSAValue, Ints] = dict(zip(main_function(module).args, mantissas, strict=True))
    problems: list[str] = []

    def observe(op: Operation, results: tuple[Ints, ...]) -> None:
        values.update(zip(op.results, results, strict=True))
        if isinstance(op, SoftmaxOp) and op.operands[0] in values:
            x, y = values[op.operands[0]], results[0]
            order = np.argsort(x, axis=-1, kind="stable")
            sorted_results = np.take_along_axis(y, order, axis=-1)
            sorted_operands = np.take_along_axis(x, order, axis=-1)
            falls = np.diff(sorted_results, axis=-1) < 0
            if (falls & (np.diff(sorted_operands, axis=-1) > 0)).any():
                problems.append(f"{op.layer_name}: a larger operand has a smaller softmax")

    execute(module, mantissas, observe)
    return problems[0] if problems else None
