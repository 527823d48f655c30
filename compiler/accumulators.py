"""How wide accumulators are, proved from the actual weights, against a rule for any weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import AddOp
from calocc.dialects.qnn.op import format_of, is_constant, is_fixed, shape_of

WeightedOp = DenseOp | ConvOp | DepthwiseOp
TAPS = {DenseOp: 1, ConvOp: 3, DepthwiseOp: 2}
"""The number of leading axes of the weights that are summed over."""


@dataclass(frozen=True)
class Accumulator:
    """The sums of a layer of `terms` products each, bias included.

    `proved` holds every sum that can occur, `channels` is the mean of the widths that each output
    channel needs, `worst_case` is what hls4ml takes.
    """

    layer: str
    terms: int
    proved: Format
    channels: float
    worst_case: Format

    @property
    def saved(self) -> int:
        """Bits that the proof saves."""
        return self.worst_case.width - self.proved.width

    def row(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "layer": self.layer,
            "terms": self.terms,
            "proved": str(self.proved),
            "mean_channel_bits": self.channels,
            "worst_case": str(self.worst_case),
            "saved_bits": self.saved,
        }


def accumulators(module: ModuleOp) -> list[Accumulator]:
    """The accumulators of a fixed-point `qnn` module, in order."""
    return list(_accumulators(module))


def _accumulators(module: ModuleOp) -> Iterator[Accumulator]:
    function = main_function(module)
    bounds = intervals(function)
    for op in function.body.block.ops:
        if isinstance(op, WeightedOp) and is_fixed(op.result):
            bias = _bias_behind(op)
            sums = bounds[op.result if bias is None else bias.result]
            terms = int(np.prod(shape_of(op.w)[: TAPS[type(op)]]))
            added = None if bias is None else format_of(bias.args[1])
            rule = worst_case(format_of(op.x), format_of(op.w), terms, added)
            yield Accumulator(op.layer_name, terms, sums.format(), _mean_width(sums), rule)


def _bias_behind(op: WeightedOp) -> AddOp | None:
    """The addition of constants that alone reads a layer's sums."""
    user = op.result.get_user_of_unique_use()
    return user if isinstance(user, AddOp) and is_constant(user.args[1]) else None


def _mean_width(sums: Interval) -> float:
    channels = sums.collapse()
    pairs = zip(channels.lo.reshape(-1), channels.hi.reshape(-1), strict=True)
    return float(np.mean([Format.holding(int(lo), int(hi), sums.frac).width for lo, hi in pairs]))


def worst_case(x: Format, w: Format, terms: int, bias: Format | None) -> Format:
    """The accumulator of hls4ml 1.3.0 for `terms` products of any x and w, and a bias.

    `_infer_common_precision` in `hls4ml/model/optimizer/passes/infer_precision.py`.
    """
    carries = (terms - 1).bit_length()
    width = x.width + w.width + carries
    integer = x.integer + w.integer + carries
    signed = x.signed or w.signed
    if bias is None:
        return Format(signed, width, integer)
    frac = max(width - integer, bias.frac)
    own, theirs = bias.signed and not signed, signed and not bias.signed
    integer = max(integer + own, bias.integer + theirs) + 1
    return Format(signed or bias.signed, integer + frac, integer)
