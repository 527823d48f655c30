"""What the property tests of layers draw besides formats and tensors: values of block arguments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from xdsl.ir import Block, SSAValue

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import QnnOp, Shape, fixed_tensor, format_of, shape_of

Ints = NDArray[np.int64]


def integers(lo: int, hi: int, shape: Shape) -> st.SearchStrategy[Ints]:
    """Any integers from `lo` to `hi`."""
    return npst.arrays(np.int64, shape, elements=st.integers(lo, hi), fill=st.nothing())


def argument(shape: Shape, format: Format) -> SSAValue:
    """A fixed-point value that nothing is known about but its format."""
    return Block(arg_types=[fixed_tensor(shape, format)]).args[0]


def bounds_of(value: SSAValue) -> Interval:
    """All that an operand of a test can be: a constant's value, or its whole format."""
    if isinstance(value.owner, QnnOp):
        return value.owner.interval()
    return Interval.of_format(format_of(value), shape_of(value))


def on_fixed(op: QnnOp, operands: Sequence[SSAValue]) -> QnnOp:
    """The twin of a layer on reals with fixed-point operands, in its interval's format."""
    bounds = op.interval(*(bounds_of(o) for o in operands))
    twin = type(op).create(
        operands=operands,
        result_types=[fixed_tensor(shape_of(op.result), bounds.format())],
        properties=dict(op.properties),
    )
    twin.verify()
    return twin
