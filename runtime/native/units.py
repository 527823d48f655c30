"""Processes that run as one step, and what they read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from xdsl.ir import SSAValue

from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.dataflow.routing import ForkOp, LanesOp, ReshapeOp, UpsampleOp, WindowOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.dialects.dataflow.tap_sum import TapSumOp
from calocc.dialects.qnn.windows import Window
from calocc.runtime.native.program import CompiledEpilogue, Link, compile_chain

Computing = MatvecOp | DepthwiseOp | ReduceOp | TapSumOp | MapOp
Windowed = MatvecOp | DepthwiseOp | ReduceOp
ALIASES = (ReshapeOp, LanesOp, ForkOp)
"""Processes whose results are their operand under another name."""


def origin(value: SSAValue) -> SSAValue:
    """The value whose elements, in the same order, this one is."""
    owner = value.owner
    return origin(owner.x) if isinstance(owner, ALIASES) else value


# ---- units ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Unit:
    """A process and the element-wise ones behind it that join its step."""

    op: DataflowOp
    maps: tuple[MapOp, ...] = ()
    positions: tuple[int, ...] = ()
    """For each of the maps the operand that the process before it computes."""

    @property
    def result(self) -> SSAValue:
        """What the step computes."""
        return (self.maps[-1] if self.maps else self.op).results[0]

    @property
    def writes(self) -> set[SSAValue]:
        """What others can read."""
        return {self.result}

    def follower(self) -> tuple[MapOp, int] | None:
        """The element-wise process that alone reads the result, and which operand it is there."""
        value = self.result
        while isinstance(self.op, Computing) and value.has_one_use():
            (use,) = value.uses
            user = use.operation
            if isinstance(user, MapOp):
                same = stream_of(user.result).shape[-1] == stream_of(self.result).shape[-1]
                return (user, use.index) if same else None
            if not isinstance(user, ReshapeOp | LanesOp):
                return None
            value = user.result
        return None

    def joined(self, op: MapOp, position: int) -> Unit:
        """The unit with an element-wise process behind it."""
        return Unit(self.op, (*self.maps, op), (*self.positions, position))

    @property
    def operands(self) -> list[SSAValue]:
        """Operands of the epilogue that are streams, in the order of its registers."""
        own = list(self.op.args) if isinstance(self.op, MapOp) else []
        for op, position in zip(self.maps, self.positions, strict=True):
            own.extend(v for k, v in enumerate(op.args) if k != position)
        return own

    @property
    def reads(self) -> set[SSAValue]:
        """The origins of what the step reads."""
        if not isinstance(self.op, Computing):
            return {origin(o) for o in self.op.operands}
        channels = stream_of(self.result).shape[-1]
        streams = {seen(o, channels)[0] for o in self.operands}
        if isinstance(self.op, TapSumOp):
            return {*streams, origin(self.op.x)}
        return streams if isinstance(self.op, MapOp) else {*streams, View.of(self.op).x}

    def program(self, wide: bool = False) -> CompiledEpilogue:
        """The epilogues as one program; raise NotCompiled."""
        assert isinstance(self.op, Computing)
        links = [Link(self.op.epilogue)]
        for op, position in zip(self.maps, self.positions, strict=True):
            links.append(Link(op.epilogue, position))
        return compile_chain(links, stream_of(self.result).shape[-1], wide)


# ---- operands ------------------------------------------------------------------------------------


def seen(value: SSAValue, channels: int) -> tuple[SSAValue, int, int]:
    """An operand as pixels x channels: what is stored of it, elements from pixel to pixel and from
    channel to channel. What is repeated for each pixel or channel is stored once."""
    source = origin(value)
    if isinstance(source.owner, UpsampleOp):
        x, (down, across) = source.owner.x, source.owner.factors.get_values()
        height, width, depth = stream_of(x).shape
        if (height, width, depth) == (1, 1, channels):
            return origin(x), 0, 1
        if (down, across, depth) == (1, channels, 1):
            return origin(x), 1, 0
    return source, channels, 1


@dataclass(frozen=True)
class View:
    """What a process reads: windows over an image (H, W, C), `grid` of them down and across."""

    x: SSAValue
    image: tuple[int, int, int]
    window: Window
    grid: tuple[int, int]
    fill: int = 0

    @staticmethod
    def of(op: Windowed) -> View:
        """The image behind a window, or rows of pixels side by side."""
        source = origin(op.x)
        window, shape = source.owner, stream_of(op.x).shape
        if isinstance(window, WindowOp) and window.result.type.shape == shape:
            height, width, channels = stream_of(window.x).shape
            grid = shape[0], shape[1]
            image = height, width, channels
            return View(origin(window.x), image, window.window, grid, window.fill.value.data)
        channels = _channels(op)
        positions = prod(op.outputs[0].shape[:-1])
        taps = prod(shape) // positions // channels
        return View(source, (positions, taps, channels), Window(1, taps, (1, taps)), (positions, 1))

    @property
    def padded(self) -> tuple[int, int, int]:
        """The image with its padding."""
        (height, width, channels), pad = self.image, self.window.padding
        return height + pad.top + pad.bottom, width + pad.left + pad.right, channels

    def taps(self) -> tuple[list[int], int]:
        """The first element under each tap, counted from the beginning of a window, and their
        number of elements."""
        _, width, channels = self.padded
        window, (down, across) = self.window, self.window.dilation
        rows, columns = range(window.height), range(window.width)
        first = [(i * down * width + j * across) * channels for i in rows for j in columns]
        return first, channels

    def runs(self) -> tuple[list[int], int]:
        """As `taps`, with those that lie side by side taken together."""
        first, length = self.taps()
        for together in (self.window.width, self.window.height):
            groups = [first[k : k + together] for k in range(0, len(first), together)]
            if any(b - a != length for group in groups for a, b in pairwise(group)):
                break
            first, length = [group[0] for group in groups], length * together
        return first, length


def _channels(op: Windowed) -> int:
    """The elements of a pixel where there is no window."""
    if isinstance(op, ReduceOp):
        return op.channels
    return op.weights.shape[1] if isinstance(op, DepthwiseOp) else op.weights.shape[0]
