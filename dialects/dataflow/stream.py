"""`!dataflow.stream`: a tensor on its way through a FIFO, `lanes` elements per beat."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntAttr, TensorType
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.types import FixedType

WIDEST_BEAT = 4096
"""Bits of a beat at most: the widest FIFO and port of Vitis HLS (AMD UG1399, AXI4-Stream)."""


@irdl_attr_definition
class StreamType(ParametrizedAttribute, TypeAttribute):
    """`!dataflow.stream<tensor<56x55x4x!fixed.num<s14, 5>>, 4>`: row-major, 4 elements a beat.

    The lanes divide the last axis, so that a lane always carries the same channels.
    """

    name = "dataflow.stream"
    tensor: TensorType[FixedType]
    lanes: IntAttr

    @staticmethod
    def of(shape: Sequence[int], format: Format, lanes: int = 1) -> StreamType:
        """The stream of a tensor with `lanes` elements per beat."""
        return StreamType(TensorType(FixedType.of(format), shape), IntAttr(lanes))

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, without batch axis."""
        return self.tensor.get_shape()

    @property
    def format(self) -> Format:
        """The number format of an element."""
        return self.tensor.element_type.format

    @property
    def width(self) -> int:
        """Elements per beat."""
        return self.lanes.data

    @property
    def bits(self) -> int:
        """Bits per beat."""
        return self.width * self.format.width

    @property
    def port_bits(self) -> int:
        """Bits per beat at a port of the design, where every element fills whole bytes."""
        return self.width * 8 * -(-self.format.width // 8)

    @property
    def size(self) -> int:
        """Elements per event."""
        return self.tensor.element_count()

    @property
    def beats(self) -> int:
        """Beats per event."""
        return self.size // self.width

    def with_lanes(self, lanes: int) -> StreamType:
        """The same tensor, `lanes` elements per beat."""
        return StreamType(self.tensor, IntAttr(lanes))

    def verify(self) -> None:
        """The lanes divide the last axis, and the elements are fixed-point numbers."""
        if not isinstance(self.tensor.element_type, FixedType):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise VerifyException("a stream carries fixed-point numbers")
        last = self.shape[-1] if self.shape else 1
        if self.width < 1 or last % self.width:
            raise VerifyException(f"{self.width} lanes do not divide the last axis of {self.shape}")

    def print_parameters(self, printer: Printer) -> None:
        """Print `<tensor, lanes>`."""
        with printer.in_angle_brackets():
            printer.print_attribute(self.tensor)
            printer.print_string(f", {self.width}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        """Parse what `print_parameters` prints."""
        with parser.in_angle_brackets():
            tensor = parser.parse_type()
            parser.parse_characters(",")
            return tensor, IntAttr(parser.parse_integer())


def port_stream(shape: Sequence[int], format: Format) -> StreamType:
    """The stream at a port: a pixel (the last axis) per beat, or as much of it as a beat takes."""
    axis = shape[-1]
    streams = (StreamType.of(shape, format, n) for n in range(axis, 0, -1) if axis % n == 0)
    return next((s for s in streams if s.port_bits <= WIDEST_BEAT), StreamType.of(shape, format))


def stream_of(value: SSAValue) -> StreamType:
    """The stream type of a value."""
    assert isinstance(value.type, StreamType)
    return value.type
