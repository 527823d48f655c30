"""Where hls4ml sums in fewer bits than the sum needs: calocc does not, so results may differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.hls4ml.layers.registry import GraphBuilder
from calocc.compiler.hls4ml.nodes import Node
from calocc.compiler.hls4ml.precision import type_text
from calocc.dialects.fixed.format import Overflow
from calocc.dialects.qnn.quantizers import FixedPoint

Floats = NDArray[np.float64]


def loss_of(
    accumulator: FixedPoint, result: FixedPoint, operand: FixedPoint, kernel: Floats, bias: Floats
) -> str | None:
    """What an accumulator loses of sums of products; None for nothing that a result shows.

    `kernel` (N, M) and `bias` (M,) are values of their types; the operand may have any value of
    its format. hls4ml rounds every product, and the bias, to the accumulator.
    """
    own = accumulator.format
    if not (_is_whole(kernel, own.frac - operand.format.frac) and _is_whole(bias, own.frac)):
        return "cuts bits off each product"
    low, high = (operand.format.lsb * m for m in _ends(operand))
    negative, positive = np.minimum(kernel, 0).sum(axis=0), np.maximum(kernel, 0).sum(axis=0)
    least = (positive * low + negative * high + bias).min()
    most = (positive * high + negative * low + bias).max()
    fits = own.min_mantissa * own.lsb <= least and most <= own.max_mantissa * own.lsb
    both_wrap = accumulator.overflow == result.overflow == Overflow.WRAP
    if fits or (both_wrap and result.integer <= accumulator.integer):
        return None
    return f"may overflow: sums reach from {least:g} to {most:g}"


def _is_whole(values: Floats, frac: int) -> bool:
    """Whether all are multiples of 2^-frac."""
    scaled = np.ldexp(values, frac)
    return bool((scaled == np.rint(scaled)).all())


def _ends(cast: FixedPoint) -> tuple[int, int]:
    return cast.format.min_mantissa, cast.format.max_mantissa


def check_sums(graph: GraphBuilder, node: Node, kernel: Floats, bias: Floats) -> None:
    """Note what the accumulator of a layer would lose. kernel: (N, M), bias: (M,)."""
    casts = [node.weight_type(name) for name in ("weight", "bias")]
    values = [v if c is None else c(v) for v, c in zip((kernel, bias), casts, strict=True)]
    accumulator, operand = node.type("accum"), node.operand()
    loss = loss_of(accumulator, node.result(), operand, *values)
    if loss is not None:
        text = f"in hls4ml its accumulator {type_text(accumulator)} {loss}"
        graph.note(node, f"{text}; here sums are exact")
