"""Finding where float32 and real arithmetic part: on networks made for it, and on the examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_models import ALL, DIGITS, JETS, Example, Reals, stage_of
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.ports import Port
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.op import real_tensor
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import parse
from calocc.runtime.compare import (
    Comparison,
    Flip,
    LayerDifference,
    OutputDifference,
    against_keras,
    boundary_distance,
    first_flip,
    layer_differences,
    output_differences,
    quantized_layers,
)
from calocc.runtime.layers import layer_ends, layer_values

LSB32 = 2.0**-23
SCALE, OFFSET = 1 + LSB32, -1.5 - 4 * LSB32
"""3 * SCALE + OFFSET is 1.5 - 2^-23, just below a tie; in float32 it is 1.5, the tie itself."""


def flipping_module() -> ModuleOp:
    """On two numbers: `norm` is x * SCALE + OFFSET, `round` its integers, `again` a relu."""
    block = Block(arg_types=[real_tensor((2,))])
    constants = [ConstantOp.real(np.full(2, value), "norm") for value in (SCALE, OFFSET)]
    norm = AffineOp((block.args[0], *constants), layer="norm")
    quantize = QuantizeOp.real(norm, parse("quantized_bits(4,3,alpha=1.0)"), "round")
    again = QuantizeOp.real(quantize, parse("quantized_relu(4,2)"), "again")
    block.add_ops([*constants, norm, quantize, again, ReturnOp(again)])
    types = ([real_tensor((2,))], [real_tensor((2,))])
    return ModuleOp([FuncOp("main", types, Region(block))])


def in_float32(x: Reals) -> dict[str, NDArray[Any]]:
    """The layers of `flipping_module` as float32 arithmetic has them."""
    norm = x.astype(np.float32) * np.float32(SCALE) + np.float32(OFFSET)
    assert norm.dtype == np.float32
    rounded = np.rint(norm)
    again = np.clip(np.rint(rounded * 4) / 4, 0, np.float32(3.75))
    return {"norm": norm, "round": rounded, "again": again}


EVENTS = np.array([[0.0, 1.0], [2.0, 3.0], [3.0, 5.0]])


def test_layers_end_with_their_last_op() -> None:
    ends = layer_ends(flipping_module())
    assert [(name, op.name) for name, op in ends.items()] == [
        ("norm", "qnn.affine"),
        ("round", "qnn.quantize"),
        ("again", "qnn.quantize"),
    ]


def test_values_are_those_of_real_arithmetic() -> None:
    values = layer_values(flipping_module(), [EVENTS])
    assert list(values) == ["norm", "round", "again"]
    np.testing.assert_array_equal(values["norm"], EVENTS * SCALE + OFFSET)
    np.testing.assert_array_equal(values["round"], [[-2, -1], [0, 1], [1, 4]])
    assert list(layer_values(flipping_module(), [EVENTS], ["round"])) == ["round"]
    with pytest.raises(KeyError, match="nothing"):
        layer_values(flipping_module(), [EVENTS], ["nothing"])


def test_values_of_fixed_point_layers_are_reals() -> None:
    x = JETS.data()[:5].astype(np.float64)
    reference = layer_values(stage_of(JETS, 0, "qnn"), [x], ["relu_1"])["relu_1"]
    mantissas = np.rint(np.ldexp(x, 9)).astype(np.int64)
    values = layer_values(stage_of(JETS, 0, "fixed"), [mantissas], ["relu_1"])["relu_1"]
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, reference)


def test_the_first_flip_is_found_and_explained() -> None:
    module, reference = flipping_module(), in_float32(EVENTS)
    differences = layer_differences(module, [EVENTS], reference)
    assert differences == [LayerDifference("round", 6, 2), LayerDifference("again", 6, 2)]
    flip = first_flip(module, [EVENTS], reference, differences)
    assert flip == Flip("round", (1, 1), 1.5 - LSB32, 1.0, 2.0, LSB32)


def test_no_flip_where_nothing_differs() -> None:
    module = flipping_module()
    reference = layer_values(module, [EVENTS])
    differences = layer_differences(module, [EVENTS], reference)
    assert [d.differing for d in differences] == [0, 0]
    assert first_flip(module, [EVENTS], reference, differences) is None


def test_layers_that_are_called_twice_are_left_out() -> None:
    reference = in_float32(EVENTS)
    reference |= {"again:1": reference["again"], "unknown": EVENTS}
    assert quantized_layers(flipping_module(), reference) == ["round"]


@pytest.mark.parametrize(
    ("quantizer", "operand", "expected", "found", "distance"),
    [
        ("quantized_bits(4,1,alpha=1.0)", 0.30, 0.25, 0.5, 0.3),
        ("quantized_bits(4,1,alpha=1.0)", 0.20, 0.25, 0.0, 0.3),
        ("quantized_bits(4,1,alpha=1.0)", 0.30, 0.25, 1.0, 0.3),
        ("quantized_relu(6,0)", 0.0, 0.0, 2.0**-6, 0.5),
        ("quantized_po2(4)", 0.30, 0.25, 0.5, None),
    ],
)
def test_distance_to_the_boundary(
    quantizer: str, operand: float, expected: float, found: float, distance: float | None
) -> None:
    result = boundary_distance(parse(quantizer), operand, expected, found)
    assert result == (None if distance is None else pytest.approx(distance))


def test_outputs_differ_by_so_many_lsb() -> None:
    ports = [Port("a", (2,), Format(True, 8, 4)), Port("b", (1,), Format(False, 4, 0))]
    ours = [np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([[0.5], [0.0]])]
    theirs = [np.array([[1.0, -1.875], [0.5, 0.28125]], np.float32), np.array([[0.5], [0.0]])]
    assert output_differences(ports, ours, theirs) == [
        OutputDifference("a", 4, 2, 2.0),
        OutputDifference("b", 2, 0, 0.0),
    ]


def compared(example: Example, events: int) -> Comparison:
    return against_keras(example.model, {example.input: example.data()[:events]})


@pytest.mark.parametrize("example", ALL, ids=lambda example: example.name)
def test_examples_agree_with_keras(example: Example) -> None:
    """Every quantized value of the examples is Keras's own, on their test data."""
    events = 32
    result = compared(example, events)
    assert result.events == events
    assert len(result.layers) >= 4
    assert all(layer.values >= 16 * events for layer in result.layers[:-1])
    assert [layer for layer in result.layers if layer.differing] == []
    assert result.flip is None
    (output,) = result.outputs
    assert output.values == events * {"jets": 5, "digits": 10}.get(example.name, 1)
    if example is JETS:  # ends in a softmax, which no quantizer follows
        assert 0 < output.largest < 2.0**-9 * 2**16
    else:
        assert (output.differing, output.largest) == (0, 0.0)


def test_a_wrong_weight_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is imported wrongly does not agree, and the layer is named."""
    original = Compilation.stage

    def spoiled(self: Compilation, name: str) -> ModuleOp:
        module = original(self, name)
        if name == "qnn":
            op = next(o for o in module.walk() if getattr(o, "layer_name", "") == "conv_2")
            assert isinstance(op, ConstantOp)
            values = op.value.numpy() * np.where(np.arange(16) == 3, -1, 1)
            op.properties["value"] = ConstantOp.real(values.astype(np.float32)).value
        return module

    monkeypatch.setattr(Compilation, "stage", spoiled)
    result = compared(DIGITS, 8)
    assert result.flip is not None
    assert result.flip.layer == "relu_2"
    assert result.flip.index[-1] == 3
    assert result.outputs[0].differing == 0, "the design itself is compiled from the true weights"


def test_options_do_not_change_the_reference() -> None:
    """`qnn` on reals is the model: levels begin behind it."""
    texts = {str(Compilation(JETS.model, Options(level)).stage("qnn")) for level in range(4)}
    assert len(texts) == 1
