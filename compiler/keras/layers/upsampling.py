"""Layers that make images larger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import require_rank
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.movement import UpsampleOp


@keras_layer("UpSampling2D")
def upsampling2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each pixel repeated down and across, or bilinear interpolation."""
    x, name = single(config, inputs), config.layer.name
    require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    size, kind = config.take_pair("size", (2, 2)), config.take_str("interpolation", "nearest")
    if kind == "nearest":
        return builder.add(config, UpsampleOp(x, size, name))
    if kind == "bilinear":
        return _bilinear(builder, config, InterpolateOp(x, size, name))
    reason = f"interpolation={kind!r} is neither 'nearest' nor 'bilinear'"
    raise refused(config, reason, "use one of these two")


def _bilinear(builder: Builder, config: LayerConfig, op: InterpolateOp) -> SSAValue:
    """Sums with whole weights, and a factor behind them as behind an average."""
    sums = builder.add(config, op)
    scale, zero = (builder.constant(config, np.asarray(c)) for c in (1 / op.scale, 0.0))
    return builder.add(config, AffineOp((sums, scale, zero), layer=config.layer.name))
