"""Draws quantizers of every kind that calocc knows, as QKeras writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from calocc.dialects.qnn.quantizers import (
    QUANTIZERS,
    Quantizer,
    UnsupportedQuantizer,
    parse,
)
from calocc.runtime.fuzzing.source import Source

Parameters = dict[str, object]
_ALPHAS = (None, 1, 1.0, 0.5, 2, 0.75)
_SLOPES = (0.0, 0.5, 0.125, 1.0)
ROUNDINGS = ("trn", "rnd", "trn_zero", "rnd_zero", "rnd_min_inf", "rnd_inf", "rnd_conv")
OVERFLOWS = ("sat", "wrap", "sat_sym", "sat_zero")


def _bits(source: Source) -> Parameters:
    return {
        "bits": source.integer(1, 8),
        "integer": source.integer(0, 3),
        "symmetric": source.pick(0, 1),
        "keep_negative": source.pick(1, 1, 0),
        "alpha": source.pick(1, *_ALPHAS),
    }


def _relu(source: Source) -> Parameters:
    return {
        "bits": source.integer(2, 8),
        "integer": source.integer(0, 3),
        "use_sigmoid": source.pick(0, 0, 0, 1),
        "negative_slope": source.pick(0.0, *_SLOPES),
        "relu_upper_bound": source.pick(None, None, 1.0, 0.75, 3.0, 0.40625),
        "is_quantized_clip": source.flag(),
    }


def _curve(name: str) -> Callable[[Source], Parameters]:
    def draw(source: Source) -> Parameters:
        return {
            "bits": source.integer(2, 8),
            "symmetric": source.pick(0, 1),
            f"use_real_{name}": source.flag(),
        }

    return draw


def _hswish(source: Source) -> Parameters:
    return {
        "bits": source.integer(2, 8),
        "integer": source.integer(0, 3),
        "symmetric": source.pick(0, 1),
        "alpha": source.pick(None, 1.0),
        "relu_shift": source.integer(1, 4),
        "relu_upper_bound": source.integer(2, 7),
    }


def _ulaw(source: Source) -> Parameters:
    return {
        "bits": source.integer(2, 8),
        "integer": source.integer(0, 3),
        "symmetric": source.pick(0, 1),
        "u": source.pick(255.0, 15.0),
    }


def _po2(source: Source) -> Parameters:
    return {
        "bits": source.integer(3, 5),
        "max_value": source.pick(None, 1, 2, 0.5, 6.0),
        "quadratic_approximation": source.flag(),
        "log2_rounding": source.pick("rnd", "floor"),
    }


def _relu_po2(source: Source) -> Parameters:
    return {**_po2(source), "negative_slope": source.pick(*_SLOPES[:3])}


def _binary(source: Source) -> Parameters:
    return {"use_01": source.pick(0, 1), "alpha": source.pick(1, *_ALPHAS)}


def _ternary(source: Source) -> Parameters:
    return {"alpha": source.pick(1, *_ALPHAS), "threshold": source.pick(None, 0.5, 0.25, 0, 1)}


def _fixed_point(source: Source) -> Parameters:
    return {
        "bits": source.integer(1, 8),
        "integer": source.integer(-1, 5),
        "signed": source.pick(1, 0),
        "rounding": source.one_of(ROUNDINGS),
        "overflow": source.one_of(OVERFLOWS),
    }


PARAMETERS: Mapping[str, Callable[[Source], Parameters]] = {
    "quantized_bits": _bits,
    "quantized_relu": _relu,
    "quantized_tanh": _curve("tanh"),
    "quantized_sigmoid": _curve("sigmoid"),
    "quantized_hswish": _hswish,
    "quantized_ulaw": _ulaw,
    "quantized_linear": _bits,
    "quantized_po2": _po2,
    "quantized_relu_po2": _relu_po2,
    "binary": _binary,
    "ternary": _ternary,
    "stochastic_binary": lambda source: {"alpha": source.pick(1, *_ALPHAS), "temperature": 5.0},
    "stochastic_ternary": lambda source: {"alpha": source.pick(1, *_ALPHAS), "threshold": 0.5},
    "fixed_point": _fixed_point,
}
"""How the parameters of each known quantizer are drawn."""

_COMMON = ("quantized_bits", "quantized_bits", "quantized_relu")
_ANY = tuple(name for name in PARAMETERS if name in QUANTIZERS)
_FITTED = (
    *("quantized_bits({bits},{integer},alpha='auto_po2')", "binary(alpha='auto_po2')"),
    *("ternary(alpha='auto_po2')", "quantized_bits({bits},{integer},alpha='auto')"),
    *("binary(alpha='auto')", "ternary(alpha='auto')"),
    *("quantized_linear({bits},{integer},alpha='auto')",),
    *("quantized_linear({bits},{integer},alpha='auto_po2')",),
)
_TRIES = 8


def _text(name: str, parameters: Parameters) -> str:
    """A quantizer as it stands in a model."""
    return f"{name}({','.join(f'{key}={value!r}' for key, value in parameters.items())})"


def _accepted(text: str) -> Quantizer | None:
    try:
        return parse(text)
    except UnsupportedQuantizer:
        return None


def drawn(source: Source, names: tuple[str, ...] = _ANY) -> Quantizer:
    """A quantizer of one of these names, with any parameters that it takes."""
    for _ in range(_TRIES):
        name = source.one_of(names)
        found = _accepted(_text(name, PARAMETERS[name](source)))
        if found is not None:
            return found
    return parse("quantized_bits(4,1,alpha=1)")


def of_activations(source: Source) -> str:
    """A quantizer whose values, if they are multiples of one power of two, have few bits."""
    for _ in range(_TRIES):
        found = drawn(source, _COMMON if source.flag() else _ANY)
        if found.format is None or found.format.width <= 12:
            return str(found)
    return "quantized_bits(4,1,alpha=1)"


def of_few_levels(source: Source) -> str:
    """A cast to at most eight levels, which rounds and overflows in any way, most often saturating
    or wrapping."""
    bits = source.integer(1, 3)
    parameters: Parameters = {
        "bits": bits,
        "integer": source.integer(-1, bits - 1),
        "signed": source.flag(),
        "rounding": source.one_of(ROUNDINGS),
        "overflow": source.pick("sat", "wrap", "sat", "wrap", *OVERFLOWS),
    }
    return _text("fixed_point", parameters)


def on_a_grid(text: str) -> bool:
    """Whether the values of a quantizer are multiples of one power of two."""
    return parse(text).format is not None


def of_inputs(source: Source) -> str:
    """A quantizer that a host can apply: a plain cast."""
    for _ in range(_TRIES):
        found = drawn(source, (*_COMMON, "fixed_point", "quantized_linear"))
        if found.rule is not None:
            return str(found)
    return "quantized_bits(4,1,alpha=1)"


def of_kernels(source: Source, fitted: bool = True) -> str:
    """A quantizer for weights; its scale may be found from them."""
    if fitted and source.once_in(4):
        text = source.one_of(_FITTED)
        return text.format(bits=source.integer(2, 5), integer=source.integer(0, 2))
    for _ in range(_TRIES):
        text = str(drawn(source, _COMMON[:2] if source.flag() else _ANY))
        found = parse(text)
        if found.format is not None and found.format.width <= 12:
            return text
    return "quantized_bits(4,0,alpha=1)"


def of_biases(source: Source) -> str | None:
    """A quantizer for biases, or none."""
    return source.pick(
        "quantized_bits(8,3,alpha=1)", None, "quantized_bits(4,1)", "quantized_po2(4)"
    )


def fixed_text(source: Source) -> str:
    """A format as on the command line, mostly narrow."""
    width = source.integer(8, 20) if source.once_in(12) else source.integer(2, 6)
    return f"{source.pick('', 'u')}fixed<{width},{source.integer(0, width)}>"
