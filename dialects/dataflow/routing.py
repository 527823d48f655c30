"""`dataflow` ops that move elements: window, fork, concat, pad, upsample, buffer, reshape."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from math import gcd, prod

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, i64
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_result_def,
)
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.gearbox import Gearbox
from calocc.dialects.dataflow.layout import SINGLE, Layout, image_of, least_parts
from calocc.dialects.dataflow.process import (
    DataflowOp,
    Folding,
    Mantissas,
    ProcessOp,
    UniformAnyOp,
    UniformWholeOp,
    choose,
    choose_lanes,
    divisors,
    most_lanes,
    moved_pixels,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.dataflow.transposition import Transposition
from calocc.dialects.qnn.conv import (
    INTS,
    dilation_of,
    image_output,
    int_array,
    padding_of,
    window_of,
)
from calocc.dialects.qnn.movement import concatenated, padded, transposed, upsampled
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.windows import Padding, Window


def verify_result(op: DataflowOp, shape: Sequence[int]) -> None:
    """The one result has this shape, and the format of every operand."""
    (result,) = op.outputs
    if result.shape != tuple(shape):
        raise VerifyException(f"{op.name} yields the shape {tuple(shape)}, not {result.shape}")
    if any(s.format != result.format for s in op.inputs):
        raise VerifyException(f"{op.name} keeps the format")


@irdl_op_definition
class WindowOp(ProcessOp):
    """An image (H, W, C) to the windows over it (OH, OW, KH * KW * C), through a line buffer.

    `fill` is the mantissa that stands for pixels outside the image.
    """

    name = "dataflow.window"
    x = operand_def(StreamType)
    size = prop_def(INTS)
    strides = prop_def(INTS)
    padding = prop_def(INTS)
    dilation = opt_prop_def(INTS)
    fill = prop_def(IntegerAttr[I64])
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, window: Window, fill: int = 0, layer: str = ""):
        shape = _windows(stream_of(x).shape, window)
        super().__init__(
            operands=[x],
            properties={
                "size": int_array((window.height, window.width)),
                "strides": int_array(window.strides),
                "padding": int_array(tuple(window.padding)),
                "dilation": dilation_of(window),
                "fill": IntegerAttr(fill, i64),
                "layer": name_attr(layer),
            },
            result_types=[StreamType.of(shape, stream_of(x).format)],
        )

    @property
    def window(self) -> Window:
        """The window that slides over the image."""
        return window_of(self.size.get_values(), self.strides, self.padding, self.dilation)

    @property
    def takes_any_layout(self) -> bool:
        """Windows of neighbouring pixels leave side by side."""
        return True

    def verify_(self) -> None:
        """The result is the operand's windows; a beat of them is as far on as whole beats of x."""
        x, y, fill = stream_of(self.x), self.result.type, self.fill.value.data
        verify_result(self, _windows(x.shape, self.window))
        if not x.format.holds(fill, fill):
            raise VerifyException(f"{x.format} does not hold the fill {fill}")
        stride = self.window.strides[1]
        if stride * y.layout.pixels % x.layout.pixels:
            raise VerifyException(
                f"{y.layout.pixels} windows {stride} pixels apart are no multiple of "
                f"{x.layout.pixels} pixels"
            )

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Slide the window over the images."""
        windows = self.window.slide(args[0], self.fill.value.data)
        return (windows.reshape(len(args[0]), *self.result.type.shape),)

    def last_inputs(self) -> tuple[Mantissas, ...]:
        """Where its elements come from."""
        return moved_pixels(self)

    def geometry(self, taken: Layout, given: Layout) -> schedules.Window:
        """The loop's geometry under a folding."""
        window = self.window
        height, width, channels = stream_of(self.x).shape
        pad = window.padding
        rows, columns = self.result.type.shape[:2]
        return schedules.Window(
            image=(height, width, channels),
            kernel=(window.height, window.width),
            stride=window.strides,
            pads=(pad.top, pad.bottom, pad.left, pad.right),
            output=(rows, columns),
            taken=taken,
            given=given,
            dilation=window.dilation,
        )

    def schedule(self) -> Schedule:
        """Reads pixels while the windows of the pixels before are emitted."""
        return schedules.window(self.geometry(stream_of(self.x).layout, self.result.type.layout))

    def least_cycles(self, pixels: Sequence[int]) -> tuple[int, ...]:
        """All channels of a window at once."""
        most = most_lanes(stream_of(self.x))
        return schedules.fastest_windows(self.geometry(SINGLE, SINGLE), tuple(pixels), most)

    @property
    def consumer(self) -> Operation | None:
        """What takes the windows."""
        return self.result.get_user_of_unique_use()

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Read what is offered, emit what the consumer wants; wider where that is too slow."""
        consumer, wanted = self.consumer, SINGLE
        if isinstance(consumer, DataflowOp):
            wanted = consumer.fold((Layout(offered[0].lanes),), target).inputs[0]
        return self.fold_for(wanted, offered, target)

    def fold_for(self, wanted: Layout, offered: tuple[Layout, ...], target: int) -> Folding:
        """`fold` for a consumer that wants this."""
        shape, (given, *wider) = self.geometry(SINGLE, SINGLE), self._given(wanted)
        taken = self._taken(shape, given, offered[0], target)
        if wider and schedules.window_trips(shape, taken, given) > target:
            taken = self._taken(shape, wider[-1], offered[0], target)
            trips = (schedules.window_trips(shape, taken, layout) for layout in wider)
            fast = (y for y, n in zip(wider, trips, strict=True) if n <= target)
            given = next(fast, wider[-1])
        return Folding((taken,), (given,))

    def _taken(
        self, shape: schedules.Window, given: Layout, offered: Layout, target: int
    ) -> Layout:
        """The layout of the image for these windows."""
        legal = shape.layouts(given.pixels, most_lanes(stream_of(self.x)))
        fits = offered.pixels in shape.steps(given.pixels)
        return choose(
            [*([offered] if fits else []), *legal],
            lambda layout: schedules.window_trips(shape, layout, given),
            target,
            offered,
        )

    def _given(self, wanted: Layout) -> list[Layout]:
        """Layouts of the windows, from the one that is wanted to wider ones."""
        y, pixels = self.result.type, wanted.pixels
        wider = (Layout(n, pixels) for n in least_parts(y.shape[-1]) if n > wanted.lanes)
        return [wanted, *(layout for layout in wider if layout.width <= most_lanes(y))]

    def registers(self) -> int:
        """The beats of a window or of a pixel, their lanes, or the pixels and channels held."""
        x, y = stream_of(self.x), self.result.type
        shape = self.geometry(x.layout, y.layout)
        beats = max(shape.beats_out, shape.beats_in)
        return max(beats, self.window.height, shape.held, x.shape[-1], super().registers())

    def resources(self) -> Resources:
        """Rings of lines and columns, window registers and the multiplexer behind them."""
        x, y, window = stream_of(self.x), self.result.type, self.window
        shape = self.geometry(x.layout, y.layout)
        spread = window.dilation[1] > 1 and x.layout.pixels * y.layout.pixels == 1
        return resources.window(
            rows=window.height,
            columns=window.width if spread else shape.held,
            delay=window.dilation[0] * shape.groups[1],
            gap=window.dilation[1] - 1 if spread else 0,
            pixels=x.layout.pixels,
            pixel_width=x.shape[2] * x.format.width,
            beats=shape.beats_out,
            beat_width=y.bits,
        )

    def least_resources(self) -> Resources:
        """Registers for the taps."""
        x, window = stream_of(self.x), self.window
        return Resources(ff=window.taps * x.shape[2] * x.format.width)


def _windows(image: Sequence[int], window: Window) -> tuple[int, ...]:
    rows, columns, channels = image_output(window, tuple(image), image[-1])
    return rows, columns, window.taps * channels


@irdl_op_definition
class ForkOp(UniformAnyOp):
    """Every beat goes to every result."""

    name = "dataflow.fork"
    x = operand_def(StreamType)
    copies = var_result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, copies: int, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[[x.type] * copies],
        )

    def verify_(self) -> None:
        """At least two results, all of the operand's type."""
        if len(self.copies) < 2 or any(c.type != self.x.type for c in self.copies):
            raise VerifyException("a fork has two or more results of its operand's type")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The operand, as often as there are results."""
        return (args[0],) * len(self.copies)

    def last_inputs(self) -> tuple[Mantissas, ...]:
        """Where its elements come from."""
        return moved_pixels(self)

    def schedule(self) -> Schedule:
        """A beat in, the same beat out everywhere."""
        return schedules.fork(stream_of(self.x).beats, len(self.copies))

    def resources(self) -> Resources:
        """Handshakes only."""
        return resources.moving(stream_of(self.x).bits)


class RelayOp(ProcessOp, ABC):
    """A process that passes one stream on in another arrangement."""

    x = operand_def(StreamType)
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def last_inputs(self) -> tuple[Mantissas, ...]:
        """Where its elements come from."""
        return moved_pixels(self)

    def resources(self) -> Resources:
        """Registers of the wider beat."""
        return resources.moving(max(self.inputs[0].bits, self.outputs[0].bits))


@irdl_op_definition
class LanesOp(RelayOp):
    """The same tensor in beats of another layout."""

    name = "dataflow.lanes"

    def __init__(self, x: SSAValue, layout: Layout, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[stream_of(x).with_layout(layout)],
        )

    @property
    def takes_any_layout(self) -> bool:
        """That is what a converter is for."""
        return True

    def verify_(self) -> None:
        """The tensor stays what it is."""
        a, b = stream_of(self.x), self.result.type
        if a.tensor != b.tensor:
            raise VerifyException(f"cannot convert {a} to {b}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The same elements."""
        return args

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """A converter keeps what it was made for."""
        return Folding((stream_of(self.x).layout,), (self.result.type.layout,))

    @property
    def gearbox(self) -> Gearbox:
        """How the loop goes through the tensor."""
        x = stream_of(self.x)
        return Gearbox(image_of(x.shape), x.layout, self.result.type.layout)

    def schedule(self) -> Schedule:
        """Writes a beat as soon as all of it is there."""
        return self.gearbox.schedule()

    def registers(self) -> int:
        """What is held along an axis, or the lanes."""
        return max(*self.gearbox.held, super().registers())

    def resources(self) -> Resources:
        """Registers for what is held, and a multiplexer to the output."""
        return self.gearbox.resources(self.result.type.format.width)


@irdl_op_definition
class ConcatOp(UniformWholeOp):
    """Two streams one after the other along `axis` (batch axis not counted)."""

    name = "dataflow.concat"
    a = operand_def(StreamType)
    b = operand_def(StreamType)
    concat_axis = prop_def(IntegerAttr[I64], prop_name="axis")
    result = result_def(StreamType)
    assembly_format = "$a `,` $b attr-dict `:` functional-type(operands, results)"

    def __init__(self, a: SSAValue, b: SSAValue, axis: int, layer: str = ""):
        x, y = stream_of(a), stream_of(b)
        shape = concatenated([x.shape, y.shape], axis)
        super().__init__(
            operands=[a, b],
            properties={"axis": IntegerAttr(axis, i64), "layer": name_attr(layer)},
            result_types=[StreamType.of(shape, x.format, x.width)],
        )

    def verify_(self) -> None:
        """Sizes add up along the axis; formats agree."""
        super().verify_()
        shapes = [s.shape for s in self.inputs]
        verify_result(self, concatenated(shapes, self.concat_axis.value.data))

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Concatenate."""
        return (np.concatenate(args, axis=self.concat_axis.value.data + 1),)

    def last_inputs(self) -> tuple[Mantissas, ...]:
        """Where its elements come from."""
        return moved_pixels(self)

    def trips(self, lanes: int) -> int:
        """An iteration per beat of the result."""
        return self.result.type.size // lanes

    def axis(self) -> int:
        """What divides the last axis of both operands."""
        return gcd(*(s.shape[-1] for s in self.inputs))

    def blocks(self) -> tuple[int, tuple[int, int]]:
        """How often operands alternate, and how many beats of each pass in turn."""
        axis = self.concat_axis.value.data
        outer = prod(self.result.type.shape[:axis])
        a, b = (s.beats // outer for s in self.inputs)
        return outer, (a, b)

    def schedule(self) -> Schedule:
        """Alternate between the operands."""
        outer, beats = self.blocks()
        return schedules.concat(outer, *beats)

    def resources(self) -> Resources:
        """A multiplexer."""
        return resources.moving(self.result.type.bits)


class UniformRelayOp(UniformWholeOp, RelayOp, ABC):
    """A relay with the same lanes on both sides."""

    def trips(self, lanes: int) -> int:
        """An iteration per beat of the result."""
        return self.outputs[0].size // lanes

    def axis(self) -> int:
        """The channels."""
        return self.inputs[0].shape[-1]


@irdl_op_definition
class PadOp(UniformRelayOp):
    """Zeros around an image (H, W, C)."""

    name = "dataflow.pad"
    padding = prop_def(INTS)

    def __init__(self, x: SSAValue, padding: Padding, layer: str = ""):
        shape = padded(stream_of(x).shape, padding)
        super().__init__(
            operands=[x],
            properties={"padding": int_array(tuple(padding)), "layer": name_attr(layer)},
            result_types=[StreamType.of(shape, stream_of(x).format, stream_of(x).width)],
        )

    @property
    def edges(self) -> Padding:
        """The padding as plain data."""
        return padding_of(self.padding)

    def verify_(self) -> None:
        """The image grows by the padding."""
        super().verify_()
        verify_result(self, padded(stream_of(self.x).shape, self.edges))

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Pad with zeros."""
        pad = self.edges
        edges = ((0, 0), (pad.top, pad.bottom), (pad.left, pad.right), (0, 0))
        return (np.pad(args[0], edges),)

    def schedule(self) -> Schedule:
        """Reads inside the image only."""
        height, width, channels = stream_of(self.x).shape
        pad = self.edges
        edges = (pad.top, pad.bottom, pad.left, pad.right)
        return schedules.pad(height, width, channels // self.width, edges)


@irdl_op_definition
class UpsampleOp(RelayOp):
    """Each pixel of an image (H, W, C) repeated down and across.

    A beat of the result has copies of the lanes of one pixel: one, or as many as divide the number
    of them across.
    """

    name = "dataflow.upsample"
    factors = prop_def(INTS)

    def __init__(self, x: SSAValue, factors: tuple[int, int], layer: str = ""):
        shape = upsampled(stream_of(x).shape, factors)
        super().__init__(
            operands=[x],
            properties={"factors": int_array(factors), "layer": name_attr(layer)},
            result_types=[StreamType.of(shape, stream_of(x).format, stream_of(x).width)],
        )

    @property
    def takes_any_layout(self) -> bool:
        """Beats of the result may have several pixels."""
        return True

    @property
    def copies(self) -> int:
        """Copies of a pixel in a beat of the result."""
        return self.result.type.layout.pixels

    def verify_(self) -> None:
        """The image grows by the factors; beats have whole copies."""
        x, y = stream_of(self.x), self.result.type
        verify_result(self, upsampled(x.shape, self.factors.get_values()))
        if not x.is_whole:
            raise VerifyException(f"{self.name} takes lanes of one pixel that divide it, not {x}")
        if y.layout.lanes != x.layout.lanes or self.factors.get_values()[1] % self.copies:
            raise VerifyException(f"{self.name} cannot give beats of {y} for beats of {x}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Repeat rows and columns."""
        down, across = self.factors.get_values()
        return (args[0].repeat(down, axis=1).repeat(across, axis=2),)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Keep the lanes offered if that is fast enough, else take more, then several copies."""
        x, y = stream_of(self.x), self.result.type
        channels, across = x.shape[-1], self.factors.get_values()[1]
        most = min(most_lanes(x), most_lanes(y))
        parts = [Layout(n) for n in divisors(channels) if n <= most]
        several = [Layout(channels, n) for n in divisors(across)[1:] if channels * n <= most]
        given = choose(parts + several, lambda z: z.beats(y.shape), target, offered[0])
        return Folding((Layout(given.lanes),), (given,))

    def schedule(self) -> Schedule:
        """Reads a pixel at its first use; a row buffer serves the others."""
        height, width, channels = stream_of(self.x).shape
        down, across = self.factors.get_values()
        beats = channels // stream_of(self.x).width
        return schedules.upsample(height, width, beats, (down, across // self.copies))

    def resources(self) -> Resources:
        """The row buffer."""
        x = stream_of(self.x)
        words = x.shape[1] * x.shape[2] // x.width
        return resources.memory(words, x.width * x.format.width) + super().resources()


@irdl_op_definition
class BufferOp(UniformRelayOp):
    """A tensor with its axes in another order, held in memory as far as that takes.

    Axis k of the result is axis permutation[k] of the operand. Leading axes that stay where they
    are cost nothing: only two of the blocks that they number are held.
    """

    name = "dataflow.buffer"
    permutation = prop_def(INTS)

    def __init__(self, x: SSAValue, permutation: Sequence[int], layer: str = ""):
        stream = stream_of(x)
        shape = transposed(stream.shape, permutation)
        super().__init__(
            operands=[x],
            properties={"permutation": int_array(permutation), "layer": name_attr(layer)},
            result_types=[StreamType.of(shape, stream.format, stream.width)],
        )

    def verify_(self) -> None:
        """A beat stays a beat."""
        super().verify_()
        verify_result(self, transposed(stream_of(self.x).shape, self.permutation.get_values()))
        if self.axis() % self.width:
            raise VerifyException("a buffer moves one element at a time unless the last axis stays")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Transpose all but the batch axis."""
        return (args[0].transpose(0, *(k + 1 for k in self.permutation.get_values())),)

    def blocks(self, lanes: int) -> Transposition:
        """What is held of the tensor, in beats of this many lanes."""
        return Transposition.of(stream_of(self.x).shape, self.permutation.get_values(), lanes)

    def trips(self, lanes: int) -> int:
        """An iteration per beat, and as many as a block has before the first one leaves."""
        blocks = self.blocks(lanes)
        return (blocks.outer + 1) * blocks.words

    def axis(self) -> int:
        """The last axis where it stays the last, else nothing."""
        order = self.permutation.get_values()
        return stream_of(self.x).shape[-1] if order[-1] == len(order) - 1 else 1

    def schedule(self) -> Schedule:
        """A block in while the block before goes out."""
        blocks = self.blocks(self.width)
        return schedules.buffer(blocks.outer, blocks.words)

    def resources(self) -> Resources:
        """Storage for two blocks, or for the only one."""
        beat = self.width * self.result.type.format.width
        return resources.memory(self.blocks(self.width).stored, beat) + super().resources()


@irdl_op_definition
class ReshapeOp(DataflowOp):
    """The same beats seen as another shape: a wire, not a process."""

    name = "dataflow.reshape"
    x = operand_def(StreamType)
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, shape: Sequence[int], layer: str = ""):
        stream = stream_of(x)
        result = StreamType.of(shape, stream.format).with_layout(stream.layout)
        super().__init__(
            operands=[x], properties={"layer": name_attr(layer)}, result_types=[result]
        )

    @property
    def takes_any_layout(self) -> bool:
        """Whatever cuts both shapes into the same beats."""
        return True

    def verify_(self) -> None:
        """Same format, size and beats."""
        a, b = stream_of(self.x), self.result.type
        if (a.format, a.size, a.layout) != (b.format, b.size, b.layout) or not self._same(a.layout):
            raise VerifyException(f"cannot see {a} as {b}")

    def _same(self, layout: Layout) -> bool:
        """Whether this cuts both shapes into the same beats."""
        (_, width, channels), (_, columns, last) = map(image_of, self._shapes)
        if channels != last:
            return all(layout.is_whole(shape) for shape in self._shapes)
        return width == columns or width % layout.pixels == columns % layout.pixels == 0

    @property
    def _shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return stream_of(self.x).shape, self.result.type.shape

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Reshape all but the batch axis."""
        return (args[0].reshape(len(args[0]), *self.result.type.shape),)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """What is offered, if both shapes can carry it."""
        a = stream_of(self.x)
        if self._same(offered[0]) and offered[0].beats(a.shape) <= target:
            return Folding(offered, offered)
        axis = gcd(*(shape[-1] for shape in self._shapes))
        lanes = choose_lanes(axis, lambda n: a.size // n, target, offered[0], most_lanes(a))
        return Folding((Layout(lanes),), (Layout(lanes),))
