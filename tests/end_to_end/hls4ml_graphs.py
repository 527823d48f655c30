"""Models of hls4ml, made from the lists of layers that its converters make."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DEFAULT = "fixed<16,6>"
Shape = tuple[int, ...]


@dataclass
class Layers:
    """A list of layers that grows; shapes are those without the axis of events."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    layers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    shapes: dict[str, Shape] = field(default_factory=dict[str, Shape])
    precisions: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def add(
        self,
        kind: str,
        shape: Shape,
        inputs: tuple[str, ...] = (),
        precision: dict[str, str] | None = None,
        **attributes: Any,
    ) -> str:
        """A layer with a name of its own, which is returned; types not named are inferred."""
        name = f"{kind.lower()}_{len(self.layers)}"
        entry = {"class_name": kind, "name": name, **attributes}
        if inputs:
            entry |= {"inputs": list(inputs)}
            self.precisions[name] = {"result": "auto", "accum": "auto"}
        self.precisions[name] = self.precisions.get(name, {}) | (precision or {})
        self.layers.append(entry)
        self.shapes[name] = shape
        return name

    def input(self, *shape: int, type: str = DEFAULT) -> str:
        """An input of a type."""
        return self.add("InputLayer", shape, (), {"result": type}, input_shape=list(shape))

    def values(self, *shape: int) -> Floats:
        """Weights on no grid."""
        return self.random.normal(0, 0.5, shape)

    def dense(self, x: str, units: int, **precision: str) -> str:
        """A dense layer on a vector."""
        (n,) = self.shapes[x]
        weights = {"weight_data": self.values(n, units), "bias_data": self.values(units)}
        return self.add("Dense", (units,), (x,), precision, n_in=n, n_out=units, **weights)

    def conv(self, x: str, filters: int, size: int, stride: int = 1, **precision: str) -> str:
        """A convolution over an image or a sequence, padded by one less than half its size."""
        *image, channels = self.shapes[x]
        kernel = self.values(*(size for _ in image), channels, filters)
        attributes, shape = self._window(image, filters, size, stride, (size - 1) // 2)
        kind = f"Conv{len(image)}D"
        weights = {"weight_data": kernel, "bias_data": self.values(filters)}
        sizes = {"n_chan": channels, "n_filt": filters}
        return self.add(kind, shape, (x,), precision, **attributes, **weights, **sizes)

    def depthwise(self, x: str, size: int, **precision: str) -> str:
        """A depthwise convolution over an image, padded to keep its size."""
        *image, channels = self.shapes[x]
        attributes, shape = self._window(image, channels, size, 1, size // 2)
        weights = {
            "depthwise_data": self.values(size, size, channels, 1),
            "bias_data": self.values(channels),
        }
        sizes = {"n_chan": channels, "n_filt": channels, "depth_multiplier": 1}
        return self.add("DepthwiseConv2D", shape, (x,), precision, **attributes, **weights, **sizes)

    def separable(self, x: str, filters: int, size: int) -> str:
        """A separable convolution, which hls4ml splits in two."""
        *image, channels = self.shapes[x]
        attributes, shape = self._window(image, filters, size, 1, 0)
        weights = {
            "depthwise_data": self.values(size, size, channels, 1),
            "pointwise_data": self.values(1, 1, channels, filters),
            "bias_data": self.values(filters),
        }
        sizes = {"n_chan": channels, "n_filt": filters, "depth_multiplier": 1}
        inferred = ("depthwise_accum", "pointwise_accum", "depthwise_result")
        precision: dict[str, str] = dict.fromkeys(inferred, "auto")
        return self.add("SeparableConv2D", shape, (x,), precision, **attributes, **weights, **sizes)

    def pool(self, x: str, kind: str, size: int, **precision: str) -> str:
        """`Max` or `Average` over windows that do not overlap."""
        *image, channels = self.shapes[x]
        attributes, shape = self._window(image, channels, size, size, 0)
        attributes = {k.replace("filt_", "pool_"): v for k, v in attributes.items()}
        if len(image) == 1:
            attributes |= {"n_in": image[0], "n_out": shape[0]}
        name = f"{kind}Pooling{len(image)}D"
        return self.add(name, shape, (x,), precision, n_filt=channels, **attributes)

    def global_pool(self, x: str, kind: str) -> str:
        """`Max` or `Average` over everything."""
        *image, channels = self.shapes[x]
        attributes, _ = self._window(image, channels, 1, 1, 0)
        if len(image) == 1:
            attributes |= {"n_in": image[0]}
        kind = f"Global{kind}Pooling{len(image)}D"
        return self.add(kind, (channels,), (x,), n_filt=channels, **attributes)

    def _window(
        self, image: list[int], channels: int, size: int, stride: int, pad: int
    ) -> tuple[dict[str, Any], Shape]:
        """The attributes of a window, and the shape of the result."""
        attributes: dict[str, Any] = {"data_format": "channels_last"}
        sides = {"height": ("top", "bottom"), "width": ("left", "right")}
        shape: list[int] = []
        for axis, length in zip(list(sides)[-len(image) :], image, strict=True):
            shape.append((length + 2 * pad - size) // stride + 1)
            attributes |= {f"filt_{axis}": size, f"stride_{axis}": stride, f"in_{axis}": length}
            attributes |= {f"out_{axis}": shape[-1]}
            attributes |= {f"pad_{side}": pad for side in sides[axis]}
        return attributes, (*shape, channels)

    def activation(self, x: str, function: str, **precision: str) -> str:
        """A function without parameters."""
        kind = "Softmax" if function == "softmax" else "Activation"
        return self.add(kind, self.shapes[x], (x,), precision, activation=function)

    def batch_norm(self, x: str, **precision: str) -> str:
        """Per channel."""
        n = self.shapes[x][-1]
        parts = {f"{k}_data": self.values(n) for k in ("gamma", "beta", "mean")}
        parts |= {"variance_data": self.random.uniform(0.5, 2, n), "epsilon": 1e-3}
        size = {"n_in": prod(self.shapes[x]), "n_filt": n}
        return self.add("BatchNormalization", self.shapes[x], (x,), precision, **parts, **size)

    def merge(self, op: str, *inputs: str, **precision: str) -> str:
        """Two equal shapes combined element by element."""
        return self.add("Merge", self.shapes[inputs[0]], inputs, precision, op=op)

    def concat(self, *inputs: str) -> str:
        """Along the channels."""
        *rest, _ = self.shapes[inputs[0]]
        channels = sum(self.shapes[x][-1] for x in inputs)
        along: dict[str, Any] = {"axis": len(rest) + 1, "op": f"concatenate{len(rest) + 1}d"}
        return self.add("Concatenate", (*rest, channels), inputs, **along)

    def flatten(self, x: str) -> str:
        """To a vector."""
        size = prod(self.shapes[x])
        return self.add("Reshape", (size,), (x,), target_shape=[size])

    def graph(self, outputs: list[str], directory: Path, backend: str = "Vitis", **hls: Any) -> Any:
        """The `ModelGraph` after the passes of a backend."""
        inputs = [layer["name"] for layer in self.layers if layer["class_name"] == "InputLayer"]
        names = {name: {"Precision": types} for name, types in self.precisions.items()}
        model = {"Precision": {"default": DEFAULT}, "ReuseFactor": 1, "Strategy": "Latency"}
        config = {
            **{"OutputDir": str(directory), "ProjectName": "small", "Backend": backend},
            **{"Part": "xcu50-fsvh2104-2-e", "ClockPeriod": 5, "ClockUncertainty": "27%"},
            **{"IOType": "io_stream", "HLSConfig": {"Model": model, "LayerName": names, **hls}},
        }
        graphs = import_module("hls4ml.model.graph").ModelGraph
        return graphs.from_layer_list(config, copy.deepcopy(self.layers), inputs, outputs)


def many_layers() -> tuple[Layers, list[str]]:
    """An image and a sequence through most kinds of layers, and the names of the outputs."""
    net = Layers()
    image, sequence = net.input(6, 6, 2, type="fixed<10,4>"), net.input(9, 2, type="ufixed<8,2>")
    x = net.conv(image, 3, 3)
    x = net.activation(x, "relu", result="ufixed<9,4,RND,SAT>")
    x = net.batch_norm(x, result="fixed<12,5,RND_CONV,SAT>", scale="fixed<9,3>", bias="fixed<9,3>")
    slope = {"activation": "leakyrelu", "activ_param": 0.3}
    y = net.add("LeakyReLU", net.shapes[x], (x,), {"param": "ufixed<7,0>"}, **slope)
    y = net.depthwise(y, 3, result="fixed<14,6,RND,SAT_SYM>")
    z = net.merge("maximum", x, y, result="fixed<10,5,TRN_ZERO,SAT>")
    z = net.concat(z, net.merge("average", x, y, result="fixed<12,6>"))
    z = net.separable(net.pool(z, "Max", 2), 4, 2)
    pooled = net.global_pool(z, "Average")
    last = net.dense(pooled, 3, result="fixed<18,8>")
    steps = net.conv(sequence, 3, 2, stride=1, result="fixed<12,5>")
    rows = net.pool(steps, "Average", 3, result="fixed<11,5,RND>")
    theta = {"activation": "thresholdedrelu", "activ_param": 0.4}
    rows = net.add("ThresholdedReLU", net.shapes[rows], (rows,), {"param": "fixed<8,4>"}, **theta)
    tanh = net.activation(net.dense(net.flatten(rows), 4), "tanh", result="fixed<9,1>")
    sigmoid = net.activation(net.dense(tanh, 3), "sigmoid", result="ufixed<8,0,RND,SAT>")
    gated = net.merge("multiply", sigmoid, last, result="fixed<16,6>")
    return net, [gated, net.merge("subtract", sigmoid, last)]
