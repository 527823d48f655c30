"""Maxima over windows find the cheapest place in a chain of element-wise layers.

A function that never falls keeps the order of its operands, so that the maximum of its values is
its value at the maximum. In front of such layers the pooling leaves fewer elements to them; behind
them its elements may be narrower, in line buffers and comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.op import fixed_tensor, format_of, is_fixed, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.step import LookupOp, ThresholdOp
from calocc.passes.algebra.monotone import computed_operand, rises
from calocc.passes.algebra.worth import worth


@dataclass(frozen=True)
class Link:
    """A layer of a chain, and which of its operands the chain computes."""

    op: ElementwiseOp
    place: int

    @property
    def operand(self) -> SSAValue:
        """What the layer takes."""
        return self.op.operands[self.place]

    def cost(self) -> float:
        """The arithmetic for one element."""
        widths = tuple(format_of(o).width for o in self.op.operands)
        return worth(self._resources(widths))

    def _resources(self, widths: tuple[int, ...]) -> Resources:
        if isinstance(self.op, ThresholdOp):
            return resources.steps(self.op.thresholds.shape[-1], widths[0])
        if isinstance(self.op, LookupOp):
            return resources.memory(prod(self.op.table.shape), self.op.out.width)
        return resources.scalar(self.op.name.partition(".")[2], widths, self.op.out.width)


@dataclass(frozen=True)
class PooledChain:
    """A pooling and the layers around it that never fall; `before` of them are in front of it."""

    pool: PoolOp
    links: tuple[Link, ...]
    before: int

    @staticmethod
    def around(pool: PoolOp, bounds: dict[SSAValue, Interval]) -> PooledChain:
        """The longest chain of which nobody else reads a value in between."""
        front: list[Link] = []
        while (link := _link(pool.x if not front else front[0].operand, bounds)) is not None:
            front.insert(0, link)
        links, value = list(front), pool.result
        while (user := _only_user(value)) is not None:
            link = _link(user.results[0], bounds, shared=True) if user.results else None
            if link is None or link.operand is not value:
                break
            links.append(link)
            value = link.op.result
        return PooledChain(pool, tuple(links), len(front))

    @property
    def operand(self) -> SSAValue:
        """What goes into the chain."""
        return self.links[0].operand if self.before else self.pool.x

    @property
    def result(self) -> SSAValue:
        """What comes out of it."""
        return self.links[-1].op.result if self.before < len(self.links) else self.pool.result

    def format_at(self, place: int) -> SSAValue:
        """A value of the format that the pooling has behind the first `place` layers."""
        return self.links[place - 1].op.result if place else self.operand

    def cost(self, place: int) -> float:
        """Of the chain with the pooling behind `place` layers, in LUTs, a pixel per cycle."""
        height, width, channels = shape_of(self.pool.x)
        kept = prod(shape_of(self.pool.result)[:2]) / (height * width)
        each = [link.cost() for link in self.links]
        layers = channels * (sum(each[:place]) + kept * sum(each[place:]))
        bits, window = format_of(self.format_at(place)).width, self.pool.window
        maxima, pixel = resources.reduce(channels, channels, bits), channels * bits
        if not window.divides(height, width):
            sizes = window.height, window.width, width, 0, 1
            maxima = maxima + resources.window(*sizes, pixel, window.taps, pixel)
        return layers + worth(maxima)

    def best(self) -> int:
        """The cheapest place of the pooling; the present one among equals."""
        places = range(len(self.links) + 1)
        return min(places, key=lambda p: (self.cost(p), p != self.before))


def _link(value: SSAValue, bounds: dict[SSAValue, Interval], shared: bool = False) -> Link | None:
    """The layer that computes a value which only the chain reads (or others, if `shared`)."""
    op = value.owner
    if not isinstance(op, ElementwiseOp) or not (shared or value.has_one_use()):
        return None
    place = computed_operand(op)
    if place is None:
        return None
    known = _of_channels(op.operands[place], bounds)
    return Link(op, place) if rises(op, place, known) else None


def _of_channels(value: SSAValue, bounds: dict[SSAValue, Interval]) -> Interval:
    return bounds[value].broadcast(shape_of(value)).collapse()


def _only_user(value: SSAValue) -> Operation | None:
    use = value.get_unique_use()
    return None if use is None else use.operation


def place_pools(function: FuncOp, bounds: dict[SSAValue, Interval]) -> None:
    """Move the maxima of a function to their cheapest places; bound new values."""
    for op in list(function.body.block.ops):
        if isinstance(op, PoolOp) and is_fixed(op.result) and op.kind.data is Pooling.MAX:
            chain = PooledChain.around(op, bounds)
            if (place := chain.best()) != chain.before:
                _move(chain, place, bounds)


def _move(chain: PooledChain, place: int, bounds: dict[SSAValue, Interval]) -> None:
    """Rebuild a chain with its pooling behind `place` layers."""
    last, value = chain.result, chain.operand
    point = InsertPoint.before(last.owner if isinstance(last.owner, Operation) else chain.pool)
    for k, link in enumerate((*chain.links, None)):
        if k == place:
            known = _of_channels(value, bounds)
            value = _again(chain.pool, 0, value, shape_of(chain.pool.result), point)
            bounds[value] = known
        if link is not None:
            value = _again(link.op, link.place, value, shape_of(value), point)
            bounds[value] = _of_channels(link.op.result, bounds)
    last.replace_all_uses_with(value)
    after, before = chain.links[chain.before :], chain.links[: chain.before]
    for op in (*(k.op for k in reversed(after)), chain.pool, *(k.op for k in reversed(before))):
        Rewriter.erase_op(op)


def _again(
    op: ElementwiseOp | PoolOp, place: int, x: SSAValue, shape: tuple[int, ...], at: InsertPoint
) -> SSAValue:
    """A layer on another operand: in its own format, a pooling in the operand's."""
    format = format_of(x) if op.keeps_format else format_of(op.result)
    operands = [x if k == place else o for k, o in enumerate(op.operands)]
    new = type(op).create(
        operands=operands,
        result_types=[fixed_tensor(shape, format)],
        properties=dict(op.properties),
        attributes=dict(op.attributes),
    )
    new.results[0].name_hint = op.result.name_hint
    Rewriter.insert_op(new, at)
    return new.results[0]
