"""Chains of element-wise real layers that end in a quantizer, and their fixed-point equals.

A chain has one operand that is not constant. Its reference is the chain in float64; the
reference depends on the operand's mantissas only, so a fixed-point chain either equals it on
every reachable mantissa or differs at points that can be counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import from_real, quantize, to_real
from calocc.dialects.fixed.exact import AFFINE, IS_ZERO, LEAKY_RELU
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.steps import Function, Steps
from calocc.dialects.qnn.elementwise import ExactElementwiseOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.passes.lowering.constants import FixedConstant, frac_for_bits, round_to_frac

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

WIDEST_CONSTANT = 40
LARGEST_PROOF = 1 << 22
"""Steps times channels beyond which equality is not proved point by point."""

Link = ExactElementwiseOp | FunctionOp | QuantizeOp


@dataclass(frozen=True)
class Stage:
    """One layer of a chain and its constant operands (all but the first)."""

    op: Link
    constants: tuple[Reals, ...]

    @property
    def monotone(self) -> bool:
        """Whether it rises or falls; a negative slope makes a leaky ReLU a valley."""
        if isinstance(self.op, FunctionOp):
            return self.op.monotone
        if not isinstance(self.op, ExactElementwiseOp):
            return True
        valley = self.op.FUNCTION is LEAKY_RELU and (self.constants[0] < 0).any()
        return not valley and self.op.FUNCTION is not IS_ZERO

    def real(self, x: Reals) -> Reals:
        """The layer in float64."""
        return self.op.evaluate_real(x, *self.constants)

    def rounded(self, x_frac: int, bits: int) -> tuple[FixedConstant, ...]:
        """The constants with `bits` significant bits; an offset at the product's binary point."""
        fracs = [frac_for_bits(c, bits) for c in self.constants]
        if isinstance(self.op, ExactElementwiseOp) and self.op.FUNCTION is AFFINE:
            fracs[1] = x_frac + fracs[0]
        return tuple(
            FixedConstant.holding(round_to_frac(c, f), f)
            for c, f in zip(self.constants, fracs, strict=True)
        )


@dataclass(frozen=True)
class Chain:
    """Element-wise stages and the quantizer they end in, on an operand at `frac`."""

    stages: tuple[Stage, ...]
    last: QuantizeOp
    frac: int

    @property
    def quantizer(self) -> Quantizer:
        """The quantizer at the end."""
        assert self.last.quantizer is not None
        return self.last.quantizer.quantizer

    def reference(self, mantissas: Mantissas) -> Mantissas:
        """The chain in float64, as mantissas of the quantizer's format."""
        value = to_real(mantissas, self.frac)
        for stage in self.stages:
            value = stage.real(value)
        assert self.quantizer.format is not None
        return from_real(self.quantizer(value), self.quantizer.format.frac)

    @property
    def monotone(self) -> bool:
        """Whether each channel rises or falls."""
        return self.quantizer.monotone and all(s.monotone for s in self.stages)

    @property
    def computable(self) -> bool:
        """Whether additions, multiplications and comparisons are enough to compute it."""
        return self.quantizer.rule is not None and all(
            isinstance(s.op, ExactElementwiseOp) for s in self.stages
        )

    def constants(self, bits: int) -> list[tuple[FixedConstant, ...]]:
        """Each stage's constants with `bits` significant bits."""
        result: list[tuple[FixedConstant, ...]] = []
        frac = self.frac
        for stage in self.stages:
            result.append(stage.rounded(frac, bits))
            assert isinstance(stage.op, ExactElementwiseOp)
            frac = stage.op.FUNCTION.frac(frac, *(c.frac for c in result[-1]))
        return result

    def check_width(
        self, constants: Sequence[tuple[FixedConstant, ...]], lo: Mantissas, hi: Mantissas
    ) -> None:
        """Raise OverflowError if a stage on operands from `lo` to `hi` needs too many bits."""
        bounds = Interval(lo, hi, self.frac)
        for stage, own in zip(self.stages, constants, strict=True):
            assert isinstance(stage.op, ExactElementwiseOp)
            fixed = (Interval.constant(c.mantissas, c.frac) for c in own)
            bounds = stage.op.FUNCTION.interval(bounds, *fixed)

    def with_constants(self, constants: Sequence[tuple[FixedConstant, ...]]) -> Function:
        """The fixed-point chain with these constants, as a function of mantissas."""

        def function(mantissas: Mantissas) -> Mantissas:
            frac = self.frac
            for stage, own in zip(self.stages, constants, strict=True):
                assert isinstance(stage.op, ExactElementwiseOp)
                fracs = (frac, *(c.frac for c in own))
                frac = stage.op.FUNCTION.frac(*fracs)
                arguments = (mantissas, *(c.mantissas for c in own))
                mantissas = stage.op.FUNCTION.mantissas(arguments, fracs, frac)
            format, rule = self.quantizer.format, self.quantizer.rule
            assert format is not None
            assert rule is not None
            return quantize(mantissas, frac, format, *rule)

        return function


@dataclass(frozen=True)
class Oriented:
    """A chain whose decreasing channels are turned round: the operand is multiplied by `sign`."""

    steps: Steps
    sign: Mantissas

    @staticmethod
    def of(reference: Function, lo: Mantissas, hi: Mantissas) -> Oriented | None:
        """The steps of a reference; None where there are too many to look at."""
        first, last = reference(lo), reference(hi)
        sign = np.where(last < first, np.int64(-1), np.int64(1))
        low, high = np.where(sign < 0, -hi, lo), np.where(sign < 0, -lo, hi)
        levels = max(first.max(), last.max()) - min(first.min(), last.min())
        if int(levels) * len(lo) > LARGEST_PROOF:
            return None
        return Oriented(Steps.of(turn(reference, sign), low, high), sign)


def turn(function: Function, sign: Mantissas) -> Function:
    """The function of `sign * x`."""
    return lambda x: function(sign * x)


def fit(chain: Chain, oriented: Oriented) -> tuple[int, int]:
    """The fewest constant bits with which the fixed-point chain equals its reference.

    Returns (bits, differing points); the points are 0 unless no width is enough. Raises
    OverflowError where even constants of one bit need too wide products.
    """
    ends = oriented.sign * oriented.steps.lo, oriented.sign * oriented.steps.hi
    lo, hi = np.minimum(*ends), np.maximum(*ends)
    candidate = None
    for bits in range(1, WIDEST_CONSTANT + 1):
        try:
            constants = chain.constants(bits)
            chain.check_width(constants, lo, hi)
        except OverflowError:
            if candidate is None:
                raise
            return bits - 1, oriented.steps.differing_points(candidate)
        candidate = turn(chain.with_constants(constants), oriented.sign)
        if oriented.steps.agrees(candidate):
            return bits, 0
    assert candidate is not None
    return WIDEST_CONSTANT, oriented.steps.differing_points(candidate)
