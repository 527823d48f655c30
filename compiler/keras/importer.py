"""From a Keras file to a `qnn` module on reals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.errors import DanglingReference
from calocc.compiler.keras.layers import (
    activation,
    bidirectional,
    deepcalo,
    depthwise,
    einsum,
    embedding,
    folding,
    formats,
    layer_norm,
    linear,
    masking,
    merge,
    movement,
    normalisation,
    quantized,
    rectifiers,
    recurrent,
    scaling,
    structure,
    time_distributed,
    transposed,
    upsampling,
)
from calocc.compiler.keras.layers.masks import passes_mask
from calocc.compiler.keras.layers.registry import (
    IMPORTERS,
    Builder,
    Importer,
    Overrides,
    UnknownLayer,
    UnsupportedLayer,
)
from calocc.compiler.keras.layers.wishes import Wishes
from calocc.compiler.keras.model import Call, KerasModel, TensorRef
from calocc.compiler.keras.reader import read_model
from calocc.compiler.keras.refusals import refused_class
from calocc.compiler.plugins import LAYERS, load_modules
from calocc.compiler.ports import Port, set_ports
from calocc.dialects.qnn.op import real_tensor, shape_of

BUILT_IN = (
    activation,
    bidirectional,
    deepcalo,
    depthwise,
    einsum,
    embedding,
    folding,
    formats,
    layer_norm,
    linear,
    masking,
    merge,
    movement,
    normalisation,
    quantized,
    rectifiers,
    recurrent,
    scaling,
    structure,
    time_distributed,
    transposed,
    upsampling,
)
"""Modules whose import fills the registry."""


def known_layers() -> dict[str, Importer]:
    """The importers by the class names that they are registered for."""
    return dict(IMPORTERS)


def import_model(
    path: Path, overrides: Overrides | None = None, weights: Path | None = None
) -> ModuleOp:
    """Read a Keras model into a module with one function `main` on tensors of reals.

    `path` is a `.h5` or `.keras` file, or a JSON architecture with a file of `weights`;
    `overrides` are formats given by hand for weights and outputs of layers. Raises CaloccError
    for whatever is damaged, unknown or not interpreted.
    """
    return module_of(read_model(path, weights), overrides or Overrides())


def module_of(model: KerasModel, overrides: Overrides, wishes: Wishes | None = None) -> ModuleOp:
    """Import a model that has been read."""
    load_modules(LAYERS)
    builder = Builder(overrides, wishes=wishes or Wishes())
    values: dict[TensorRef, SSAValue] = {}
    ports = [_input(builder, model, ref, values) for ref in model.inputs]
    needed = _needed(model)
    _require_used(model, needed)
    for call in model.calls:
        if call in needed and TensorRef(call.layer, call.node, 0) not in values:
            _import_call(builder, model, call, values)
    overrides.finish()
    results = [_value(values, model.name, ref) for ref in model.outputs]
    return finished(builder, model, ports, results)


def _value(values: dict[TensorRef, SSAValue], reader: str, ref: TensorRef) -> SSAValue:
    """A tensor; layers have one result each."""
    if ref not in values:
        raise DanglingReference(reader, ref.layer, ref.node, ref.tensor)
    return values[ref]


def _input(
    builder: Builder, model: KerasModel, ref: TensorRef, values: dict[TensorRef, SSAValue]
) -> Port:
    config = LayerConfig(model.layer(ref.layer))
    shape = _fixed_shape(config)
    if _readers(model, ref) == {"Embedding"}:
        config.take_str("dtype", "float32", _INDEX_TYPES)
    config.finish()
    argument = builder.block.insert_arg(real_tensor(shape), len(builder.block.args))
    if SSAValue.is_valid_name(ref.layer):
        argument.name_hint = ref.layer
    values[ref] = argument
    return Port(ref.layer, shape)


_INDEX_TYPES = ("float32", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _readers(model: KerasModel, ref: TensorRef) -> set[str]:
    """The classes of the layers that read a tensor."""
    calls = (call for call in model.calls if ref in _sources(model, call))
    return {model.layer(call.layer).class_name for call in calls}


def _fixed_shape(config: LayerConfig) -> tuple[int, ...]:
    """The shape of an input without the batch axis."""
    layer, sizes = config.layer, config.take_shape("batch_input_shape")[1:]
    shape = tuple(n for n in sizes if n is not None)
    if not shape or len(shape) != len(sizes):
        reason = f"its shape {sizes} is not fixed" if sizes else "it is a single number"
        advice = "build the model with an input shape of one or more known sizes"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice)
    return shape


def _require_used(model: KerasModel, needed: set[Call]) -> None:
    for ref in model.inputs:
        if Call(ref.layer, ref.node) not in needed:
            reason, advice = "no output depends on it", "build the model without this input"
            raise UnsupportedLayer(ref.layer, "InputLayer", reason, advice)


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
        refused = refused_class(layer.name, layer.class_name)
        raise refused or UnknownLayer(layer.name, layer.class_name)
    config = LayerConfig(layer)
    operands = [_value(values, layer.name, ref) for ref in _sources(model, call)]
    masked = passes_mask(builder, config, operands)
    try:
        result = importer(builder, config, operands)
    except VerifyException as error:
        reason = str(error).splitlines()[-1].strip()
        advice = "check the layer's configuration and weights in the model file"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice) from None
    config.finish()
    masked = masked or result in builder.masked
    quantizer = builder.overrides.take(layer.name, "output") or builder.wishes.result(layer, result)
    if quantizer is not None:
        result = builder.quantize(config, result, quantizer)
    if masked:
        builder.masked.add(result)
    values[TensorRef(call.layer, call.node, 0)] = result


def finished(
    builder: Builder, model: KerasModel, ports: Iterable[Port], results: Sequence[SSAValue]
) -> ModuleOp:
    """The module of a model whose calls have been imported; `ports` are its inputs in the order of
    the builder's arguments, `results` the values of its outputs."""
    builder.block.add_op(ReturnOp(*results))
    inputs = [a.type for a in builder.block.args]
    types = (inputs, [r.type for r in results])
    function = FuncOp("main", types, Region(builder.block))
    names = _output_names(model.outputs)
    outputs = [Port(n, shape_of(r)) for n, r in zip(names, results, strict=True)]
    set_ports(function, list(ports), outputs)
    module = ModuleOp([function])
    for op in (module, function, function.body.block.last_op):  # all others were as they came
        assert op is not None
        op.verify(verify_nested_ops=False)
    return module


def _output_names(outputs: Sequence[TensorRef]) -> list[str]:
    """The layers' names; later ones of the same name get a number, as in Keras."""
    names: list[str] = []
    for layer in (ref.layer for ref in outputs):
        choices = (layer, *(f"{layer}_{k}" for k in range(1, len(outputs) + 1)))
        names.append(next(name for name in choices if name not in names))
    return names
