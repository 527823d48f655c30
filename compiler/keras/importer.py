"""From a Keras file to a `qnn` module on reals."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Region, SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers import (
    activation,
    deepcalo,
    depthwise,
    linear,
    merge,
    movement,
    structure,
)
from calocc.compiler.keras.layers.registry import (
    IMPORTERS,
    Builder,
    Overrides,
    UnknownLayer,
)
from calocc.compiler.keras.reader import Call, KerasModel, TensorRef, read_model
from calocc.compiler.ports import Port, set_ports
from calocc.dialects.qnn.op import real_tensor, shape_of

BUILT_IN = (activation, deepcalo, depthwise, linear, merge, movement, structure)
"""Modules whose import fills the registry."""


def import_model(path: Path, overrides: Overrides | None = None) -> ModuleOp:
    """Read a Keras `.h5` file into a module with one function `main` on tensors of reals.

    `overrides` are formats given by hand for weights and outputs of layers. Raises CaloccError
    for whatever is damaged, unknown or not interpreted.
    """
    return module_of(read_model(path), overrides or Overrides())


def module_of(model: KerasModel, overrides: Overrides) -> ModuleOp:
    """Import a model that has been read."""
    builder = Builder(overrides)
    values: dict[TensorRef, SSAValue] = {}
    ports = [_input(builder, model, ref, values) for ref in model.inputs]
    needed = _needed(model)
    for call in model.calls:
        if call in needed and TensorRef(call.layer, call.node, 0) not in values:
            _import_call(builder, model, call, values)
    overrides.finish()
    return _finish(builder, model, ports, [values[ref] for ref in model.outputs])


def _input(
    builder: Builder, model: KerasModel, ref: TensorRef, values: dict[TensorRef, SSAValue]
) -> Port:
    config = LayerConfig(model.layer(ref.layer))
    shape = tuple(n for n in config.take_shape("batch_input_shape")[1:] if n is not None)
    config.finish()
    argument = builder.block.insert_arg(real_tensor(shape), len(builder.block.args))
    if SSAValue.is_valid_name(ref.layer):
        argument.name_hint = ref.layer
    values[ref] = argument
    return Port(ref.layer, shape)


def _needed(model: KerasModel) -> set[Call]:
    """The calls that outputs depend on."""
    open_ = [Call(ref.layer, ref.node) for ref in model.outputs]
    needed: set[Call] = set()
    while open_:
        call = open_.pop()
        if call not in needed:
            needed.add(call)
            open_.extend(Call(ref.layer, ref.node) for ref in _sources(model, call))
    return needed


def _sources(model: KerasModel, call: Call) -> tuple[TensorRef, ...]:
    inbound = model.layer(call.layer).inbound
    return inbound[call.node] if inbound else ()


def _import_call(
    builder: Builder, model: KerasModel, call: Call, values: dict[TensorRef, SSAValue]
) -> None:
    """Import one call of one layer, and see that every config key was read."""
    layer = model.layer(call.layer)
    importer = IMPORTERS.get(layer.class_name)
    if importer is None:
        raise UnknownLayer(layer.name, layer.class_name)
    config = LayerConfig(layer)
    result = importer(builder, config, [values[ref] for ref in _sources(model, call)])
    config.finish()
    if quantizer := builder.overrides.take(layer.name, "output"):
        result = builder.quantize(config, result, quantizer)
    values[TensorRef(call.layer, call.node, 0)] = result


def _finish(
    builder: Builder, model: KerasModel, ports: Iterable[Port], results: list[SSAValue]
) -> ModuleOp:
    builder.block.add_op(ReturnOp(*results))
    inputs = [a.type for a in builder.block.args]
    types = (inputs, [r.type for r in results])
    function = FuncOp("main", types, Region(builder.block))
    names = [ref.layer for ref in model.outputs]
    outputs = [Port(n, shape_of(r)) for n, r in zip(names, results, strict=True)]
    set_ports(function, list(ports), outputs)
    module = ModuleOp([function])
    module.verify()
    return module
