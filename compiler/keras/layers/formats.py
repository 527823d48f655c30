"""Activations whose formats stand among the weights: adaptive ones of QKeras, proxies of HGQ."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single, stored
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.elementwise import AffineOp, MaximumOp, MinimumOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import (
    FixedPoint,
    QuantizedBits,
    QuantizedRelu,
    UnsupportedQuantizer,
)

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Ints = NDArray[np.int64]


@contextmanager
def _expecting_formats(config: LayerConfig) -> Generator[None]:
    """Raise UnsupportedLayer where a quantizer cannot have what the file says."""
    try:
        yield
    except UnsupportedQuantizer as error:
        reason = f"it quantizes with {error.key}={error.value}, which {error.reason}"
        raise refused(config, reason, "save the model with other bit widths") from None


# ---- QKeras --------------------------------------------------------------------------------------


@keras_layer("QAdaptiveActivation")
def adaptive(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A quantizer whose integer bits cover the stored moving minimum and maximum."""
    x = single(config, inputs)
    channels = shape_of(x)[-1] if config.take_bool("per_channel", False) else 1
    config.ignore("current_step", "quantization_delay", "ema_freeze_delay", "ema_decay")
    config.expect_default("relu_upper_bound", None)  # which QKeras 0.9 applies and does not store
    with _expecting_formats(config):
        quantizer = _adaptive_quantizer(config)
        integer = _integer_bits(config, quantizer, channels)
        if (integer == integer[0]).all():
            return builder.quantize(config, x, replace(quantizer, integer=int(integer[0])))
    y = _affine(builder, config, x, 2.0**-integer)
    return _affine(builder, config, builder.quantize(config, y, quantizer), 2.0**integer)


def _adaptive_quantizer(config: LayerConfig) -> QuantizedBits | QuantizedRelu:
    """The quantizer without integer bits."""
    kind = config.take_str("activation", None, ("quantized_bits", "quantized_relu"))
    bits, slope = config.take_int("total_bits"), config.take_float("relu_neg_slope", 0.0)
    if kind == "quantized_relu":
        return QuantizedRelu(bits=bits, negative_slope=slope)
    return QuantizedBits(bits=bits, symmetric=config.take_bool("symmetric", True), alpha=1.0)


def _integer_bits(
    config: LayerConfig, quantizer: QuantizedBits | QuantizedRelu, channels: int
) -> Ints:
    """Those of `_get_integer_bits` in `qkeras/quantizers.py`, in float32 as there."""
    signed = isinstance(quantizer, QuantizedBits) or quantizer.negative_slope != 0
    least: Floats = np.asarray(stored(config, "ema_min", channels), np.float32)
    most: Floats = np.asarray(stored(config, "ema_max", channels), np.float32)
    if not signed:
        least, most = np.maximum(least, 0), np.maximum(most, 0)
    own = quantizer.bits - signed
    nearest = config.take_bool("po2_rounding", False)
    symmetric = config.take_bool("symmetric", True)
    low, high = (_exponents(values, nearest) for values in (least, most))
    if not nearest:
        high = high + (most > _reach(high, own))
        low = low + (symmetric & (least < -_reach(low, own)))
    return np.minimum(np.maximum(low, high), own).astype(np.int64)


def _exponents(values: Floats, nearest: bool) -> Floats:
    """log2 of magnitudes above 1, rounded to the nearest integer or up; 0 for others."""
    with np.errstate(divide="ignore"):
        exponents = np.log(np.abs(values)) / np.float32(np.log(2.0))
    positive = np.maximum(exponents, np.float32(0))
    return np.rint(positive) if nearest else np.ceil(positive)


def _reach(integer: Floats, bits: int) -> Floats:
    """The greatest number of `bits` bits without sign, `integer` of them in front of the point."""
    return 2**integer - 2 ** np.minimum(integer - bits, np.float32(0))


def _affine(
    builder: Builder, config: LayerConfig, x: SSAValue, scale: Any, offset: Any = 0.0
) -> SSAValue:
    constants = [builder.constant(config, np.asarray(c, np.float64)) for c in (scale, offset)]
    return builder.add(config, AffineOp((x, *constants), layer=config.layer.name))


# ---- HGQ -----------------------------------------------------------------------------------------

_ROUNDINGS = {rounding.name: rounding for rounding in Rounding}
_OVERFLOWS = {overflow.name: overflow for overflow in Overflow}
_MOST_BITS = 24


@dataclass(frozen=True)
class _Formats:
    """The format of each channel, with the sign among the integer bits; no bits mean always 0."""

    signed: Ints
    bits: Ints
    integer: Ints

    @property
    def alike(self) -> bool:
        return all((a == a[0]).all() for a in (self.signed, self.bits, self.integer))

    @property
    def only_signs(self) -> bool:
        """Whether each format has at most a sign: 0 is all that is symmetric then."""
        return bool((self.bits <= self.signed).all())

    @property
    def frac(self) -> Ints:
        return self.bits - self.integer


@keras_layer("FixedPointQuantizer", "HGQ>FixedPointQuantizer")
def fixed_point(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A cast of HGQ's proxy models to a format, or to one for each channel."""
    x = single(config, inputs)
    rounding = _ROUNDINGS[config.take_str("RND", "TRN", _lower(_ROUNDINGS)).upper()]
    overflow = _OVERFLOWS[config.take_str("SAT", "WRAP", _lower(_OVERFLOWS)).upper()]
    config.ignore("overrides", "fusible", "shape")
    formats = _formats(config, x)
    if not formats.bits.any() or (overflow is Overflow.SAT_SYM and formats.only_signs):
        return _affine(builder, config, x, np.asarray(0.0))
    with _expecting_formats(config):
        if not formats.alike:
            return _per_channel(builder, config, x, formats, rounding, overflow)
        sign, bits, integer = (int(a[0]) for a in (formats.signed, formats.bits, formats.integer))
        cast = FixedPoint(bits, integer, bool(sign), rounding, overflow)
        return builder.quantize(config, x, cast)


def _lower(names: dict[str, Any]) -> list[str]:
    return [name.lower() for name in names]


def _formats(config: LayerConfig, x: SSAValue) -> _Formats:
    """The stored formats, which may not differ from pixel to pixel."""
    shape = shape_of(x)
    rows: list[Ints] = []
    for key in ("keep_negative", "bits", "integers"):
        values = np.asarray(config.layer.weight(key), np.int64)
        try:
            columns = np.broadcast_to(values, (1, *shape)).reshape(-1, shape[-1])
        except ValueError:
            reason = f"its stored {key} has the shape {values.shape}, which does not fit {shape}"
            raise refused(config, reason, "save the model again") from None
        if (columns != columns[:1]).any():
            advice = "train with one bit width for all pixels of a channel"
            raise refused(config, "its formats differ from pixel to pixel", advice)
        rows.append(columns[0])
    signed, bits, integer = rows
    if not (np.isin(signed, (0, 1)) & (bits >= 0) & (bits <= _MOST_BITS)).all():
        reason = f"its formats have not 0 to {_MOST_BITS} bits, or a sign of neither 0 nor 1"
        raise refused(config, reason, "convert the model with HGQ again")
    return _Formats(_filled(signed, bits > 0), bits, _filled(integer, bits > 0))


def _filled(values: Ints, some: NDArray[np.bool_]) -> Ints:
    """Channels that are always 0 get what the first other one has, so that they disturb nothing."""
    return np.where(some, values, values[int(np.argmax(some))])


def _per_channel(
    builder: Builder,
    config: LayerConfig,
    x: SSAValue,
    formats: _Formats,
    rounding: Rounding,
    overflow: Overflow,
) -> SSAValue:
    """Scaled by powers of two, all channels round at one place; scaled again, they end at one."""
    if overflow is Overflow.SAT_ZERO:
        raise refused(
            config, "channels of different formats overflow to 0", "use the overflow WRAP or SAT"
        )
    live = formats.bits > 0
    frac, integer = int(formats.frac[live].max()), int(formats.integer[live].max()) + 1
    wrap = Overflow.WRAP if overflow is Overflow.WRAP else Overflow.SAT
    shift = 2.0 ** np.where(live, formats.frac - frac, 0)
    if rounding in (Rounding.TRN, Rounding.RND):
        # One bit more decides how RND rounds, so this format for all of them loses nothing.
        fine = frac + (rounding is Rounding.RND)
        x = builder.quantize(
            config, x, FixedPoint(fine + integer, integer, True, Rounding.TRN, wrap)
        )
    y = _affine(builder, config, x, shift)
    wide = FixedPoint(frac + integer + 1, integer + 1, True, rounding, wrap)
    y = builder.quantize(config, y, wide)
    if overflow is Overflow.WRAP:
        return _wrapped(builder, config, y, formats, shift)
    return _clipped(builder, config, y, formats, shift, overflow is Overflow.SAT_SYM)


def _wrapped(
    builder: Builder, config: LayerConfig, y: SSAValue, formats: _Formats, shift: Reals
) -> SSAValue:
    """Numbers without sign are moved by half their range, so that one signed format wraps all."""
    integer, live = int(formats.integer.max()), formats.bits > 0
    up, unsigned = 2.0 ** (integer - formats.integer), 1 - formats.signed
    y = _affine(builder, config, y, up / shift, -unsigned * 2.0 ** (integer - 1))
    common = FixedPoint(int(formats.bits.max()), integer, True, Rounding.TRN, Overflow.WRAP)
    y = builder.quantize(config, y, common)
    middle = unsigned * 2.0 ** (formats.integer - 1)
    return _affine(builder, config, y, live / up, live * middle)


def _clipped(
    builder: Builder,
    config: LayerConfig,
    y: SSAValue,
    formats: _Formats,
    shift: Reals,
    symmetric: bool,
) -> SSAValue:
    live, lsb = formats.bits > 0, 2.0**-formats.frac
    top = 2.0 ** (formats.integer - formats.signed)
    bottom = -formats.signed * (top - lsb if symmetric else top)
    y = _affine(builder, config, y, 1 / shift)
    bounds = [builder.constant(config, live * bound) for bound in (bottom, top - lsb)]
    y = builder.add(config, MaximumOp((y, bounds[0]), layer=config.layer.name))
    return builder.add(config, MinimumOp((y, bounds[1]), layer=config.layer.name))
