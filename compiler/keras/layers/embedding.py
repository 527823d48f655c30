"""Layers that read rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, keras_layer, single, stored
from calocc.dialects.qnn.embedding import EmbeddingOp


@keras_layer("Embedding")
def embedding(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Rows of a table by their numbers, zeros where there is no such row; layers behind it that
    would look at the mask of `mask_zero` are refused."""
    x = single(config, inputs)
    config.ignore("input_length")
    sizes = config.take_int("input_dim"), config.take_int("output_dim")
    table = builder.weight(config, "embeddings", stored(config, "embeddings", *sizes), None)
    y = builder.add(config, EmbeddingOp(x, table, layer=config.layer.name))
    if config.take_bool("mask_zero", False):
        builder.masked.add(y)
    return y
