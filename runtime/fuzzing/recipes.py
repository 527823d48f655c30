"""How layers of each Keras class are drawn: configuration, shapes of weights, formats.

A recipe knows what Keras stores for a layer on operands of given shapes. It may draw what the
importer refuses; whoever builds models then draws again. Nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calocc.runtime.fuzzing import quantizers
from calocc.runtime.fuzzing.source import Source

Shape = tuple[int, ...]
Config = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """What a layer is made of.

    `weights` are shapes by name, `formats` what a user has to give, by tensor (`--set`). The
    results of `rough` layers need a quantizer behind them.
    """

    config: Config
    weights: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    formats: Mapping[str, str] = field(default_factory=dict[str, str])
    rough: bool = False


@dataclass(frozen=True)
class Recipe:
    """How to draw a class: the ranks of its first operand, how many operands, and the layout."""

    class_name: str
    ranks: tuple[int, ...]
    operands: tuple[int, int]
    draw: Callable[[Source, str, Sequence[Shape]], Layout]
    indices: bool = False
    """Whether the operand numbers rows of a table."""


Draw = Callable[[Source, str, Sequence[Shape]], Layout]
RECIPES: dict[str, Recipe] = {}
"""One entry per Keras class."""


def recipe(
    *class_names: str,
    ranks: tuple[int, ...] = (1, 2, 3),
    operands: tuple[int, int] = (1, 1),
    indices: bool = False,
) -> Callable[[Draw], Draw]:
    """Register a function that draws layers of these classes."""

    def register(draw: Draw) -> Draw:
        for name in class_names:
            RECIPES[name] = Recipe(name, ranks, operands, draw, indices)
        return draw

    return register


# ---- what several recipes share ------------------------------------------------------------------

PLAIN = ("linear", "relu", "softmax", "sigmoid", "tanh", "hard_sigmoid", "softplus", "softsign")
MORE = ("relu6", "elu", "selu", "exponential", "swish", "gelu", "mish")
OF_QKERAS = (
    *("hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh"),
    *("binary_sigmoid", "binary_tanh"),
)
"""Functions that QKeras has by name."""
EXACT = ("linear", "relu")
"""Activations after which nothing needs to be rounded."""


def size(source: Source, most: int = 3) -> int:
    """1 to `most`."""
    return source.integer(1, most)


def pair(source: Source, most: int = 3) -> list[int]:
    """Two sizes."""
    return [size(source, most), size(source, most)]


def quantized(class_name: str) -> bool:
    """Whether a class is one of QKeras."""
    return class_name.startswith("Q")


def activation(source: Source, class_name: str) -> Any:
    """An activation that layers of this class take."""
    if not quantized(class_name):
        return source.pick("linear", "relu", *PLAIN)
    if source.flag():
        return quantizers.of_activations(source)
    return source.pick("linear", "relu", *OF_QKERAS, *PLAIN[2:])


def is_rough(chosen: str | None) -> bool:
    """Whether an activation is a real function, or a quantizer to real levels."""
    if chosen is not None and "(" in chosen:
        return not quantizers.on_a_grid(chosen)
    return chosen not in (None, *EXACT)


def linear(
    source: Source,
    class_name: str,
    columns: int,
    kernels: Mapping[str, Shape],
    keys: Mapping[str, str],
) -> Layout:
    """Kernels with quantizers by `keys`, a bias and an activation."""
    use_bias, chosen = source.flag(), activation(source, class_name)
    config: Config = {"use_bias": use_bias, "activation": chosen}
    formats: dict[str, str] = {}
    if quantized(class_name):
        fitted = len(kernels) == 1  # two real scales with nothing between them have no short form
        config |= {keys[k]: quantizers.of_kernels(source, fitted) for k in kernels}
        config["bias_quantizer"] = quantizers.of_biases(source)
        rough = is_rough(chosen) or any("'auto'" in str(config[keys[k]]) for k in kernels)
    else:
        formats = {"kernel": quantizers.fixed_text(source)}  # which stands for all of them
        if use_bias and source.flag():
            formats["bias"] = quantizers.fixed_text(source)
        rough = is_rough(chosen) or (use_bias and "bias" not in formats)
    rough = rough or (use_bias and config.get("bias_quantizer", "") is None)
    weights = {**kernels, **({"bias": (columns,)} if use_bias else {})}
    return Layout(config, weights, formats, rough)


def window(source: Source, rank: int, causal: bool = False) -> Config:
    """Kernel, strides, padding and dilation of a convolution over `rank` axes."""
    paddings = ("valid", "same", "causal") if causal else ("valid", "same")
    strides = [source.integer(1, 2) for _ in range(rank)]
    dilated = all(n == 1 for n in strides) and source.once_in(3)
    return {
        "kernel_size": [size(source) for _ in range(rank)],
        "strides": strides,
        "padding": source.one_of(paddings),
        "dilation_rate": [source.integer(1, 2)] * rank if dilated else [1] * rank,
    }


def axis_of(source: Source, rank: int) -> int:
    """An axis as Keras counts it: behind the batch, or from the end."""
    return source.pick(-1, *range(1, rank + 1))
