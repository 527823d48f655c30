"""QKeras quantizers as closed forms in real arithmetic (float64). Free of xDSL and TensorFlow.

The formulas are those of `qkeras/quantizers.py` in QKeras 0.9.0, and of its main branch where a
config comes from there (`quantized_linear`, `post_training_scale`), without the straight-through
detour `x + (xq - x)`, which loses bits of the result in float32. Notation: `m` is two to the
number of bits without sign, `top` is `2^integer`, rounding is half to even unless said otherwise.
The internal sigmoid of QKeras is the default one, `clip(x/2 + 1/2, 0, 1)`.
"""

from __future__ import annotations

import ast
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding

Array = NDArray[np.float64]
Alpha = float | str | None

_EPSILON = 1e-7  # keras.backend.epsilon(), a part of the formulas below
_AUTO = ("auto", "auto_po2")
_LONGEST_TEXT = 500
_WIDEST = 32  # more bits than float32 training can tell apart, and safe in int64 products
_WIDEST_GRID = 48
_WIDEST_CAST = 62


@dataclass(eq=False)
class UnsupportedQuantizer(ValueError):
    """A quantizer that calocc does not know, or a parameter it cannot honour exactly."""

    name: str
    key: str
    value: object
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.key}={self.value!r} {self.reason}"


@dataclass(frozen=True)
class Quantizer(ABC):
    """A deterministic function from reals to few values, as QKeras computes it at inference.

    Constructors raise `UnsupportedQuantizer` for parameters without a defined meaning.
    """

    NAME: ClassVar[str]

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """The quantized values of `x`, of the same shape (kernels: output channel last)."""

    @property
    @abstractmethod
    def format(self) -> Format | None:
        """The narrowest format that holds every output; None if there is no fixed grid."""

    @property
    def rule(self) -> tuple[Rounding, Overflow] | None:
        """Not None exactly if the quantizer is `cast to format` with this rounding and overflow."""
        return None

    @property
    def monotone(self) -> bool:
        """Whether `x <= y` implies `self(x) <= self(y)`."""
        return not self.data_dependent

    @property
    def data_dependent(self) -> bool:
        """Whether one output depends on the other elements (`alpha='auto'`: fine for weights)."""
        return False

    def decompose(self, w: Array) -> tuple[Array, Array]:
        """`(values, scale)` with `values * scale == self(w)` up to float64 rounding.

        `values` are dyadic (integers where the scale is found from the data); `scale` broadcasts
        against `w`: one real number per output channel, or exactly 1 if nothing is left to scale.
        """
        return self(w), np.ones(())

    def __str__(self) -> str:
        """Python call syntax that `parse` (and QKeras) reads back to an equal quantizer."""
        first = [str(getattr(self, key)) for key in ("bits", "integer") if hasattr(self, key)]
        others = (f for f in fields(self) if f.name not in ("bits", "integer"))
        rest = [(f.name, getattr(self, f.name)) for f in others if self._differs(f.name)]
        return f"{self.NAME}({','.join(first + [f'{key}={value!r}' for key, value in rest])})"

    def _differs(self, key: str) -> bool:
        return getattr(self, key) != getattr(type(self), key)

    def _require(self, key: str, holds: bool, reason: str) -> None:
        if not holds:
            raise UnsupportedQuantizer(self.NAME, key, getattr(self, key), reason)

    def _require_bits(self, least: int, most: int = _WIDEST) -> None:
        bits: int = getattr(self, "bits")  # noqa: B009 - not every quantizer has the field
        self._require("bits", least <= bits <= most, f"must be {least} to {most} here")

    def _require_integer(self) -> None:
        integer: int = getattr(self, "integer")  # noqa: B009
        self._require("integer", abs(integer) <= _WIDEST, f"must be -{_WIDEST} to {_WIDEST}")


class _Scaled(Quantizer):
    """Levels times `alpha`: the scale is a constant or found from the data."""

    @property
    @abstractmethod
    def _alpha(self) -> Alpha: ...

    @abstractmethod
    def _parts(self, x: Array) -> tuple[Array, Array]:
        """Levels and scale."""

    def __call__(self, x: Array) -> Array:
        levels, scale = self._parts(x)
        return levels * scale + 0.0

    @property
    def data_dependent(self) -> bool:
        return isinstance(self._alpha, str)

    @property
    def _factor(self) -> float:
        """The numeric alpha; None means 1."""
        return 1.0 if self._alpha is None else float(self._alpha)

    def decompose(self, w: Array) -> tuple[Array, Array]:
        if self.format is None:
            return self._parts(w)
        return self(w), np.ones(())

    def _require_scale_axis(self) -> None:
        axis: int | None = getattr(self, "scale_axis")  # noqa: B009 - not every one has the field
        reason = "must be the index of an axis counted from the front"
        self._require("scale_axis", axis is None or axis >= 0, reason)

    def _require_alpha(self) -> None:
        alpha = self._alpha
        if isinstance(alpha, str):
            self._require("alpha", alpha in _AUTO, "must be None, a number, 'auto' or 'auto_po2'")
        elif alpha is not None:
            self._require("alpha", 0 < alpha < math.inf, "must be positive")


def _fraction_bits(value: float) -> int:
    """The least `frac` with `value * 2^frac` integer (negative for multiples of 2)."""
    top, bottom = value.as_integer_ratio()
    return bottom.bit_length() - (top & -top).bit_length()


@lru_cache(maxsize=1024)
def _grid(unit: float, lo: int, hi: int) -> Format | None:
    """The narrowest format that holds `k * unit` for `lo <= k <= hi`, None if not reasonable."""
    top, _ = unit.as_integer_ratio()
    odd = top // (top & -top)
    result = Format.holding(lo * odd, hi * odd, _fraction_bits(unit))
    return result if result.width <= _WIDEST_GRID else None


def _hull(lo: float, hi: float, *steps: float) -> Format | None:
    """The narrowest format with all `steps` on its grid that holds `lo` to `hi`, both on it."""
    unit = 2.0 ** -max(_fraction_bits(step) for step in steps)
    return _grid(unit, int(lo / unit), int(hi / unit))


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(0.5 * x + 0.5, 0.0, 1.0)


def _sign(x: Array) -> Array:
    """The sign with `sign(0) = +1`."""
    return np.where(x < 0, -1.0, 1.0)


def _nearest_po2(scale: Array) -> Array:
    return np.exp2(np.rint(np.log2(scale + _EPSILON)))


def _reduced_axes(rank: int, kept: int | None) -> tuple[int, ...]:
    """Every axis but the kept one (default: the last)."""
    kept = rank - 1 if kept is None else kept
    return tuple(axis for axis in range(rank) if axis != kept)


def _least_squares(x: Array, q: Array, alpha: Alpha, kept: int | None = None) -> Array:
    """The scale `<x q> / (<q q> + epsilon)` that fits `q` to `x` best, per channel.

    A vector is not averaged: QKeras then scales each element on its own.
    """
    if x.ndim > 1:
        axes = _reduced_axes(x.ndim, kept)
        xq = np.mean(x * q, axis=axes, keepdims=True)
        qq = np.mean(q * q, axis=axes, keepdims=True)
    else:
        xq, qq = x * q, q * q
    scale = xq / (qq + _EPSILON)
    return _nearest_po2(scale) if alpha == "auto_po2" else scale


def _symmetric_levels(v: Array, most: int) -> Array:
    """Half away from zero, saturated; an all-zero channel (0/0) gives zero."""
    levels = np.copysign(np.minimum(np.floor(np.abs(v) + 0.5), most), v)
    return np.where(np.isnan(v), 0.0, levels) + 0.0


@dataclass(frozen=True)
class QuantizedBits(_Scaled):
    """`alpha * top/m * clip(round(x m/top), -m + symmetric, m - 1)`; unsigned: from 0.

    With one signed bit: `alpha * sign(x)`. With `alpha='auto'` (weights): levels in
    `-(2^(bits-1) - 1) ... 2^(bits-1) - 1`, half away from zero, times the scale that maps the
    largest magnitude of each channel to the largest level; `'auto_po2'` starts from the nearest
    power of two and improves it by five least-squares steps. QKeras 0.9.0 keeps the levels that
    the last step started from; the main branch, which tells itself by storing
    `post_training_scale` (None), takes those of the final scale.
    """

    NAME: ClassVar[str] = "quantized_bits"

    bits: int = 8
    integer: int = 0
    symmetric: bool = False
    keep_negative: bool = True
    alpha: Alpha = None
    scale_axis: int | None = None
    post_training_scale: bool | None = False
    """None as the main branch stores it, False where the key is absent."""

    def __post_init__(self) -> None:
        self._require_alpha()
        self._require_scale_axis()
        self._require_integer()
        if self.alpha not in (None, "auto_po2"):
            object.__setattr__(self, "post_training_scale", False)
        self._require_bits(2 if self.data_dependent else 1)
        if self.data_dependent:
            object.__setattr__(self, "symmetric", True)

    @property
    def _alpha(self) -> Alpha:
        return self.alpha

    @property
    def _is_sign(self) -> bool:
        return self.bits == 1 and self.keep_negative

    @property
    def _range(self) -> tuple[int, int]:
        """The least and the greatest level; one signed bit takes only these two."""
        m = 1 << (self.bits - self.keep_negative)
        lo = -m + self.symmetric if self.keep_negative else 0
        return (-1, 1) if self._is_sign else (lo, m - 1)

    @property
    def _lsb(self) -> float:
        return 1.0 if self._is_sign else 2.0 ** (self.integer - self.bits + self.keep_negative)

    @property
    def format(self) -> Format | None:
        return None if self.data_dependent else _grid(self._factor * self._lsb, *self._range)

    @property
    def rule(self) -> tuple[Rounding, Overflow] | None:
        if self.data_dependent or self._factor != 1.0 or self._is_sign:
            return None
        restricted = self.symmetric and self.keep_negative
        return Rounding.RND_CONV, Overflow.SAT_SYM if restricted else Overflow.SAT

    def _parts(self, x: Array) -> tuple[Array, Array]:
        if self.data_dependent:
            return self._fitted(x)
        lsb = self._lsb
        levels = _sign(x) if self._is_sign else np.clip(np.rint(x / lsb), *self._range)
        return levels * lsb, np.asarray(self._factor)

    def _fitted(self, w: Array) -> tuple[Array, Array]:
        most = (1 << (self.bits - 1)) - 1
        y = w * 2.0**-self.integer
        axes = _reduced_axes(y.ndim, self.scale_axis) if y.ndim > 1 else (0,)
        peak = np.max(np.abs(y), axis=axes, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.alpha == "auto":
                # The product first: it is exact, so that a tie stays a tie.
                return _symmetric_levels(y * most / peak, most), peak * 2.0**self.integer / most
            levels, scale = self._improved(y, _nearest_po2(peak / most), most)
        return levels, scale * 2.0**self.integer

    def _improved(self, y: Array, scale: Array, most: int) -> tuple[Array, Array]:
        levels = y
        for _ in range(5):
            levels = _symmetric_levels(y / scale, most)
            scale = _least_squares(y, levels, "auto_po2", self.scale_axis)
        if self.post_training_scale is None:
            levels = _symmetric_levels(y / scale, most)
        return levels, scale


@dataclass(frozen=True)
class QuantizedLinear(_Scaled):
    """`s * round(clip(x/s, -m + symmetric, m - 1))` with `s = alpha * top/m`; unsigned: from 0.

    With one signed bit: `s * sign(x)/2`. With `alpha='auto'` (weights) the scale maps the
    largest magnitude of each channel to the end of the range; `'auto_po2'` starts from the nearest
    power of two and improves it by up to five least-squares steps.
    """

    NAME: ClassVar[str] = "quantized_linear"

    bits: int = 8
    integer: int = 0
    symmetric: bool = True
    keep_negative: bool = True
    alpha: Alpha = None
    scale_axis: int | None = None

    def __post_init__(self) -> None:
        self._require_alpha()
        self._require_scale_axis()
        self._require_integer()
        self._require_bits(1)

    @property
    def _alpha(self) -> Alpha:
        return self.alpha

    @property
    def _is_sign(self) -> bool:
        return self.bits == 1 and self.keep_negative

    @property
    def _range(self) -> tuple[float, float]:
        """The least and the greatest level; one signed bit takes only these two."""
        m = 1 << (self.bits - self.keep_negative)
        lo = -m + self.symmetric if self.keep_negative else 0
        return (-0.5, 0.5) if self._is_sign else (lo, m - 1)

    @property
    def _scale(self) -> float:
        return self._factor * 2.0 ** (self.integer - self.bits + self.keep_negative)

    @property
    def format(self) -> Format | None:
        if self.data_dependent:
            return None
        lo, hi = self._range
        unit = 0.5 if self._is_sign else 1.0
        return _grid(unit * self._scale, int(lo / unit), int(hi / unit))

    @property
    def rule(self) -> tuple[Rounding, Overflow] | None:
        if self.data_dependent or self._is_sign or math.frexp(self._scale)[0] != 0.5:
            return None
        restricted = self.symmetric and self.keep_negative
        return Rounding.RND_CONV, Overflow.SAT_SYM if restricted else Overflow.SAT

    def _parts(self, x: Array) -> tuple[Array, Array]:
        if self.data_dependent:
            return self._fitted(x)
        return self._levels(x / self._scale), np.asarray(self._scale)

    def _levels(self, v: Array) -> Array:
        return 0.5 * _sign(v) if self._is_sign else np.rint(np.clip(v, *self._range))

    def _fitted(self, w: Array) -> tuple[Array, Array]:
        lo, hi = self._range
        most = (hi - lo) / 2 if self.keep_negative else hi
        axes = _reduced_axes(w.ndim, self.scale_axis)
        peak = np.max(np.abs(w) if self.keep_negative else w, axis=axes, keepdims=True)
        peak = np.maximum(peak, _EPSILON * most)
        if self.alpha == "auto":
            # The product first: it is exact, so that a tie stays a tie.
            return self._levels(w * most / peak), peak / most
        scale = _nearest_po2(peak / most)
        for _ in range(1 if self._is_sign else 5):
            scale = _least_squares(w, self._levels(w / scale), "auto_po2", self.scale_axis)
        return self._levels(w / scale), scale


@dataclass(frozen=True)
class QuantizedRelu(Quantizer):
    """`top * clip(round(x m/top)/m, 0, 1 - 1/m)`, plus a rounded negative part if there is a slope.

    The negative part is `slope * top * clip(round(slope x m/top)/(slope m), -1, 0)`; the slope is
    a power of two and costs one bit. `use_sigmoid` replaces `round(x m/top)/m` by
    `2 round(m hard_sigmoid(x/top))/m - 1`. `relu_upper_bound` counts only without
    `is_quantized_clip`, and is not rounded.
    """

    NAME: ClassVar[str] = "quantized_relu"

    bits: int = 8
    integer: int = 0
    use_sigmoid: bool = False
    negative_slope: float = 0.0
    relu_upper_bound: float | None = None
    is_quantized_clip: bool = True

    def __post_init__(self) -> None:
        self._require_integer()
        self._require_bits(1)
        slope = self.negative_slope
        power = 2.0**-_WIDEST <= slope <= 1.0 and math.frexp(slope)[0] == 0.5
        reason = f"must be 0 or a power of two from 2^-{_WIDEST} to 1"
        self._require("negative_slope", slope == 0.0 or power, reason)
        bound = self.relu_upper_bound
        self._require("relu_upper_bound", bound is None or bound > 0, "must be None or positive")

    @property
    def _m(self) -> float:
        return 2.0 ** (self.bits - (self.negative_slope != 0.0))

    @property
    def _lsb(self) -> float:
        return 2.0**self.integer / self._m

    @property
    def _bound(self) -> float | None:
        """The upper bound if it is below the greatest value."""
        bound = None if self.is_quantized_clip else self.relu_upper_bound
        greatest = 2.0**self.integer - self._lsb
        return bound if bound is not None and bound < greatest else None

    @property
    def format(self) -> Format | None:
        top, bound = 2.0**self.integer, self._bound
        lo, hi = -self.negative_slope * top, top - self._lsb if bound is None else bound
        return _hull(lo, hi, *(step for step in (self._lsb, lo, bound) if step))

    @property
    def rule(self) -> tuple[Rounding, Overflow] | None:
        identity = self.negative_slope in (0.0, 1.0)  # on the part of the range that is kept
        plain = identity and not self.use_sigmoid and self._bound is None
        return (Rounding.RND_CONV, Overflow.SAT) if plain else None

    def __call__(self, x: Array) -> Array:
        m, top, slope = self._m, 2.0**self.integer, self.negative_slope
        p = _hard_sigmoid(x / top) * m if self.use_sigmoid else x * m / top
        y = top * np.clip(self._centred(np.rint(p) / m), 0.0, 1.0 - 1.0 / m)
        if slope:
            negative = self._centred(np.rint(p * slope) / (slope * m))
            y = y + top * slope * np.clip(negative, -1.0, 0.0)
        return (y if self._bound is None else np.minimum(y, self._bound)) + 0.0

    def _centred(self, y: Array) -> Array:
        return 2.0 * y - 1.0 if self.use_sigmoid else y


@dataclass(frozen=True)
class QuantizedTanh(Quantizer):
    """`clip(round(m t)/m, -1 + symmetric/m, 1 - 1/m)`, `t = clip(x, -1, 1)` or the real tanh."""

    NAME: ClassVar[str] = "quantized_tanh"

    bits: int = 8
    symmetric: bool = False
    use_real_tanh: bool = False

    def __post_init__(self) -> None:
        self._require_bits(2)

    @property
    def format(self) -> Format | None:
        return Format(True, self.bits, 1)

    @property
    def rule(self) -> tuple[Rounding, Overflow] | None:
        if self.use_real_tanh:
            return None
        return Rounding.RND_CONV, Overflow.SAT_SYM if self.symmetric else Overflow.SAT

    def __call__(self, x: Array) -> Array:
        m = 2.0 ** (self.bits - 1)
        t = np.tanh(x) if self.use_real_tanh else np.clip(x, -1.0, 1.0)
        return np.clip(np.rint(t * m), -m + self.symmetric, m - 1) / m + 0.0


@dataclass(frozen=True)
class QuantizedSigmoid(Quantizer):
    """`clip(round(m s)/m, symmetric/m, 1 - 1/m)`, `s` the hard or the real sigmoid."""

    NAME: ClassVar[str] = "quantized_sigmoid"

    bits: int = 8
    symmetric: bool = False
    use_real_sigmoid: bool = False

    def __post_init__(self) -> None:
        self._require_bits(1)

    @property
    def format(self) -> Format | None:
        return Format(False, self.bits, 0)

    def __call__(self, x: Array) -> Array:
        m = 2.0**self.bits
        # tanh keeps full precision and does not overflow for large negative x.
        s = 0.5 + 0.5 * np.tanh(0.5 * x) if self.use_real_sigmoid else _hard_sigmoid(x)
        return np.clip(np.rint(s * m), float(self.symmetric), m - 1) / m + 0.0


@dataclass(frozen=True)
class QuantizedUlaw(Quantizer):
    """mu-law companding: levels `top * sign(r) log(1 + u|r|)/log(1 + u)` of a rounded `r`.

    `r = 2 round(m hard_sigmoid(x/top))/m - 1`; the result is clipped to
    `[-1 + symmetric/m, 1 - 1/m] * top`. The levels lie on no grid.
    """

    NAME: ClassVar[str] = "quantized_ulaw"

    bits: int = 8
    integer: int = 0
    symmetric: bool = False
    u: float = 255.0

    def __post_init__(self) -> None:
        self._require_integer()
        self._require_bits(1)
        self._require("u", self.u > 0, "must be positive")

    @property
    def format(self) -> Format | None:
        return None

    def __call__(self, x: Array) -> Array:
        m, top = 2.0 ** (self.bits - 1), 2.0**self.integer
        r = 2.0 * np.rint(_hard_sigmoid(x / top) * m) / m - 1.0
        y = np.sign(r) * np.log1p(self.u * np.abs(r)) / np.log1p(self.u)
        return top * np.clip(y, -1.0 + self.symmetric / m, 1.0 - 1.0 / m) + 0.0


class _PowerOfTwo(Quantizer):
    """What both power-of-two quantizers share: the choice of the exponent."""

    @property
    @abstractmethod
    def _exponents(self) -> tuple[int, int]: ...

    @property
    @abstractmethod
    def _choice(self) -> tuple[float | None, bool, str]:
        """max_value, quadratic_approximation, log2_rounding"""

    def _require_choice(self, exponent_bits: int) -> None:
        max_value, _, log2_rounding = self._choice
        self._require("max_value", max_value is None or max_value > 0, "must be None or positive")
        self._require("bits", 0 <= exponent_bits <= 8, "leaves no usable range of exponents")
        known = log2_rounding in ("rnd", "floor")
        self._require("log2_rounding", known, "must be 'rnd' or 'floor'")

    def _exponent_bits(self, bits: int) -> int:
        """Without the sign of the exponent, which values up to 1 do not need."""
        max_value = self._choice[0]
        return bits - (max_value is None or max_value > 1)

    def _bounds(self, exponent_bits: int) -> tuple[int, int]:
        most = (1 << exponent_bits) - 1
        return -(1 << exponent_bits), most - most % 2 if self._choice[1] else most

    def _magnitude(self, magnitude: Array) -> Array:
        """`2^e`, `e = clip(round(log2(magnitude)))`, or even `e` from the square root.

        A magnitude below 1e-7 gives the least exponent, which QKeras does not double for the
        quadratic approximation.
        """
        max_value, quadratic, log2_rounding = self._choice
        lo, hi = self._exponents
        factor = 1 + quadratic
        limited = np.clip(magnitude, _EPSILON, max_value)
        log2 = np.log2(limited) / factor
        whole = np.floor(log2) if log2_rounding == "floor" else np.rint(log2)
        exponent = factor * np.clip(whole, lo, hi)
        return np.exp2(np.where(magnitude < _EPSILON, lo, exponent))

    @property
    def monotone(self) -> bool:
        """Not so if values just above 1e-7 get a smaller exponent than those below."""
        return float(self._magnitude(np.asarray(_EPSILON))) >= 2.0 ** self._exponents[0]

    def _powers(self) -> tuple[float, float]:
        """The least and the greatest power of two that can come out."""
        low, *_, high = self._magnitude(np.asarray([_EPSILON, np.finfo(np.float64).max]))
        return min(float(low), 2.0 ** self._exponents[0]), float(high)

    def _power_grid(self, signed: bool) -> Format | None:
        low, high = self._powers()
        if math.log2(high / low) > _WIDEST_GRID:
            return None
        return _grid(low, -int(high / low) if signed else 0, int(high / low))


@dataclass(frozen=True)
class QuantizedPo2(_PowerOfTwo):
    """`sign(x) 2^e` with the sign of 0 positive; never 0. One of the bits is the sign."""

    NAME: ClassVar[str] = "quantized_po2"

    bits: int = 8
    max_value: float | None = None
    quadratic_approximation: bool = False
    log2_rounding: str = "rnd"

    def __post_init__(self) -> None:
        self._require_choice(self._exponent_bits(self.bits - 1))

    @property
    def _choice(self) -> tuple[float | None, bool, str]:
        return self.max_value, self.quadratic_approximation, self.log2_rounding

    @property
    def _exponents(self) -> tuple[int, int]:
        return self._bounds(self._exponent_bits(self.bits - 1))

    @property
    def format(self) -> Format | None:
        return self._power_grid(signed=True)

    def __call__(self, x: Array) -> Array:
        return _sign(x) * self._magnitude(np.abs(x))


@dataclass(frozen=True)
class QuantizedReluPo2(_PowerOfTwo):
    """`2^e` of the positive part; negative `x` give the least power, not 0.

    With a slope, negative `x` give `-2^e` of `slope * |x|`.
    """

    NAME: ClassVar[str] = "quantized_relu_po2"

    bits: int = 8
    max_value: float | None = None
    negative_slope: float = 0.0
    quadratic_approximation: bool = False
    log2_rounding: str = "rnd"

    def __post_init__(self) -> None:
        self._require_choice(self._exponent_bits(self.bits))
        slope = self.negative_slope
        known = slope == 0.0 or (slope > 0 and math.frexp(slope)[0] == 0.5)
        self._require("negative_slope", known, "must be 0 or a power of two")

    @property
    def _choice(self) -> tuple[float | None, bool, str]:
        return self.max_value, self.quadratic_approximation, self.log2_rounding

    @property
    def _exponents(self) -> tuple[int, int]:
        return self._bounds(self._exponent_bits(self.bits))

    @property
    def format(self) -> Format | None:
        return self._power_grid(signed=self.negative_slope != 0.0)

    def __call__(self, x: Array) -> Array:
        positive = self._magnitude(np.maximum(x, 0.0))
        if not self.negative_slope:
            return positive
        negative = self._magnitude(np.maximum(-x, 0.0) * self.negative_slope)
        return np.where(x >= 0, positive, -negative)


@dataclass(frozen=True)
class Binary(_Scaled):
    """`alpha * sign(x)` with the sign of 0 positive, or `alpha * {0, 1}` with `use_01`."""

    NAME: ClassVar[str] = "binary"

    use_01: bool = False
    alpha: Alpha = None

    def __post_init__(self) -> None:
        self._require_alpha()

    @property
    def _alpha(self) -> Alpha:
        return self.alpha

    @property
    def format(self) -> Format | None:
        lo = 0 if self.use_01 else -1
        return None if self.data_dependent else _grid(self._factor, lo, 1)

    def _parts(self, x: Array) -> tuple[Array, Array]:
        levels = np.where(x < 0, 0.0 if self.use_01 else -1.0, 1.0)
        if self.data_dependent:
            return levels, _least_squares(x, levels, self.alpha)
        return levels, np.asarray(self._factor)


@dataclass(frozen=True)
class Ternary(_Scaled):
    """`alpha * sign(x)` where `|x| >= threshold` (default 0.33), else 0.

    With `alpha='auto'` (weights) the threshold is half the scale, and the scale is improved by
    `number_of_unrolls` least-squares steps from two thirds of the largest magnitude.
    """

    NAME: ClassVar[str] = "ternary"

    alpha: Alpha = None
    threshold: float | None = None
    number_of_unrolls: int = 5

    def __post_init__(self) -> None:
        self._require_alpha()
        known = self.threshold is None or (self.threshold >= 0 and not self.data_dependent)
        self._require("threshold", known, "must be None, or not negative with a numeric alpha")
        steps = 1 <= self.number_of_unrolls <= 1000
        self._require("number_of_unrolls", steps, "must be 1 to 1000")

    @property
    def _alpha(self) -> Alpha:
        return self.alpha

    @property
    def format(self) -> Format | None:
        return None if self.data_dependent else _grid(self._factor, -1, 1)

    @property
    def rule(self) -> tuple[Rounding, Overflow] | None:
        """A threshold of half a power-of-two alpha is rounding half away from zero."""
        if self.data_dependent or math.frexp(self._factor)[0] != 0.5:
            return None
        halved = self.threshold == self._factor / 2
        return (Rounding.RND_INF, Overflow.SAT_SYM) if halved else None

    def _parts(self, x: Array) -> tuple[Array, Array]:
        if self.data_dependent:
            with np.errstate(divide="ignore", invalid="ignore"):
                return self._fitted(x)
        threshold = 0.33 if self.threshold is None else self.threshold
        return np.sign(x) * (np.abs(x) >= threshold), np.asarray(self._factor)

    def _fitted(self, w: Array) -> tuple[Array, Array]:
        axes = _reduced_axes(w.ndim, None) if w.ndim > 1 else None
        scale = 2.0 * np.max(np.abs(w), axis=axes, keepdims=True) / 3.0
        scale = _nearest_po2(scale) if self.alpha == "auto_po2" else scale
        levels = w
        for _ in range(self.number_of_unrolls):
            rounded = np.abs(scale * np.rint(w / scale))
            levels = np.sign(w) * (rounded >= scale / 2.0)
            scale = _least_squares(w, levels, self.alpha)
        return levels, scale


@dataclass(frozen=True)
class QuantizedHswish(Quantizer):
    """`quantized_bits(x * clip(x + relu_shift, 0, relu_upper_bound) / relu_upper_bound)`."""

    NAME: ClassVar[str] = "quantized_hswish"

    bits: int = 8
    integer: int = 0
    symmetric: bool = False
    alpha: Alpha = None
    relu_shift: float = 3.0
    relu_upper_bound: float = 6.0

    def __post_init__(self) -> None:
        try:
            _ = self._outer
        except UnsupportedQuantizer as error:
            raise replace(error, name=self.NAME) from None
        self._require("relu_shift", self.relu_shift > 0, "must be positive")
        self._require("relu_upper_bound", self.relu_upper_bound > 0, "must be positive")

    @property
    def _outer(self) -> QuantizedBits:
        return QuantizedBits(self.bits, self.integer, self.symmetric, True, self.alpha)

    @property
    def format(self) -> Format | None:
        return self._outer.format

    @property
    def data_dependent(self) -> bool:
        return self._outer.data_dependent

    @property
    def monotone(self) -> bool:
        """The hard swish falls before it rises."""
        return False

    def __call__(self, x: Array) -> Array:
        return self._outer(self._hswish(x))

    def decompose(self, w: Array) -> tuple[Array, Array]:
        return self._outer.decompose(self._hswish(w))

    def _hswish(self, x: Array) -> Array:
        gate = np.clip(x + self.relu_shift, 0.0, self.relu_upper_bound)
        return x * gate / self.relu_upper_bound


@dataclass(frozen=True)
class FixedPoint(Quantizer):
    """A cast to `ap_fixed` or `ap_ufixed` of so many `bits`, `integer` of them with the sign."""

    NAME: ClassVar[str] = "fixed_point"

    bits: int
    integer: int
    signed: bool = True
    rounding: str = Rounding.TRN
    overflow: str = Overflow.WRAP

    def __post_init__(self) -> None:
        self._require_bits(1, _WIDEST_CAST)
        reason = f"must be within {2 * _WIDEST_GRID} of the point"
        self._require("integer", abs(self.integer) <= 2 * _WIDEST_GRID, reason)
        for key, kind in (("rounding", Rounding), ("overflow", Overflow)):
            self._require(key, getattr(self, key) in list(kind), f"is none of {', '.join(kind)}")
            object.__setattr__(self, key, str(getattr(self, key)))

    @property
    def format(self) -> Format:
        return Format(self.signed, self.bits, self.integer)

    @property
    def rule(self) -> tuple[Rounding, Overflow]:
        return Rounding(self.rounding), Overflow(self.overflow)

    @property
    def monotone(self) -> bool:
        return self.overflow in (Overflow.SAT, Overflow.SAT_SYM)

    def __call__(self, x: Array) -> Array:
        return to_real(quantize_real(x, self.format, *self.rule), self.format.frac)


def promote_kernel(quantizer: Quantizer) -> Quantizer:
    """What a QKeras layer makes of its kernel quantizer: `alpha=None` becomes `'auto_po2'`.

    Layers call `_set_trainable_parameter` on the quantizers of kernels, not on those of biases
    and activations. Raise `UnsupportedQuantizer` if the result has no meaning.
    """
    match quantizer:
        case QuantizedBits(alpha=None) | QuantizedLinear(alpha=None) | QuantizedHswish(alpha=None):
            return replace(quantizer, alpha="auto_po2", symmetric=True)
        case Binary(alpha=None) | Ternary(alpha=None):
            return replace(quantizer, alpha="auto_po2")
        case _:
            return quantizer


# ---- reading -----------------------------------------------------------------------------------

Signature = tuple[type[Quantizer], str]
"""A quantizer, and its parameters in constructor order."""
# In the order of QKeras's constructors (positional arguments), first those of 0.9.0, then what the
# main branch has added.
_SIGNATURES: Mapping[str, Signature] = {
    "quantized_bits": (
        QuantizedBits,
        "bits integer symmetric keep_negative alpha use_stochastic_rounding scale_axis "
        "qnoise_factor var_name use_ste use_variables elements_per_scale min_po2_exponent "
        "max_po2_exponent post_training_scale",
    ),
    "quantized_linear": (
        QuantizedLinear,
        "bits integer symmetric keep_negative alpha use_stochastic_rounding scale_axis "
        "qnoise_factor var_name use_variables",
    ),
    "quantized_relu": (
        QuantizedRelu,
        "bits integer use_sigmoid negative_slope use_stochastic_rounding relu_upper_bound "
        "is_quantized_clip qnoise_factor var_name use_ste use_variables enable_fast_inference",
    ),
    "quantized_tanh": (QuantizedTanh, "bits use_stochastic_rounding symmetric use_real_tanh"),
    "quantized_sigmoid": (
        QuantizedSigmoid,
        "bits symmetric use_real_sigmoid use_stochastic_rounding",
    ),
    "quantized_ulaw": (QuantizedUlaw, "bits integer symmetric u"),
    "quantized_po2": (
        QuantizedPo2,
        "bits max_value use_stochastic_rounding quadratic_approximation log2_rounding "
        "qnoise_factor var_name use_ste use_variables",
    ),
    "quantized_relu_po2": (
        QuantizedReluPo2,
        "bits max_value negative_slope use_stochastic_rounding quadratic_approximation "
        "log2_rounding qnoise_factor var_name use_ste use_variables",
    ),
    "quantized_hswish": (
        QuantizedHswish,
        "bits integer symmetric alpha use_stochastic_rounding scale_axis qnoise_factor var_name "
        "use_ste use_variables relu_shift relu_upper_bound keep_negative post_training_scale",
    ),
    "binary": (
        Binary,
        "use_01 alpha use_stochastic_rounding scale_axis elements_per_scale min_po2_exponent "
        "max_po2_exponent",
    ),
    "ternary": (Ternary, "alpha threshold use_stochastic_rounding number_of_unrolls"),
    "fixed_point": (FixedPoint, "bits integer signed rounding overflow"),
    # At inference the stochastic variants are the plain ones.
    "stochastic_binary": (Binary, "alpha temperature use_real_sigmoid"),
    "stochastic_ternary": (
        Ternary,
        "alpha threshold temperature use_real_sigmoid number_of_unrolls",
    ),
}
QUANTIZERS: Mapping[str, type[Quantizer]] = {name: kind for name, (kind, _) in _SIGNATURES.items()}
"""The supported quantizers by the name of their QKeras class."""

REFUSED_QUANTIZERS = {
    "bernoulli": "draws random numbers at inference",
}

QUANTIZER_NAMES = frozenset(_SIGNATURES) | frozenset(REFUSED_QUANTIZERS)
"""Every name that is a QKeras quantizer class, whether supported or refused."""

_ONLY_TRAINING = frozenset(
    ["var_name", "use_ste", "use_variables", "temperature", "use_real_sigmoid"]
) | {"enable_fast_inference"}
_FIXED: Mapping[str, tuple[object, str]] = {
    "use_stochastic_rounding": (False, "rounds at random; set it to False"),
    "qnoise_factor": (1.0, "blends quantized and unquantized values; set it to 1"),
    "scale_axis": (None, "is not interpreted here"),
    "keep_negative": (True, "is not interpreted here"),
    **dict.fromkeys(
        ("elements_per_scale", "min_po2_exponent", "max_po2_exponent", "post_training_scale"),
        (None, "is not interpreted here; only None is"),
    ),
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_int(value: object) -> int:
    if isinstance(value, int | float) and _is_number(value) and value == int(value):
        return int(value)
    raise ValueError("must be an integer")


def _read_flag(value: object) -> bool:
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise ValueError("must be True or False")


def _read_real(value: object) -> float:
    if isinstance(value, int | float) and _is_number(value) and math.isfinite(value):
        return float(value)
    raise ValueError("must be a finite number")


def _read_text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("must be a text")


def _optional(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


def _read_alpha(value: object) -> Alpha:
    if value is None or isinstance(value, str):
        return value
    if _is_number(value):
        return _read_real(value)
    raise ValueError("must be None, a number, 'auto' or 'auto_po2'")


def _read_none(value: object) -> None:
    if value is not None:
        raise ValueError("is not interpreted here; only None is")


_READERS: Mapping[str, Callable[[object], Any]] = {
    **dict.fromkeys(("bits", "integer", "number_of_unrolls", "size"), _read_int),
    **dict.fromkeys(("symmetric", "keep_negative", "use_sigmoid", "use_01"), _read_flag),
    **dict.fromkeys(("is_quantized_clip", "use_real_tanh", "use_real_sigmoid"), _read_flag),
    "quadratic_approximation": _read_flag,
    **dict.fromkeys(("negative_slope", "u", "relu_shift"), _read_real),
    **dict.fromkeys(("relu_upper_bound", "max_value", "threshold"), _optional(_read_real)),
    "scale_axis": _optional(_read_int),
    "alpha": _read_alpha,
    "post_training_scale": _read_none,
    **dict.fromkeys(("log2_rounding", "rounding", "overflow", "function"), _read_text),
    "signed": _read_flag,
}


def _lookup(name: str) -> Signature:
    if name not in _SIGNATURES:
        known = ", ".join(sorted(QUANTIZERS))
        reason = REFUSED_QUANTIZERS.get(name, f"is not a known quantizer ({known})")
        raise UnsupportedQuantizer("quantizer", "class_name", name, reason)
    return _SIGNATURES[name]


def _create(name: str, signature: Signature, arguments: Mapping[str, object]) -> Quantizer:
    kind, parameters = signature[0], signature[1].split()
    own = {field.name for field in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in arguments.items():
        if key not in parameters:
            raise UnsupportedQuantizer(name, key, value, "is not a known parameter")
        if key in own:
            values[key] = _read_argument(name, key, value)
        else:
            _require_fixed(name, key, value)
    return kind(**values)


def _read_argument(name: str, key: str, value: object) -> Any:
    try:
        return _READERS[key](value)
    except (ValueError, OverflowError) as error:
        raise UnsupportedQuantizer(name, key, value, str(error)) from None


def _require_fixed(name: str, key: str, value: object) -> None:
    if key in _ONLY_TRAINING:
        return
    expected, reason = _FIXED[key]
    if value != expected:
        raise UnsupportedQuantizer(name, key, value, reason)


def parse(text: str, others: Mapping[str, Signature] | None = None) -> Quantizer:
    """Read `quantized_bits(6,1,alpha=1)`: the call syntax of QKeras strings.

    Positional arguments follow the constructors of QKeras 0.9.0. A bare name stands for all
    defaults. `others` are quantizers by name that QKeras does not have. Raise
    `UnsupportedQuantizer` naming what is unknown.
    """
    return _parsed(text.strip(), tuple((others or {}).items()))


@lru_cache(maxsize=4096)  # passes ask for the closed forms behind the same few texts all the time
def _parsed(text: str, others: tuple[tuple[str, Signature], ...]) -> Quantizer:
    name, positional, keywords = _read_call(text)
    signature = dict(others).get(name) or _lookup(name)
    parameters = signature[1].split()
    if len(positional) > len(parameters):
        extra = positional[len(parameters)]
        raise UnsupportedQuantizer(name, "argument", extra, "is one positional argument too many")
    arguments = dict(zip(parameters, positional, strict=False))
    for key, value in keywords:
        if key in arguments:
            raise UnsupportedQuantizer(name, key, value, "is given twice")
        arguments[key] = value
    return _create(name, signature, arguments)


def _read_call(text: str) -> tuple[str, list[object], list[tuple[str, object]]]:
    """Name, positional and keyword arguments of a call with literal arguments."""
    match _syntax(text):
        case ast.Name(id=name):
            return name, [], []
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=keywords):
            named = [(_keyword(name, k), _literal(name, k.value)) for k in keywords]
            return name, [_literal(name, node) for node in positional], named
        case _:
            raise _unreadable(text)


def _syntax(text: str) -> ast.expr:
    if len(text) > _LONGEST_TEXT:
        raise _unreadable(text[:40] + "...")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _unreadable(text) from None


def _unreadable(text: str) -> UnsupportedQuantizer:
    reason = "is not a call with literal arguments such as quantized_bits(6,1,alpha=1)"
    return UnsupportedQuantizer("quantizer", "text", text, reason)


def _keyword(name: str, keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise UnsupportedQuantizer(name, "argument", "**", "is not allowed")
    return keyword.arg


def _literal(name: str, node: ast.expr) -> object:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case _:
            text = ast.unparse(node)
            raise UnsupportedQuantizer(name, "argument", text, "is not a number, text or flag")


_ENVELOPE = ("class_name", "config", "module", "registered_name", "__passive_serialization__")


def from_config(config: Mapping[str, object]) -> Quantizer:
    """Read the `{"class_name": ..., "config": {...}}` that Keras stores for a quantizer object.

    A registered name `package>name` counts as `name`. Each key of the inner dictionary is
    interpreted or must hold its default; else raise `UnsupportedQuantizer`.
    """
    name = config.get("class_name")
    if not isinstance(name, str):
        raise UnsupportedQuantizer("quantizer", "class_name", name, "must be a text")
    name = name.rpartition(">")[2]
    signature = _lookup(name)
    _refuse_unknown(name, config, _ENVELOPE)
    inner = config.get("config")
    if not isinstance(inner, Mapping):
        raise UnsupportedQuantizer(name, "config", inner, "must be a dictionary")
    return _create(name, signature, cast(Mapping[str, object], inner))


def _refuse_unknown(name: str, config: Mapping[str, object], known: Iterable[str]) -> None:
    for key in sorted(config.keys() - set(known)):
        raise UnsupportedQuantizer(name, key, config[key], "is not a known key")
