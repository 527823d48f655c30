"""hls4ml's strategies: what each asks for beside the numbers, and which layers have it otherwise.

`Latency` asks for as many products at once as the reuse factor lets; that is what a folding is. The
others ask for circuits, which `balance` chooses by what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from xdsl.dialects.builtin import ModuleOp

from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.layout import ceil_div
from calocc.dialects.dataflow.resources import is_in_luts


def weights_in_luts(op: MatvecOp) -> bool:
    """Whether each memory of its weights is small enough to stand in LUTs."""
    inputs, outputs = op.weights.shape
    words = ceil_div(inputs, op.simd) * ceil_div(outputs, op.pe)
    return is_in_luts(words, op.simd * op.weight_type.format.width)


def _is_folded(op: MatvecOp) -> bool:
    inputs, outputs = op.weights.shape
    return op.pe < outputs or op.simd < inputs


def _is_multiplied(op: MatvecOp) -> bool:
    return True


_SMALL = (weights_in_luts, "weights in block RAM; they are few enough for LUT memory in")
_OTHERWISE: Mapping[str, tuple[Callable[[MatvecOp], bool], str]] = {
    "resource": _SMALL,
    "resource_unrolled": _SMALL,
    "unrolled": (_is_folded, "all products at once; set ReuseFactor for that, they are folded in"),
    "distributed_arithmetic": (_is_multiplied, "sums of shifted inputs; there are multipliers in"),
}
"""By strategy: when a layer has it otherwise, and what the strategy asks for."""


def strategy_notes(module: ModuleOp, strategies: Mapping[str, str]) -> Iterator[str]:
    """What is to be said of a design of which layers were to have these strategies."""
    products = [op for op in module.walk() if isinstance(op, MatvecOp)]
    for strategy, (is_otherwise, text) in _OTHERWISE.items():
        found = [
            op.layer_name
            for op in products
            if strategies.get(op.layer_name) == strategy and is_otherwise(op)
        ]
        if found:
            yield f"strategy {strategy} asks for {text} {', '.join(found)}"
