"""How processes that compute are written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calocc.codegen.vitis.cpp import Struct, fixed_type
from calocc.codegen.vitis.emitter import Emitter, Weights, emits, static_function
from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import multiplier_of
from calocc.dialects.dataflow.resources import is_in_luts
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.pool import Pooling


@emits(MatvecOp)
def _matvec(state: Emitter, op: MatvecOp) -> None:
    n, m = op.weights.shape
    simd, pe = op.simd, op.pe
    config = state.config(op).define(n_vectors=op.groups, n_pixels=op.pixels, n_in=n, n_out=m)
    in_logic, packing = op.in_logic is not None, op.packing
    config.define(
        n_packed=1 if in_logic else packing.count,
        spacing=packing.spacing,
        wide_port=multiplier_of(op).wide,
    )
    config.add(
        [
            f"static const bool in_logic = {str(in_logic).lower()};",
            f"static const bool inputs_first = {str(op.inputs_first).lower()};",
        ]
    )
    weights = folded_weights(op.weights.numpy(), pe, simd, op.inputs_first)
    _weighted(state, op, config, weights)


def _weighted(
    state: Emitter,
    op: MatvecOp | DepthwiseOp,
    config: Struct,
    mantissas: NDArray[np.int64],
) -> None:
    """What processes with weights have in common; their last axes are words of a memory."""
    format = op.weight_type.format
    name, type = f"w{state.index}", f"weight{state.index}_t"
    weights = Weights(name, type, fixed_type(format), mantissas.shape, mantissas, format.frac)
    state.firmware.weights.append(weights)
    config.alias(weight_t=type, accum_t=fixed_type(op.accumulator))
    config.add([f"static const nnet::storage weight_storage = {storage_of(mantissas, format)};"])
    state.epilogue(op, config, op.epilogue)
    state.call(op, name)


def storage_of(mantissas: NDArray[np.int64], format: Format) -> str:
    """The kind of memory for words (..., depth, elements of a word)."""
    depth, elements = mantissas.shape[-2:]
    kind = "lutram" if is_in_luts(depth, elements * format.width) else "bram"
    return f"nnet::storage::{kind}"


@emits(DepthwiseOp)
def _depthwise(state: Emitter, op: DepthwiseOp) -> None:
    taps, channels, multiplier = op.weights.shape
    config = state.config(op).define(
        n_positions=op.positions, n_taps=taps, n_chan=channels, multiplier=multiplier
    )
    weights = op.weights.numpy().reshape(-1, op.outputs[0].width)
    _weighted(state, op, config, weights)


def folded_weights(
    weights: NDArray[np.int64], pe: int, simd: int, inputs_first: bool = False
) -> NDArray[np.int64]:
    """(N, M), padded with zeros to (SF * simd, NF * pe), in the order of the kernel:
    [pe][nf * SF + sf][simd]; with `inputs_first` [pe][sf * NF + nf][simd]."""
    n, m = weights.shape
    padded = np.pad(weights, ((0, -n % simd), (0, -m % pe)))
    blocks = padded.reshape(-(-n // simd), simd, -(-m // pe), pe)
    order = (3, 0, 2, 1) if inputs_first else (3, 2, 0, 1)
    return blocks.transpose(order).reshape(pe, -1, simd)


@emits(ReduceOp)
def _reduce(state: Emitter, op: ReduceOp) -> None:
    accumulator = fixed_type(op.accumulator)
    layout, shape = op.outputs[0].layout, op.outputs[0].shape
    config = state.config(op).define(
        n_positions=layout.groups(shape),
        n_taps=op.taps,
        n_chan=op.channels,
        n_pixels=layout.pixels,
    )
    config.alias(accum_t=accumulator)
    greater = "x > acc ? accum_t(x) : acc"
    body = greater if op.kind.data is Pooling.MAX else "acc + x"
    element = f"{state.stream(op.x).type}::value_type"
    config.add(
        [f"static accum_t combine(const accum_t &acc, const {element} &x) {{ return {body}; }}"]
    )
    state.epilogue(op, config, op.epilogue)
    state.call(op)


@emits(MapOp)
def _map(state: Emitter, op: MapOp) -> None:
    y = op.outputs[0]
    config = state.config(op).define(n_beats=y.beats, n_chan=y.shape[-1], n_pixels=y.layout.pixels)
    arguments = [f"{state.stream(a).type}::value_type" for a in op.args]
    out = f"{state.stream(op.result).type}::value_type"
    config.add([static_function("apply", out, arguments, op.epilogue, y.layout.lanes)])
    state.call(op)
