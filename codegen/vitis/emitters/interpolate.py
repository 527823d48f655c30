"""How interpolation is written."""

from __future__ import annotations

from calocc.codegen.vitis.cpp import fixed_type
from calocc.codegen.vitis.emitter import Emitter, emits
from calocc.dialects.dataflow.interpolate import InterpolateOp


@emits(InterpolateOp)
def _interpolate(state: Emitter, op: InterpolateOp) -> None:
    rows, columns = op.axes
    config = state.config(op).define(
        in_height=rows.length,
        in_width=columns.length,
        n_chan=op.axis(),
        height_factor=rows.factor,
        width_factor=columns.factor,
    )
    config.alias(column_t=fixed_type(op.column), accum_t=fixed_type(op.accumulator))
    state.epilogue(op, config, op.epilogue)
    state.call(op)
