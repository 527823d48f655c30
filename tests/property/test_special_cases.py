"""Special cases of `exact-algebra` and `canonicalize`: the same bits with fewer processes."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from fixed_networks import FixedNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from qnn_networks import run_passes
from test_exact_algebra import windows
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Region, SSAValue

from calocc.compiler.ports import Port, main_function, set_ports
from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.compute import MapOp, MatvecOp
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.routing import PadOp as PadProcess
from calocc.dialects.dataflow.routing import WindowOp
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    MaximumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.movement import (
    ConcatOp,
    MovementOp,
    PadOp,
    ReshapeOp,
    TransposeOp,
    UpsampleOp,
)
from calocc.dialects.qnn.op import QnnOp, Shape, format_of, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding, Window
from calocc.runtime.emulator import execute
from calocc.testing import assert_preserves_bits

FEW = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 1000)
SIZES = st.integers(1, 4)
TO_PROCESSES = "narrow-widths,partition-streams,fuse"
UNSIGNED = Format(False, 4, 2)


def kinds(module: ModuleOp) -> list[type]:
    """The classes of all layers that compute."""
    ops = main_function(module).body.block.ops
    return [type(op) for op in ops if isinstance(op, QnnOp) and not isinstance(op, ConstantOp)]


def check_bits(net: FixedNetwork, result: SSAValue, passes: str = "exact-algebra") -> ModuleOp:
    """The passes, and those to processes, keep every bit; the module behind the passes."""
    module = net.module(result)
    format, random = format_of(net.input), np.random.default_rng(1)
    ends = format.min_mantissa, format.max_mantissa + 1
    x = random.integers(*ends, (4, *shape_of(net.input)))
    (expected,) = execute(module, [x])
    run_passes(module, passes)
    after = module.clone()
    for step in ("canonicalize", *TO_PROCESSES.split(",")):
        (got,) = execute(module, [x])
        np.testing.assert_array_equal(got, expected, err_msg=f"{step}\n{module}")
        run_passes(module, step)
    (got,) = execute(module, [x])
    np.testing.assert_array_equal(got, expected, err_msg=str(module))
    return after


def processes(module: ModuleOp) -> list[ProcessOp]:
    """The processes that a module of layers becomes."""
    return [op for op in run_passes(module, TO_PROCESSES).walk() if isinstance(op, ProcessOp)]


def test_drawn_layers_keep_every_bit() -> None:
    assert_preserves_bits("canonicalize,exact-algebra", examples=10, layers=4)


def kernel(net: FixedNetwork, window: Window, channels: int, results: int) -> SSAValue:
    return net.constant((window.height, window.width, channels, results), "fixed<4,2>")


@given(st.data(), SEEDS)
@FEW
def test_windows_take_padding_over(data: st.DataObject, seed: int) -> None:
    """Products and sums always; maxima where no pixel is below zero."""
    shape, format = (*data.draw(st.tuples(SIZES, SIZES)), 2), st.sampled_from(["fixed", "ufixed"])
    net = FixedNetwork(shape, f"{data.draw(format)}<4,2>", seed)
    x = net.input
    for _ in range(data.draw(st.integers(1, 2))):
        pads = Padding(*(data.draw(st.integers(0, 2)) for _ in range(4)))
        x = net.add(PadOp(x, pads), format_of(x))
    window = data.draw(windows(shape_of(x)))
    kind = data.draw(st.sampled_from(["conv", "depthwise", "sum", "max"]))
    if kind == "max":
        window = Window(2, 2, (1, 1))
        x = net.add(PadOp(x, Padding(1, 0, 1, 0)), format_of(x))
        y = net.add(PoolOp(x, Pooling.MAX, window), format_of(x))
    elif kind == "sum":
        plain = Window(window.height, window.width, window.strides, Padding(5, 5, 5, 5))
        y = net.add(PoolOp(x, Pooling.SUM, plain))
    else:
        layer, results = (ConvOp, 3) if kind == "conv" else (DepthwiseOp, 2)
        y = net.add(layer(x, kernel(net, window, 2, results), window))
    found = kinds(check_bits(net, y))
    assert PadOp not in found or kind == "max"


def test_maxima_of_signed_pixels_keep_their_zeros() -> None:
    """A zero beside them may be the greatest."""
    for name, kept in (("fixed<4,2>", True), ("ufixed<4,2>", False)):
        net = FixedNetwork((3, 3, 2), name)
        x = net.add(PadOp(net.input, Padding(1, 1, 1, 1)), format_of(net.input))
        y = net.add(PoolOp(x, Pooling.MAX, Window(2, 2, (1, 1))), format_of(x))
        y = net.add(ReluOp((y,)))  # something to stand behind
        windows_alone = Window(2, 2, (1, 1), Padding(1, 1, 1, 1))
        assert (PadOp in kinds(check_bits(net, y))) == kept, windows_alone


@given(st.data(), SEEDS)
@FEW
def test_taps_that_add_nothing_are_left_out(data: st.DataObject, seed: int) -> None:
    """Of small images, or of kernels with rows and columns of zeros."""
    net = FixedNetwork((*data.draw(st.tuples(SIZES, SIZES)), 2), "fixed<4,2>", seed)
    window = data.draw(windows(shape_of(net.input)))
    random = np.random.default_rng(seed)
    values = random.integers(-8, 8, (window.height, window.width, 2, 3))
    values *= random.integers(0, 2, (window.height, window.width, 1, 1))
    w = net.add(ConstantOp.fixed(values, Format(True, 4, 2)), Format(True, 4, 2))
    before = values.size
    module = check_bits(net, net.add(ConvOp(net.input, w, window)))
    products = [op.w for op in module.walk() if isinstance(op, ConvOp | DenseOp)]
    assert all(prod(shape_of(w)) <= before for w in products)


def test_a_window_around_one_pixel_is_a_dense_layer() -> None:
    net = FixedNetwork((1, 1, 4), "fixed<4,2>")
    window = Window.same(1, 1, (3, 3), (1, 1))
    module = check_bits(net, net.add(ConvOp(net.input, kernel(net, window, 4, 5), window)))
    (dense,) = (op for op in module.walk() if isinstance(op, DenseOp))
    assert shape_of(dense.w) == (4, 5)


def test_a_window_along_one_row_has_one_row() -> None:
    net = FixedNetwork((1, 6, 2), "fixed<4,2>")
    window = Window.same(1, 6, (5, 3), (1, 1))
    module = check_bits(net, net.add(ConvOp(net.input, kernel(net, window, 2, 2), window)))
    (conv,) = (op for op in module.walk() if isinstance(op, ConvOp))
    assert shape_of(conv.w) == (1, 3, 2, 2)
    assert conv.window.padding == Padding(0, 0, 1, 1)


def test_convolutions_of_pixels_need_no_line_buffer() -> None:
    """Nor does one with a window of the whole image; a stride leaves pixels out."""
    for shape, window, buffered in (
        ((4, 5, 2), Window(1, 1), False),
        ((1, 1, 2), Window(1, 1), False),
        ((4, 5, 2), Window(4, 5), False),
        ((4, 6, 2), Window(1, 3, (1, 3)), False),
        ((4, 5, 2), Window(1, 1, (2, 2)), True),
    ):
        net = FixedNetwork(shape, "fixed<4,2>")
        y = net.add(ConvOp(net.input, kernel(net, window, 2, 3), window))
        found = processes(check_bits(net, y))
        assert any(isinstance(op, WindowOp) for op in found) == buffered, window
        assert sum(isinstance(op, MatvecOp) for op in found) == 1


def test_activations_fuse_with_products_beyond_a_reshape() -> None:
    """What a dense layer on rows of vectors is in Keras: a convolution of pixels, reshaped."""
    net = FixedNetwork((6, 4), "fixed<4,2>")
    x = net.add(ReshapeOp(net.input, (1, 6, 4)), format_of(net.input))
    y = net.add(ConvOp(x, kernel(net, Window(1, 1), 4, 3), Window(1, 1)))
    y = net.add(ReshapeOp(y, (6, 3)), format_of(y))
    y = net.add(QuantizeOp.fixed(y, UNSIGNED, Rounding.RND, Overflow.SAT), UNSIGNED)
    module = check_bits(net, y)
    assert kinds(module) == [DenseOp, QuantizeOp]
    assert [type(op) for op in processes(module) if not op.name.endswith("lanes")] == [MatvecOp]


def scaled(data: st.DataObject, net: FixedNetwork, x: SSAValue) -> SSAValue:
    """An addition, subtraction or product with constants."""
    shape, sign = data.draw(st.sampled_from([(), (1,), (2,)])), data.draw(st.sampled_from("u "))
    a, b = (net.constant(shape, f"{sign.strip()}fixed<4,{k}>") for k in (2, 3))
    layers = [
        lambda: AddOp((x, a)),
        lambda: AddOp((b, x)),
        lambda: SubtractOp((x, a)),
        lambda: SubtractOp((a, x)),
        lambda: MultiplyOp((b, x)),
        lambda: AffineOp((x, a, b)),
    ]
    return net.add(data.draw(st.sampled_from(layers))())


@given(st.data(), SEEDS)
@FEW
def test_scales_and_offsets_are_joined(data: st.DataObject, seed: int) -> None:
    net = FixedNetwork((2, 3, 2), "fixed<5,3>", seed)
    x = net.input
    for _ in range(data.draw(st.integers(2, 4))):
        x = scaled(data, net, x)
    check_bits(net, x)


@pytest.mark.parametrize("subtract", [False, True])
def test_offsets_become_one(subtract: bool) -> None:
    net = FixedNetwork((2, 3, 2), "fixed<5,3>")
    first = net.add(AddOp((net.input, net.constant((2,), "fixed<6,2>"))))
    constant = net.constant((1,), "fixed<4,3>")
    last = SubtractOp((first, constant)) if subtract else AddOp((constant, first))
    assert kinds(check_bits(net, net.add(last))) == [AddOp]


def test_scales_that_others_read_stay() -> None:
    net = FixedNetwork((2, 2), "fixed<5,3>")
    first = net.add(AddOp((net.input, net.constant((2,), "fixed<6,2>"))))
    second = net.add(AddOp((first, net.constant((2,), "fixed<6,2>"))))
    assert kinds(check_bits(net, net.add(MaximumOp((first, second))))) == [AddOp, AddOp, MaximumOp]


def dead(net: FixedNetwork, x: SSAValue) -> SSAValue:
    """Zeros that are computed: a rectifier of what is always negative."""
    values = -np.ones(shape_of(x)[-1:], np.int64) * 100
    offset = net.add(ConstantOp.fixed(values, Format(True, 8, 8)), Format(True, 8, 8))
    below = net.add(AddOp((x, offset)))
    return net.add(QuantizeOp.fixed(below, UNSIGNED, Rounding.RND, Overflow.SAT), UNSIGNED)


@given(st.data(), SEEDS)
@FEW
def test_known_operands_are_folded(data: st.DataObject, seed: int) -> None:
    """Branches of a sum, a product, a maximum and a concatenation that can be one value only."""
    net = FixedNetwork((2, 3), data.draw(st.sampled_from(["fixed<4,2>", "ufixed<4,2>"])), seed)
    known = dead(net, net.input)
    if data.draw(st.booleans()):
        known = net.add(AddOp((known, net.constant((3,), "fixed<5,2>"))))
    kind = data.draw(st.sampled_from([AddOp, SubtractOp, MultiplyOp, MaximumOp, None]))
    args = data.draw(st.permutations([net.input, known]))
    if kind is None:
        x = net.add(ConcatOp(args, 1))
        y = net.add(DenseOp(x, net.constant((6, 4), "fixed<4,2>")))
    else:
        y = net.add(kind(args))
    y = net.add(AddOp((y, net.constant((1,), "fixed<3,2>"))))
    found = kinds(check_bits(net, y))
    assert ConcatOp not in found
    if kind is not MultiplyOp:  # a product with zero is known as a whole, and so is what is behind
        assert len([k for k in found if k is not QuantizeOp]) <= 2


def moved(data: st.DataObject, net: FixedNetwork, x: SSAValue) -> SSAValue:
    """A movement, often of nothing."""
    h, w, c = shape_of(x)
    start = data.draw(st.integers(0, w - 1))
    half = data.draw(st.integers(1, w)) if w > 1 else 1
    layers = [
        lambda: ReshapeOp(x, (w, h, c)),
        lambda: ReshapeOp(x, (h, w, c)),
        lambda: SliceOp(x, 1, start, data.draw(st.integers(start + 1, w))),
        lambda: SliceOp(x, 2, 0, c),
        lambda: PadOp(x, Padding(0, 0, data.draw(st.integers(0, 1)), 0)),
        lambda: UpsampleOp(x, (1, data.draw(st.integers(1, 2)))),
        lambda: TransposeOp(x, data.draw(st.permutations(range(3)))),
    ]
    joined = data.draw(st.integers(0, len(layers)))
    if joined < len(layers):
        return net.add(layers[joined](), format_of(x))
    parts = [net.add(SliceOp(x, 1, 0, half), format_of(x))]
    if half < w:
        parts.append(net.add(SliceOp(x, 1, half, w), format_of(x)))
    return net.add(ConcatOp(parts, 1), format_of(x))


@given(st.data(), SEEDS)
@settings(max_examples=25, deadline=None)
def test_movements_are_joined(data: st.DataObject, seed: int) -> None:
    net = FixedNetwork(data.draw(st.tuples(SIZES, SIZES, SIZES)), "fixed<4,2>", seed)
    x = net.input
    for _ in range(data.draw(st.integers(2, 5))):
        x = moved(data, net, x)
    x = net.add(ReluOp((x,)))
    before = len(list(main_function(check_bits(net, x, "canonicalize")).body.block.ops))
    assert before  # canonicalize ends


def test_movements_there_and_back_are_none() -> None:
    net = FixedNetwork((2, 4, 3), "fixed<4,2>")
    f = format_of(net.input)
    x = net.add(TransposeOp(net.input, (1, 0, 2)), f)
    x = net.add(TransposeOp(x, (1, 0, 2)), f)
    x = net.add(ConcatOp([net.add(SliceOp(x, 1, k, k + 2), f) for k in (0, 2)], 1), f)
    x = net.add(ReshapeOp(net.add(ReshapeOp(x, (24,)), f), (2, 4, 3)), f)
    module = check_bits(net, net.add(ReluOp((x,))), "canonicalize")
    assert kinds(module) == [ReluOp]


def test_a_slice_of_a_concatenation_is_a_part() -> None:
    net = FixedNetwork((2, 4), "fixed<4,2>")
    wide = net.add(AddOp((net.input, net.constant((1,), "fixed<6,3>"))))
    x = net.add(ConcatOp((net.input, wide), 1))
    part = net.add(SliceOp(x, 1, 4, 8), format_of(x))
    module = check_bits(net, net.add(ReluOp((part,))), "canonicalize")
    assert not any(issubclass(k, MovementOp | ConcatOp) for k in kinds(module))


def test_no_process_pads_for_a_window() -> None:
    net = FixedNetwork((4, 4, 2), "fixed<4,2>")
    x = net.add(PadOp(net.input, Padding(1, 1, 1, 1)), format_of(net.input))
    window = Window(3, 3)
    module = check_bits(net, net.add(ConvOp(x, kernel(net, window, 2, 3), window)))
    assert not any(isinstance(op, PadProcess) for op in processes(module))


@given(st.data(), SEEDS)
@FEW
def test_factors_have_no_bits_that_are_always_zero(data: st.DataObject, seed: int) -> None:
    """Weights and scales that are multiples of a power of two."""
    net, zeros = FixedNetwork((3, 3, 2), "fixed<4,2>", seed), data.draw(st.integers(0, 4))
    random, format = np.random.default_rng(seed), Format(True, 8, data.draw(st.integers(0, 8)))

    def constant(shape: Shape) -> SSAValue:
        values = random.integers(-8, 8, shape) << zeros
        return net.add(ConstantOp.fixed(values, format), format)

    window = Window(2, 2)
    kind = data.draw(st.sampled_from(["conv", "dense", "mul", "affine"]))
    layers = {
        "conv": lambda: ConvOp(net.input, constant((2, 2, 2, 3)), window),
        "dense": lambda: DenseOp(net.input, constant((2, 3))),
        "mul": lambda: MultiplyOp((net.input, constant((2,)))),
        "affine": lambda: AffineOp((net.input, constant((2,)), constant((2,)))),
    }
    module = check_bits(net, net.add(layers[kind]()))
    factors = [o.owner for op in module.walk() for o in op.operands[1:2]]
    assert all(isinstance(f, ConstantOp) and f.out.width <= 8 - zeros for f in factors)


def test_a_power_of_two_takes_no_multiplier() -> None:
    """Nor any logic, where it is the same for all channels."""
    for value, free in ((64, True), (96, False)):
        net, format = FixedNetwork((3, 2), "fixed<8,4>"), Format(False, 8, 2)
        scale = net.add(ConstantOp.fixed(np.array([value]), format), format)
        y = net.add(MultiplyOp((net.add(ReluOp((net.input,))), scale)))
        (op,) = (op for op in processes(check_bits(net, y)) if isinstance(op, MapOp))
        relu = resources.logic(8)
        assert (op.resources() == relu) == free
        assert op.resources().dsp == 0


def test_an_input_that_tells_nothing_is_read_still() -> None:
    """The second of two inputs only feeds zeros; a stream has to end somewhere."""
    net = FixedNetwork((2, 3), "fixed<4,2>")
    other = net.block.insert_arg(net.input.type, 1)
    y = net.add(AddOp((net.input, dead(net, other))))
    net.block.add_op(ReturnOp(y))
    function = FuncOp("main", ([], []), Region(net.block))
    ports = [Port(name, (2, 3), format_of(net.input)) for name in ("x", "z")]
    set_ports(function, ports, [Port("y", (2, 3))])
    module = ModuleOp([function])
    run_passes(module, f"exact-algebra,{TO_PROCESSES},size-fifos")
    assert len(list(main_function(module).args[1].uses)) == 1
