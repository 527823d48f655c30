"""How a table of rows is written."""

from __future__ import annotations

from calocc.codegen.vitis.cpp import fixed_type
from calocc.codegen.vitis.emitter import Emitter, Weights, emits
from calocc.codegen.vitis.emitters.compute import storage_of
from calocc.dialects.dataflow.embedding import EmbeddingOp


@emits(EmbeddingOp)
def _embedding(state: Emitter, op: EmbeddingOp) -> None:
    rows, columns = op.table.shape
    y, words = op.outputs[0], rows * op.folds
    table = op.table.numpy().reshape(words, y.width)
    name, type = f"t{state.index}", f"entry{state.index}_t"
    entries = Weights(name, type, fixed_type(y.format), table.shape, table, y.format.frac)
    state.firmware.weights.append(entries)
    config = state.config(op).define(n_positions=op.positions, n_rows=rows, n_out=columns)
    config.alias(entry_t=type)
    config.add([f"static const nnet::storage table_storage = {storage_of(table, y.format)};"])
    state.call(op, name)
