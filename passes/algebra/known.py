"""Values that can be one number only become constants.

The interval of such a value is a point: layers of constants, and what never leaves a bound of its
quantizer. Streams carry no constants, so a known value is put where its users take one: into
elementwise layers, and from rows of a dense layer into what is added to its results.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue, Use
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp, AffineOp, ElementwiseOp, MultiplyOp
from calocc.dialects.qnn.movement import ConcatOp
from calocc.dialects.qnn.op import (
    Mantissas,
    QnnOp,
    fixed_tensor,
    format_of,
    is_fixed,
    shape_of,
    tensor_of,
)
from calocc.dialects.qnn.windows import exact_matmul

Bounds = dict[SSAValue, Interval]


def known_values(function: FuncOp, bounds: Bounds) -> Bounds:
    """The computed values that consist of numbers (channels,) which the intervals tell."""
    found: Bounds = {}
    for op in function.body.block.ops:
        if isinstance(op, QnnOp) and is_fixed(op.result) and not isinstance(op, ConstantOp):
            channels = bounds[op.result].broadcast(shape_of(op.result)).collapse()
            if np.array_equal(channels.lo, channels.hi):
                found[op.result] = channels
    return found


def _inputs(values: Iterable[SSAValue], without: Container[SSAValue] = ()) -> set[SSAValue]:
    """The arguments of a function that values depend on, but not by way of certain others."""
    found, waiting = set[SSAValue](), [v for v in values if v not in without]
    seen = set(waiting)
    while waiting:
        value = waiting.pop()
        if isinstance(value.owner, Block):
            found.add(value)
            continue
        new = [o for o in value.owner.operands if o not in seen and o not in without]
        seen.update(new)
        waiting += new
    return found


def _foldable(function: FuncOp, known: Bounds) -> Bounds:
    """Known values without which every input is read still: streams have to end somewhere."""
    returned = function.get_return_op()
    assert returned is not None
    kept = _inputs(returned.operands, without=known)
    return {value: numbers for value, numbers in known.items() if _inputs([value]) <= kept}


def minimal_constant(known: Interval, layer: str) -> ConstantOp:
    """A constant of the fewest bits that hold these numbers, once if they are all the same."""
    values = known.lo.reshape(-1)
    values = values[:1] if (values == values[0]).all() else values
    return _shortest(values, known.frac, layer)


def _shortest(values: Mantissas, frac: int, layer: str) -> ConstantOp:
    """A constant without the bits that are zeros in all of its numbers."""
    bits = int(np.bitwise_or.reduce(np.abs(values), axis=None))
    zeros = (bits & -bits).bit_length() - 1 if bits else 0
    shifted = Interval.constant(values >> np.int64(zeros), frac - zeros)
    return ConstantOp.fixed(shifted.lo, shifted.format(), layer)


def shorten_factors(function: FuncOp) -> None:
    """Multiply by constants of the fewest bits: by a power of two with one."""
    for op in list(function.body.block.ops):
        if not isinstance(op, ConstantOp) or not is_fixed(op.result):
            continue
        if all(_is_factor(use) for use in op.result.uses):
            short = _shortest(op.value.numpy(), op.out.frac, op.layer_name)
            if short.out.width < op.out.width:
                Rewriter.replace_op(op, short)


def _is_factor(use: Use) -> bool:
    """Whether a layer multiplies by an operand, and adds products exactly whatever their bits."""
    layer = use.operation
    if isinstance(layer, DenseOp | ConvolutionOp):
        return use.index == 1
    return isinstance(layer, MultiplyOp) or (isinstance(layer, AffineOp) and use.index == 1)


def fold_known(function: FuncOp, bounds: Bounds) -> None:
    """Replace known operands of a function's layers where they may be constants; bound new
    values."""
    known = known_values(function, bounds)
    foldable = _foldable(function, known)
    for op in list(function.body.block.ops):
        if isinstance(op, QnnOp) and op.result in known:
            continue  # whoever takes the result will not need the operands
        if isinstance(op, ElementwiseOp):
            _fold_operands(op, foldable, bounds)
        elif isinstance(op, DenseOp):
            _fold_features(op, foldable, bounds)


def _fold_operands(op: ElementwiseOp, foldable: Bounds, bounds: Bounds) -> None:
    """An elementwise layer needs one operand of the result's shape that is computed."""
    whole = [o for o in op.operands if shape_of(o) == shape_of(op.result)]
    if all(o in foldable or isinstance(o.owner, ConstantOp) for o in whole):
        return
    for k, operand in enumerate(op.operands):
        if operand in foldable:
            constant = minimal_constant(foldable[operand], op.layer_name)
            op.operands[k] = _inserted(constant, op, bounds)


def _fold_features(op: DenseOp, foldable: Bounds, bounds: Bounds) -> None:
    """dense(concat(a, known), w) -> dense(a, part of w) + known * the rest of w"""
    concat, weights = op.x.owner, op.w.owner
    if not isinstance(concat, ConcatOp) or not isinstance(weights, ConstantOp):
        return
    shapes = [shape_of(a) for a in concat.args]
    known = [foldable.get(a) for a in concat.args]
    if concat.axis.value.data != len(shapes[0]) - 1 or all(k is None for k in known):
        return
    rows = np.split(weights.value.numpy(), np.cumsum([s[-1] for s in shapes])[:-1])
    kept = [k for k, numbers in enumerate(known) if numbers is None]
    x = _joined(concat, [concat.args[k] for k in kept], op, bounds)
    rest = ConstantOp.fixed(
        np.concatenate([rows[k] for k in kept]), weights.out, weights.layer_name
    )
    matrix, frac = _inserted(rest, op, bounds), format_of(op.x).frac
    given = [_weighed(k, r, frac) for k, r in zip(known, rows, strict=True) if k is not None]
    bias = Interval.constant(np.sum(given, axis=0), frac + weights.out.frac)
    sums = _inserted(DenseOp(x, matrix, tensor_of(op.result), op.layer_name), op, bounds)
    if bias.lo.any():
        sums = _narrowed(sums, format_of(x).frac + weights.out.frac, bounds)
        constant = _inserted(minimal_constant(bias, op.layer_name), op, bounds)
        sums = _inserted(AddOp((sums, constant), tensor_of(op.result), op.layer_name), op, bounds)
    Rewriter.replace_op(op, [], [sums])


def _weighed(known: Interval, rows: Mantissas, frac: int) -> Mantissas:
    """What known features add to the results."""
    return exact_matmul(known.aligned(frac).lo.reshape(1, -1), rows)[0]


def _joined(concat: ConcatOp, parts: list[SSAValue], op: QnnOp, bounds: Bounds) -> SSAValue:
    """Some of the operands of a concatenation, in the format that they need."""
    if len(parts) == 1:
        return parts[0]
    joined = ConcatOp(parts, concat.axis.value.data, layer=concat.layer_name)
    frac = max(format_of(p).frac for p in parts)
    return _narrowed(_inserted(joined, op, bounds), frac, bounds)


def _inserted(op: QnnOp, before: QnnOp, bounds: Bounds) -> SSAValue:
    """The result of a new layer in front of another one, bounded."""
    Rewriter.insert_op(op, InsertPoint.before(before))
    bounds[op.result] = op.interval(*(bounds[o] for o in op.operands)).compact()
    return op.result


def _narrowed(value: SSAValue, frac: int, bounds: Bounds) -> SSAValue:
    """A value in the narrowest format with so many fraction bits."""
    known = bounds.pop(value)
    type = fixed_tensor(shape_of(value), known.aligned(frac).format())
    value = Rewriter.replace_value_with_new_type(value, type)
    bounds[value] = known
    return value
