"""How a softmax is written."""

from __future__ import annotations

from calocc.codegen.vitis.emitter import Emitter, Weights, emits
from calocc.dialects.dataflow.compute import SoftmaxOp


@emits(SoftmaxOp)
def _softmax(state: Emitter, op: SoftmaxOp) -> None:
    table, length = op.table.numpy(), op.outputs[0].shape[-1]
    width = int(table.max()).bit_length()
    name, type = f"t{state.index}", f"exp{state.index}_t"
    exps = Weights(name, type, f"ap_uint<{width}>", (len(table),), table, 0)
    state.firmware.weights.append(exps)
    config = state.config(op).define(
        n_rows=op.outputs[0].size // length, n_in=length, table_size=len(table)
    )
    total = (int(table.max()) * length).bit_length()
    config.alias(exp_t=type, sum_t=f"ap_uint<{total}>")
    state.call(op, name)
