"""How steps that repeat over time become fixed-point numbers.

A state has the format of the quantizer behind it, whatever it was before: that format is the
invariant of the loop, and all else in the step follows from it and from the rows that come in.
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import Region, SSAValue

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.recurrent import RecurrentOp, YieldOp
from calocc.passes.lowering.deviation import EXACT, UNKNOWN, Reals
from calocc.passes.lowering.errors import (
    DataDependent,
    NeedsQuantizer,
    NoCommonGrid,
    StepNeedsFormat,
)
from calocc.passes.lowering.lowering import Lowering, lowers


@lowers(RecurrentOp)
def recurrent(lowering: Lowering, op: RecurrentOp) -> None:
    """The body on fixed-point numbers; states are anything that their formats hold."""
    x = lowering.operand(op.x)
    inner = Lowering(lowering.function)
    bounds = op.gate_intervals(lowering.bounds[x])
    rows = np.full((), lowering.deviations[x].max())
    for gate, interval in zip(op.gates, bounds, strict=True):
        _argument(inner, gate, format_of(x), interval, rows)
    for state, value in zip(op.states, op.ending.args[1:], strict=True):
        format = _format(op, value)
        _argument(inner, state, format, Interval.of_format(format, shape_of(state)))
    results = _body(inner, op)
    body = Region(inner.block)
    inner.block.add_op(YieldOp(results))
    out = fixed_tensor(shape_of(op.result), format_of(results[0]))
    new = RecurrentOp(x, body, op.sequences is not None, out, op.layer_name)
    new.result.name_hint = op.result.name_hint
    deviation = _deviation(inner, results)
    lowering.values[op.result] = lowering.add(new, inner.bounds[results[0]], deviation)


def _argument(
    inner: Lowering, old: SSAValue, format: Format, bounds: Interval, deviation: Reals = EXACT
) -> None:
    new = inner.block.insert_arg(fixed_tensor(shape_of(old), format), len(inner.block.args))
    inner.values[old], inner.bounds[new], inner.deviations[new] = new, bounds, deviation


def _deviation(inner: Lowering, results: list[SSAValue]) -> Reals:
    """That of every output, if states that are exact stay exact; unknown if they do not."""
    output, *states = (inner.deviations[value] for value in results)
    return UNKNOWN if any(state.any() for state in states) else output


def _format(op: RecurrentOp, state: SSAValue) -> Format:
    """The format of the quantizer behind a state."""
    owner = state.owner
    if not isinstance(owner, QuantizeOp) or owner.quantizer is None:
        raise StepNeedsFormat(op.layer_name, "a state")
    quantizer = owner.quantizer.quantizer
    if quantizer.data_dependent:
        raise DataDependent(op.layer_name, str(quantizer))
    if quantizer.format is None:
        raise NoCommonGrid(op.layer_name, str(quantizer))
    return quantizer.format


def _body(inner: Lowering, op: RecurrentOp) -> list[SSAValue]:
    """Lower all layers of a body; the output and the next states."""
    try:
        for layer in op.layers():
            if layer not in inner.done:
                inner.lower(layer)
        return [inner.operand(value) for value in op.ending.args]
    except NeedsQuantizer as error:
        raise StepNeedsFormat(op.layer_name, f"the result of {error.function}") from None
