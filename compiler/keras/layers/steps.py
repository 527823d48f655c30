"""The ops of a layer on one step of a sequence, done on all its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.ir import Block, SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, refused
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.layer_norm import LayerNormOp
from calocc.dialects.qnn.movement import ConcatOp, PadOp, ReshapeOp, TransposeOp, UpsampleOp
from calocc.dialects.qnn.op import QnnOp, Shape, is_constant, real_tensor, shape_of
from calocc.dialects.qnn.pool import PoolOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.softmax import SoftmaxOp
from calocc.dialects.qnn.windows import Window

MOST_STEPS = 64
"""Copies of a layer beyond which a design is not sensible."""

_BY_LAST_AXIS = (
    *(BatchNormOp, DenseOp, ElementwiseOp, EmbeddingOp, FunctionOp, LayerNormOp, ReshapeOp),
    SoftmaxOp,
)
"""Ops to which more axes in front make no difference."""
_BY_AXES = (ConcatOp, SliceOp, TransposeOp)
_IMAGES = (ConvolutionOp, PadOp, PoolOp, UpsampleOp)
_MOST_AXES = 3
"""Of a tensor that is transposed."""


def on_each_step(
    builder: Builder, config: LayerConfig, x: SSAValue, body: Block, result: SSAValue
) -> SSAValue:
    """`result` of the ops of `body`, whose argument is a step, for all steps of x (T, ...).

    Ops act on all steps at once where each can; else there is a copy of them for each step.
    Raises UnsupportedLayer for more than `MOST_STEPS` copies.
    """
    steps = _Steps(builder, config, x, body, result)
    if all(_acts_at_once(op) for op in steps.ops):
        return steps.at_once()
    if steps.count > MOST_STEPS:
        reason = f"its inner layer would be copied for each of {steps.count} steps"
        advice = f"use at most {MOST_STEPS} steps, or an inner layer that acts along the last axis"
        raise refused(config, reason, advice)
    parts = [steps.alone(k) for k in range(steps.count)]
    return builder.add(config, ConcatOp(parts, 0, layer=config.layer.name))


class _Steps:
    """The steps of x (T, ...), and the ops that work on one of them."""

    def __init__(
        self, builder: Builder, config: LayerConfig, x: SSAValue, body: Block, result: SSAValue
    ) -> None:
        self.builder, self.config, self.x = builder, config, x
        self.argument, self.result = body.args[0], result
        ops = [op for op in body.ops if isinstance(op, QnnOp)]
        self.constants = _constants(builder, config, ops)
        self.ops = [op for op in ops if op.result not in self.constants]

    @property
    def count(self) -> int:
        """T."""
        return shape_of(self.x)[0]

    def at_once(self) -> SSAValue:
        """The results (T, ...) for all steps, from one op for each of the ops."""
        values = {**self.constants, self.argument: self.x}
        for op in self.ops:
            operands = [values[o] for o in op.operands]
            values[op.result] = _at_once(self.builder, self.config, op, operands, self.count)
        return values[self.result]

    def alone(self, step: int) -> SSAValue:
        """The result (1, ...) for one step, from a copy of the ops."""
        builder, config, name = self.builder, self.config, self.config.layer.name
        part = builder.add(config, SliceOp(self.x, 0, step, step + 1, name))
        own = builder.add(config, ReshapeOp(part, shape_of(self.x)[1:], name))
        values = {**self.constants, self.argument: own}
        for op in self.ops:
            values[op.result] = _copied(builder, config, op, values, shape_of(op.result))
        y = values[self.result]
        return builder.add(config, ReshapeOp(y, (1, *shape_of(y)), name))


def _constants(
    builder: Builder, config: LayerConfig, ops: Sequence[QnnOp]
) -> dict[SSAValue, SSAValue]:
    """The ops that depend on no step, copied."""
    values: dict[SSAValue, SSAValue] = {}
    for op in ops:
        if is_constant(op.result):
            values[op.result] = _copied(builder, config, op, values, shape_of(op.result))
    return values


def _copied(
    builder: Builder,
    config: LayerConfig,
    op: QnnOp,
    values: Mapping[SSAValue, SSAValue],
    shape: Shape,
) -> SSAValue:
    """The op on other operands, with a result of this shape."""
    operands = [values[o] for o in op.operands]
    types, properties = [real_tensor(shape)], dict(op.properties)
    regions = [region.clone() for region in op.regions]
    new = type(op).create(
        operands=operands, result_types=types, properties=properties, regions=regions
    )
    return builder.add(config, new)


# ---- all steps at once ---------------------------------------------------------------------------


def _acts_at_once(op: QnnOp) -> bool:
    """Whether one more axis in front leaves the op what it is on each step."""
    if isinstance(op, ConvolutionOp | PoolOp):
        return _tiling(op.window, shape_of(op.x)[0]) is not None
    if isinstance(op, PadOp):
        return not (op.edges.top or op.edges.bottom)
    if isinstance(op, TransposeOp):
        return len(shape_of(op.x)) < _MOST_AXES
    return isinstance(op, (*_BY_LAST_AXIS, *_BY_AXES, UpsampleOp))


def _tiling(window: Window, rows: int) -> Window | None:
    """The window over images one below the other, if none of its places meets two of them."""
    high, (down, across) = window.reach[0], window.strides
    if window.padding.top or window.padding.bottom:
        return None
    down = rows if window.output_size(rows, window.reach[1])[0] == 1 else down
    if high > down or rows % down:
        return None
    return Window(window.height, window.width, (down, across), window.padding, window.dilation)


def _at_once(
    builder: Builder, config: LayerConfig, op: QnnOp, operands: Sequence[SSAValue], steps: int
) -> SSAValue:
    """The op on tensors with an axis of steps in front."""
    shape = (steps, *shape_of(op.result))
    if isinstance(op, _IMAGES):
        return _on_images(builder, config, op, operands, shape)
    if isinstance(op, _BY_AXES):
        return builder.add(config, _with_axis(op, operands))
    return _copied(builder, config, op, dict(zip(op.operands, operands, strict=True)), shape)


def _with_axis(op: ConcatOp | SliceOp | TransposeOp, operands: Sequence[SSAValue]) -> QnnOp:
    if isinstance(op, ConcatOp):
        return ConcatOp(operands, op.axis.value.data + 1, layer=op.layer_name)
    if isinstance(op, SliceOp):
        axis, start, stop = op.range
        return SliceOp(operands[0], axis + 1, start, stop, op.layer_name)
    permutation = (0, *(k + 1 for k in op.permutation.get_values()))
    return TransposeOp(operands[0], permutation, op.layer_name)


def _on_images(
    builder: Builder,
    config: LayerConfig,
    op: ConvolutionOp | PadOp | PoolOp | UpsampleOp,
    operands: Sequence[SSAValue],
    shape: Shape,
) -> SSAValue:
    """The images of all steps, one below the other, as one image."""
    name = config.layer.name
    steps, rows, *rest = shape_of(operands[0])
    image = builder.add(config, ReshapeOp(operands[0], (steps * rows, *rest), name))
    if isinstance(op, ConvolutionOp | PoolOp):
        window = _tiling(op.window, rows)
        assert window is not None
        y = builder.add(config, _windowed(op, image, operands[1:], window))
    else:
        values = {op.x: image}
        y = _copied(builder, config, op, values, (steps * shape[1], *shape[2:]))
    return builder.add(config, ReshapeOp(y, shape, name))


def _windowed(
    op: ConvolutionOp | PoolOp, image: SSAValue, weights: Sequence[SSAValue], window: Window
) -> QnnOp:
    if isinstance(op, PoolOp):
        return PoolOp(image, op.kind.data, window, op.layer_name)
    return type(op)(image, weights[0], window, layer=op.layer_name)
