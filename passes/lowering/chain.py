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
from calocc.dialects.fixed.exact import AFFINE, GATE, IS_ZERO, LEAKY_RELU
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.steps import Function
from calocc.dialects.fixed.types import MAX_WIDTH
from calocc.dialects.qnn.elementwise import ExactElementwiseOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.passes.lowering.constants import (
    FLOAT64_BITS,
    FixedConstant,
    frac_for_bits,
    round_to_frac,
)

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

Link = ExactElementwiseOp | FunctionOp | QuantizeOp


@dataclass(frozen=True)
class Stage:
    """One layer of a chain and its constant operands (all but the first)."""

    op: Link
    constants: tuple[Reals, ...]

    @property
    def monotone(self) -> bool:
        """Whether it rises or falls.

        A negative slope below zero makes a valley; a gate jumps up to a threshold above zero only.
        """
        if isinstance(self.op, FunctionOp):
            return self.op.monotone
        if not isinstance(self.op, ExactElementwiseOp):
            return True
        if self.op.FUNCTION in (LEAKY_RELU, GATE):
            return not any((c < 0).any() for c in self.constants)
        return self.op.FUNCTION is not IS_ZERO

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
        assert self.quantizer.format is not None
        return from_real(self.quantizer(self.value(mantissas)), self.quantizer.format.frac)

    def value(self, mantissas: Mantissas) -> Reals:
        """What the quantizer meets, in float64."""
        value = to_real(mantissas, self.frac)
        for stage in self.stages:
            value = stage.real(value)
        return value

    @property
    def monotone(self) -> bool:
        """Whether each channel rises or falls."""
        return self.quantizer.monotone and all(s.monotone for s in self.stages)

    @property
    def differs_by_channel(self) -> bool:
        """Whether any constant has a value per channel."""
        return any(c.size > 1 for stage in self.stages for c in stage.constants)

    def channels(self, chosen: NDArray[np.int64]) -> Chain:
        """The same chain on some of the channels only."""
        stages = [
            Stage(s.op, tuple(c if c.size == 1 else c[chosen] for c in s.constants))
            for s in self.stages
        ]
        return Chain(tuple(stages), self.last, self.frac)

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
        """Raise OverflowError if a stage on operands from `lo` to `hi` needs too many bits.

        A constant is written as a float64, a result stands in int64.
        """
        bounds = Interval(lo, hi, self.frac)
        for stage, own in zip(self.stages, constants, strict=True):
            assert isinstance(stage.op, ExactElementwiseOp)
            fixed = (Interval.constant(c.mantissas, c.frac) for c in own)
            bounds = stage.op.FUNCTION.interval(bounds, *fixed)
            widest = max(c.format.width - c.format.signed for c in own) if own else 0
            if widest > FLOAT64_BITS or bounds.format().width > MAX_WIDTH:
                raise OverflowError("a chain needs too many bits")

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
