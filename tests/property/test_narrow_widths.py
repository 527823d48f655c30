"""`narrow-widths` on casts of every kind: formats shrink, values stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from calocc.compiler.pipeline import new_context, verify
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.passes.narrow_widths import NarrowWidths
from calocc.runtime.emulator import execute
from calocc.testing import formats

CONTEXT = new_context()
TEXT = """
func.func @main(%x: tensor<1x{x}>) -> tensor<1x{y}> {{
  %y = qnn.quantize %x {{
    rounding = #fixed<rounding {rounding}>, overflow = #fixed<overflow {overflow}>
  }} : (tensor<1x{x}>) -> tensor<1x{y}>
  func.return %y : tensor<1x{y}>
}}
"""


def cast(x: Format, y: Format, rounding: Rounding, overflow: Overflow) -> ModuleOp:
    """A module that casts one number."""
    types = {"x": FixedType.of(x), "y": FixedType.of(y)}
    text = TEXT.format(**types, rounding=rounding, overflow=overflow)
    return Parser(CONTEXT, text).parse_module()


def all_numbers(format: Format) -> NDArray[np.int64]:
    """Every mantissa of a format as an event."""
    return np.arange(format.min_mantissa, format.max_mantissa + 1)[:, None]


def result_format(module: ModuleOp) -> Format:
    (op,) = (op for op in module.walk() if isinstance(op, QuantizeOp))
    return op.out


@settings(max_examples=300)
@given(formats(), formats(), st.sampled_from(Rounding), st.sampled_from(Overflow))
def test_casts_keep_their_values(
    x: Format, y: Format, rounding: Rounding, overflow: Overflow
) -> None:
    module = cast(x, y, rounding, overflow)
    expected = execute(module, [all_numbers(x)])
    NarrowWidths().apply(CONTEXT, module)
    verify(module)
    assert np.array_equal(expected, execute(module, [all_numbers(x)]))
    assert result_format(module).width <= y.width


def test_a_symmetric_cast_may_not_begin_to_saturate() -> None:
    """The least number of 4 bits is none of a symmetric cast to 4 bits."""
    narrow, wide = Format(True, 4, 4), Format(True, 8, 8)
    for overflow, width in ((Overflow.SAT, 4), (Overflow.SAT_SYM, 8)):
        module = cast(narrow, wide, Rounding.TRN, overflow)
        NarrowWidths().apply(CONTEXT, module)
        assert result_format(module).width == width
        assert execute(module, [all_numbers(narrow)])[0].min() == -8
