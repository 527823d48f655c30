"""`!dataflow.stream`: a tensor on its way through a FIFO, beat by beat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from xdsl.dialects.builtin import IntAttr, TensorType
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow.layout import Layout, image_of
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.types import FixedType, tensor_type

WIDEST_BEAT = 4096
"""Bits of a beat at most: the widest FIFO and port of Vitis HLS (AMD UG1399, AXI4-Stream)."""


@irdl_attr_definition
class StreamType(ParametrizedAttribute, TypeAttribute):
    """`!dataflow.stream<tensor<56x55x4x!fixed.num<s14, 5>>, 4 x 2>`: beats of 2 pixels, of 4
    neighbouring channels each; `x 2` is left out where it is `x 1`.

    See `Layout` for the order of beats, and for lanes that are not there.
    """

    name = "dataflow.stream"
    tensor: TensorType[FixedType]
    lanes: IntAttr
    pixels: IntAttr

    @staticmethod
    def of(shape: Sequence[int], format: Format, lanes: int = 1, pixels: int = 1) -> StreamType:
        """The stream of a tensor with `lanes` elements of each of `pixels` pixels per beat."""
        return _stream(tuple(shape), format, lanes, pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, without batch axis."""
        return self.tensor.get_shape()

    @property
    def format(self) -> Format:
        """The number format of an element."""
        return self.tensor.element_type.format

    @property
    def layout(self) -> Layout:
        """How the tensor is cut into beats."""
        return Layout(self.lanes.data, self.pixels.data)

    @property
    def width(self) -> int:
        """Elements per beat, of all its pixels."""
        return self.layout.width

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
        return self.layout.beats(self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether a beat is part of one pixel, with all lanes there."""
        return self.layout.is_whole(self.shape)

    def with_layout(self, layout: Layout) -> StreamType:
        """The same tensor in other beats."""
        return StreamType(self.tensor, IntAttr(layout.lanes), IntAttr(layout.pixels))

    def verify(self) -> None:
        """A beat is within the last two axes, and the elements are fixed-point numbers."""
        if not isinstance(self.tensor.element_type, FixedType):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise VerifyException("a stream carries fixed-point numbers")
        _, pixels, channels = image_of(self.shape)
        if not 1 <= self.layout.lanes <= channels:
            raise VerifyException(f"the last axis of {self.shape} has no {self.layout.lanes} lanes")
        if not 1 <= self.layout.pixels <= pixels:
            raise VerifyException(f"a row of {self.shape} has no {self.layout.pixels} pixels")

    def print_parameters(self, printer: Printer) -> None:
        """Print `<tensor, lanes>` or `<tensor, lanes x pixels>`."""
        layout = self.layout
        with printer.in_angle_brackets():
            printer.print_attribute(self.tensor)
            printer.print_string(f", {layout.lanes}")
            if layout.pixels != 1:
                printer.print_string(f" x {layout.pixels}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        """Parse what `print_parameters` prints."""
        with parser.in_angle_brackets():
            tensor = parser.parse_type()
            parser.parse_characters(",")
            lanes, pixels = parser.parse_integer(), 1
            if parser.parse_optional_keyword("x"):
                pixels = parser.parse_integer()
            return tensor, IntAttr(lanes), IntAttr(pixels)


@lru_cache(maxsize=4096)
def _stream(shape: tuple[int, ...], format: Format, lanes: int, pixels: int) -> StreamType:
    return StreamType(tensor_type(shape, FixedType.of(format)), IntAttr(lanes), IntAttr(pixels))


def port_stream(shape: Sequence[int], format: Format) -> StreamType:
    """The stream at a port: a pixel (the last axis) per beat, or as much of it as a beat takes."""
    axis = shape[-1]
    streams = (StreamType.of(shape, format, n) for n in range(axis, 0, -1) if axis % n == 0)
    return next((s for s in streams if s.port_bits <= WIDEST_BEAT), StreamType.of(shape, format))


def stream_of(value: SSAValue) -> StreamType:
    """The stream type of a value."""
    assert isinstance(value.type, StreamType)
    return value.type
