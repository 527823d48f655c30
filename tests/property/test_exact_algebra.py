"""The rewrites of `exact-algebra`: the same bits from less work, and what is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partialmethod
from math import prod

import numpy as np
import pytest
from fixed_networks import FixedNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from qnn_networks import Network, as_mantissas, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.routing import WindowOp
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.conv import ConvolutionOp, ConvOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    GateOp,
    IsZeroOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.movement import UpsampleOp
from calocc.dialects.qnn.op import QnnOp, Shape, format_of, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import QuantizedBits
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.step import LookupOp, ThresholdOp
from calocc.dialects.qnn.tap_sum import TapSumOp
from calocc.dialects.qnn.taps import Taps
from calocc.dialects.qnn.windows import Padding, Window
from calocc.passes.algebra.pools import PooledChain
from calocc.runtime.emulator import execute

BITS = QuantizedBits(5, 2, alpha=1.0)
SEEDS = st.integers(0, 1000)
SIZES = st.integers(1, 4)
FEW = settings(max_examples=50, deadline=None)


def image_network(shape: Shape) -> tuple[Network, SSAValue]:
    """A network that begins with a quantized image."""
    net = Network(shape)
    return net, net.add(QuantizeOp.real(net.inputs[0], BITS))


def kernel(net: Network, shape: Shape, seed: int) -> SSAValue:
    """Quantized weights."""
    values = np.random.default_rng(seed).normal(0, 1, shape)
    return net.add(QuantizeOp.real(net.constant(values), BITS))


def lowered(net: Network, *results: SSAValue) -> ModuleOp:
    """The fixed-point module."""
    return run_passes(net.module(*results), "lower-to-fixed,dce")


def check_bits(module: ModuleOp, seed: int, passes: str = "exact-algebra") -> None:
    """The passes keep every bit, down to balanced processes."""
    x = np.random.default_rng(seed).normal(0, 3, (3, *shape_of(main_function(module).args[0])))
    mantissas = as_mantissas(module, [x])
    (expected,) = execute(module, mantissas)
    for step in [passes, "narrow-widths", "partition-streams", "fuse", "balance{interval=40}"]:
        run_passes(module, step)
        (got,) = execute(module, mantissas)
        np.testing.assert_array_equal(got, expected, err_msg=f"{step}\n{module}")


def products(module: ModuleOp) -> int:
    """Products of all convolutions."""
    ops = [op for op in module.walk() if isinstance(op, ConvolutionOp)]
    return sum(prod(shape_of(op.result)[:2]) * prod(shape_of(op.w)) for op in ops)


@st.composite
def windows(draw: st.DrawFn, image: Shape) -> Window:
    """Any window that fits an image, with any padding, stride and dilation."""
    size, strides = (draw(st.tuples(SIZES, SIZES)) for _ in range(2))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    pads = [draw(st.integers(0, 2)) for _ in range(4)]
    for axis in (0, 1):
        lacking = (size[axis] - 1) * dilation[axis] + 1 - image[axis] - pads[2 * axis + 1]
        pads[2 * axis] = max(pads[2 * axis], lacking)
    return Window(*size, strides, Padding(*pads), dilation)


@given(st.data(), SEEDS)
@FEW
def test_repeated_pixels_are_weighed_once(data: st.DataObject, seed: int) -> None:
    net, x = image_network((data.draw(SIZES), data.draw(SIZES), 2))
    x = net.add(UpsampleOp(x, (data.draw(SIZES), data.draw(st.integers(1, 6)))))
    window = data.draw(windows(shape_of(x)))
    kind, results = data.draw(st.sampled_from([(ConvOp, 3), (DepthwiseOp, 2)]))
    w = kernel(net, (window.height, window.width, 2, results), seed)
    module = lowered(net, net.add(QuantizeOp.real(net.add(kind(x, w, window)), BITS)))
    before = products(module)
    check_bits(module.clone(), seed)
    run_passes(module, "exact-algebra")
    assert products(module) <= before


def test_five_columns_of_one_take_a_fifth_of_the_products() -> None:
    """The first layer of DeepCalo."""
    net, x = image_network((56, 11, 4))
    x = net.add(UpsampleOp(x, (1, 5)))
    w = kernel(net, (5, 5, 4, 16), 0)
    module = lowered(net, net.add(ConvOp(x, w, Window.same(56, 55, (5, 5), (1, 1)))))
    assert products(module) == 4_928_000
    run_passes(module, "exact-algebra")
    assert products(module) == 985_600
    assert not any(isinstance(op, UpsampleOp) for op in module.walk())


def test_strides_that_skip_copies_leave_nothing_to_save() -> None:
    net, x = image_network((4, 4, 2))
    x = net.add(UpsampleOp(x, (1, 2)))
    w = kernel(net, (1, 1, 2, 8), 0)
    module = lowered(net, net.add(ConvOp(x, w, Window(1, 1, (1, 4)))))
    run_passes(module, "exact-algebra")
    assert not any(isinstance(op, TapSumOp) for op in module.walk())


def layered(data: st.DataObject, net: Network, x: SSAValue, seed: int) -> SSAValue:
    """A convolution or a pooling, perhaps over repeated pixels, and elementwise layers."""
    if data.draw(st.booleans()):
        x = net.add(UpsampleOp(x, (data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)))))
    window = data.draw(windows(shape_of(x)))
    if data.draw(st.booleans()):
        window = replace(window, dilation=(1, 1), padding=Padding())
        window = replace(window, height=min(window.height, shape_of(x)[0]))
        window = replace(window, width=min(window.width, shape_of(x)[1]))
        return net.add(PoolOp(x, data.draw(st.sampled_from(Pooling)), window))
    w = kernel(net, (window.height, window.width, 2, 2), seed)
    return net.add(AddOp((net.add(ConvOp(x, w, window)), net.constant(np.arange(2.0)))))


@given(st.data(), SEEDS)
@FEW
def test_what_no_window_reads_is_not_computed(data: st.DataObject, seed: int) -> None:
    net, x = image_network((data.draw(st.integers(2, 7)), data.draw(st.integers(2, 7)), 2))
    for k in range(3):
        x = layered(data, net, x, seed + k)
        x = net.add(QuantizeOp.real(x, BITS))
    module = lowered(net, x)
    before, slices = products(module), count(module, SliceOp)
    check_bits(module.clone(), seed)
    run_passes(module, "exact-algebra")
    assert products(module) <= before
    assert count(module, SliceOp) == slices


def count(module: ModuleOp, kind: type[QnnOp]) -> int:
    """How many layers of a kind there are."""
    return sum(isinstance(op, kind) for op in module.walk())


def pooled(net: Network, x: SSAValue, size: tuple[int, int]) -> SSAValue:
    """Maxima over 2 x 2 pixels behind a rectifier, a same convolution in front."""
    w = kernel(net, (3, 3, shape_of(x)[-1], 2), 0)
    x = net.add(ConvOp(x, w, Window.same(*size, (3, 3), (1, 1))))
    x = net.add(ReluOp((x,)))
    return net.add(PoolOp(x, Pooling.MAX, Window(2, 2, (2, 2))))


@pytest.mark.parametrize(("size", "computed"), [((6, 5), (6, 4)), ((7, 6), (6, 6))])
def test_a_pooling_of_pairs_leaves_out_an_odd_row_or_column(
    size: tuple[int, int], computed: tuple[int, int]
) -> None:
    net, x = image_network((*size, 2))
    module = lowered(net, pooled(net, x, size))
    run_passes(module, "exact-algebra")
    (conv,) = (op for op in module.walk() if isinstance(op, ConvOp))
    assert shape_of(conv.result) == (*computed, 2)
    assert count(module, SliceOp) == 0


def test_columns_that_others_read_are_computed() -> None:
    net, x = image_network((6, 5, 2))
    y = pooled(net, x, (6, 5))
    pool = y.owner
    assert isinstance(pool, PoolOp)
    module = lowered(net, y, pool.x)
    run_passes(module, "exact-algebra")
    (conv,) = (op for op in module.walk() if isinstance(op, ConvOp))
    assert shape_of(conv.result) == (6, 5, 2)


def element(
    data: st.DataObject, net: FixedNetwork, x: SSAValue, random: np.random.Generator
) -> SSAValue:
    """An elementwise layer, of which some rise and some fall, on a fixed-point value."""
    sizes = data.draw(st.integers(3, 6)), data.draw(st.integers(1, 4))
    out = Format(data.draw(st.booleans()), *sizes)
    modes = data.draw(st.sampled_from(Rounding)), data.draw(st.sampled_from(Overflow))
    if format_of(x).width > 12:
        return net.add(QuantizeOp.fixed(x, out, *modes), out)
    sign = data.draw(st.sampled_from(["fixed<4,2>", "ufixed<4,2>"]))
    a, b = net.constant((2,), sign), net.constant((2,), sign)
    table = random.integers(-9, 9, 1 << format_of(x).width)
    table = np.sort(table) if data.draw(st.booleans()) else table
    steps = np.sort(random.integers(-40, 40, (2, 4)), axis=1)
    layers: list[Callable[[], QnnOp]] = [
        lambda: QuantizeOp.fixed(x, out, *modes),
        lambda: AddOp((x, a)),
        lambda: AddOp((a, x)),
        lambda: SubtractOp((x, a)),
        lambda: SubtractOp((a, x)),
        lambda: MultiplyOp((x, a)),
        lambda: MultiplyOp((a, x)),
        lambda: AffineOp((x, a, b)),
        lambda: AffineOp((a, x, b)),
        lambda: ReluOp((x,)),
        lambda: LeakyReluOp((x, a)),
        lambda: GateOp((x, a, b)),
        lambda: MaximumOp((x, a)),
        lambda: MinimumOp((a, x)),
        lambda: IsZeroOp((x,)),
        lambda: ThresholdOp(x, steps, -2, Format(True, 3, 3)),
        lambda: LookupOp(x, table, format_of(x).min_mantissa, Format(True, 5, 5)),
    ]
    op = data.draw(st.sampled_from(layers))()
    keeps = isinstance(op, QuantizeOp | ThresholdOp | LookupOp)
    return net.add(op, op.out if keeps else None)


@given(st.data(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_maxima_move_past_what_never_falls(data: st.DataObject, seed: int) -> None:
    random = np.random.default_rng(seed)
    net = FixedNetwork((4, 5, 2), data.draw(st.sampled_from(["fixed<5,3>", "ufixed<4,4>"])), seed)
    x = net.input
    places = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    for count in places:
        for _ in range(count):
            x = element(data, net, x, random)
        if shape_of(x)[0] == 4:
            pads = Padding(*(data.draw(st.integers(0, 1)) for _ in range(4)))
            pool = PoolOp(x, Pooling.MAX, Window(2, 2, (2, 2), pads))
            x = net.add(pool, format_of(x))
    module = net.module(x)
    mantissas = random.integers(*_range(net.input), (4, 4, 5, 2))
    (expected,) = execute(module, [mantissas])
    for share in (0.0, 1.0):
        moved = module.clone()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PooledChain, "best", partialmethod(_at, share))
            run_passes(moved, "exact-algebra")
        (got,) = execute(moved, [mantissas])
        np.testing.assert_array_equal(got, expected, err_msg=f"{share}\n{module}\n{moved}")


def _at(chain: PooledChain, share: float) -> int:
    """In front of all layers, or behind all."""
    return round(share * len(chain.links))


def _range(value: SSAValue) -> tuple[int, int]:
    format = format_of(value)
    return format.min_mantissa, format.max_mantissa + 1


@given(SIZES, st.integers(1, 9), SIZES, SIZES, SIZES, SIZES, st.integers(-6, 6))
def test_taps_find_the_repeated_pixels(
    length: int, outputs: int, count: int, factor: int, stride: int, dilation: int, start: int
) -> None:
    taps = Taps(length, outputs, count, factor, stride, dilation, start)
    x = np.arange(1, 2 * length * count + 1).reshape(1, length, 2 * count)
    copies = x.reshape(length, 2, count).repeat(factor, axis=0)
    expected = np.zeros((1, outputs, 2), np.int64)
    for o, k in np.ndindex(outputs, count):
        place = o * stride + k * dilation + start
        if 0 <= place < len(copies):
            expected[0, o] += copies[place, :, k]
    np.testing.assert_array_equal(taps.gather(x, 1), expected)


@given(SIZES, st.integers(1, 9), SIZES, SIZES, SIZES, SIZES, st.integers(-6, 6), SIZES)
def test_steps_of_taps_are_causal_and_never_idle(
    length: int,
    outputs: int,
    count: int,
    factor: int,
    stride: int,
    dilation: int,
    start: int,
    at_once: int,
) -> None:
    """A group of outputs finds all its pixels among the last ones that have come."""
    taps = Taps(length, outputs, count, factor, stride, dilation, start)
    comes, leaves, steps = taps.steps(at_once)
    assert len(comes) == length
    assert len(leaves) == -(-outputs // at_once)
    assert np.all(np.diff(comes) > 0)
    assert np.all(np.diff(leaves) > 0)
    assert set(comes.tolist()) | set(leaves.tolist()) == set(range(steps))
    for o in range(outputs):
        come = int(np.sum(comes <= leaves[o // at_once]))
        pixels = taps.pixels[o][taps.inside[o]]
        assert all(come - taps.span(at_once) <= p < come for p in pixels)


@given(SIZES, SIZES, SIZES, SIZES, st.tuples(SIZES, SIZES))
def test_windows_divide_an_image_if_its_pixels_come_window_by_window(
    height: int, width: int, down: int, across: int, strides: tuple[int, int]
) -> None:
    window = Window(min(down, height), min(across, width), strides)
    pixels = np.arange(height * width).reshape(1, height, width, 1)
    in_order = window.slide(pixels).reshape(-1).tolist() == list(range(height * width))
    assert window.divides(height, width) == in_order


@pytest.mark.parametrize(("size", "strides"), [((2, 5), (2, 1)), ((6, 5), (3, 1))])
def test_rows_of_windows_need_no_line_buffer(
    size: tuple[int, int], strides: tuple[int, int]
) -> None:
    net, x = image_network((6, 5, 2))
    w = kernel(net, (*size, 2, 3), 0)
    pool = net.add(PoolOp(x, Pooling.SUM, Window(*size, strides)))
    module = lowered(net, net.add(ConvOp(x, w, Window(*size, strides))), pool)
    given = as_mantissas(module, [np.random.default_rng(1).normal(0, 2, (3, 6, 5, 2))])
    expected = execute(module, given)
    run_passes(module, "partition-streams,fuse,balance{interval=9}")
    assert not any(isinstance(op, WindowOp) for op in module.walk())
    for got, wanted in zip(execute(module, given), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("scale", "overflow", "pooled_first"),
    [
        ("ufixed<8,2>", Overflow.SAT, True),
        ("fixed<8,2>", Overflow.SAT, False),
        ("ufixed<8,2>", Overflow.WRAP, False),
    ],
)
def test_maxima_go_in_front_of_multipliers(
    scale: str, overflow: Overflow, pooled_first: bool
) -> None:
    """Unless some channels are turned round, or values wrap."""
    net = FixedNetwork((8, 8, 8), "fixed<8,4>", seed=1)
    scaled = net.add(MultiplyOp((net.input, net.constant((8,), scale))))
    out = Format(True, 8, 4)
    x = net.add(QuantizeOp.fixed(scaled, out, Rounding.RND, overflow), out)
    x = net.add(PoolOp(x, Pooling.MAX, Window(2, 2, (2, 2))), out)
    module = run_passes(net.module(x), "exact-algebra")
    (multiplication,) = (op for op in module.walk() if isinstance(op, MultiplyOp))
    assert (shape_of(multiplication.result) == (4, 4, 8)) == pooled_first


def test_maxima_of_narrow_casts_stay_behind_them() -> None:
    """Line buffers of wide sums would cost more than a rounding for each of them."""
    net = FixedNetwork((8, 16, 8), "fixed<24,4>")
    out = Format(False, 6, 1)
    x = net.add(QuantizeOp.fixed(net.input, out, Rounding.RND_CONV, Overflow.SAT), out)
    x = net.add(PoolOp(x, Pooling.MAX, Window(2, 2, (2, 2))), out)
    module = run_passes(net.module(x), "exact-algebra")
    (pool,) = (op for op in module.walk() if isinstance(op, PoolOp))
    assert format_of(pool.x) == out
