"""hls4ml's reuse factors, how often a multiplier is used for one vector of inputs, as settings."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from xdsl.dialects.builtin import ModuleOp

from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.op import shape_of


def pins_for(module: ModuleOp, reuse: Mapping[str, int]) -> tuple[str, ...]:
    """The reuse factors of a fixed-point `qnn` module's layers as foldings that `balance` keeps.

    Only dense layers and convolutions have one; as in hls4ml, it is at most the products of a
    vector.
    """
    products = {
        op.layer_name: prod(shape_of(op.w))
        for op in module.walk()
        if isinstance(op, DenseOp | ConvOp)
    }
    factors = ((layer, min(reuse[layer], n)) for layer, n in products.items() if layer in reuse)
    return tuple(f"{layer}.reuse={factor}" for layer, factor in factors)
