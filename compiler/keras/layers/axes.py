"""Axes as Keras counts them, and tensors with an axis moved to an end."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, refused
from calocc.dialects.qnn.movement import TransposeOp
from calocc.dialects.qnn.op import shape_of


def behind_batch(
    config: LayerConfig, key: str, axis: int, x: SSAValue, whose: str = "its operand"
) -> int:
    """An axis that Keras counts from the batch or from the end, counted behind the batch.

    Raise UnsupportedLayer, which names `key`, for the batch and for an axis that `x` has not.
    """
    rank = len(shape_of(x))
    if not (1 <= axis <= rank or -rank <= axis <= -1):
        raise refused(config, f"{key}={axis} is not an axis of {whose}", "choose another axis")
    return axis - 1 if axis > 0 else rank + axis


def reordered(builder: Builder, config: LayerConfig, x: SSAValue, order: Sequence[int]) -> SSAValue:
    """The tensor with its axes in another order."""
    if list(order) == list(range(len(order))):
        return x
    return builder.add(config, TransposeOp(x, order, config.layer.name))


def to_end(rank: int, axis: int) -> list[int]:
    """The order of axes in which `axis` is the last."""
    return [*(k for k in range(rank) if k != axis), axis]


def to_front(rank: int, axis: int) -> list[int]:
    """The order of axes in which `axis` is the first."""
    return [axis, *(k for k in range(rank) if k != axis)]
