"""`qnn.layer_norm`: on reals the function, on fixed-point numbers an exact integer recipe."""

from __future__ import annotations

from functools import cache
from math import ceil, isqrt, log2, sqrt

import numpy as np
from xdsl.dialects.builtin import I64, FloatAttr, IntegerAttr, TensorType, f64, i64
from xdsl.irdl import base, irdl_op_definition, operand_def, opt_prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import BOUND_BITS, Interval
from calocc.dialects.qnn.op import (
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Tensor,
    Value,
    format_of,
    is_fixed,
    name_attr,
    real_tensor,
    shape_of,
)

ROOT_FRAC = 17
"""Fraction bits of an entry of the table of roots, which then has 18 bits."""
INDEX_BITS = 9
"""The table has 2^9 entries from one integer to the next."""
STEP_BITS = 12
"""Fraction bits with which neighbouring entries are interpolated."""
LEAST_SPREAD = 1 << 18
"""Of rows that are not constant, so that rounding epsilon counts for little."""
_RELATIVE_ERROR = 1.25 * 2.0**-16


@cache
def reciprocal_roots() -> Mantissas:
    """round(2^17 / sqrt(1 + i / 512)) for i = 0 .. 1536."""
    entries = np.arange(3 * (1 << INDEX_BITS) + 1)
    table = np.rint(2.0**ROOT_FRAC / np.sqrt(1 + entries / 2**INDEX_BITS)).astype(np.int64)
    table.flags.writeable = False
    return table


def largest_result(length: int, frac: int) -> int:
    """A mantissa that no result exceeds: a row of n elements has none beyond sqrt(n - 1)."""
    return isqrt((length - 1) << max(2 * frac, 0)) + 1


def bound_in_lsb(length: int, frac: int) -> float:
    """How far a result at `frac` is from the real one at most, for operands that are exact.

    The last rounding is by 1/2. The root is within 2.16 * 2^-17 of its value: half a unit for an
    entry, as much for the interpolation, 0.05 for the curvature between entries (3/32 of a squared
    step), 0.03 for the bits of its argument that are cut off, and it is above 1/2. Rounding
    epsilon to one unit of a spread of at least 2^18 adds 2^-19.
    """
    return 0.5 + sqrt(length - 1) * 2.0**frac * _RELATIVE_ERROR


def stated_epsilon(epsilon: float, x: Format, length: int) -> tuple[int, int]:
    """Epsilon for rows of a format as (offset, frac): offset = epsilon * length^2 * 4^frac.

    There are as few fraction bits as let every spread reach `LEAST_SPREAD`.
    """
    least = max(length - 1, 1) + epsilon * length**2 * 4.0**x.frac
    frac = x.frac + max(ceil(log2(LEAST_SPREAD / least) / 2), 0)
    return max(round(epsilon * length**2 * 4.0**frac), 1), frac


def most_spread(x: Format, length: int, offset: int, frac: int) -> int:
    """A bound of length^2 * (variance + epsilon) * 4^frac."""
    largest = max(-x.min_mantissa, x.max_mantissa)
    return (((length * largest) ** 2) << (2 * (frac - x.frac))) + offset


def verify_recipe(x: Format, length: int, offset: int, frac: int, out: Format) -> None:
    """Raise VerifyException if the integers of the recipe leave 62 bits or the result's format."""
    if offset < 1 or frac < x.frac:
        raise VerifyException(f"epsilon as {offset} * 2^{-2 * frac} does not suit {x}")
    if most_spread(x, length, offset, frac) >= 1 << BOUND_BITS:
        raise VerifyException(f"the variance of {length} elements of {x} leaves {BOUND_BITS} bits")
    limit = largest_result(length, out.frac)
    if out.frac < 0 or not out.holds(-limit, limit):
        raise VerifyException(f"{out} does not hold results up to {limit} * 2^{-out.frac}")


def integer_layer_norm(x: Mantissas, shift: int, offset: int, out: Format) -> Mantissas:
    """Normalisation of the last axis in integers.

    With n elements per row, s their sum and q the sum of their squares, the spread
    a = (n q - s^2) * 4^shift + offset is 4^e * t with 1 <= t < 4, and r is 2^17 / sqrt(t) from the
    table. The result is floor((n x - s) * r * 2^(shift - e + frac - 17) + 1/2), `frac` that of
    `out`, or `largest_result` where that is exceeded.
    """
    length = x.shape[-1]
    total = x.sum(axis=-1, keepdims=True)
    squares = (x * x).sum(axis=-1, keepdims=True)
    spread = ((length * squares - total * total) << np.int64(2 * shift)) + offset
    exponent = _exponent(spread)
    products = (length * x - total) * _root(spread, exponent)
    down = exponent + (ROOT_FRAC - shift - out.frac)
    half = np.where(down > 0, np.int64(1) << np.maximum(down - 1, 0), 0)
    rounded = ((products << np.maximum(-down, 0)) + half) >> np.maximum(down, 0)
    limit = largest_result(length, out.frac)
    return rounded.clip(-limit, limit)


def _exponent(spread: Mantissas) -> Mantissas:
    """e with 4^e <= spread < 4^(e + 1)."""
    bits = np.frexp(spread.astype(np.float64))[1].astype(np.int64)
    bits -= (spread >> (bits - 1)) == 0  # float64 may have rounded up to a power of two
    return (bits - 1) // 2


def _root(spread: Mantissas, exponent: Mantissas) -> Mantissas:
    """2^17 / sqrt(spread / 4^exponent), interpolated."""
    table, frac = reciprocal_roots(), INDEX_BITS + STEP_BITS
    down = 2 * exponent - frac
    reduced = (spread >> np.maximum(down, 0)) << np.maximum(-down, 0)
    index = (reduced >> STEP_BITS) - (1 << INDEX_BITS)
    fraction = reduced & ((1 << STEP_BITS) - 1)
    fall = (table[index] - table[index + 1]) * fraction
    return table[index] - ((fall + (1 << (STEP_BITS - 1))) >> STEP_BITS)


@irdl_op_definition
class LayerNormOp(QnnOp):
    """`(x - mean) / sqrt(variance + epsilon)` over the last axis, biased variance.

    On reals it has `epsilon`. On fixed-point numbers it has the integer `offset`, which is
    epsilon * n^2 * 4^frac for n elements; the recipe is `integer_layer_norm`, which is not equal to
    the real function, but within `bound_in_lsb`.
    """

    name = "qnn.layer_norm"
    x = operand_def(base(TensorType))
    epsilon = opt_prop_def(FloatAttr)
    offset = opt_prop_def(IntegerAttr[I64])
    frac = opt_prop_def(IntegerAttr[I64])
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    @staticmethod
    def real(x: Value, epsilon: float, layer: str = "") -> LayerNormOp:
        """The layer on reals."""
        return LayerNormOp(
            operands=[x],
            properties={"epsilon": FloatAttr(epsilon, f64), "layer": name_attr(layer)},
            result_types=[real_tensor(shape_of(x))],
        )

    @staticmethod
    def fixed(x: Value, offset: int, frac: int, result: Tensor, layer: str = "") -> LayerNormOp:
        """The recipe."""
        return LayerNormOp(
            operands=[x],
            properties={
                "offset": IntegerAttr(offset, i64),
                "frac": IntegerAttr(frac, i64),
                "layer": name_attr(layer),
            },
            result_types=[result],
        )

    @property
    def stated(self) -> tuple[int, int]:
        """Offset and frac of the recipe."""
        assert self.offset is not None
        assert self.frac is not None
        return self.offset.value.data, self.frac.value.data

    @property
    def length(self) -> int:
        """Elements of a row."""
        return shape_of(self.x)[-1]

    def verify_(self) -> None:
        """Exactly the properties of the domain are there, and the recipe has enough bits."""
        super().verify_()
        has = (self.epsilon is not None, self.offset is not None, self.frac is not None)
        if has != ((False, True, True) if is_fixed(self.result) else (True, False, False)):
            raise VerifyException("reals take an epsilon, fixed-point numbers offset and frac")
        if self.epsilon is not None and self.epsilon.value.data <= 0:
            raise VerifyException("epsilon is above 0")
        if is_fixed(self.result):
            verify_recipe(format_of(self.x), self.length, *self.stated, self.out)

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The operand's shape."""
        return shapes[0]

    def evaluate_real(self, *args: Reals) -> Reals:
        """The layer in float64."""
        assert self.epsilon is not None
        centred = args[0] - args[0].mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + self.epsilon.value.data)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The integer recipe."""
        offset, frac = self.stated
        return integer_layer_norm(args[0], frac - format_of(self.x).frac, offset, self.out)

    def interval(self, *args: Interval) -> Interval:
        """Up to the largest result of a row, both ways."""
        limit = np.array([largest_result(self.length, self.out.frac)])
        return Interval(-limit, limit, self.out.frac)
