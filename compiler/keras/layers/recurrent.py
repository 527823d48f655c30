"""Recurrent layers: a projection of all time steps, and a step that repeats over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Region, SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.errors import MissingKey
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.linear import kernel_quantizer, require_rank
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single, stored
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp, ExactElementwiseOp, MultiplyOp, SubtractOp
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.dialects.qnn.recurrent import RecurrentOp, YieldOp, body_block
from calocc.dialects.qnn.reverse import ReverseOp

Floats = NDArray[Any]


@dataclass(frozen=True)
class Cell:
    """Adds to the step of one layer with `gates` columns of weights per unit."""

    builder: Builder
    config: LayerConfig
    units: int
    gates: int

    @property
    def columns(self) -> int:
        """Columns of the weights."""
        return self.units * self.gates

    def combine(self, op: type[ExactElementwiseOp], a: SSAValue, b: SSAValue) -> SSAValue:
        """An element-wise op on two values."""
        return self.builder.add(self.config, op((a, b), layer=self.config.layer.name))

    def activated(self, x: SSAValue, key: str) -> SSAValue:
        """The activation of that key, in a format given by the user if there is one.

        Raises MissingKey where there is none, as Keras always writes it.
        """
        layer = self.config.layer
        if key not in layer.config:
            raise MissingKey(layer.name, layer.class_name, key)
        y = activate(self.builder, self.config, x, self.config.take_activation(key))
        chosen = self.builder.overrides.take(layer.name, key)
        return y if chosen is None else self.builder.quantize(self.config, y, chosen)

    def kept(self, state: SSAValue) -> SSAValue:
        """A state as the next step takes it: QKeras quantizes states where it reads them."""
        quantizer = self.builder.overrides.take(self.config.layer.name, "state")
        quantizer = quantizer or self.config.take_quantizer("state_quantizer")
        if quantizer is None:
            return state
        if not quantizer.data_dependent and float(quantizer(np.zeros(1))[0]) != 0:
            reason = f"its state quantizer {quantizer} makes something else of the first state, 0"
            raise refused(self.config, reason, "take quantized_bits for the states")
        return self.builder.quantize(self.config, state, quantizer)

    def product(self, state: SSAValue, gate: int) -> SSAValue:
        """A state times the recurrent weights of a gate."""
        kernel = stored(self.config, "recurrent_kernel", self.units, self.columns)
        quantizer = kernel_quantizer(self.config, "recurrent_quantizer")
        part = self.split(kernel)[gate]
        weights = self.builder.weight(self.config, "recurrent_kernel", part, quantizer)
        return self.builder.add(self.config, DenseOp(state, weights, layer=self.config.layer.name))

    def split(self, weights: Floats) -> list[Floats]:
        """The columns of each gate."""
        return np.split(weights, self.gates, axis=-1)

    def biased(self, x: SSAValue, bias: Floats, quantizer: Quantizer | None) -> SSAValue:
        """A value and a bias."""
        return self.combine(AddOp, x, self.builder.weight(self.config, "bias", bias, quantizer))


@dataclass(frozen=True)
class Bias:
    """A stored bias and the quantizer that is left to apply to parts of it."""

    values: Floats
    quantizer: Quantizer | None

    @staticmethod
    def of(config: LayerConfig, *shape: int) -> Bias | None:
        """That of a layer, None for a layer without; a scale found from the data is that of all."""
        quantizer = config.take_quantizer("bias_quantizer")
        if not config.take_bool("use_bias", True):
            return None
        values = stored(config, "bias", *shape)
        if quantizer is not None and quantizer.data_dependent:
            return Bias(quantizer(values.astype(np.float64)), None)
        return Bias(values, quantizer)


Step = Callable[[Cell, Sequence[SSAValue]], list[SSAValue]]
"""From gates and states to the output and the next states."""


def _interleaved(weights: Floats, gates: int) -> Floats:
    """Columns gate by gate (..., K * U) to columns unit by unit (..., U * K)."""
    parts = weights.reshape(*weights.shape[:-1], gates, -1)
    return parts.swapaxes(-1, -2).reshape(weights.shape)


def _outer_cell(builder: Builder, config: LayerConfig, gates: int) -> Cell:
    """What projects the inputs; refuse what a recurrent layer cannot do here."""
    for key in ("stateful", "return_state", "time_major"):
        config.expect_default(key, False)
    config.ignore("dropout", "recurrent_dropout", "unit_forget_bias", "seed")
    config.ignore("implementation", "unroll", "use_cudnn", "zero_output_for_mask")
    return Cell(builder, config, config.take_int("units"), gates)


def _projected(cell: Cell, x: SSAValue, bias: Bias | None) -> SSAValue:
    """All rows of the operand times the kernel, and their bias: the gates of each unit in a row."""
    config = cell.config
    _, features = require_rank(config, x, 2)
    kernel = _interleaved(stored(config, "kernel", features, cell.columns), cell.gates)
    if config.take_bool("go_backwards", False):
        x = cell.builder.add(config, ReverseOp(x, config.layer.name))
    weights = cell.builder.weight(config, "kernel", kernel, kernel_quantizer(config))
    rows = cell.builder.add(config, DenseOp(x, weights, layer=config.layer.name))
    if bias is None:
        return rows
    return cell.biased(rows, _interleaved(bias.values, cell.gates), bias.quantizer)


def _repeated(outer: Cell, rows: SSAValue, states: int, step: Step) -> SSAValue:
    """A step with so many states over all rows."""
    body = body_block(outer.units, outer.gates, states)
    inner = Builder(outer.builder.overrides, body, wishes=outer.builder.wishes)
    config = outer.config
    results = step(Cell(inner, config, outer.units, outer.gates), body.args)
    body.add_op(YieldOp(results))
    sequences = config.take_bool("return_sequences", False)
    op = RecurrentOp(rows, Region(body), sequences, layer=config.layer.name)
    return outer.builder.add(config, op)


@keras_layer("SimpleRNN", "QSimpleRNN")
def simple_rnn(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The activation of a projected input and the projected last output, over time."""
    cell = _outer_cell(builder, config, 1)
    rows = _projected(cell, single(config, inputs), Bias.of(config, cell.columns))
    return _repeated(cell, rows, 1, _simple_step)


def _simple_step(cell: Cell, values: Sequence[SSAValue]) -> list[SSAValue]:
    x, h = values
    y = cell.activated(cell.combine(AddOp, x, cell.product(h, 0)), "activation")
    return [y, cell.kept(y)]


@keras_layer("LSTM", "QLSTM")
def lstm(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Long short-term memory: input, forget and output gates around a cell state, over time."""
    cell = _outer_cell(builder, config, 4)
    rows = _projected(cell, single(config, inputs), Bias.of(config, cell.columns))
    return _repeated(cell, rows, 2, _lstm_step)


def _lstm_step(cell: Cell, values: Sequence[SSAValue]) -> list[SSAValue]:
    *gates, h, c = values
    sums = [cell.combine(AddOp, x, cell.product(h, k)) for k, x in enumerate(gates)]
    enter, forget, leave = (cell.activated(sums[k], "recurrent_activation") for k in (0, 1, 3))
    new = cell.activated(sums[2], "activation")
    c = cell.combine(AddOp, *(cell.combine(MultiplyOp, *p) for p in ((forget, c), (enter, new))))
    y = cell.combine(MultiplyOp, leave, cell.activated(c, "activation"))
    return [y, cell.kept(y), cell.kept(c)]


@keras_layer("GRU", "QGRU")
def gru(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Gated recurrent unit, its reset gate before or after the recurrent product, over time."""
    quantized = config.layer.class_name == "QGRU"
    if quantized and config.take("recurrent_quantizer") is None:
        reason = "without a recurrent quantizer QKeras takes the kernel for the recurrent kernel"
        raise refused(config, reason, "give the layer a recurrent_quantizer and train again")
    cell = _outer_cell(builder, config, 3)
    after = config.take_bool("reset_after", not quantized)
    bias = Bias.of(config, *((2, cell.columns) if after else (cell.columns,)))
    own = bias and (Bias(bias.values[0], bias.quantizer) if after else bias)
    rows = _projected(cell, single(config, inputs), own)

    def step(inner: Cell, values: Sequence[SSAValue]) -> list[SSAValue]:
        return _gru_step(inner, values, bias) if after else _reset_first_step(inner, values)

    return _repeated(cell, rows, 1, step)


def _gru_step(cell: Cell, values: Sequence[SSAValue], bias: Bias | None) -> list[SSAValue]:
    """The reset gate multiplies the recurrent product, which has a bias of its own."""
    *gates, h = values
    products = [cell.product(h, k) for k in range(3)]
    if bias is not None:
        parts = cell.split(bias.values[1])
        products = [cell.biased(*p, bias.quantizer) for p in zip(products, parts, strict=True)]
    update, reset = (
        cell.activated(cell.combine(AddOp, gates[k], products[k]), "recurrent_activation")
        for k in range(2)
    )
    candidate = cell.combine(AddOp, gates[2], cell.combine(MultiplyOp, reset, products[2]))
    return _mixed(cell, update, h, candidate)


def _reset_first_step(cell: Cell, values: Sequence[SSAValue]) -> list[SSAValue]:
    """The reset gate multiplies the state in front of the recurrent product."""
    *gates, h = values
    update, reset = (
        cell.activated(cell.combine(AddOp, gates[k], cell.product(h, k)), "recurrent_activation")
        for k in range(2)
    )
    product = cell.product(cell.combine(MultiplyOp, reset, h), 2)
    return _mixed(cell, update, h, cell.combine(AddOp, gates[2], product))


def _mixed(cell: Cell, update: SSAValue, h: SSAValue, candidate: SSAValue) -> list[SSAValue]:
    """The update gate mixes the state and the activated candidate."""
    one = cell.builder.constant(cell.config, np.asarray(1.0))
    new = cell.activated(candidate, "activation")
    rest = cell.combine(MultiplyOp, cell.combine(SubtractOp, one, update), new)
    y = cell.combine(AddOp, cell.combine(MultiplyOp, update, h), rest)
    return [y, cell.kept(y)]
