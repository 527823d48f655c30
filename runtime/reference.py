"""The float reference: the model as Keras itself computes it, in float32.

TensorFlow and QKeras are an optional extra of calocc and are imported inside the functions only,
so that importing this module costs nothing. Keras computes in float32 and sums in any order:
where a value lies on a rounding boundary it may differ from real arithmetic by an LSB, which
later layers can magnify. `layer_outputs` is there to find the first layer where that happens.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.diagnostics import CaloccError

FloatArray = NDArray[np.float32]
Inputs = Mapping[str, NDArray[Any]] | NDArray[Any]

BATCH_SIZE = 64
"""Events evaluated at once by `predict` and `layer_outputs`; results do not depend on it."""

OBJECTS_LOAD_QMODEL_OMITS = ("quantized_hswish", "quantized_linear", "QDenseBatchnorm")
"""QKeras classes that some version has and its `load_qmodel` does not register."""


@dataclass(eq=False)
class ReferenceUnavailableError(CaloccError):
    """TensorFlow or QKeras cannot be imported, or TensorFlow runs with Keras 3."""

    reason: str

    @property
    def where(self) -> str:
        return "float reference"

    @property
    def what(self) -> str:
        return self.reason

    @property
    def hint(self) -> str:
        return "pip install 'calocc[reference]'"


@dataclass(eq=False)
class ModelLoadError(CaloccError):
    """Keras could not read the model file."""

    path: str
    reason: str

    @property
    def where(self) -> str:
        return self.path

    @property
    def what(self) -> str:
        return f"Keras cannot load the model ({self.reason})"

    @property
    def hint(self) -> str:
        return "give a file written by model.save(path, save_format='h5') with tf_keras and QKeras"


@dataclass(eq=False)
class InputMismatchError(CaloccError):
    """The arrays given do not fit the inputs of the model."""

    model: str
    problem: str
    expected: str

    @property
    def where(self) -> str:
        return f"inputs of model '{self.model}'"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return f"the model reads {self.expected}, batch dimension first"


@dataclass(frozen=True)
class ReferenceModules:
    """The three packages of the float reference (they come without type stubs)."""

    tensorflow: Any
    keras: Any
    qkeras: Any


def reference_modules() -> ReferenceModules:
    """Import TensorFlow, its Keras 2 and QKeras, quietly.

    Raises `ReferenceUnavailableError` if one is missing, or if the process has already made
    TensorFlow use Keras 3, which QKeras 0.9 cannot work with.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Kernels for AVX-512 of the oneDNN in TensorFlow 2.20 return wrong rows where a convolution of
    # one channel moves by one row and several columns and has results of width 1.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    try:
        tensorflow: Any = importlib.import_module("tensorflow")
        tensorflow.get_logger().setLevel("ERROR")
        keras: Any = tensorflow.keras
        if not str(keras.Model.__module__).startswith("tf_keras"):
            raise ReferenceUnavailableError("TensorFlow already uses Keras 3 in this process")
        qkeras: Any = importlib.import_module("qkeras")
        _mend(importlib.import_module("qkeras.qrecurrent"))
        return ReferenceModules(tensorflow, keras, qkeras)
    except ImportError as error:
        raise ReferenceUnavailableError(f"cannot import TensorFlow and QKeras ({error})") from error


def _mend(qrecurrent: Any) -> None:
    """Give the recurrent layers of QKeras 0.9 the functions that TensorFlow has moved since."""
    if not hasattr(qrecurrent.nest, "is_sequence"):
        qrecurrent.nest.is_sequence = qrecurrent.nest.is_nested
    if not hasattr(qrecurrent.array_ops, "unstack"):
        qrecurrent.array_ops.unstack = qrecurrent.tf.unstack


def load_keras_model(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Load a Keras `.h5` model, with the layers and quantizers of QKeras known to Keras.

    **Trusted files only**: Keras runs code that a model file carries (a `Lambda` layer holds
    Python byte code) and QKeras evaluates quantizer strings. calocc's own importer does neither.

    `custom_objects` adds classes of your own by name. Returns an uncompiled `tf_keras.Model`.
    Raises `ReferenceUnavailableError`, and `ModelLoadError` for what Keras cannot read.
    """
    modules = reference_modules()
    qkeras = modules.qkeras
    known = {name: getattr(qkeras, name, None) for name in OBJECTS_LOAD_QMODEL_OMITS}
    objects = {name: value for name, value in known.items() if value is not None}
    objects.update(custom_objects or {})
    utils: Any = importlib.import_module("qkeras.utils")
    try:
        return utils.load_qmodel(str(path), custom_objects=objects, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelLoadError(str(path), reason) from error


def predict(path_or_model: Any, inputs: Inputs) -> list[FloatArray]:
    """Outputs of Keras in inference mode, in the order of the model's outputs.

    `path_or_model` is a loaded model or the path of a trusted `.h5` file. `inputs` maps
    input-layer names to arrays of shape `(events, *input shape)`; a model with one input also
    takes the bare array. Each result is float32 of shape `(events, *output shape)`.
    Raises `InputMismatchError` for missing, unknown or misshapen inputs.
    """
    model = _as_model(path_or_model)
    return _evaluate(model, model.outputs, inputs)


def layer_outputs(path_or_model: Any, inputs: Inputs) -> dict[str, FloatArray]:
    """The value of every layer of the model, by layer name, in the model's layer order.

    Arguments, shapes and errors as for `predict`; input layers are included. A layer called
    more than once has its later values under `name:1`, `name:2`, and so on.
    """
    model = _as_model(path_or_model)
    tensors = dict(_layer_tensors(model))
    return dict(zip(tensors, _evaluate(model, list(tensors.values()), inputs), strict=True))


def _as_model(path_or_model: Any) -> Any:
    if isinstance(path_or_model, str | Path):
        return load_keras_model(path_or_model)
    reference_modules()
    return path_or_model


def _layer_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """Symbolic outputs of the layers that lie on the way to the model's outputs."""
    for layer in model.layers:
        tensors = [out for node in _nodes_of(model, layer) for out in _as_list(node.outputs)]
        for position, tensor in enumerate(tensors):
            yield (layer.name if position == 0 else f"{layer.name}:{position}"), tensor


def _nodes_of(model: Any, layer: Any) -> list[Any]:
    # A layer may also have been called outside this model: only the model's own nodes count.
    own = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    return [node for node in layer._inbound_nodes if id(node) in own]


def _evaluate(model: Any, outputs: list[Any], inputs: Inputs) -> list[FloatArray]:
    """The given symbolic tensors of `model`, evaluated batch by batch in inference mode."""
    arrays = _checked_inputs(model, inputs)
    part: Any = reference_modules().keras.Model(model.inputs, outputs)
    events = len(arrays[0])
    batches = [
        _as_list(part([array[start : start + BATCH_SIZE] for array in arrays], training=False))
        for start in range(0, max(events, 1), BATCH_SIZE)
    ]
    return [
        np.concatenate([np.asarray(value, np.float32) for value in values])
        for values in zip(*batches, strict=True)
    ]


def _checked_inputs(model: Any, inputs: Inputs) -> list[FloatArray]:
    """The arrays in the order of `model.inputs`, as float32."""
    shapes = {str(name): _shape(tensor) for name, tensor in _input_tensors(model)}
    expected = ", ".join(f"'{name}' {shape}" for name, shape in shapes.items())

    def mismatch(problem: str) -> InputMismatchError:
        return InputMismatchError(str(model.name), problem, expected)

    if not isinstance(inputs, Mapping):
        if len(shapes) != 1:
            raise mismatch(f"one array given for {len(shapes)} inputs")
        inputs = {next(iter(shapes)): inputs}
    if inputs.keys() != shapes.keys():
        raise mismatch(f"arrays given for {sorted(inputs)}")
    arrays = [np.asarray(inputs[name], np.float32) for name in shapes]
    for (name, shape), array in zip(shapes.items(), arrays, strict=True):
        if not _fits(array.shape, shape):
            raise mismatch(f"array for '{name}' has shape {array.shape}")
    if len({len(array) for array in arrays}) != 1:
        raise mismatch(f"arrays hold {[len(array) for array in arrays]} events")
    return arrays


def _input_tensors(model: Any) -> Iterator[tuple[Any, Any]]:
    return zip(model.input_names, model.inputs, strict=True)


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(tensor.shape.as_list()[1:])


def _fits(actual: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(actual) == len(expected) + 1 and all(
        want is None or have == want for have, want in zip(actual[1:], expected, strict=True)
    )


def _as_list(value: Any) -> list[Any]:
    return list(cast(list[Any], value)) if isinstance(value, list | tuple) else [value]
