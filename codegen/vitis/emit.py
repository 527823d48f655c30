"""The firmware of a dataflow module, with every kind of process that calocc has."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from calocc.codegen.vitis.emitter import Emitter, Firmware
from calocc.codegen.vitis.emitters import (
    compute,
    embedding,
    interpolate,
    layer_norm,
    recurrent,
    routing,
    softmax,
    tap_sum,
)

BUILT_IN = (compute, embedding, interpolate, layer_norm, recurrent, routing, softmax, tap_sum)
"""Modules whose import fills the registry of emitters."""


def emit(name: str, module: ModuleOp) -> Firmware:
    """The firmware of a dataflow module; `name` is the top function's."""
    return Emitter(Firmware(name)).run(module)
