"""How sums of taps are written."""

from __future__ import annotations

from calocc.codegen.vitis.cpp import fixed_type
from calocc.codegen.vitis.emitter import Emitter, emits
from calocc.dialects.dataflow.tap_sum import TapSumOp


@emits(TapSumOp)
def _tap_sum(state: Emitter, op: TapSumOp) -> None:
    taps, pixels = op.geometry, op.result.type.layout.pixels
    pixel, copy = divmod(taps.start, taps.factor)
    config = state.config(op).define(
        n_outer=op.outer,
        length=taps.length,
        n_out=taps.outputs,
        inner=op.inner,
        n_chan=op.channels,
        n_pixels=pixels,
        n_taps=taps.count,
        factor=taps.factor,
        stride=taps.stride,
        dilation=taps.dilation,
        first_copy=copy,
        span=taps.span(pixels),
        steps=taps.steps(pixels)[2],
    )
    config.add([f"static const int first_pixel = {pixel};"])
    config.alias(accum_t=fixed_type(op.accumulator))
    state.epilogue(op, config, op.epilogue)
    state.call(op)
