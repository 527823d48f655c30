"""hls4ml's reuse factors, how often a multiplier is used for one vector of inputs, as settings."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.ports import main_function
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.op import shape_of


def pins_for(module: ModuleOp, reuse: Mapping[str, int]) -> tuple[str, ...]:
    """The reuse factors of a fixed-point `qnn` module's layers as foldings that `balance` keeps.

    Only dense layers and convolutions have one; as in hls4ml, it is at most the products of a
    vector, of the smallest product of a layer that has several. What a recurrent layer does step by
    step has no folding.
    """
    most: dict[str, int] = {}
    for op in main_function(module).body.block.ops:
        if isinstance(op, DenseOp | ConvOp) and op.layer_name in reuse:
            products = prod(shape_of(op.w))
            most[op.layer_name] = min(most.get(op.layer_name, products), products)
    return tuple(f"{layer}.reuse={min(reuse[layer], n)}" for layer, n in most.items())
