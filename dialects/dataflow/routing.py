"""`dataflow` ops that move elements: window, fork, concat, pad, upsample, buffer, reshape."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from math import gcd, prod

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, i64
from xdsl.ir import SSAValue
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
from calocc.dialects.dataflow.process import (
    DataflowOp,
    Folding,
    Mantissas,
    ProcessOp,
    UniformOp,
    choose_lanes,
    most_lanes,
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

    def verify_(self) -> None:
        """The result is the operand's windows."""
        x, fill = stream_of(self.x), self.fill.value.data
        verify_result(self, _windows(x.shape, self.window))
        if not x.format.holds(fill, fill):
            raise VerifyException(f"{x.format} does not hold the fill {fill}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Slide the window over the images."""
        windows = self.window.slide(args[0], self.fill.value.data)
        return (windows.reshape(len(args[0]), *self.result.type.shape),)

    def geometry(self, in_lanes: int, out_lanes: int) -> schedules.Window:
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
            in_lanes=in_lanes,
            out_lanes=out_lanes,
            dilation=window.dilation,
        )

    def schedule(self) -> Schedule:
        """Reads a pixel while the window of the pixel before is emitted."""
        return schedules.window(self.geometry(stream_of(self.x).width, self.result.type.width))

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """Read what is offered, emit what the consumer wants; wider where that is too slow."""
        x, y, shape = stream_of(self.x), self.result.type, self.geometry(1, 1)
        lanes = choose_lanes(
            x.shape[-1],
            lambda n: schedules.window_trips(shape, n, y.shape[-1]),
            target,
            offered[0],
            most_lanes(x),
        )
        consumer = self.result.get_user_of_unique_use()
        wanted = (
            consumer.fold((lanes,), target).inputs[0] if isinstance(consumer, DataflowOp) else 1
        )
        emitted = choose_lanes(
            y.shape[-1],
            lambda n: schedules.window_trips(shape, lanes, n),
            target,
            wanted,
            most_lanes(y),
        )
        return Folding((lanes,), (emitted,))

    def registers(self) -> int:
        """The beats of a window or of a pixel, their lanes, or the rings between the taps."""
        x, y, window = stream_of(self.x), self.result.type, self.window
        beats = max(y.shape[-1] // y.width, x.shape[-1] // x.width)
        return max(beats, window.height, window.width, super().registers())

    def resources(self) -> Resources:
        """Rings of lines and columns, window registers and the multiplexer behind them."""
        x, window = stream_of(self.x), self.window
        return resources.window(
            taps=(window.height, window.width),
            image_width=x.shape[1],
            channels=x.shape[2],
            data_width=x.format.width,
            out_lanes=self.result.type.width,
            dilation=window.dilation,
        )


def _windows(image: Sequence[int], window: Window) -> tuple[int, ...]:
    rows, columns, channels = image_output(window, tuple(image), image[-1])
    return rows, columns, window.taps * channels


@irdl_op_definition
class ForkOp(UniformOp):
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

    def trips(self, lanes: int) -> int:
        """An iteration per beat."""
        return stream_of(self.x).size // lanes

    def axis(self) -> int:
        """The last axis."""
        return stream_of(self.x).shape[-1]

    def schedule(self) -> Schedule:
        """A beat in, the same beat out everywhere."""
        return schedules.fork(stream_of(self.x).beats, len(self.copies))

    def resources(self) -> Resources:
        """Handshakes only."""
        return resources.moving(stream_of(self.x).width * stream_of(self.x).format.width)


class RelayOp(ProcessOp, ABC):
    """A process that passes one stream on in another arrangement."""

    x = operand_def(StreamType)
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def resources(self) -> Resources:
        """Registers of the wider beat."""
        width = max(self.inputs[0].width, self.outputs[0].width)
        return resources.moving(width * self.outputs[0].format.width)


@irdl_op_definition
class LanesOp(RelayOp):
    """The same elements in beats of another width; the wider is a multiple of the narrower."""

    name = "dataflow.lanes"

    def __init__(self, x: SSAValue, lanes: int, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[stream_of(x).with_lanes(lanes)],
        )

    def verify_(self) -> None:
        """Same tensor, and one width divides the other."""
        a, b = stream_of(self.x), self.result.type
        if a.tensor != b.tensor or max(a.width, b.width) % min(a.width, b.width):
            raise VerifyException(f"cannot convert {a} to {b}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The same elements."""
        return args

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """A converter keeps what it was made for."""
        return Folding((stream_of(self.x).width,), (self.result.type.width,))

    def schedule(self) -> Schedule:
        """An iteration per narrower beat."""
        return schedules.lanes(stream_of(self.x).beats, self.result.type.beats)


@irdl_op_definition
class ConcatOp(UniformOp):
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
        return resources.moving(self.width * self.result.type.format.width)


class UniformRelayOp(UniformOp, RelayOp, ABC):
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
class UpsampleOp(UniformRelayOp):
    """Each pixel of an image (H, W, C) repeated down and across."""

    name = "dataflow.upsample"
    factors = prop_def(INTS)

    def __init__(self, x: SSAValue, factors: tuple[int, int], layer: str = ""):
        shape = upsampled(stream_of(x).shape, factors)
        super().__init__(
            operands=[x],
            properties={"factors": int_array(factors), "layer": name_attr(layer)},
            result_types=[StreamType.of(shape, stream_of(x).format, stream_of(x).width)],
        )

    def verify_(self) -> None:
        """The image grows by the factors."""
        super().verify_()
        verify_result(self, upsampled(stream_of(self.x).shape, self.factors.get_values()))

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Repeat rows and columns."""
        down, across = self.factors.get_values()
        return (args[0].repeat(down, axis=1).repeat(across, axis=2),)

    def schedule(self) -> Schedule:
        """Reads a pixel at its first use; a row buffer serves the others."""
        height, width, channels = stream_of(self.x).shape
        down, across = self.factors.get_values()
        return schedules.upsample(height, width, channels // self.width, (down, across))

    def resources(self) -> Resources:
        """The row buffer."""
        _, width, channels = stream_of(self.x).shape
        beat = self.width * stream_of(self.x).format.width
        return resources.memory(width * channels // self.width, beat) + super().resources()


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
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[StreamType.of(shape, stream.format, stream.width)],
        )

    def verify_(self) -> None:
        """Same format, size and lanes."""
        a, b = stream_of(self.x), self.result.type
        if (a.format, a.size, a.width) != (b.format, b.size, b.width):
            raise VerifyException(f"cannot see {a} as {b}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Reshape all but the batch axis."""
        return (args[0].reshape(len(args[0]), *self.result.type.shape),)

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """What is offered, if both shapes can carry it."""
        a, b = stream_of(self.x), self.result.type
        axis = gcd(a.shape[-1], b.shape[-1])
        lanes = choose_lanes(axis, lambda n: a.size // n, target, offered[0], most_lanes(a))
        return Folding((lanes,), (lanes,))
