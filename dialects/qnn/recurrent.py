"""`qnn.recurrent`: a step that repeats over time, handing states to itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from xdsl.dialects.builtin import TensorType, UnitAttr
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    base,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    region_def,
    traits_def,
    var_operand_def,
)
from xdsl.rewriter import Rewriter
from xdsl.traits import IsolatedFromAbove, IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import (
    Array,
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Tensor,
    Value,
    fixed_tensor,
    format_of,
    is_fixed,
    name_attr,
    real_tensor,
    shape_of,
    tensor_of,
)

Watch = Callable[[Operation, tuple[Array, ...]], None]
"""Sees an op and the results that it has."""


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a step with its output and the next states."""

    name = "qnn.yield"
    args = var_operand_def(base(TensorType))
    traits = traits_def(IsTerminator())
    assembly_format = "$args attr-dict `:` type($args)"

    def __init__(self, args: Sequence[Value]):
        super().__init__(operands=[args])


@irdl_op_definition
class RecurrentOp(QnnOp):
    """A step of U units over the rows of x (T, U * K), which are K gates side by side per unit.

    The body takes the K gates of a row and the states, all (U,), and yields its output and the
    next states; states begin as zeros. The result is every output (T, U) with `sequences`, else
    the last one (U,).
    """

    name = "qnn.recurrent"
    x = operand_def(base(TensorType))
    sequences = opt_prop_def(UnitAttr)
    body = region_def("single_block")
    traits = traits_def(Pure(), IsolatedFromAbove())
    assembly_format = "$x attr-dict `:` functional-type(operands, results) $body"

    def __init__(
        self,
        x: Value,
        body: Region,
        sequences: bool,
        result: Tensor | None = None,
        layer: str = "",
    ):
        last = body.block.last_op
        assert isinstance(last, YieldOp)
        shape = shape_of(last.args[0])
        shape = (shape_of(x)[0], *shape) if sequences else shape
        super().__init__(
            operands=[x],
            regions=[body],
            properties={
                "sequences": UnitAttr() if sequences else None,
                "layer": name_attr(layer),
            },
            result_types=[result or real_tensor(shape)],
        )

    @property
    def ending(self) -> YieldOp:
        """The terminator of the body."""
        return cast(YieldOp, self.body.block.last_op)

    @property
    def units(self) -> int:
        """Elements of a state."""
        return shape_of(self.ending.args[0])[0]

    @property
    def steps(self) -> int:
        """Rows of the operand."""
        return shape_of(self.x)[0]

    @property
    def gates(self) -> Sequence[SSAValue]:
        """The arguments of the body that stand for parts of a row."""
        return self.body.block.args[: 1 - len(self.ending.args) or None]

    @property
    def states(self) -> Sequence[SSAValue]:
        """The arguments of the body that stand for states."""
        return self.body.block.args[len(self.gates) :]

    def verify_(self) -> None:
        """The body holds layers; gates are parts of a row, states what the body yields."""
        block = self.body.block
        if not isinstance(block.last_op, YieldOp) or not self.ending.args:
            raise VerifyException("the body of qnn.recurrent ends in qnn.yield with an output")
        if not all(isinstance(op, QnnOp) for op in list(block.ops)[:-1]):
            raise VerifyException("the body of qnn.recurrent holds layers only")
        if len(block.args) < len(self.ending.args):
            raise VerifyException("the body of qnn.recurrent takes gates, then states")
        super().verify_()
        element = tensor_of(self.x).element_type
        if any(a.type != TensorType(element, (self.units,)) for a in self.gates):
            raise VerifyException("the body of qnn.recurrent takes parts of the operand's rows")
        nexts = [v.type for v in self.ending.args[1:]]
        if nexts != [s.type for s in self.states]:
            raise VerifyException("the next states have the types of the states")
        if tensor_of(self.ending.args[0]).element_type != tensor_of(self.result).element_type:
            raise VerifyException("the result holds outputs of the body")

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(T, U * K) gives (T, U), or (U,)."""
        if len(shape_of(self.ending.args[0])) != 1:
            raise VerifyException("the output of a step has one axis")
        if len(shapes[0]) != 2 or shapes[0][1] != self.units * len(self.gates):
            raise VerifyException(
                f"rows of {shapes[0]} are not {len(self.gates)} gates of {self.units} units"
            )
        return (self.steps, self.units) if self.sequences else (self.units,)

    def evaluate_real(self, *args: Reals) -> Reals:
        """Step by step in float64."""
        return self._run(args[0])

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Step by step on mantissas."""
        return self._run(args[0])

    def evaluate_watched(self, watch: Watch, *args: Array) -> tuple[Array, ...]:
        """As `evaluate`; `watch` sees every layer of the body with its results in each step."""
        return (self._run(args[0], watch),)

    def _run(self, x: Array, watch: Watch | None = None) -> Array:
        rows = x.reshape(len(x), self.steps, self.units, len(self.gates))
        states = [np.zeros((len(x), self.units), x.dtype) for _ in self.states]
        outputs: list[Array] = []
        for step in range(self.steps):
            gates = np.moveaxis(rows[:, step], -1, 0)
            output, *states = self.step(*gates, *states, watch=watch)
            outputs.append(np.broadcast_to(output, (len(x), self.units)))
        return np.stack(outputs, axis=1) if self.sequences else outputs[-1]

    def step(self, *args: Array, watch: Watch | None = None) -> list[Array]:
        """The output and the next states, from gates and states (B, U)."""
        values: dict[SSAValue, Array] = dict(zip(self.body.block.args, args, strict=True))
        for op in self.layers():
            results = op.evaluate(*(values[o] for o in op.operands))
            (values[op.result],) = results
            if watch is not None:
                watch(op, results)
        return [values[o] for o in self.ending.args]

    def layers(self) -> list[QnnOp]:
        """The body without its end."""
        return [op for op in self.body.block.ops if isinstance(op, QnnOp)]

    def interval(self, *args: Interval) -> Interval:
        """That of the output, if states are anything that their formats hold."""
        return self.inner_intervals(*args)[self.ending.args[0]]

    def inner_intervals(self, *args: Interval) -> dict[SSAValue, Interval]:
        """Bounds of every value in the body, if states are anything that their formats hold."""
        bounds = dict(zip(self.gates, self.gate_intervals(args[0]), strict=True))
        for state in self.states:
            bounds[state] = Interval.of_format(format_of(state), shape_of(state))
        for op in self.layers():
            bounds[op.result] = op.interval(*(bounds[o] for o in op.operands)).compact()
        return bounds

    def gate_intervals(self, x: Interval) -> list[Interval]:
        """Bounds (U,) of each gate at any time."""
        count = len(self.gates)
        rows = x.broadcast(shape_of(self.x)).collapse()
        return [Interval(rows.lo[k::count], rows.hi[k::count], rows.frac) for k in range(count)]

    def settle(self) -> None:
        """Give gates, states and result the formats of what they stand for."""
        for gate in self.gates:
            _retype(gate, format_of(self.x))
        for state, value in zip(self.states, self.ending.args[1:], strict=True):
            _retype(state, format_of(value))
        _retype(self.result, format_of(self.ending.args[0]))


def _retype(value: SSAValue, format: Format) -> None:
    if is_fixed(value) and format_of(value) != format:
        Rewriter.replace_value_with_new_type(value, fixed_tensor(shape_of(value), format))


def body_block(units: int, gates: int, states: int) -> Block:
    """A block with the arguments of a body on reals."""
    return Block(arg_types=[real_tensor((units,))] * (gates + states))
