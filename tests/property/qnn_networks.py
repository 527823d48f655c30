"""Small `qnn` networks on reals, built by hand or drawn, and how to compile and run them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from calocc.compiler.pipeline import Runner, new_context
from calocc.compiler.ports import Port, input_ports, output_ports, set_ports
from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.qnn.batch_norm import BatchNormOp
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
    MinimumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.function import STEEPEST, FunctionOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.movement import ConcatOp, PadOp, ReshapeOp, TransposeOp, UpsampleOp
from calocc.dialects.qnn.op import QnnOp, Shape, real_tensor, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import (
    Binary,
    QuantizedBits,
    QuantizedRelu,
    Quantizer,
    Ternary,
)
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding, Window
from calocc.runtime.emulator import execute

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

CONTEXT = new_context()
FLOAT64_NOISE = 2.0**-40
"""What float64 may round on the way through drawn networks, whose values are far below 2^12."""


class Network:
    """A function `main` in the making."""

    def __init__(self, *shapes: Shape):
        self.block = Block(arg_types=[real_tensor(shape) for shape in shapes])

    @property
    def inputs(self) -> Sequence[SSAValue]:
        """The arguments."""
        return self.block.args

    def add(self, op: QnnOp) -> SSAValue:
        """Append a layer; return its result."""
        self.block.add_op(op)
        return op.result

    def constant(self, values: Reals) -> SSAValue:
        """Append a constant of reals."""
        return self.add(ConstantOp.real(np.asarray(values, np.float64)))

    def module(self, *results: SSAValue) -> ModuleOp:
        """The finished module, verified."""
        self.block.add_op(ReturnOp(*results))
        function = FuncOp("main", ([], []), Region(self.block))
        set_ports(
            function,
            [Port(f"x{k}", shape_of(a)) for k, a in enumerate(self.block.args)],
            [Port(f"y{k}", shape_of(r)) for k, r in enumerate(results)],
        )
        module = ModuleOp([function])
        module.verify()
        return module


def run_passes(module: ModuleOp, pipeline: str) -> ModuleOp:
    """Run passes in place; the IR and the formats are verified after each."""
    Runner(CONTEXT, {}).run(module, pipeline)
    return module


def run_reals(module: ModuleOp, inputs: Sequence[Reals]) -> list[Reals]:
    """Execute a module on reals, or a lowered one as a host would: quantize, run, convert."""
    ports = input_ports(module)
    if not ports or ports[0].format is None:
        return execute(module, inputs)
    return as_reals(module, execute(module, as_mantissas(module, inputs)))


def as_mantissas(module: ModuleOp, inputs: Sequence[Reals]) -> list[Ints]:
    """What a host sends to the design."""
    result: list[Ints] = []
    for port, x in zip(input_ports(module), inputs, strict=True):
        assert port.format is not None
        result.append(quantize_real(x, port.format, port.rounding, port.overflow))
    return result


def as_reals(module: ModuleOp, outputs: Sequence[Ints]) -> list[Reals]:
    """What a host makes of the design's outputs."""
    result: list[Reals] = []
    for port, y in zip(output_ports(module), outputs, strict=True):
        assert port.format is not None
        result.append(to_real(y, port.format.frac))
    return result


class _Drawer:
    """Appends drawn layers to a network; each takes a value and returns one."""

    def __init__(self, seed: int, auto: bool, loose: bool = False):
        self.loose = loose
        self.random = np.random.default_rng(seed)
        shape = (self.integer(1, 5), self.integer(1, 5), self.integer(1, 3))
        self.net = Network(*[shape] * self.integer(1, 2))
        self.auto = auto
        self.count = 0

    def integer(self, lo: int, hi: int) -> int:
        """From lo to hi."""
        return int(self.random.integers(lo, hi + 1))

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def weights(self, shape: Shape, quantizer: Quantizer, layer: str) -> SSAValue:
        """Quantized weights, as the importer leaves them."""
        constant = self.net.constant(self.random.normal(0, 1, shape))
        return self.net.add(QuantizeOp.real(constant, quantizer, layer))

    def kernel(self, shape: Shape, layer: str) -> SSAValue:
        plain = QuantizedBits(self.integer(2, 4), 1, alpha=1.0)
        scaled = [QuantizedBits(3, alpha="auto"), Ternary("auto"), Binary(alpha="auto")]
        return self.weights(shape, self.pick(scaled) if self.auto else plain, layer)

    def chance(self) -> bool:
        """True half of the time."""
        return self.integer(0, 1) == 1

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[self.integer(0, len(choices) - 1)]

    def quantize(self, x: SSAValue) -> SSAValue:
        bits = self.integer(2, 5)
        plain: list[Quantizer] = [QuantizedBits(bits, 2, alpha=1.0), QuantizedRelu(bits, 2)]
        return self.net.add(QuantizeOp.real(x, self.pick(plain), self.name("quantize")))

    def bias(self, x: SSAValue) -> SSAValue:
        layer = self.name("bias")
        return self.net.add(AddOp((x, self.weights(shape_of(x)[-1:], _BIAS, layer)), layer=layer))

    def dense(self, x: SSAValue) -> SSAValue:
        layer = self.name("dense")
        shape = (shape_of(x)[-1], self.integer(1, 3))
        return self.net.add(DenseOp(x, self.kernel(shape, layer), layer=layer))

    def conv(self, x: SSAValue) -> SSAValue:
        layer, (height, width, channels) = self.name("conv"), shape_of(x)
        size = (self.integer(1, min(height, 3)), self.integer(1, min(width, 3)))
        strides = (self.integer(1, 2), self.integer(1, 2))
        same = self.chance()
        window = Window.same(height, width, size, strides) if same else Window(*size, strides)
        kernel = self.kernel((*size, channels, self.integer(1, 3)), layer)
        return self.net.add(ConvOp(x, kernel, window, layer=layer))

    def depthwise(self, x: SSAValue) -> SSAValue:
        layer, (height, width, channels) = self.name("depthwise"), shape_of(x)
        size = (self.integer(1, min(height, 3)), self.integer(1, min(width, 3)))
        window = Window.same(height, width, size, (self.integer(1, 2), self.integer(1, 2)))
        quantizer = QuantizedBits(self.integer(2, 4), 1, alpha=1.0)
        kernel = self.weights((*size, channels, self.integer(1, 2)), quantizer, layer)
        return self.net.add(DepthwiseOp(x, kernel, window, layer=layer))

    def pool(self, x: SSAValue) -> SSAValue:
        layer, (height, width, _) = self.name("pool"), shape_of(x)
        everything = Window(height, width)
        some = Window.same(height, width, (min(height, 2), min(width, 2)), (2, 2))
        window, kind = self.pick([everything, some]), self.pick(list(Pooling))
        return self.net.add(PoolOp(x, kind, window, layer))

    def residual(self, x: SSAValue) -> SSAValue:
        """x beside a 1 x 1 or 3 x 3 convolution of itself."""
        layer, shape = self.name("residual"), shape_of(x)
        size = self.pick([1, 3])
        window = Window.same(shape[0], shape[1], (size, size), (1, 1))
        kernel = self.kernel((size, size, shape[2], shape[2]), layer)
        y = self.quantize(self.net.add(ConvOp(x, kernel, window, layer=layer)))
        kind = self.pick([AddOp, SubtractOp, MultiplyOp, MaximumOp, MinimumOp])
        return self.net.add(kind((y, x), layer=layer))

    def concat(self, x: SSAValue) -> SSAValue:
        others = [self.quantize(x) for _ in range(self.integer(1, 2))]
        axis = self.integer(0, len(shape_of(x)) - 1)
        return self.net.add(ConcatOp([x, *others], axis, layer=self.name("concat")))

    def pad(self, x: SSAValue) -> SSAValue:
        edges = Padding(*(self.integer(0, 2) for _ in range(4)))
        return self.net.add(PadOp(x, edges, self.name("pad")))

    def upsample(self, x: SSAValue) -> SSAValue:
        factors = (self.integer(1, 2), self.integer(1, 3))
        return self.net.add(UpsampleOp(x, factors, self.name("upsample")))

    def interpolate(self, x: SSAValue) -> SSAValue:
        factors = (self.integer(1, 3), self.integer(1, 2))
        return self.net.add(InterpolateOp(x, factors, self.name("interpolate")))

    def transpose(self, x: SSAValue) -> SSAValue:
        axes = self.random.permutation(len(shape_of(x))).tolist()
        return self.net.add(TransposeOp(x, axes, self.name("transpose")))

    def slice(self, x: SSAValue) -> SSAValue:
        axis = self.integer(0, len(shape_of(x)) - 1)
        start = self.integer(0, shape_of(x)[axis] - 1)
        stop = self.integer(start + 1, shape_of(x)[axis])
        return self.net.add(SliceOp(x, axis, start, stop, self.name("slice")))

    def gate(self, x: SSAValue) -> SSAValue:
        """An image times one number for each channel, or for each row and column."""
        layer, (height, width, channels) = self.name("gate"), shape_of(x)
        whole, axis = Window(height, width), self.integer(0, 2)
        one = PoolOp(x, Pooling.MAX, whole, layer) if axis < 2 else SliceOp(x, 2, 0, 1, layer)
        factors = self.quantize(self.net.add(one))
        assert shape_of(factors) in [(1, 1, channels), (height, width, 1)]
        return self.net.add(MultiplyOp((x, factors), layer=layer))

    def neutral(self, x: SSAValue) -> SSAValue:
        """An affine function that does nothing, or half of it nothing."""
        scale, offset = (self.net.constant(np.full(shape_of(x)[-1:], v)) for v in (1.0, 0.0))
        random = self.net.constant(self.random.integers(-3, 4, shape_of(x)[-1:]) / 2)
        pair = self.pick([(scale, offset), (scale, random), (random, offset)])
        return self.net.add(AffineOp((x, *pair), layer=self.name("neutral")))

    def flatten(self, x: SSAValue) -> SSAValue:
        return self.net.add(ReshapeOp(x, (prod(shape_of(x)),), self.name("flatten")))

    def relu(self, x: SSAValue) -> SSAValue:
        return self.net.add(ReluOp((x,), layer=self.name("relu")))

    def batch_norm(self, x: SSAValue) -> SSAValue:
        """Followed by a quantizer, without which it has no number of bits; if loose, not always."""
        channels, layer = shape_of(x)[-1], self.name("batch_norm")
        gamma, beta, mean = (self.net.constant(self.random.normal(0, 1, channels)) for _ in "gbm")
        variance = self.net.constant(self.random.uniform(0.5, 4, channels))
        x = self.net.add(BatchNormOp(x, gamma, beta, mean, variance, 1e-3, layer))
        x = self.relu(x) if self.chance() else x
        return x if self.loose and self.chance() else self.quantize(x)

    def layer(self, x: SSAValue) -> SSAValue:
        """One drawn layer."""
        anything = [self.dense, self.relu, self.bias, self.quantize, self.flatten, self.concat]
        anything += [self.transpose, self.slice, self.neutral] + [self.batch_norm] * self.auto
        images = [
            self.conv,
            self.depthwise,
            self.pool,
            self.residual,
            self.pad,
            self.upsample,
            self.interpolate,
            self.gate,
        ]
        return self.pick(images * 2 + anything if len(shape_of(x)) == 3 else anything)(x)


_BIAS = QuantizedBits(4, 1, alpha=1.0)
_LARGEST = 400


class _FloatDrawer(_Drawer):
    """Appends layers that nobody has quantized."""

    def quantize(self, x: SSAValue) -> SSAValue:
        return x

    def weights(self, shape: Shape, quantizer: Quantizer, layer: str) -> SSAValue:
        return self.net.constant(self.random.normal(0, 0.5, shape))

    def function(self, x: SSAValue) -> SSAValue:
        return self.net.add(FunctionOp(self.pick(sorted(STEEPEST)), x, self.name("function")))

    def leaky_relu(self, x: SSAValue) -> SSAValue:
        slope = self.net.constant(self.random.normal(0, 1, 1))
        return self.net.add(LeakyReluOp((x, slope), layer=self.name("leaky_relu")))

    def gate(self, x: SSAValue) -> SSAValue:
        pair = (self.net.constant(self.random.normal(0, 1, 1)) for _ in range(2))
        return self.net.add(GateOp((x, *pair), layer=self.name("gate")))

    def layer(self, x: SSAValue) -> SSAValue:
        own = [self.function, self.leaky_relu, self.gate, self.batch_norm]
        return self.pick(own)(x) if self.integer(0, 2) == 0 else super().layer(x)


def float_network(seed: int) -> ModuleOp:
    """A few layers without any quantizer on one or two images; batch norms are affine."""
    return run_passes(_drawn(_FloatDrawer(seed, auto=False), quantized=0.0), "fold-batch-norm")


def network(seed: int, plain: bool = True, loose: bool = False) -> ModuleOp:
    """A few layers on one or two images, drawn from a seed.

    If `plain`, all weights have formats and there are no real constants, so that float64 is
    exact; else scales are found from the weights, and there is batch normalisation, which need
    not be followed by a quantizer if `loose`.
    """
    return _drawn(_Drawer(seed, not plain, loose), quantized=0.5 if plain or loose else 1.0)


def _drawn(drawer: _Drawer, quantized: float) -> ModuleOp:
    """Layers of a drawer, of which about so many have a quantizer behind them."""
    net = drawer.net
    first, *others = (drawer.quantize(x) for x in net.inputs)
    x = first
    for other in others:
        kind = drawer.pick([AddOp, MultiplyOp, MaximumOp])
        x = net.add(kind((x, other), layer=drawer.name("join")))
    for _ in range(drawer.integer(1, 4)):
        if prod(shape_of(x)) > _LARGEST:
            break
        x = drawer.layer(x)
        if drawer.random.random() < quantized:
            x = drawer.quantize(x)
    results = [x, first] if drawer.chance() and first is not x else [x]
    return net.module(*results)
