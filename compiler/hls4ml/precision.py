"""Types of hls4ml as casts: the width, and how a value that does not fit is rounded and wrapped.

hls4ml writes `fixed<16,6,RND,SAT,0>`, with or without `ap_`, `ac_` and `AP_`, and `auto` where it
infers a type itself. Without modes a type truncates and wraps, as `ap_fixed` does. In `ac_fixed`
the third argument says whether there is a sign.
"""

from __future__ import annotations

import re
from typing import Any

from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.quantizers import FixedPoint

_TYPE = re.compile(r"(?:a[pc]_)?(u?)(fixed|int)<([^<>]*)>")
_SIGNS = {"true": True, "false": False}


def parse_precision(text: str) -> FixedPoint | None:
    """The cast to a type, None for `auto`; raise ValueError for what is no such type."""
    plain = text.strip()
    if plain.lower() == "auto":
        return None
    match = _TYPE.fullmatch(plain.replace(" ", ""))
    if match is None:
        raise ValueError(f"{text!r} is not a type such as fixed<16,6>, ufixed<8,0,RND,SAT> or auto")
    try:
        return _cast(not match[1], match[2], match[3].split(","), plain.startswith("ac_"))
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{text!r} is not understood: {error}") from None


def _cast(signed: bool, kind: str, fields: list[str], is_ac: bool) -> FixedPoint:
    width = int(fields.pop(0))
    integer = int(fields.pop(0)) if kind == "fixed" else width
    if is_ac and fields:
        signed = _SIGNS[fields.pop(0).lower()]
    rounding, overflow, saturated, *more = [*fields, *("TRN", "WRAP", "0")[len(fields) :]]
    if more or int(saturated):
        raise ValueError("saturation bits are not supported")
    return FixedPoint(width, integer, signed, _mode(Rounding, rounding), _mode(Overflow, overflow))


def _mode(kind: type[Rounding] | type[Overflow], text: str) -> Rounding | Overflow:
    """A mode by the name that `ap_fixed` and `ac_fixed` give it."""
    name = re.sub(r"^(AP|AC)_", "", text.strip().upper())
    if name not in kind.__members__:
        raise ValueError(f"{text} is none of {', '.join(kind.__members__)}")
    return kind[name]


def precision_of(type: Any) -> FixedPoint | None:
    """The cast to a type of an hls4ml model, None for one that is still open.

    Raises ValueError for types that are no fixed-point numbers: floats, powers of two, and the
    single bits of binary networks, which stand for -1 and 1.
    """
    kind = next(c.__name__ for c in type.__class__.__mro__ if c.__module__ == "hls4ml.model.types")
    if kind == "UnspecifiedPrecisionType":
        return None
    if kind not in ("FixedPrecisionType", "IntegerPrecisionType"):
        raise ValueError(f"{type} ({kind}) is no fixed-point type")
    return parse_precision(str(type))


def type_text(cast: FixedPoint) -> str:
    """A cast as hls4ml writes it; without the modes where they are the default."""
    name = f"{'' if cast.signed else 'u'}fixed<{cast.bits},{cast.integer}"
    modes = (cast.rounding.upper(), cast.overflow.upper())
    return f"{name}>" if modes == ("TRN", "WRAP") else f"{name},{','.join(modes)}>"
