"""The `fixed` dialect, assembled."""

from __future__ import annotations

from xdsl.ir import Dialect

from calocc.dialects.fixed import ops
from calocc.dialects.fixed.blob import BLOBS, BlobAttr
from calocc.dialects.fixed.types import FixedType, OverflowAttr, RoundingAttr

FIXED = Dialect(
    "fixed",
    [
        ops.AddOp,
        ops.SubtractOp,
        ops.MultiplyOp,
        ops.MaximumOp,
        ops.MinimumOp,
        ops.ReluOp,
        ops.AffineOp,
        ops.LeakyReluOp,
        ops.GateOp,
        ops.IsZeroOp,
        ops.QuantizeOp,
        ops.ConstantOp,
        ops.ThresholdOp,
        ops.LookupOp,
        ops.YieldOp,
    ],
    [FixedType, BlobAttr, RoundingAttr, OverflowAttr],
    [BLOBS],
)
