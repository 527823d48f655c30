"""A layer on each step of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Block, SSAValue

from calocc.compiler.keras.architecture import MODELS
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.masks import ignores_mask, refuse_masked
from calocc.compiler.keras.layers.registry import (
    IMPORTERS,
    Builder,
    UnknownLayer,
    keras_layer,
    refused,
    single,
)
from calocc.compiler.keras.layers.steps import on_each_step
from calocc.compiler.keras.model import KerasLayer
from calocc.compiler.keras.refusals import refused_class
from calocc.dialects.qnn.op import real_tensor, shape_of


@keras_layer("TimeDistributed")
def time_distributed(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The inner layer on each step of the first axis, on all at once where it can be."""
    x = single(config, inputs)
    shape = shape_of(x)
    if len(shape) < 2:
        raise refused(config, f"its operand {shape} has no steps", "give it (steps, features)")
    inner = LayerConfig(_inner(config))
    importer = IMPORTERS.get(inner.layer.class_name)
    if importer is None:
        name, class_name = inner.layer.name, inner.layer.class_name
        raise refused_class(name, class_name) or UnknownLayer(name, class_name)
    if inner.layer.class_name.startswith("Q") or not ignores_mask(inner.layer.class_name):
        # Given a layer of another package and a batch of known size, Keras repeats results.
        refuse_masked(builder, config, inputs)
    block = Block(arg_types=[real_tensor(shape[1:])])
    body = Builder(builder.overrides, block, wishes=builder.wishes)
    result = importer(body, inner, body.block.args)
    inner.finish()
    y = on_each_step(builder, config, x, body.block, result)
    if result in body.masked:
        builder.masked.add(y)
    return y


def _inner(config: LayerConfig) -> KerasLayer:
    """The inner layer, by the name of the wrapper, in whose group its weights are."""
    found = config.take_object("layer")
    if found is None:
        raise refused(config, "it has no inner layer", "save the model again")
    class_name, own = found
    if class_name in MODELS:
        advice = "wrap each layer of the model in a TimeDistributed of its own"
        raise refused(config, f"its inner layer is a model ({class_name})", advice)
    return KerasLayer(config.layer.name, class_name, own, (), config.layer.weights)
