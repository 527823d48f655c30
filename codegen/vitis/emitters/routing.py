"""How processes that move elements are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calocc.codegen.vitis.cpp import literals
from calocc.codegen.vitis.emitter import Emitter, Stream, emits
from calocc.dialects.dataflow.routing import (
    BufferOp,
    ConcatOp,
    ForkOp,
    LanesOp,
    PadOp,
    UpsampleOp,
    WindowOp,
)
from calocc.dialects.dataflow.slice import SliceOp


@emits(WindowOp)
def _window(state: Emitter, op: WindowOp) -> None:
    taken, given = op.inputs[0].layout, op.outputs[0].layout
    shape, window = op.geometry(taken, given), op.window
    config = state.config(op).define(
        in_height=shape.image[0],
        in_width=shape.image[1],
        n_chan=shape.image[2],
        in_pixels=taken.pixels,
        out_pixels=given.pixels,
        filt_height=window.height,
        filt_width=window.width,
        stride_height=window.strides[0],
        stride_width=window.strides[1],
        dilation_height=window.dilation[0],
        dilation_width=window.dilation[1],
        pad_top=window.padding.top,
        pad_left=window.padding.left,
        out_height=shape.output[0],
        out_width=shape.output[1],
        trips=op.schedule().trips,
    )
    config.add([_pad_value(state.stream(op.x), op.fill.value.data)])
    state.call(op)


def _pad_value(stream: Stream, mantissa: int) -> str:
    (text,) = literals(np.array([mantissa]), stream.stream.format.frac)
    return f"static {stream.type}::value_type pad_value() {{ return {text}; }}"


@emits(ForkOp)
def _fork(state: Emitter, op: ForkOp) -> None:
    state.config(op).define(n_beats=op.inputs[0].beats)
    state.call(op, types=(state.stream(op.x).type,))


@emits(LanesOp)
def _lanes(state: Emitter, op: LanesOp) -> None:
    box, (pixels, channels) = op.gearbox, op.gearbox.held
    rows, width, last = box.image
    state.config(op).define(
        n_rows=rows,
        n_width=width,
        n_chan=last,
        in_pixels=box.taken.pixels,
        out_pixels=box.given.pixels,
        held_pixels=pixels,
        held_chan=channels,
        trips=box.trips,
    )
    state.call(op)


@emits(ConcatOp)
def _concat(state: Emitter, op: ConcatOp) -> None:
    outer, (a, b) = op.blocks()
    state.config(op).define(n_outer=outer, inner_a=a * op.width, inner_b=b * op.width)
    state.call(op)


@emits(PadOp)
def _pad(state: Emitter, op: PadOp) -> None:
    height, width, channels = op.inputs[0].shape
    pad = op.edges
    config = state.config(op).define(
        in_height=height,
        in_width=width,
        n_chan=channels,
        pad_top=pad.top,
        pad_bottom=pad.bottom,
        pad_left=pad.left,
        pad_right=pad.right,
    )
    config.add([_pad_value(state.stream(op.result), 0)])
    state.call(op)


@emits(SliceOp)
def _slice(state: Emitter, op: SliceOp) -> None:
    outer, inner, first, count = op.rows
    state.config(op).define(n_outer=outer, inner=inner, first=first, count=count)
    state.call(op)


@emits(UpsampleOp)
def _upsample(state: Emitter, op: UpsampleOp) -> None:
    height, width, channels = op.inputs[0].shape
    down, across = op.factors.get_values()
    state.config(op).define(
        in_height=height,
        in_width=width,
        n_chan=channels,
        height_factor=down,
        width_factor=across,
    )
    state.call(op)


@emits(BufferOp)
def _buffer(state: Emitter, op: BufferOp) -> None:
    blocks = op.blocks(op.width)
    config = state.config(op).define(
        n_outer=blocks.outer, n_words=blocks.words, rank=len(blocks.sizes)
    )
    config.add([_of_axis("size", blocks.sizes), _of_axis("stride", blocks.strides)])
    state.call(op)


def _of_axis(name: str, values: Sequence[int]) -> str:
    """A function from an axis to its entry of `values`."""
    numbers = ", ".join(map(str, values))
    table = f"const unsigned values[] = {{{numbers}}};"
    return f"static unsigned {name}(unsigned axis) {{ {table} return values[axis]; }}"
