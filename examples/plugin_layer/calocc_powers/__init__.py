"""The Keras layer `Square` for calocc: a package's own importer, found by entry point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, keras_layer, single
from calocc.dialects.qnn.elementwise import MultiplyOp


@keras_layer("Square")
def square(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """gain * x * x"""
    x, name = single(config, inputs), config.layer.name
    gain = builder.constant(config, np.asarray(config.take_float("gain", 1.0)))
    squared = builder.add(config, MultiplyOp((x, x), layer=name))
    return builder.add(config, MultiplyOp((squared, gain), layer=name))
