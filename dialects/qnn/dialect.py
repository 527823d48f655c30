"""The `qnn` dialect, assembled."""

from __future__ import annotations

from xdsl.ir import Dialect

from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    GateOp,
    IsZeroOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.layer_norm import LayerNormOp
from calocc.dialects.qnn.movement import ConcatOp, PadOp, ReshapeOp, TransposeOp, UpsampleOp
from calocc.dialects.qnn.pool import PoolingAttr, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp, QuantizerAttr
from calocc.dialects.qnn.recurrent import RecurrentOp, YieldOp
from calocc.dialects.qnn.reverse import ReverseOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.softmax import SoftmaxOp
from calocc.dialects.qnn.step import LookupOp, ThresholdOp
from calocc.dialects.qnn.tap_sum import TapSumOp

QNN = Dialect(
    "qnn",
    [
        AddOp,
        AffineOp,
        BatchNormOp,
        ConcatOp,
        ConstantOp,
        ConvOp,
        DenseOp,
        DepthwiseOp,
        EmbeddingOp,
        FunctionOp,
        GateOp,
        InterpolateOp,
        IsZeroOp,
        LayerNormOp,
        LeakyReluOp,
        LookupOp,
        MaximumOp,
        MinimumOp,
        MultiplyOp,
        PadOp,
        PoolOp,
        QuantizeOp,
        RecurrentOp,
        ReluOp,
        ReshapeOp,
        ReverseOp,
        SliceOp,
        SoftmaxOp,
        SubtractOp,
        TapSumOp,
        ThresholdOp,
        TransposeOp,
        UpsampleOp,
        YieldOp,
    ],
    [PoolingAttr, QuantizerAttr],
)
