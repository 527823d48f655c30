"""How a layer normalisation is written."""

from __future__ import annotations

from calocc.codegen.vitis.emitter import Emitter, Weights, emits
from calocc.dialects.dataflow.layer_norm import LayerNormOp
from calocc.dialects.qnn.layer_norm import ROOT_FRAC, largest_result, reciprocal_roots


@emits(LayerNormOp)
def _layer_norm(state: Emitter, op: LayerNormOp) -> None:
    x, y, table = op.inputs[0].format, op.outputs[0], reciprocal_roots()
    name, type = f"t{state.index}", f"root{state.index}_t"
    roots = Weights(name, type, f"ap_uint<{ROOT_FRAC + 1}>", table.shape, table, 0)
    state.firmware.weights.append(roots)
    config = state.config(op).define(
        n_rows=y.size // op.length,
        n_in=op.length,
        shift=op.shift,
        limit=largest_result(op.length, y.format.frac),
    )
    largest = op.length * max(-x.min_mantissa, x.max_mantissa)
    pairs = -(-op.most_spread.bit_length() // 2)
    config.alias(
        root_t=type,
        sum_t=f"ap_int<{(2 * largest).bit_length() + 1}>",
        square_t=f"ap_uint<{(largest**2 // op.length).bit_length()}>",
        spread_t=f"ap_uint<{2 * pairs}>",
    )
    config.add([f"static spread_t offset() {{ return {op.offset.value.data}ULL; }}"])
    state.call(op, name)
