"""`!fixed.num`: the type of a fixed-point value, and the rounding and overflow attributes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from xdsl.dialects.builtin import BoolAttr, IntAttr, TensorType
from xdsl.dialects.utils import EnumAttribute
from xdsl.ir import Attribute, ParametrizedAttribute, SpacedOpaqueSyntaxAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.format import Format, Overflow, Rounding

MAX_WIDTH = 62
"""Widest format of the IR: mantissas, and sums of two, stay within int64."""


@irdl_attr_definition
class FixedType(ParametrizedAttribute, TypeAttribute):
    """`!fixed.num<s16, 6>`: signed, 16 bits, 6 of them integer bits; `u` is unsigned.

    A format only. How bits are lost is a property of the one op that loses them.
    """

    name = "fixed.num"
    signed: BoolAttr
    width: IntAttr
    integer: IntAttr

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(format: Format) -> FixedType:
        """The type whose values have this format."""
        return FixedType(
            BoolAttr.from_bool(format.signed), IntAttr(format.width), IntAttr(format.integer)
        )

    @property
    def format(self) -> Format:
        """The format as plain data."""
        return _format(bool(self.signed), self.width.data, self.integer.data)

    def verify(self) -> None:
        """Widths outside 1 to `MAX_WIDTH` are rejected."""
        if not 1 <= self.width.data <= MAX_WIDTH:
            raise VerifyException(f"width must be 1 to {MAX_WIDTH}, got {self.width.data}")

    def print_parameters(self, printer: Printer) -> None:
        """Print `<s16, 6>`."""
        with printer.in_angle_brackets():
            sign = "s" if self.signed else "u"
            printer.print_string(f"{sign}{self.width.data}, {self.integer.data}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        """Parse what `print_parameters` prints."""
        with parser.in_angle_brackets():
            head = parser.parse_identifier("s<width> or u<width>")
            if head[0] not in "su" or not head[1:].isdecimal():
                parser.raise_error(f"expected s<width> or u<width>, got {head!r}")
            parser.parse_characters(",")
            integer = parser.parse_integer()
        return BoolAttr.from_bool(head[0] == "s"), IntAttr(int(head[1:])), IntAttr(integer)


_format = lru_cache(maxsize=4096)(Format)


@lru_cache(maxsize=4096)
def tensor_type(shape: tuple[int, ...], element: Attribute) -> TensorType[Any]:
    """The type of a tensor, made once: modules have many tensors of few types."""
    return TensorType(element, shape)


# xDSL has a StrEnum of its own, for older Pythons; pyright does not take the standard one.
@irdl_attr_definition
class RoundingAttr(EnumAttribute[Rounding], SpacedOpaqueSyntaxAttribute):  # pyright: ignore[reportInvalidTypeArguments]
    """`#fixed<rounding rnd_conv>`"""

    name = "fixed.rounding"


@irdl_attr_definition
class OverflowAttr(EnumAttribute[Overflow], SpacedOpaqueSyntaxAttribute):  # pyright: ignore[reportInvalidTypeArguments]
    """`#fixed<overflow sat>`"""

    name = "fixed.overflow"
