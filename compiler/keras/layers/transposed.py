"""Transposed convolutions, as plain ones.

Output pixel i * stride + k of a transposed convolution sums input pixel i times tap k. Pixels that
are equal modulo the stride form a phase: each phase is a convolution of stride 1 with every
stride-th tap in reverse order. One convolution computes all phases as its filters, a pixel shuffle
puts them side by side, and the rows and columns that padding takes away are cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.linear import (
    add_bias,
    expect_plain_convolution,
    expect_window,
    kernel_quantizer,
    require_rank,
)
from calocc.compiler.keras.layers.movement import crop
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
    stored,
)
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.movement import ReshapeOp, TransposeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.windows import Padding, Window, reach

Floats = NDArray[Any]


@dataclass(frozen=True)
class Axis:
    """One axis of a transposed convolution.

    Of the sums that `taps` over `length` pixels give, the `output` ones from `before` on are kept.
    Only one of `stride` and `dilation` is above 1.
    """

    length: int
    taps: int
    stride: int
    dilation: int
    before: int
    output: int

    @property
    def own_taps(self) -> int:
        """Taps of a phase; the last one may be missing in some."""
        return -(-self.taps // self.stride)

    @property
    def ends(self) -> tuple[int, int]:
        """The first group of `stride` sums of which some are kept, and the one behind the last."""
        return self.before // self.stride, -(-(self.before + self.output) // self.stride)

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros in front of the pixels and behind them, so that every group kept has a window."""
        first, last = self.ends
        return reach(self.own_taps, self.dilation) - 1 - first, last - self.length

    @property
    def edges(self) -> tuple[int, int]:
        """Sums of the groups that are not kept, in front and behind."""
        first, last = self.ends
        return self.before - first * self.stride, last * self.stride - self.before - self.output


_ONE_ROW = Axis(length=1, taps=1, stride=1, dilation=1, before=0, output=1)


def _axis(
    config: LayerConfig,
    length: int,
    taps: int,
    steps: tuple[int, int],
    same: bool,
    extra: int | None,
) -> Axis:
    """The axis under the layer's padding; `steps` are stride and dilation, `extra` is its output
    padding. A convolution over the output gives `length` pixels again."""
    stride, dilation = steps
    span = reach(taps, dilation)
    if extra is not None:
        cut = 2 * (span // 2) if same else 0
        output = (length - 1) * stride + span - cut + extra
    else:
        output = length * stride + (0 if same else max(span - stride, 0))
    back = -(-output // stride) if same else (output - span) // stride + 1
    if output < 1 or back != length or (extra is not None and not 0 <= extra < stride):
        reason = (
            f"output_padding={extra} does not fit {length} pixels, {taps} taps, stride {stride}"
        )
        raise refused(config, reason, "leave output_padding out, or choose one that Keras can run")
    before = max((length - 1) * stride + span - output, 0) // 2 if same else 0
    return Axis(length, taps, stride, dilation, before, output)


def _axes(
    config: LayerConfig, image: tuple[int, ...], size: tuple[int, ...], rank: int
) -> tuple[Axis, Axis]:
    """The axes of an image; a sequence (`rank` 1) is an image of one row."""
    strides = config.take_ints("strides", rank, (1,) * rank)
    dilation = config.take_ints("dilation_rate", rank, (1,) * rank)
    expect_window(config, size, strides, dilation)
    if len(set(dilation)) > 1:
        raise refused(config, f"dilation_rate={dilation} varies", "Keras takes equal rates only")
    same = config.take_str("padding", "valid", ("valid", "same")) == "same"
    given = config.take("output_padding")
    extra = (None,) * rank if given is None else config.take_ints("output_padding", rank)
    steps = zip(strides, dilation, strict=True)
    parts = zip(image[-1 - rank : -1], size, steps, extra, strict=True)
    axes = [_axis(config, length, taps, step, same, more) for length, taps, step, more in parts]
    return (_ONE_ROW if rank == 1 else axes[0]), axes[-1]


def _quantized(builder: Builder, config: LayerConfig, kernel: Floats) -> Floats:
    """The kernel (height, width, filters, channels) as its quantizer leaves it.

    Data-dependent scales belong to input channels here, where they cannot move behind the sum.
    """
    own = kernel_quantizer(config)
    quantizer = builder.overrides.take(config.layer.name, "kernel") or own
    if quantizer is None:
        return kernel
    _, scale = quantizer.decompose(kernel.astype(np.float64))
    if not np.isin(np.frexp(scale)[0], (0, 0.5)).all():
        reason = f"the scales that {quantizer} finds are no powers of two, one per input channel"
        raise refused(config, reason, "use alpha=1 or alpha='auto_po2' for its kernel")
    return quantizer(kernel.astype(np.float64))


def stacked(kernel: Floats, rows: Axis, columns: Axis) -> Floats:
    """A kernel (height, width, filters, channels) as that of a plain convolution, with the filters
    of each phase (row, column) one after the other: (height, width, channels, phases * filters)."""
    high, wide = rows.own_taps, columns.own_taps
    missing = (high * rows.stride - rows.taps, wide * columns.stride - columns.taps)
    whole = np.pad(kernel, ((0, missing[0]), (0, missing[1]), (0, 0), (0, 0)))
    phases = whole.reshape(high, rows.stride, wide, columns.stride, *kernel.shape[2:])
    turned = phases[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4)
    return turned.reshape(high, wide, kernel.shape[3], -1)


def _shuffled(
    builder: Builder, config: LayerConfig, y: SSAValue, down: int, across: int
) -> SSAValue:
    """An image whose channels are (down, across, C) as one that is that much larger."""
    name, (height, width, channels) = config.layer.name, shape_of(y)
    if down > 1:
        y = builder.add(config, ReshapeOp(y, (height, width, down, channels // down), name))
        y = builder.add(config, TransposeOp(y, (0, 2, 1, 3), name))
    if down * across == 1:
        return y
    shape = (height * down, width * across, channels // (down * across))
    return builder.add(config, ReshapeOp(y, shape, name))


def _phases(
    builder: Builder,
    config: LayerConfig,
    image: SSAValue,
    kernel: Floats,
    axes: tuple[Axis, Axis],
) -> SSAValue:
    """All phases with their bias, each a block of the channels."""
    rows, columns = axes
    weights = builder.constant(config, stacked(_quantized(builder, config, kernel), rows, columns))
    padding = Padding(*rows.padding, *columns.padding)
    dilation = (rows.dilation, columns.dilation)
    window = Window(rows.own_taps, columns.own_taps, (1, 1), padding, dilation)
    y = builder.add(config, ConvOp(image, weights, window, layer=config.layer.name))
    return add_bias(builder, config, y, copies=rows.stride * columns.stride)


def _transposed(
    builder: Builder, config: LayerConfig, image: SSAValue, kernel: Floats, rank: int
) -> SSAValue:
    """The layer on an image with a stored kernel (H, W, filters, channels).

    Bias and activation stand in front of the shuffle, where they join the convolution and narrow
    what moves; softmax needs each pixel's filters alone.
    """
    rows, columns = axes = _axes(config, shape_of(image), kernel.shape[2 - rank : 2], rank)
    activation = config.take_activation("activation")
    early, late = ("linear", activation) if activation == "softmax" else (activation, "linear")
    y = activate(builder, config, _phases(builder, config, image, kernel, axes), early)
    y = _shuffled(builder, config, y, rows.stride, columns.stride)
    y = crop(builder, config, crop(builder, config, y, 0, rows.edges), 1, columns.edges)
    return activate(builder, config, y, late)


@keras_layer("Conv2DTranspose", "QConv2DTranspose")
def conv2d_transpose(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """2-D transposed convolution, bias, activation."""
    x = single(config, inputs)
    channels = require_rank(config, x, 3)[-1]
    expect_plain_convolution(config)
    config.expect_default("groups", 1)
    size, filters = config.take_pair("kernel_size"), config.take_int("filters")
    kernel = stored(config, "kernel", *size, filters, channels)
    return _transposed(builder, config, x, kernel, 2)


@keras_layer("Conv1DTranspose")
def conv1d_transpose(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """1-D transposed convolution: an image of one row."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    expect_plain_convolution(config)
    config.expect_default("groups", 1)
    (size,), filters = config.take_ints("kernel_size", 1), config.take_int("filters")
    kernel = stored(config, "kernel", size, filters, channels)
    image = builder.add(config, ReshapeOp(x, (1, length, channels), config.layer.name))
    y = _transposed(builder, config, image, kernel[None], 1)
    return builder.add(config, ReshapeOp(y, shape_of(y)[1:], config.layer.name))
