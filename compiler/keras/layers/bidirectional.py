"""Recurrent layers that run over a sequence both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers import recurrent
from calocc.compiler.keras.layers.registry import (
    IMPORTERS,
    Builder,
    keras_layer,
    refused,
    single,
)
from calocc.compiler.keras.model import KerasLayer
from calocc.dialects.qnn.elementwise import AddOp, AffineOp, MultiplyOp
from calocc.dialects.qnn.movement import ConcatOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.reverse import ReverseOp


@keras_layer("Bidirectional", "QBidirectional")
def bidirectional(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A recurrent layer forwards and one backwards in time, and what their outputs make together.

    Formats given for the layer are those of both directions.
    """
    x = single(config, inputs)
    forward, backward = _directions(config)
    results: list[SSAValue] = []
    for layer in (forward, backward):
        inner = LayerConfig(layer)
        results.append(IMPORTERS[layer.class_name](builder, inner, [x]))
        inner.finish()
    if len(shape_of(results[1])) > 1:
        results[1] = builder.add(config, ReverseOp(results[1], config.layer.name))
    return _merged(builder, config, *results)


def _directions(config: LayerConfig) -> tuple[KerasLayer, KerasLayer]:
    """The layers of both directions; without one of its own the backward layer is the forward one
    turned round."""
    if config.take("num_constants") is not None:
        config.expect_default("num_constants", 0)
    class_name, own = _recurrent(config, "layer")
    turned = {**own, "go_backwards": not own.get("go_backwards", False)}
    back = (class_name, turned)
    if config.take("backward_layer") is not None:
        back = _recurrent(config, "backward_layer")
    for key, differs in (("go_backwards", True), ("return_sequences", False)):
        if (own.get(key, False) != back[1].get(key, False)) != differs:
            words = "the same" if differs else "different"
            raise refused(config, f"its layers have {words} {key}", "save the model again")
    return _way(config, "forward", class_name, own), _way(config, "backward", *back)


def _recurrent(config: LayerConfig, key: str) -> tuple[str, Mapping[str, Any]]:
    """Class and config of an inner layer."""
    found = config.take_object(key)
    if found is None:
        raise refused(config, "it has no inner layer", "save the model again")
    importer = IMPORTERS.get(found[0])
    if importer is None or importer.__module__ != recurrent.__name__:
        known = ", ".join(n for n, f in IMPORTERS.items() if f.__module__ == recurrent.__name__)
        raise refused(config, f"its inner layer is a {found[0]}", f"use one of {known}")
    return found


def _way(config: LayerConfig, way: str, class_name: str, own: Mapping[str, Any]) -> KerasLayer:
    """The layer of one direction, by the name of the wrapper, with the weights that it has."""
    names = {key: key.removeprefix(f"{way}/") for key in config.layer.weights}
    weights = {n: config.layer.weights[key] for key, n in names.items() if n != key}
    return KerasLayer(config.layer.name, class_name, own, (), weights)


def _merged(builder: Builder, config: LayerConfig, f: SSAValue, b: SSAValue) -> SSAValue:
    """The outputs of both directions as one tensor."""
    name = config.layer.name
    if config.take("merge_mode", "concat") is None:
        reason = "with merge_mode=None it has two outputs, which layers here have not"
        raise refused(config, reason, "use merge_mode='concat', and take the outputs apart")
    modes = ("concat", "sum", "mul", "ave")
    mode = config.take_str("merge_mode", "concat", modes)
    if mode == "concat":
        return builder.add(config, ConcatOp([f, b], len(shape_of(f)) - 1, layer=name))
    if mode == "mul":
        return builder.add(config, MultiplyOp((f, b), layer=name))
    total = builder.add(config, AddOp((f, b), layer=name))
    if mode == "sum":
        return total
    half, zero = (builder.constant(config, np.asarray(c)) for c in (0.5, 0.0))
    return builder.add(config, AffineOp((total, half, zero), layer=name))
