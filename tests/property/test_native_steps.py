"""Every compiled step against the `evaluate` of its process, on dataflow networks made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.dataflow.reverse import ReverseOp
from calocc.dialects.dataflow.routing import (
    BufferOp,
    ConcatOp,
    ForkOp,
    PadOp,
    ReshapeOp,
    UpsampleOp,
    WindowOp,
)
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.dataflow.tap_sum import TapSumOp
from calocc.dialects.fixed import ops
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.pool import Pooling
from calocc.dialects.qnn.tap_sum import summed_shape
from calocc.dialects.qnn.taps import Taps
from calocc.dialects.qnn.windows import Padding, Window
from calocc.runtime.emulator import execute
from calocc.runtime.native import library as libraries
from calocc.runtime.native.library import library
from calocc.runtime.native.plan import Plan, Segment
from calocc.runtime.native.steps import PAIRS, QUADS, WIDE, product_form

Ints = NDArray[np.int64]
Image = tuple[int, int, int]

# One and several lanes, and each kind of storage at its ends.
ELEMENTS = [
    *(Format(False, width, 2) for width in (1, 5, 8, 9, 15, 16, 31, 32)),
    *(Format(True, width, -1) for width in (2, 8, 9, 16, 17, 32, 33)),
]
NARROW = [format for format in ELEMENTS if format.width <= 17]
WEIGHT_BITS = (2, 6, 8, 9, 16, 17, 20)
OTHER_SETS = [("-O1",), ("-O1", "-mavx2"), ("-O1", "-mavx512bw")]


# ---- networks ------------------------------------------------------------------------------------


class Network:
    """A function `main` on streams in the making."""

    def __init__(self, *streams: StreamType):
        self.block = Block(arg_types=streams)

    def add(self, op: DataflowOp) -> SSAValue:
        """Append a process; return its first result."""
        self.block.add_op(op)
        return op.results[0]

    def module(self, *results: SSAValue) -> ModuleOp:
        """The finished module, verified."""
        self.block.add_op(ReturnOp(*results))
        types = [a.type for a in self.block.args], [r.type for r in results]
        module = ModuleOp([FuncOp("main", types, Region(self.block))])
        module.verify()
        return module


def mantissas(seed: int, stream: StreamType, events: int) -> Ints:
    """Ends of the range, zeros and anything between."""
    random, format = np.random.default_rng(seed), stream.format
    shape = (events, *stream.shape)
    anything = random.integers(format.min_mantissa, format.max_mantissa + 1, shape)
    ends = random.choice([format.min_mantissa, 0, format.max_mantissa], shape)
    return np.where(random.random(shape) < 0.5, anything, ends)


def check(module: ModuleOp, seed: int, events: int, threads: int) -> None:
    """One segment computes what the processes evaluate to."""
    (function,) = module.ops
    assert isinstance(function, FuncOp)
    inputs = [mantissas(seed + k, stream_of(a), events) for k, a in enumerate(function.args)]
    plan = Plan.of(module)
    assert [type(part) for part in plan.parts] == [Segment]
    for got, wanted in zip(plan.run(inputs, threads), execute(module, inputs), strict=True):
        np.testing.assert_array_equal(got, wanted, strict=True)


def cast_to(argument: Format, target: Format, rounding: Rounding) -> Region:
    """An epilogue that quantizes."""
    block = Block(arg_types=[FixedType.of(argument)])
    cast = ops.QuantizeOp(block.args[0], target, rounding, Overflow.SAT)
    block.add_ops([cast, ops.YieldOp(cast)])
    return Region(block)


def holding(bound: int, frac: int) -> Format:
    """A signed format for magnitudes up to a bound."""
    return Format.holding(-max(bound, 1), bound, frac)


# ---- draws ---------------------------------------------------------------------------------------

EVENTS = st.integers(0, 9)
THREADS = st.integers(1, 3)
SEEDS = st.integers(0, 2**16)


@st.composite
def images(draw: st.DrawFn, most: int = 6) -> Image:
    """Heights and widths of a few pixels; odd and even numbers of channels, and a whole vector."""
    height, width = (draw(st.integers(1, most)) for _ in range(2))
    return height, width, draw(st.sampled_from([1, 2, 3, 5, 8, 16, 19]))


@st.composite
def windows(draw: st.DrawFn, image: Image) -> Window:
    """Windows that fit an image, with any stride, dilation and padding."""
    pad = Padding(*(draw(st.integers(0, 2)) for _ in range(4)))
    height, width = image[0] + pad.top + pad.bottom, image[1] + pad.left + pad.right
    size = [draw(st.integers(1, min(n, 4))) for n in (height, width)]
    apart = [
        draw(st.integers(1, 2)) if 2 * (k - 1) < n else 1
        for k, n in zip(size, (height, width), strict=True)
    ]
    strides = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return Window(size[0], size[1], strides, pad, (apart[0], apart[1]))


# ---- products ------------------------------------------------------------------------------------


def product(
    x: SSAValue, bits: int, outputs: int, finer: int, target: Format, seed: int
) -> MatvecOp:
    """A product with weights of some bits, in an accumulator with `finer` more fraction bits."""
    source = stream_of(x)
    inputs, random = source.shape[-1], np.random.default_rng(seed)
    weights = random.integers(-(1 << (bits - 1)), 1 << (bits - 1), (inputs, outputs))
    format = Format(True, bits, 1)
    largest = max(-source.format.min_mantissa, source.format.max_mantissa)
    bound = int(np.abs(weights).sum(axis=0).max()) * largest << finer
    accumulator = holding(bound, source.format.frac + format.frac + finer)
    epilogue = cast_to(accumulator, target, Rounding.RND_CONV)
    result = StreamType.of((*source.shape[:-1], outputs), target)
    return MatvecOp(x, BlobAttr.of(weights), format, epilogue, result)


@settings(max_examples=150)
@given(
    image=images(),
    source=st.sampled_from(ELEMENTS),
    bits=st.sampled_from(WEIGHT_BITS),
    outputs=st.sampled_from([1, 3, 16, 17, 33, 50]),
    finer=st.integers(0, 2),
    target=st.sampled_from(ELEMENTS),
    seed=SEEDS,
    events=EVENTS,
    threads=THREADS,
    data=st.data(),
)
def test_products_of_windows(
    image: Image,
    source: Format,
    bits: int,
    outputs: int,
    finer: int,
    target: Format,
    seed: int,
    events: int,
    threads: int,
    data: st.DataObject,
) -> None:
    net = Network(StreamType.of(image, source))
    fill = data.draw(st.sampled_from([0, source.max_mantissa, source.min_mantissa]))
    x = net.add(WindowOp(net.block.args[0], data.draw(windows(image)), fill))
    y = net.add(product(x, bits, outputs, finer, target, seed))
    check(net.module(y), seed, events, threads)


@pytest.mark.parametrize(
    ("source", "bits", "form"),
    [
        (Format(False, 8, 2), 8, QUADS),
        (Format(False, 8, 2), 9, PAIRS),
        (Format(False, 9, 2), 8, PAIRS),
        (Format(True, 8, 2), 8, PAIRS),
        (Format(True, 16, 2), 12, PAIRS),
        (Format(True, 16, 2), 16, WIDE),  # the sums need more than 32 bits
        (Format(False, 16, 2), 8, WIDE),
        (Format(True, 4, 2), 17, WIDE),
    ],
)
def test_products_are_as_narrow_as_is_exact(source: Format, bits: int, form: int) -> None:
    net = Network(StreamType.of((4, 7), source))
    op = product(net.block.args[0], bits, 5, 0, Format(True, 8, 8), 3)
    loaded = library()
    assert loaded is not None
    expected = PAIRS if form == QUADS and not loaded.calocc_has_quads() else form
    assert product_form(op) == expected
    check(net.module(net.add(op)), 0, 5, 1)


# ---- sums and maxima -----------------------------------------------------------------------------


@settings(max_examples=100)
@given(
    image=images(),
    source=st.sampled_from(ELEMENTS),
    kind=st.sampled_from(list(Pooling)),
    target=st.sampled_from(ELEMENTS),
    seed=SEEDS,
    events=EVENTS,
    threads=THREADS,
    data=st.data(),
)
def test_pooling(
    image: Image,
    source: Format,
    kind: Pooling,
    target: Format,
    seed: int,
    events: int,
    threads: int,
    data: st.DataObject,
) -> None:
    """Over windows whose padding counts, and over all pixels."""
    net = Network(StreamType.of(image, source))
    x, taps, shape = net.block.args[0], prod(image[:2]), (1, 1, image[2])
    if data.draw(st.booleans()):
        window = data.draw(windows(image))
        fill = data.draw(st.sampled_from([0, source.max_mantissa, source.min_mantissa]))
        x = net.add(WindowOp(x, window, fill))
        taps, shape = window.taps, (*stream_of(x).shape[:2], image[2])
    largest = max(-source.min_mantissa, source.max_mantissa)
    accumulator = holding(largest * taps << 1, source.frac + 1)
    epilogue = cast_to(accumulator, target, Rounding.RND)
    y = net.add(ReduceOp(x, kind, epilogue, StreamType.of(shape, target)))
    check(net.module(y), seed, events, threads)


@settings(max_examples=100)
@given(
    image=images(),
    source=st.sampled_from(ELEMENTS),
    bits=st.sampled_from(WEIGHT_BITS),
    multiplier=st.integers(1, 3),
    target=st.sampled_from(ELEMENTS),
    seed=SEEDS,
    events=EVENTS,
    threads=THREADS,
    data=st.data(),
)
def test_weighted_sums_per_channel(
    image: Image,
    source: Format,
    bits: int,
    multiplier: int,
    target: Format,
    seed: int,
    events: int,
    threads: int,
    data: st.DataObject,
) -> None:
    net = Network(StreamType.of(image, source))
    window = data.draw(windows(image))
    x = net.add(WindowOp(net.block.args[0], window))
    limit = 1 << (bits - 1)
    shape = (window.taps, image[2], multiplier)
    weights = np.random.default_rng(seed).integers(-limit, limit, shape)
    format = Format(True, bits, 3)
    largest = max(-source.min_mantissa, source.max_mantissa)
    accumulator = holding(largest * limit * window.taps, source.frac + format.frac)
    result = StreamType.of((*stream_of(x).shape[:2], image[2] * multiplier), target, multiplier)
    epilogue = cast_to(accumulator, target, Rounding.TRN)
    y = net.add(DepthwiseOp(x, BlobAttr.of(weights), format, epilogue, result))
    check(net.module(y), seed, events, threads)


@settings(max_examples=60)
@given(
    image=images(4),
    source=st.sampled_from(ELEMENTS),
    numbers=st.tuples(*(st.integers(1, 4) for _ in range(4))),
    start=st.integers(-5, 5),
    outputs=st.integers(1, 9),
    axis=st.integers(0, 1),
    target=st.sampled_from(ELEMENTS),
    seed=SEEDS,
    events=EVENTS,
    threads=THREADS,
)
def test_sums_of_taps(
    image: Image,
    source: Format,
    numbers: tuple[int, int, int, int],
    start: int,
    outputs: int,
    axis: int,
    target: Format,
    seed: int,
    events: int,
    threads: int,
) -> None:
    taps = Taps(image[axis], outputs, *numbers, start)
    shape = (*image[:2], image[2] * taps.count)
    net = Network(StreamType.of(shape, source, taps.count))
    largest = max(-source.min_mantissa, source.max_mantissa)
    accumulator = holding(largest * taps.count << 1, source.frac + 1)
    result = StreamType.of(summed_shape(shape, axis, taps), target)
    epilogue = cast_to(accumulator, target, Rounding.RND)
    y = net.add(TapSumOp(net.block.args[0], axis, taps, epilogue, result))
    check(net.module(y), seed, events, threads)


# ---- moves ---------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(
    image=images(4),
    source=st.sampled_from(ELEMENTS),
    kinds=st.lists(
        st.sampled_from("transpose slice reverse upsample pad concat".split()), max_size=5
    ),
    seed=SEEDS,
    events=EVENTS,
    threads=THREADS,
    data=st.data(),
)
def test_moves(
    image: Image,
    source: Format,
    kinds: Sequence[str],
    seed: int,
    events: int,
    threads: int,
    data: st.DataObject,
) -> None:
    net = Network(StreamType.of(image, source))
    fork = ForkOp(net.block.args[0], 2)
    x, kept = net.add(fork), fork.results[1]
    for kind in kinds:
        x = net.add(moved(kind, x, kept, data))
        if kind == "concat":
            fork = ForkOp(x, 2)
            x, kept = net.add(fork), fork.results[1]
    window = data.draw(windows(stream_of(x).shape[:3]))  # type: ignore[arg-type]
    check(net.module(net.add(WindowOp(x, window)), kept), seed, events, threads)


def moved(kind: str, x: SSAValue, kept: SSAValue, data: st.DataObject) -> DataflowOp:
    """A process that moves elements of an image."""
    shape = stream_of(x).shape
    if kind == "transpose":
        return BufferOp(x, data.draw(st.permutations(range(3))))
    if kind == "slice":
        axis = data.draw(st.integers(0, 2))
        start = data.draw(st.integers(0, shape[axis] - 1))
        return SliceOp(x, axis, start, data.draw(st.integers(start + 1, shape[axis])))
    if kind == "reverse":
        return ReverseOp(x)
    if kind == "upsample":
        return UpsampleOp(x, (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))))
    if kind == "pad":
        return PadOp(x, Padding(*(data.draw(st.integers(0, 2)) for _ in range(4))))
    same = [
        k
        for k in range(3)
        if all(
            a == b
            for j, (a, b) in enumerate(zip(shape, stream_of(kept).shape, strict=True))
            if j != k
        )
    ]
    return ConcatOp(x, kept, same[0]) if same else ReverseOp(x)


# ---- element-wise processes that join others -----------------------------------------------------


def binary(op: type[ops.MultiplyOp | ops.AddOp], a: SSAValue, b: SSAValue, target: Format) -> MapOp:
    """a * b or a + b, quantized."""
    formats = stream_of(a).format, stream_of(b).format
    block = Block(arg_types=[FixedType.of(f) for f in formats])
    fracs = [f.frac for f in formats]
    frac = sum(fracs) if op is ops.MultiplyOp else max(fracs)
    whole = [f.integer + (not f.signed) for f in formats]
    integer = sum(whole) if op is ops.MultiplyOp else max(whole) + 1
    exact = op((block.args[0], block.args[1]), Format(True, integer + frac, integer))
    cast = ops.QuantizeOp(exact, target, Rounding.RND_ZERO, Overflow.SAT_SYM)
    block.add_ops([exact, cast, ops.YieldOp(cast)])
    return MapOp([a, b], Region(block), StreamType.of(stream_of(a).shape, target))


@settings(max_examples=100)
@given(
    image=images(4),
    source=st.sampled_from(NARROW),
    middle=st.sampled_from(NARROW),
    flipped=st.booleans(),
    seed=SEEDS,
    events=EVENTS,
    threads=THREADS,
)
def test_joined_maps(
    image: Image,
    source: Format,
    middle: Format,
    flipped: bool,
    seed: int,
    events: int,
    threads: int,
) -> None:
    """A product, scaled per channel, shifted per pixel, then added to another product."""
    pixels, channels = prod(image[:2]), image[2]
    net = Network(
        StreamType.of(image, source),
        StreamType.of((1, 1, channels), middle),
        StreamType.of((1, pixels, 1), middle),
        StreamType.of(image, middle),
    )
    x, scale, offset, other = net.block.args
    first = net.add(product(x, 6, channels, 0, middle, seed))
    per_channel = net.add(UpsampleOp(scale, (pixels, 1)))
    per_channel = net.add(ReshapeOp(per_channel, image))
    pair = (per_channel, first) if flipped else (first, per_channel)
    scaled = net.add(binary(ops.MultiplyOp, *pair, middle))
    flat = net.add(ReshapeOp(scaled, (pixels, channels)))
    per_pixel = net.add(UpsampleOp(offset, (1, channels)))
    per_pixel = net.add(ReshapeOp(per_pixel, (pixels, channels)))
    shifted = net.add(binary(ops.AddOp, flat, per_pixel, source))
    second = net.add(product(other, 3, channels, 1, source, seed + 1))
    whole = net.add(ReshapeOp(shifted, image))
    check(net.module(net.add(binary(ops.AddOp, second, whole, middle))), seed, events, threads)


# ---- other instruction sets ----------------------------------------------------------------------


@pytest.fixture(params=OTHER_SETS, ids="_".join)
def other_set(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """The library as another processor of this family would have it."""
    flags: tuple[str, ...] = request.param
    needed = {flag.removeprefix("-m") for flag in flags if flag.startswith("-m")}
    if not needed <= set(libraries.processor().split()):
        pytest.skip(f"this processor has no {', '.join(needed)}")
    monkeypatch.setattr(libraries, "FLAGS", flags)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library.cache_clear()
    yield
    library.cache_clear()


@pytest.mark.usefixtures("other_set")
def test_other_instruction_sets_return_the_same_bits() -> None:
    assert library() is not None
    image = (5, 4, 3)
    for seed, source in enumerate(ELEMENTS):
        for bits in (6, 12):
            net = Network(StreamType.of(image, source))
            window = Window(2, 3, (1, 2), Padding(1, 0, 1, 1))
            x = net.add(WindowOp(net.block.args[0], window))
            y = net.add(product(x, bits, 35, 0, Format(True, 12, 6), seed))
            check(net.module(y), seed, 5, 2)
