"""Gives drawn models wide formats, so that sums and products reach the widest that there are."""

from __future__ import annotations

from dataclasses import replace

from calocc.compiler.keras.model import KerasLayer
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.source import Source

KERNELS = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")
"""Keys of quantizers in the configurations of layers."""


def widened(source: Source, drawn: Drawn) -> Drawn:
    """The model with inputs of 16 to 44 bits and weights of 8 to 32;
    as it was where calocc refuses that."""
    names = {ref.layer for ref in drawn.model.inputs}
    layers = tuple(_wide(source, layer, names) for layer in drawn.model.layers)
    wide = replace(
        drawn,
        model=replace(drawn.model, layers=layers),
        settings=tuple(f"{s.partition('=')[0]}={_format(source, 8, 20)}" for s in drawn.settings),
        inputs={name: _format(source, 16, 44) for name in drawn.inputs},
    )
    return wide if wide.is_taken else drawn


def _wide(source: Source, layer: KerasLayer, inputs: set[str]) -> KerasLayer:
    """A quantizer behind an input, which then has its bits, and those of kernels."""
    reads_input = any(ref.layer in inputs for call in layer.inbound for ref in call)
    keys = ["activation"] if layer.class_name == "QActivation" and reads_input else []
    keys += [key for key in KERNELS if layer.config.get(key) is not None]
    least = 16 if keys == ["activation"] else 8
    texts = {key: _quantizer(source, least) for key in keys}
    return replace(layer, config={**layer.config, **texts})


def _quantizer(source: Source, least: int) -> str:
    """Any so wide; QKeras has at most 32 bits."""
    return f"quantized_bits({source.integer(least, 32)},{source.integer(0, 4)},alpha=1)"


def _format(source: Source, least: int, most: int) -> str:
    width = source.integer(least, most)
    return f"{source.pick('', 'u')}fixed<{width},{source.integer(0, width)}>"
