"""A small design with every kind of process, built by hand on fixed-point numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.rewriter import Rewriter

from calocc.compiler.design import Design
from calocc.compiler.devices import load_device
from calocc.compiler.pipeline import Runner, new_context
from calocc.compiler.ports import Port, set_ports
from calocc.compiler.report import design_report
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    GateOp,
    LeakyReluOp,
    MaximumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.layer_norm import LayerNormOp, largest_result, stated_epsilon
from calocc.dialects.qnn.movement import ConcatOp, PadOp, ReshapeOp, TransposeOp, UpsampleOp
from calocc.dialects.qnn.op import QnnOp, Shape, fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.softmax import SoftmaxOp
from calocc.dialects.qnn.step import LookupOp, ThresholdOp
from calocc.dialects.qnn.tap_sum import TapSumOp, summed_shape
from calocc.dialects.qnn.taps import Taps
from calocc.dialects.qnn.windows import Padding, Window


def _bounds(value: SSAValue) -> Interval:
    """A constant's values, or all that a format holds."""
    if isinstance(value.owner, ConstantOp):
        return value.owner.interval()
    return Interval.of_format(format_of(value), shape_of(value))


class FixedNetwork:
    """A function `main` on fixed-point tensors in the making."""

    def __init__(self, *inputs: tuple[Shape, str], seed: int = 0):
        types = [fixed_tensor(shape, Format.parse(format)) for shape, format in inputs]
        self.block = Block(arg_types=types)
        self.random = np.random.default_rng(seed)

    def add(self, op: QnnOp, format: Format | None = None) -> SSAValue:
        """Append a layer whose result has the format of its interval, or the given one."""
        self.block.add_op(op)
        chosen = format or op.interval(*(_bounds(o) for o in op.operands)).format()
        type = fixed_tensor(shape_of(op.result), chosen)
        return Rewriter.replace_value_with_new_type(op.result, type)

    def constant(self, shape: Shape, format: str) -> SSAValue:
        """Append a constant of random mantissas of a format."""
        f = Format.parse(format)
        values = self.random.integers(f.min_mantissa, f.max_mantissa + 1, shape)
        return self.add(ConstantOp.fixed(values, f), f)

    def cast(self, x: SSAValue, format: str, layer: str) -> SSAValue:
        """Append a rounding and saturating cast."""
        out = Format.parse(format)
        op = QuantizeOp.fixed(x, out, Rounding.RND_CONV, Overflow.SAT, layer)
        return self.add(op, out)

    def conv(self, x: SSAValue, size: int, channels: int, layer: str) -> SSAValue:
        """Append a convolution that keeps the image's size, and a bias."""
        height, width, depth = shape_of(x)
        window = Window.same(height, width, (size, size), (1, 1))
        kernel = self.constant((size, size, depth, channels), "fixed<4,1>")
        sums = self.add(ConvOp(x, kernel, window, layer=layer))
        return self.add(AddOp((sums, self.constant((channels,), "fixed<5,2>")), layer=layer))

    def repeated(
        self, x: SSAValue, factors: tuple[int, int], channels: int, layer: str
    ) -> SSAValue:
        """Append products of each pixel with 3 x 3 taps, and their sums over repeated pixels."""
        kernel = self.constant((1, 1, shape_of(x)[-1], 9 * channels), "fixed<3,1>")
        x = self.add(ConvOp(x, kernel, Window(1, 1), layer=layer))
        for axis, factor in enumerate(factors):
            size = shape_of(x)[axis]
            taps = Taps(size, size, 3, factor, 1, 1, -1)
            result = fixed_tensor(summed_shape(shape_of(x), axis, taps), format_of(x))
            x = self.add(TapSumOp(x, axis, taps, result, layer))
        return x

    def design(
        self, name: str, results: Sequence[SSAValue], opt_level: int = 2, interval: int = 100
    ) -> Design:
        """Compile the function."""
        self.block.add_op(ReturnOp(*results))
        function = FuncOp("main", ([], []), Region(self.block))
        formats = [format_of(a) for a in self.block.args]
        inputs = [
            Port(f"x{k}", shape_of(a), f)
            for k, (a, f) in enumerate(zip(self.block.args, formats, strict=True))
        ]
        set_ports(function, inputs, [Port(f"y{k}", shape_of(r)) for k, r in enumerate(results)])
        module = ModuleOp([function])
        tail = f"balance{{interval={interval}}}," if opt_level > 1 else ""
        Runner(new_context(), {}).run(
            module, f"partition-streams,fuse,{tail}size-fifos,check-dataflow"
        )
        device = load_device("alveo-u50")
        head = {"target": device.name, "part": device.part, "clock_mhz": device.clock_mhz}
        report = {**head, **design_report(module, device, device.clock_mhz)}
        return Design(name, module, report)


def _image(net: FixedNetwork, x: SSAValue) -> SSAValue:
    """Convolution with thresholds per channel, residual sum, padding, pooling."""
    a = net.conv(x, 3, 4, "conv_a")
    steps = np.sort(net.random.integers(-300, 300, (4, 3)), axis=1)
    a = net.add(ThresholdOp(a, steps, -1, Format.parse("fixed<3,3>"), "steps_a"))
    b = net.cast(net.conv(a, 1, 4, "conv_b"), "fixed<5,3>", "cast_b")
    b = net.add(LeakyReluOp((b, net.constant((4,), "ufixed<2,0>")), layer="leaky"))
    sums = net.cast(net.add(AddOp((a, b), layer="residual")), "fixed<5,3>", "cast_sum")
    padded = net.add(PadOp(sums, Padding(1, 0, 0, 1), "pad"))
    height, width, _ = shape_of(padded)
    window = Window.same(height, width, (2, 2), (2, 2))
    return net.add(PoolOp(padded, Pooling.MAX, window, "max_pool"))


def _other(net: FixedNetwork, x: SSAValue) -> SSAValue:
    """Upsampling, transposition, scaling, slices."""
    y_format = Format.parse("fixed<6,3>")
    y = net.add(UpsampleOp(x, (2, 1), "upsample"))
    y = net.add(TransposeOp(y, (1, 0, 2), "transpose"))
    y = net.repeated(y, (2, 3), 2, "repeated")
    scale, offset = net.constant((2,), "fixed<3,1>"), net.constant((2,), "fixed<6,2>")
    y = net.cast(net.add(AffineOp((y, scale, offset), layer="affine")), "fixed<6,3>", "cast")
    y = net.add(MaximumOp((y, net.constant((), "fixed<3,1>")), layer="maximum"))
    y = net.add(SubtractOp((y, net.constant((2,), "fixed<3,1>")), layer="minus"))
    bounds = net.constant((2,), "fixed<3,1>"), net.constant((2,), "fixed<3,2>")
    y = net.cast(net.add(GateOp((y, *bounds), layer="gate")), "fixed<5,3>", "cast_gate")
    y = net.add(LookupOp(y, net.random.integers(-30, 30, (2, 32)), -16, y_format, "lookup_each"))
    y = net.add(SliceOp(y, 1, 1, 3, "slice"))
    kernel = net.constant((2, 1, 2, 2), "fixed<3,1>")
    return net.add(DepthwiseOp(y, kernel, Window(2, 1), layer="depthwise"))


def _normalised(net: FixedNetwork, x: SSAValue) -> SSAValue:
    """Layer normalisation of five bits to five bits."""
    length = shape_of(x)[-1]
    limit = largest_result(length, 14)
    result = fixed_tensor(shape_of(x), Format.holding(-limit, limit, 14))
    offset, frac = stated_epsilon(1e-3, format_of(x), length)
    op = LayerNormOp.fixed(x, offset, frac, result, "layer_norm")
    net.block.add_op(op)
    return net.cast(op.result, "fixed<5,2>", "cast_norm")


def every_kind(opt_level: int = 2) -> Design:
    """Three inputs, three outputs, and a process of every kind."""
    shapes = ((6, 4, 3), "fixed<5,2>"), ((2, 4, 2), "ufixed<4,2>"), ((5,), "ufixed<4,4>")
    net = FixedNetwork(*shapes)
    first, second, third = net.block.args
    image = _image(net, first)
    gate = net.add(ReluOp((_other(net, second),), layer="relu"))
    flat = [
        net.cast(net.add(ReshapeOp(v, (int(np.prod(shape_of(v))),), "flatten")), f, "cast_flat")
        for v, f in ((image, "fixed<5,3>"), (gate, "ufixed<5,3>"))
    ]
    joined = net.add(ConcatOp(flat, 0, layer="concat"))
    kernel = net.constant((shape_of(joined)[0], 5), "fixed<3,1>")
    scores = net.cast(net.add(DenseOp(joined, kernel, layer="dense")), "fixed<5,5>", "cast_score")
    scores = _normalised(net, scores)
    table = net.random.integers(-30, 30, 32)
    curved = net.add(LookupOp(scores, table, -16, Format.parse("fixed<6,3>"), "lookup"))
    row = np.sort(net.random.integers(-30, 30, (1, 15)), axis=1)
    coarse = net.add(ThresholdOp(curved, row, 0, Format.parse("ufixed<4,2>"), "coarse"))
    exponentials = np.round(1000 * np.exp(-np.arange(40) / 4)).astype(np.int64)
    result = fixed_tensor(shape_of(coarse), Format.parse("ufixed<8,0>"))
    softmax = SoftmaxOp(coarse, exponentials, result, "softmax")
    net.block.add_op(softmax)
    words = net.add(EmbeddingOp(third, net.constant((11, 3), "fixed<4,1>"), layer="embedding"))
    scaled = net.add(MultiplyOp((image, net.constant((4,), "fixed<3,2>")), layer="scale"))
    return net.design("every_kind", [softmax.result, scaled, words], opt_level)
