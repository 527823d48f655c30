"""The `dataflow` dialect, assembled."""

from __future__ import annotations

from xdsl.ir import Dialect

from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp, SoftmaxOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.embedding import EmbeddingOp
from calocc.dialects.dataflow.interpolate import InterpolateOp
from calocc.dialects.dataflow.layer_norm import LayerNormOp
from calocc.dialects.dataflow.recurrent import DotOp, NextOp, RecurrentOp
from calocc.dialects.dataflow.reverse import ReverseOp
from calocc.dialects.dataflow.routing import (
    BufferOp,
    ConcatOp,
    ForkOp,
    LanesOp,
    PadOp,
    ReshapeOp,
    UpsampleOp,
    WindowOp,
)
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.dataflow.tap_sum import TapSumOp

DATAFLOW = Dialect(
    "dataflow",
    [
        BufferOp,
        ConcatOp,
        DepthwiseOp,
        DotOp,
        EmbeddingOp,
        ForkOp,
        InterpolateOp,
        LanesOp,
        LayerNormOp,
        MapOp,
        MatvecOp,
        NextOp,
        PadOp,
        RecurrentOp,
        ReduceOp,
        ReshapeOp,
        ReverseOp,
        SliceOp,
        SoftmaxOp,
        TapSumOp,
        UpsampleOp,
        WindowOp,
    ],
    [StreamType],
)
