"""Convolutions over repeated pixels: the products of a pixel are computed once, not once per copy.

Nearest-neighbour upsampling repeats each pixel `factor` times along an axis. A convolution behind
it with `count` taps along that axis multiplies each pixel with all of its taps, and every copy
again. Here the taps become kernels of their own, in front of the upsampling, whose results
`qnn.tap_sum` adds: `count` products per pixel, with the weights of the model. (Convolutions for
each phase of the outputs, whose weights are sums of those that fall on one pixel, take `count +
factor - 1` products per pixel, and wider weights may no longer share a multiplier.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.compute import extremes, signed_width
from calocc.dialects.dataflow.packing import packing
from calocc.dialects.dataflow.process import multiplier_of
from calocc.dialects.dataflow.stream import WIDEST_BEAT
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.movement import UpsampleOp
from calocc.dialects.qnn.op import QnnOp, fixed_tensor, format_of, is_fixed, shape_of, tensor_of
from calocc.dialects.qnn.tap_sum import TapSumOp, summed_shape
from calocc.dialects.qnn.taps import Taps
from calocc.dialects.qnn.windows import Window
from calocc.passes.algebra.worth import worth


@dataclass(frozen=True)
class Repeated:
    """A convolution over an upsampled image, of which some axes are weighed before they repeat."""

    conv: ConvolutionOp
    upsample: UpsampleOp
    weights: ConstantOp
    axes: tuple[int, ...] = ()

    @property
    def factors(self) -> tuple[int, ...]:
        """How often rows and columns repeat."""
        return self.upsample.factors.get_values()

    def taps(self, axis: int) -> Taps:
        """What is summed along an axis."""
        window = self.conv.window
        return Taps(
            length=shape_of(self.upsample.x)[axis],
            outputs=shape_of(self.conv.result)[axis],
            count=(window.height, window.width)[axis],
            factor=self.factors[axis],
            stride=window.strides[axis],
            dilation=window.dilation[axis],
            start=-(window.padding.top, window.padding.left)[axis],
        )

    @property
    def window(self) -> Window:
        """What the products are taken under: one pixel along the axes that are weighed first."""
        window = self.conv.window
        sizes, edges = [window.height, window.width], [*window.padding]
        strides, dilation = [*window.strides], [*window.dilation]
        for axis in self.axes:
            sizes[axis] = strides[axis] = dilation[axis] = 1
            edges[2 * axis : 2 * axis + 2] = 0, 0
        return Window.of(sizes, strides, edges, dilation)

    @property
    def remaining(self) -> tuple[int, int]:
        """How often rows and columns still repeat in front of the products."""
        rows, columns = (1 if a in self.axes else f for a, f in enumerate(self.factors))
        return rows, columns

    def positions(self) -> int:
        """How often all weights are multiplied."""
        full, source = shape_of(self.conv.result), shape_of(self.upsample.x)
        return prod(source[a] if a in self.axes else full[a] for a in (0, 1))

    def stages(self) -> Iterator[tuple[int, Taps, tuple[int, ...]]]:
        """Axis, geometry and operand's shape of each sum of taps: rows first."""
        shape = [*shape_of(self.conv.result)]
        for axis in self.axes:
            taps = self.taps(axis)
            shape[axis], shape[2] = taps.length, shape[2] * taps.count
        for axis in self.axes:
            taps = self.taps(axis)
            yield axis, taps, tuple(shape)
            shape = [*summed_shape(tuple(shape), axis, taps)]

    def cost(self) -> float:
        """Multipliers, adders and what sums of taps need at an output pixel per cycle, in LUTs."""
        data, weight, width = format_of(self.upsample.x), self.weights.out, self.conv.out.width
        ports, ends = multiplier_of(self.conv), (data.min_mantissa, data.max_mantissa)
        each = packing(extremes(self.weights.value), ends, ports)
        widths = signed_width(weight), signed_width(data)
        products = resources.products(each.count, *widths, each, ports)
        per_product = worth(products) / each.count + worth(resources.logic(width))
        cycles = prod(shape_of(self.conv.result)[:2])
        total = per_product * self.weights.value.numpy().size * self.positions() / cycles
        for axis, taps, shape in self.stages():
            summed = summed_shape(shape, axis, taps)
            lanes = -(-prod(summed) // cycles)
            beats = -(-prod(summed[axis + 1 :]) // lanes)
            sums = resources.tap_sum(lanes, taps.count, taps.span(), beats, width, width)
            total += worth(sums)
        return total

    def is_legal(self) -> bool:
        """Whether a beat can have all taps of a sum, and something repeats along each axis."""
        counts = [self.taps(axis).count for axis in self.axes]
        fits = max(counts, default=1) * self.conv.out.width <= WIDEST_BEAT
        return fits and all(self.factors[axis] > 1 for axis in self.axes)

    def kernels(self) -> ConstantOp:
        """The weights with taps of the weighed axes as kernels: those of rows innermost."""
        values = self.weights.value.numpy()  # (KH, KW, C, M)
        order = [*(a for a in (0, 1) if a not in self.axes), 2, 3, *reversed(self.axes)]
        shape = (self.window.height, self.window.width, values.shape[2], -1)
        moved = values.transpose(order).reshape(shape)
        return ConstantOp.fixed(moved, self.weights.out, self.weights.layer_name)


def repeated(conv: ConvolutionOp) -> Repeated | None:
    """The cheapest form of a convolution behind upsampling; None if it stays as it is."""
    upsample, weights = conv.x.owner, conv.w.owner
    if not isinstance(upsample, UpsampleOp) or not isinstance(weights, ConstantOp):
        return None
    forms = (Repeated(conv, upsample, weights, axes) for axes in ((), (1,), (0,), (0, 1)))
    best = min((f for f in forms if f.is_legal()), key=Repeated.cost)
    return best if best.axes else None


def weigh_before_repeating(function: FuncOp, bounds: dict[SSAValue, Interval]) -> None:
    """Rewrite the convolutions of a function whose sums of taps are cheaper; bound new values."""
    for op in list(function.body.block.ops):
        if isinstance(op, ConvolutionOp) and is_fixed(op.result) and (form := repeated(op)):
            _Builder(form, bounds).build()


@dataclass
class _Builder:
    """Builds a form in front of the convolution that it replaces."""

    form: Repeated
    bounds: dict[SSAValue, Interval]

    def build(self) -> None:
        """Upsample what still repeats, multiply, and sum up axis by axis."""
        form, conv = self.form, self.form.conv
        kernels, layer = self._add(form.kernels()), conv.layer_name
        x = form.upsample.x
        if form.remaining != (1, 1):
            x = self._add(UpsampleOp(x, form.remaining, form.upsample.layer_name))
        x = self._add(type(conv)(x, kernels, form.window, layer=layer))
        for axis, taps, shape in form.stages():
            result = fixed_tensor(summed_shape(shape, axis, taps), conv.out)
            x = self._add(TapSumOp(x, axis, taps, result, layer))
        x = Rewriter.replace_value_with_new_type(x, tensor_of(conv.result))
        x.name_hint = conv.result.name_hint
        self.bounds[x] = self.bounds[conv.result]
        Rewriter.replace_op(conv, [], [x])

    def _add(self, op: QnnOp) -> SSAValue:
        """Insert a layer whose result has the format of its interval."""
        Rewriter.insert_op(op, InsertPoint.before(self.form.conv))
        bounds = op.interval(*(self.bounds[o] for o in op.operands)).compact()
        type = fixed_tensor(shape_of(op.result), bounds.format())
        result = Rewriter.replace_value_with_new_type(op.result, type)
        self.bounds[result] = bounds
        return result
