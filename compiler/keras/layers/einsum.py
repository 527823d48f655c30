"""Products over chosen axes: with a constant kernel, and of two computed tensors."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.axes import (
    behind_batch,
    reordered,
    reshaped,
    to_end,
    to_front,
    with_parameters,
)
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    pair,
    refused,
    single,
    stored,
)
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp, MultiplyOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.windows import Window

_EQUATION = re.compile(
    r"(?P<left>\.\.\.)?(?P<x>[a-zA-Z]+)(?P<right>\.\.\.)?,(?P<w>[a-zA-Z]+)"
    r"->(\.\.\.)?(?P<y>[a-zA-Z]+)(\.\.\.)?"
)


@dataclass(frozen=True)
class Equation:
    """An equation of EinsumDense: the axes of operand, kernel and result, a letter each.

    The batch axis is left out.
    """

    x: str
    w: str
    y: str

    @property
    def contracted(self) -> str:
        """Axes of the operand that are summed over, in the kernel's order."""
        return "".join(c for c in self.w if c in self.x and c not in self.y)

    @property
    def kept(self) -> str:
        """Axes of the operand that the result has, in the result's order."""
        return "".join(c for c in self.y if c in self.x)

    @property
    def fresh(self) -> str:
        """Axes that the kernel brings in, in the result's order."""
        return "".join(c for c in self.y if c not in self.x)


def _equation(config: LayerConfig, rank: int) -> Equation:
    """The equation for an operand with `rank` axes besides the batch."""
    text = config.take_str("equation")
    match = _EQUATION.fullmatch(text.replace(" ", ""))
    if match is None or rank > len(string.ascii_uppercase):
        raise refused(config, f"equation={text!r} is not understood", "write it as 'abc,cd->abd'")
    x, w, y = match["x"], match["w"], match["y"]
    elided = rank + 1 - len(x)
    spare = "".join(c for c in string.ascii_letters if c not in x + w + y)
    if elided < 0 or elided > len(spare) or (elided and not (match["left"] or match["right"])):
        raise refused(config, f"equation={text!r} does not fit its operand", "save the model again")
    others = spare[:elided]
    x, y = (others + x, others + y) if match["left"] else (x + others, y + others)
    _expect_product(config, x, w, y)
    return Equation(x[1:], w, y[1:])


def _expect_product(config: LayerConfig, x: str, w: str, y: str) -> None:
    """Refuse what is not a product of the operand's vectors with one matrix."""
    if any(len(set(axes)) != len(axes) for axes in (x, w, y)) or x[0] != y[0] or x[0] in w:
        reason = "its equation does not keep the batch axis in front, or repeats an axis"
        raise refused(config, reason, "use one letter per axis, the batch first")
    if shared := next((c for c in w if c in x and c in y), None):
        reason = f"its weights differ along axis {shared!r} of the operand, so no matrix is shared"
        raise refused(config, reason, "use one Dense layer per position, or share the weights")
    if any(c not in y and c not in w for c in x) or not set(y) <= set(x + w) or set(w) - set(x + y):
        reason = "its equation has an axis that only one of operand, kernel and result has"
        raise refused(config, reason, "sum over such an axis in a layer of its own")


@keras_layer("EinsumDense")
def einsum_dense(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A product over the axes that an equation names, bias, activation."""
    x = single(config, inputs)
    equation = _equation(config, len(shape_of(x)))
    config.ignore("output_shape")  # the stored kernel tells
    kernel = stored(config, "kernel", *(None for _ in equation.w))
    sizes = dict(zip(equation.w, kernel.shape, strict=True))
    order = [equation.w.index(c) for c in equation.contracted + equation.fresh]
    matrix = kernel.transpose(order).reshape(prod(sizes[c] for c in equation.contracted), -1)

    wanted = equation.kept + equation.contracted
    x = reordered(builder, config, x, [equation.x.index(c) for c in wanted])
    kept = shape_of(x)[: len(equation.kept)]
    rows = reshaped(builder, config, x, (*kept, prod(shape_of(x)[len(kept) :])))
    weights = builder.weight(config, "kernel", matrix, None)
    y = builder.add(config, DenseOp(rows, weights, layer=config.layer.name))
    y = reshaped(builder, config, y, (*kept, *(sizes[c] for c in equation.fresh)))
    have = equation.kept + equation.fresh
    y = reordered(builder, config, y, [have.index(c) for c in equation.y])
    return activate(
        builder, config, _biased(builder, config, y), config.take_activation("activation")
    )


def _biased(builder: Builder, config: LayerConfig, y: SSAValue) -> SSAValue:
    """The bias varies over `bias_axes` and is stored with ones for the other axes."""
    if config.take("bias_axes") is None:
        return y
    axes = config.take_str("bias_axes")
    bias = config.layer.weight("bias")
    if not axes or bias.ndim > len(shape_of(y)):
        raise refused(config, f"bias_axes={axes!r} does not fit its bias", "save the model again")
    bias = bias.reshape((1,) * (len(shape_of(y)) - bias.ndim) + bias.shape)
    return with_parameters(
        builder, config, y, [bias], lambda *args: AddOp(args, layer=config.layer.name)
    )


@keras_layer("Dot")
def dot(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Products of two tensors, summed over one axis of each (Keras counts the batch axis)."""
    config.expect_default("normalize", False)
    x, y = pair(config, inputs)
    given = config.take_ints("axes", 2)
    a, b = (behind_batch(config, "axes", k, v) for k, v in zip(given, (x, y), strict=True))
    x = reordered(builder, config, x, to_end(len(shape_of(x)), a))
    y = reordered(builder, config, y, to_front(len(shape_of(y)), b))
    (*left, length), (own, *right) = shape_of(x), shape_of(y)
    if length != own:
        raise refused(config, f"it sums over {length} and {own} elements", "choose equal axes")

    # (M, N, 1) times (1, N, K), summed over the N taps of a window: K channels at once.
    x = reshaped(builder, config, x, (prod(left), length, 1))
    y = reshaped(builder, config, y, (1, length, prod(right)))
    name = config.layer.name
    products = builder.add(config, MultiplyOp((x, y), layer=name))
    sums = builder.add(config, PoolOp(products, Pooling.SUM, Window(1, length), name))
    return reshaped(builder, config, sums, (*left, *right) or (1,))
