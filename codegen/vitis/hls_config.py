"""The `HLSConfig` of a project: what `calocc --hls4ml-config`, and hls4ml, can read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.hls4ml.precision import type_text
from calocc.compiler.hls4ml.strategy import weights_in_luts
from calocc.compiler.network import processes_of
from calocc.compiler.ports import Port, input_ports, main_function
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.quantizers import FixedPoint

Entry = dict[str, Any]


def hls_config(module: ModuleOp) -> Mapping[str, Any]:
    """Types, reuse factors and strategies of a dataflow module by layer.

    A multiplier is used once for each part of the inputs and each part of the outputs, as hls4ml
    counts reuse. Layers of several products (recurrent ones, Einsum) are left out, and reuse where
    several vectors are multiplied at once.
    """
    layers: dict[str, Entry] = {p.name: _input(p) for p in input_ports(module)}
    products = [op for op in processes_of(main_function(module)) if isinstance(op, MatvecOp)]
    names = [op.layer_name for op in products]
    layers |= {op.layer_name: _product(op) for op in products if names.count(op.layer_name) == 1}
    model = {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"}
    return {"Model": model, "LayerName": layers}


def _input(port: Port) -> Entry:
    assert port.format is not None
    return {"Precision": {"result": _text(port.format, port.rounding, port.overflow)}}


def _product(op: MatvecOp) -> Entry:
    inputs, outputs = op.weights.shape
    types = {"weight": _text(op.weight_type.format), "accum": _text(op.accumulator)}
    parts = -(-inputs // op.simd) * -(-outputs // op.pe)
    reuse = {"ReuseFactor": parts} if op.pixels == 1 else {}
    strategy = "Latency" if weights_in_luts(op) else "Resource"
    return {"Precision": types, **reuse, "Strategy": strategy}


def _text(format: Format, rounding: str = "trn", overflow: str = "wrap") -> str:
    return type_text(FixedPoint(format.width, format.integer, format.signed, rounding, overflow))
