"""The Keras layer `RunningSum`."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, keras_layer, single
from calocc_running.ops import SumOp


@keras_layer("RunningSum")
def running_sum(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The sum of all rows so far."""
    return builder.add(config, SumOp(single(config, inputs), config.layer.name))
