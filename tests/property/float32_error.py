"""How far a float32 evaluation of a `qnn` module may be from its float64 evaluation.

Every value gets a radius: Keras, which computes the same real function in float32, is within it.
Sums and products add the classical error bound `RELATIVE` times the sum of the absolute products,
unless all numbers are multiples of one power of two below 2^24 of it, where float32 is exact. A
quantizer's radius is found by moving its argument by the argument's radius both ways: 0 away
from rounding boundaries, one or more steps on them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from calocc.compiler.ports import main_function
from calocc.dialects.fixed import exact
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    GateOp,
    IsZeroOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    SubtractOp,
)
from calocc.dialects.qnn.embedding import EmbeddingOp, rows_of
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.layer_norm import LayerNormOp
from calocc.dialects.qnn.op import QnnOp
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import FixedPoint
from calocc.dialects.qnn.recurrent import RecurrentOp, YieldOp
from calocc.dialects.qnn.softmax import SoftmaxOp

Reals = NDArray[np.float64]
RELATIVE = 1e-5
"""Error of a float32 sum relative to the sum of absolute terms: 84 roundings to 24 bits."""
ROUNDING = 2.0**-23
"""Error of a few float32 operations relative to the largest number in them."""
_FINEST = 40
_INEXACT = 400
Mix = Callable[[Reals], Reals]
_LINEAR = (DenseOp, ConvOp, DepthwiseOp, AddOp, SubtractOp, MultiplyOp, AffineOp)


@dataclass(frozen=True)
class Ball:
    """float64 values, and how far float32 ones may be from them."""

    value: Reals
    radius: Reals


def float32_balls(
    module: ModuleOp, inputs: Sequence[NDArray[Any]], folded: Collection[str] = ()
) -> list[Ball]:
    """The outputs of a module on reals, with their radii. Inputs are exact in float32.

    The constants of `folded` layers are results of float32 arithmetic themselves.
    """
    block = main_function(module).body.block
    return _block_balls(block, [_exactly(x.astype(np.float64)) for x in inputs], folded)


def _block_balls(block: Block, inputs: Sequence[Ball], folded: Collection[str]) -> list[Ball]:
    """What the terminator of a block takes."""
    balls: dict[SSAValue, Ball] = dict(zip(block.args, inputs, strict=True))
    for op in block.ops:
        operands = [balls[o] for o in op.operands]
        if isinstance(op, ReturnOp | YieldOp):
            return operands
        assert isinstance(op, QnnOp)
        if isinstance(op, RecurrentOp):
            balls[op.result] = _repeated(op, operands[0])
            continue
        (value,) = op.evaluate(*(b.value for b in operands))
        radius = _radius(op, operands, value)
        if isinstance(op, ConstantOp) and op.layer_name in folded:
            radius = RELATIVE * (1 + np.abs(value))
        balls[op.result] = Ball(value, np.broadcast_to(radius, value.shape))
    raise AssertionError("the block has no end")


def _repeated(op: RecurrentOp, x: Ball) -> Ball:
    """Step by step, as the op itself runs."""
    size = (len(x.value), op.steps, op.units, len(op.gates))
    states = [_exactly(np.zeros((len(x.value), op.units))) for _ in op.states]
    outputs: list[Ball] = []
    for step in range(op.steps):
        values, radii = (a.reshape(size)[:, step] for a in (x.value, x.radius))
        gates = [Ball(values[..., k], radii[..., k]) for k in range(len(op.gates))]
        output, *states = _block_balls(op.body.block, [*gates, *states], ())
        outputs.append(output)
    if not op.sequences:
        return outputs[-1]
    return Ball(*(np.stack([getattr(y, part) for y in outputs], 1) for part in ("value", "radius")))


def _exactly(value: Reals) -> Ball:
    return Ball(value, np.zeros(value.shape))


def _radius(op: Operation, operands: Sequence[Ball], value: Reals) -> Any:
    if isinstance(op, ConstantOp):
        return 0.0
    if isinstance(op, QuantizeOp):
        return _quantized(op, operands[0], value)
    if isinstance(op, _LINEAR):
        return _linear(op, operands)
    if isinstance(op, PoolOp) and op.kind.data is Pooling.SUM:
        return _linear(op, operands)
    if isinstance(op, InterpolateOp):
        return _interpolated(op, operands)
    if isinstance(op, BatchNormOp):
        return _normalised(op, operands)
    if isinstance(op, LeakyReluOp):
        x, slope = operands
        steepest = np.maximum(1, np.abs(slope.value))
        return steepest * x.radius + ROUNDING * _unless_exact(operands, steepest * np.abs(x.value))
    if isinstance(op, GateOp):
        return _gated(operands)
    if isinstance(op, FunctionOp):
        reach = operands[0].radius + RELATIVE * (1 + np.abs(operands[0].value))
        if op.monotone:
            around = (op.evaluate_real(operands[0].value + r) for r in (reach, -reach))
            return np.maximum(*(np.abs(y - value) for y in around)) + RELATIVE * np.abs(value)
        return 4 * reach  # slopes are below 2
    if isinstance(op, SoftmaxOp):
        reach = operands[0].radius + RELATIVE * (1 + np.abs(operands[0].value))
        return reach.max(axis=-1, keepdims=True)
    if isinstance(op, MinimumOp):
        return np.maximum(*(b.radius for b in operands))
    if isinstance(op, MaximumOp) and not isinstance(op.args[1].owner, ConstantOp):
        return np.maximum(*(b.radius for b in operands))
    if isinstance(op, MaximumOp):  # QKeras computes clip(x, -1, 1) as 2 clip(x/2 + 1/2, 0, 1) - 1
        return operands[0].radius + ROUNDING * _unless_exact(operands[:1], np.ones(value.shape))
    if isinstance(op, EmbeddingOp):
        x, table = operands
        assert not x.radius.any(), "rows that float32 may number otherwise"
        return rows_of(table.radius, x.value.astype(np.int64))
    if isinstance(op, LayerNormOp):
        return _centred(op, operands[0], value)
    if isinstance(op, IsZeroOp):
        unsure = np.abs(operands[0].value) <= operands[0].radius
        return np.where(unsure & (operands[0].radius > 0), 1.0, 0.0)
    # What is left moves or selects elements.
    assert isinstance(op, QnnOp)
    return op.evaluate_real(*(b.radius for b in operands))


def _linear(op: QnnOp, operands: Sequence[Ball]) -> Reals:
    """Of a sum of products: the operands' radii, propagated, and the rounding of the sum."""
    plus = exact.ADD.real if isinstance(op, SubtractOp) else op.evaluate_real
    size = plus(*(np.abs(b.value) for b in operands))
    reach = plus(*(np.abs(b.value) + b.radius for b in operands))
    return (reach - size) * (1 + RELATIVE) + RELATIVE * _unless_exact(operands, size, _mixed(op))


def _unless_exact(
    operands: Sequence[Ball], size: Reals, mixed: Sequence[Mix] | None = None
) -> Reals:
    """`size`, or 0 where all is exact and a multiple of a power of two that 24 bits hold.

    `mixed[k]` brings the fraction bits of operand k together that one result depends on; without
    it all operands are element-wise.
    """
    unit: Any = 0
    for k, ball in enumerate(operands):
        bits = np.where(ball.radius > 0, _INEXACT, _fraction_bits(ball.value))
        unit = unit + (mixed[k](bits) if mixed else bits)
    return np.where(size * 2.0**unit < 2**24, 0.0, size)


def _of_row(bits: Reals) -> Reals:
    return bits.max(axis=-1, keepdims=True)


def _of_all(bits: Reals) -> Reals:
    return bits.max(keepdims=False, initial=0)


def _mixed(op: QnnOp) -> Sequence[Mix] | None:
    if isinstance(op, DenseOp):
        return _of_row, _of_all
    return (_of_all, _of_all) if isinstance(op, ConvOp | DepthwiseOp | PoolOp) else None


def _fraction_bits(x: Reals) -> Reals:
    """The least number of fraction bits that each value has; `_FINEST` for too many."""
    bits = np.full(x.shape, _FINEST, np.float64)
    for count in reversed(range(_FINEST)):
        bits[np.mod(x * 2.0**count, 1.0) == 0] = count
    return bits


def _interpolated(op: InterpolateOp, operands: Sequence[Ball]) -> Reals:
    """Of a sum whose weights Keras rounds unless they are multiples of a power of two."""
    size = op.evaluate_real(np.abs(operands[0].value))
    dyadic = op.scale & (op.scale - 1) == 0
    rounded = _unless_exact(operands, size, (_of_all,)) if dyadic else size
    return op.evaluate_real(operands[0].radius) * (1 + RELATIVE) + RELATIVE * rounded


def _normalised(op: BatchNormOp, operands: Sequence[Ball]) -> Reals:
    x, *parameters = operands
    gamma, beta, mean, variance = (b.value for b in parameters)
    scale, _ = op.scale_and_offset(gamma, beta, mean, variance)
    size = np.abs(scale) * (np.abs(x.value) + np.abs(mean)) + np.abs(beta)
    return np.abs(scale) * x.radius + RELATIVE * size


def _gated(operands: Sequence[Ball]) -> Reals:
    """The function jumps up to the threshold there."""
    x, threshold, slope = operands
    steepest = np.maximum(1, np.abs(slope.value))
    size = steepest * (np.abs(x.value) + np.abs(threshold.value))
    reach = x.radius * steepest + ROUNDING * _unless_exact(operands, size)
    jumps = np.abs(x.value - threshold.value) <= x.radius + ROUNDING * np.abs(threshold.value)
    return reach + np.where(jumps, np.abs(threshold.value), 0)


def _centred(op: LayerNormOp, x: Ball, value: Reals) -> Reals:
    """Each element and the mean move by at most the largest error of a row, and so does the spread,
    which is never below the square root of epsilon.

    Sums of n terms have n roundings, and what is behind them four: of a short row much fewer than
    `RELATIVE` stands for, which would hide rows whose spread is small.
    """
    assert op.epsilon is not None
    roundings = (op.length + 4) * ROUNDING / 2
    reach = x.radius + roundings * np.abs(x.value)
    spread = np.sqrt(x.value.var(axis=-1, keepdims=True) + op.epsilon.value.data)
    relative = reach.max(axis=-1, keepdims=True) / spread
    assert (relative < 0.5).all(), "the mean is not known well enough"
    return (2 + np.abs(value)) * relative / (1 - relative) + roundings * np.abs(value)


def _quantized(op: QuantizeOp, x: Ball, value: Reals) -> Any:
    assert op.quantizer is not None
    quantizer = op.quantizer.quantizer
    if quantizer.data_dependent:
        return _fitted(op, x, value)
    # x + (xq - x) in float32, which is how QKeras returns xq, rounds unless x has few bits.
    # A cast hands back the multiple itself.
    largest = np.maximum(np.abs(x.value), np.abs(value))
    is_cast = isinstance(quantizer, FixedPoint)
    detour: Any = 0.0 if is_cast else ROUNDING * _unless_exact([x, _exactly(value)], largest)
    short = (np.mod(x.value * 2.0**10, 1.0) == 0) & (np.abs(x.value) < 2.0**10)
    reach = x.radius + ROUNDING * np.where(short, 0.0, np.abs(x.value) + 1)
    low, high = quantizer(x.value - reach), quantizer(x.value + reach)
    if quantizer.rule is None:
        size = np.maximum(np.abs(value), 1)
        powers = quantizer.NAME.endswith("po2")  # which float32 may compute inexactly
        detour = detour + ROUNDING * (size if powers else _unless_exact([x, _exactly(value)], size))
    # x + (0 - x) is 0.
    return np.maximum(np.abs(high - value), np.abs(value - low)) + np.where(value == 0, 0.0, detour)


def _fitted(op: QuantizeOp, x: Ball, value: Reals) -> Any:
    """Weights with a scale of their own: levels flip within `RELATIVE` of half a step."""
    assert op.quantizer is not None
    levels, scale = op.quantizer.quantizer.decompose(x.value)
    steps = np.divide(x.value, scale, out=np.zeros_like(value), where=scale != 0)
    reach = RELATIVE * _unless_exact([x, _exactly(steps)], 1 + np.abs(steps))
    flips = np.floor(np.abs(steps) + reach + 0.5) != np.floor(np.abs(steps) - reach + 0.5)
    inside = np.abs(steps) < np.abs(levels).max() + 0.5
    inexact = _unless_exact([x, _exactly(value)], np.abs(value))
    return np.abs(scale) * (flips & inside) + RELATIVE * inexact
