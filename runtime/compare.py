"""Where a model's values in real arithmetic and those of Keras, computed in float32, part.

calocc reproduces the closed forms of the quantizers in float64. Keras sums in float32: a value
next to a rounding boundary may then fall on its other side, an LSB away, and later layers carry
the difference on. Such a difference is explained by the first flipped value and its distance to
the boundary, not by a tolerance. Nothing here needs TensorFlow but `against_keras`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.design import Design
from calocc.compiler.ports import Port, main_function
from calocc.dialects.qnn.op import Array
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.runtime.emulator import execute
from calocc.runtime.layers import layer_ends, layer_values

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class OutputDifference:
    """How far an output is from a reference: `largest` in LSB of the output's format."""

    name: str
    values: int
    differing: int
    largest: float


@dataclass(frozen=True)
class LayerDifference:
    """How many values of a layer that ends in a quantizer differ from a reference."""

    layer: str
    values: int
    differing: int


@dataclass(frozen=True)
class Flip:
    """A quantized value that the reference rounds to another level.

    `index` is (event, ...). `operand` is what the quantizer rounds, in float64; `distance` is
    that of the operand to the nearest boundary on the side of `found`, in LSB, and None for
    quantizers whose levels are not evenly spaced.
    """

    layer: str
    index: tuple[int, ...]
    operand: float
    expected: float
    found: float
    distance: float | None


@dataclass(frozen=True)
class Comparison:
    """A design against Keras, on the same events."""

    events: int
    outputs: tuple[OutputDifference, ...]
    layers: tuple[LayerDifference, ...]
    flip: Flip | None


def quantized_layers(module: ModuleOp, reference: Mapping[str, Array]) -> list[str]:
    """The layers that end in a quantizer and that the reference has one value of.

    Keras lists further calls of a layer as `name:1`; such layers are left out.
    """
    return [
        name
        for name, op in layer_ends(module).items()
        if isinstance(op, QuantizeOp) and name in reference and f"{name}:1" not in reference
    ]


def layer_differences(
    module: ModuleOp, inputs: Sequence[Reals], reference: Mapping[str, Array]
) -> list[LayerDifference]:
    """Compare the quantized layers of a `qnn` module on reals with a reference's, in order."""
    values = layer_values(module, inputs, quantized_layers(module, reference))
    return [
        LayerDifference(name, ours.size, int((ours != reference[name]).sum()))
        for name, ours in values.items()
    ]


def first_flip(
    module: ModuleOp,
    inputs: Sequence[Reals],
    reference: Mapping[str, Array],
    differences: Sequence[LayerDifference],
) -> Flip | None:
    """The first differing value of the first layer in `differences` that has one."""
    layer = next((d.layer for d in differences if d.differing), None)
    if layer is None:
        return None
    op = layer_ends(module)[layer]
    assert isinstance(op, QuantizeOp)
    assert op.quantizer is not None
    operand, ours = _values_of(module, inputs, op.x, op.result)
    index = tuple(int(k) for k in np.argwhere(ours != reference[layer])[0])
    expected, found = float(ours[index]), float(reference[layer][index])
    distance = boundary_distance(op.quantizer.quantizer, float(operand[index]), expected, found)
    return Flip(layer, index, float(operand[index]), expected, found, distance)


def _values_of(
    module: ModuleOp, inputs: Sequence[Reals], operand: SSAValue, result: SSAValue
) -> tuple[Reals, Reals]:
    """The arrays of two values of a module."""
    values: dict[SSAValue, Array] = dict(zip(main_function(module).args, inputs, strict=True))

    def observe(op: Operation, results: tuple[Array, ...]) -> None:
        values.update(
            (value, array)
            for value, array in zip(op.results, results, strict=True)
            if value in (operand, result)
        )

    execute(module, inputs, observe)
    return values[operand], values[result]


def boundary_distance(
    quantizer: Quantizer, operand: float, expected: float, found: float
) -> float | None:
    """LSBs from `operand` to the boundary between its level `expected` and the next to `found`."""
    if quantizer.rule is None or quantizer.format is None:
        return None
    lsb = quantizer.format.lsb
    boundary = expected + float(np.copysign(lsb / 2, found - expected))
    return abs(operand - boundary) / lsb


def output_differences(
    ports: Sequence[Port], ours: Sequence[Reals], theirs: Sequence[NDArray[Any]]
) -> list[OutputDifference]:
    """Compare a design's outputs with a reference's."""
    return [_output_difference(*three) for three in zip(ports, ours, theirs, strict=True)]


def _output_difference(port: Port, ours: Reals, theirs: NDArray[Any]) -> OutputDifference:
    assert port.format is not None
    distance = np.abs(ours - theirs.astype(np.float64))
    largest = float(distance.max(initial=0.0)) / port.format.lsb
    return OutputDifference(port.name, ours.size, int((distance > 0).sum()), largest)


def against_keras(
    path: Path,
    inputs: Mapping[str, NDArray[Any]],
    custom_objects: Mapping[str, Any] | None = None,
) -> Comparison:
    """Compare a model's design with Keras on events (events, *shape) by input name.

    **Trusted model files only**: Keras runs code that a file carries. `custom_objects` adds
    classes of your own by name. Raises CaloccError, also where TensorFlow or QKeras is missing.
    """
    from calocc.runtime.reference import layer_outputs, load_keras_model, predict

    keras = load_keras_model(path, custom_objects)
    compilation = Compilation(path, Options())
    reals, design = compilation.stage("qnn"), compilation.design()
    arrays = [np.asarray(inputs[p.name], np.float32).astype(np.float64) for p in design.inputs]
    reference = layer_outputs(keras, inputs)
    layers = layer_differences(reals, arrays, reference)
    return Comparison(
        len(arrays[0]),
        tuple(output_differences(design.outputs, _outputs(design, arrays), predict(keras, inputs))),
        tuple(layers),
        first_flip(reals, arrays, reference, layers),
    )


def _outputs(design: Design, arrays: list[Reals]) -> list[Reals]:
    result = design.predict(arrays)
    return result if isinstance(result, list) else [result]
