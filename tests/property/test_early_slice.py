"""Slices in front of what they drop part of: the same values, and fewer of them computed."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qnn_networks import Network, run_passes, run_reals
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from calocc.dialects.qnn.conv import ConvolutionOp, ConvOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import AddOp, ReluOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import QuantizedBits
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding, Window

BITS = QuantizedBits(4, 1, alpha=1.0)
IMAGE = (7, 6, 2)


@st.composite
def windows(draw: st.DrawFn, image: tuple[int, ...]) -> Window:
    """Any size, stride, dilation and padding; every place meets a pixel."""
    few = st.integers(1, 3)
    size, stride, dilation = (draw(st.tuples(few, few)) for _ in range(3))
    apart = dilation if stride == (1, 1) else (1, 1)
    padding = Padding.of([draw(st.integers(0, n - 1)) for n in size for _ in range(2)])
    window = Window(*size, stride, padding, apart)
    return window if min(window.output_size(*image[:2])) > 0 else Window(1, 1)


def windowed(data: st.DataObject, net: Network, x: SSAValue, seed: int) -> SSAValue:
    """A convolution, with a kernel for each channel or for all, or a pooling."""
    window = data.draw(windows(shape_of(x)))
    kind = data.draw(st.sampled_from((ConvOp, DepthwiseOp, *Pooling)))
    if isinstance(kind, Pooling):
        plain = Window(window.height, window.width, window.strides, window.padding)
        return net.add(PoolOp(x, kind, plain))
    shape = (window.height, window.width, shape_of(x)[2], 2)
    kernel = net.constant(np.random.default_rng(seed).normal(0, 1, shape))
    return net.add(kind(x, net.add(QuantizeOp.real(kernel, BITS)), window))


def cut(data: st.DataObject, net: Network, x: SSAValue) -> SSAValue:
    """A range of an axis."""
    axis = data.draw(st.integers(0, len(shape_of(x)) - 1))
    start = data.draw(st.integers(0, shape_of(x)[axis] - 1))
    stop = data.draw(st.integers(start + 1, shape_of(x)[axis]))
    return net.add(SliceOp(x, axis, start, stop))


def lowered(data: st.DataObject, seed: int) -> ModuleOp:
    """Two windowed layers, elementwise ones and a shape without axes of 1 before slices."""
    net = Network(IMAGE)
    x = net.add(QuantizeOp.real(net.inputs[0], BITS))
    for k in range(2):
        x = windowed(data, net, x, seed + k)
        bias = net.constant(np.arange(shape_of(x)[2]) / 2)
        x = net.add(ReluOp((net.add(AddOp((x, bias))),)))
    if 1 in shape_of(x):
        x = net.add(ReshapeOp(x, [n for n in shape_of(x) if n > 1] or [1]))
    for _ in range(data.draw(st.integers(1, 3))):
        x = cut(data, net, x)
    return run_passes(net.module(x), "lower-to-fixed,dce")


def work(module: ModuleOp) -> int:
    """Products and comparisons of the layers with windows."""
    ops = [op for op in module.walk() if isinstance(op, ConvolutionOp | PoolOp)]
    return sum(prod(shape_of(op.result)) * op.window.taps for op in ops)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_slices_keep_every_bit_and_save_work(data: st.DataObject, seed: int) -> None:
    module = lowered(data, seed)
    x = np.random.default_rng(seed).normal(0, 2, (4, *IMAGE))
    (before,), work_before = run_reals(module, [x]), work(module)
    run_passes(module, "canonicalize")
    (after,) = run_reals(module, [x])
    np.testing.assert_array_equal(before, after)
    assert work(module) <= work_before


@pytest.mark.parametrize(("axis", "rows", "columns"), [(0, 3, 6), (1, 7, 3)])
def test_only_the_windows_that_are_read_are_computed(axis: int, rows: int, columns: int) -> None:
    net = Network(IMAGE)
    x = net.add(QuantizeOp.real(net.inputs[0], BITS))
    kernel = net.add(QuantizeOp.real(net.constant(np.ones((3, 3, 2, 1))), BITS))
    x = net.add(ConvOp(x, kernel, Window.same(7, 6, (3, 3), (1, 1))))
    module = net.module(net.add(SliceOp(net.add(ReluOp((x,))), axis, 0, 3)))
    run_passes(module, "lower-to-fixed,dce,canonicalize")
    (conv,) = [op for op in module.walk() if isinstance(op, ConvOp)]
    assert shape_of(conv.result) == (rows, columns, 1)
    assert shape_of(conv.x)[axis] == 4  # three, and the one that the last window reaches


def test_what_others_read_is_computed_as_a_whole() -> None:
    net = Network(IMAGE)
    x = net.add(QuantizeOp.real(net.inputs[0], BITS))
    y = net.add(PoolOp(x, Pooling.SUM, Window(2, 2)))
    module = net.module(net.add(SliceOp(y, 0, 0, 3)), y)
    run_passes(module, "lower-to-fixed,dce,canonicalize")
    (pool,) = [op for op in module.walk() if isinstance(op, PoolOp)]
    assert shape_of(pool.result) == (6, 5, 2)
