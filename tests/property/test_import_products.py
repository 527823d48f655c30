"""Products that no installed Keras can run here, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_models import entry, sequential, write_model
from numpy.typing import NDArray

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.dialects.dataflow.depthwise import DepthwiseOp as DataflowDepthwiseOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.quantizers import parse
from calocc.runtime.emulator import execute

FRONT, BEHIND = "quantized_bits(6,2,alpha=1)", "quantized_bits(8,4,alpha=1)"
AUTO = "quantized_bits(3,0,alpha='auto')"
Floats = NDArray[np.float64]


def saved(
    path: Path, shape: tuple[int, ...], class_name: str, config: dict[str, Any], **weights: Any
) -> Path:
    """A quantizer, one layer, a quantizer."""
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, *shape]),
        entry("front", "QActivation", activation=FRONT),
        entry("y", class_name, **config),
        entry("behind", "QActivation", activation=BEHIND),
    ]
    floats = {name: array.astype(np.float32) for name, array in weights.items()}
    return write_model(path, sequential(*layers), {"y": floats})


def grouped(x: Floats, kernel: Floats, groups: int) -> Floats:
    """A valid convolution of images (B, H, W, C), one group of channels after the other."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
    inputs = np.split(windows, groups, axis=3)
    parts = zip(inputs, np.split(kernel, groups, axis=3), strict=True)
    return np.concatenate([np.einsum("bhwcij,ijcf->bhwf", a, k) for a, k in parts], axis=3)


@pytest.mark.parametrize(
    "quantizer", ["quantized_bits(4,0,alpha=1)", "quantized_bits(3,0,alpha='auto')"]
)
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_groups(tmp_path: Path, groups: int, quantizer: str) -> None:
    random = np.random.default_rng(groups)
    kernel = np.rint(random.normal(0, 8, (2, 3, 6 // groups, 12))) / 16
    config = {"filters": 12, "kernel_size": [2, 3], "groups": groups, "use_bias": False}
    path = saved(
        tmp_path / "m.h5",
        (5, 6, 6),
        "QConv2D",
        {**config, "kernel_quantizer": quantizer},
        kernel=kernel,
    )
    x = np.rint(random.normal(0, 16, (3, 5, 6, 6))) / 8
    levels, scale = parse(quantizer).decompose(kernel)
    sums = grouped(parse(FRONT)(x), levels, groups) * np.broadcast_to(scale, kernel.shape)[0, 0, 0]
    for level in (0, 2):
        got = calocc.compile(path, level).predict(x)
        assert np.array_equal(got, parse(BEHIND)(sums))
    kinds = [type(op) for op in import_model(path).walk() if isinstance(op, ConvOp | DepthwiseOp)]
    one = DepthwiseOp if groups == 6 and quantizer != AUTO else ConvOp
    assert kinds == [one] * (groups if groups > 1 and one is ConvOp else 1)


def test_groups_that_do_not_divide_the_channels_are_refused(tmp_path: Path) -> None:
    config = {"filters": 4, "kernel_size": 1, "groups": 4, "use_bias": False}
    path = saved(tmp_path / "m.h5", (5, 6), "QConv1D", config, kernel=np.ones((1, 1, 4)))
    with pytest.raises(calocc.CaloccError, match="4 groups do not divide 6 channels"):
        calocc.compile(path)


def test_dense_with_folded_batch_normalisation(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    kernel, bias = random.normal(0, 0.5, (4, 3)), random.normal(0, 1, 3)
    gamma, beta, mean = random.normal(0, 1, (3, 3)).astype(np.float32)
    variance = random.uniform(0.2, 2, 3).astype(np.float32)
    quantizers = {
        "kernel_quantizer": "quantized_bits(5,1,alpha=1)",
        "bias_quantizer": "quantized_bits(6,2,alpha=1)",
    }
    config = {"units": 3, "epsilon": 0.01, "axis": -1, "ema_freeze_delay": None, **quantizers}
    statistics = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    path = saved(
        tmp_path / "m.h5", (4,), "QDenseBatchnorm", config, kernel=kernel, bias=bias, **statistics
    )
    x = np.rint(random.normal(0, 16, (50, 4))) / 8
    inverse = gamma / np.sqrt(variance + np.float32(0.01))
    quantize = parse(FRONT)
    folded = quantize(kernel.astype(np.float32) * inverse)
    offset = quantize(inverse * (bias.astype(np.float32) - mean) + beta)
    expected = parse(BEHIND)(quantize(x) @ folded + offset)
    assert np.array_equal(calocc.compile(path).predict(x), expected)
    (real,) = execute(import_model(path), [x])
    assert np.array_equal(real, expected)


@pytest.mark.parametrize(("multiplier", "parts"), [(200, 1), (350, 2), (601, 3)])
def test_more_results_of_a_channel_than_a_beat_holds(
    tmp_path: Path, multiplier: int, parts: int
) -> None:
    """Sums of 15 bits: a beat has up to 273 of them."""
    random = np.random.default_rng(multiplier)
    kernel = np.rint(random.normal(0, 50, (2, 1, 2, multiplier))) / 128
    kernel[:, 0, 0, 0] = -1
    quantizer = "quantized_bits(10,2,alpha=1)"
    config = {
        "kernel_size": [2, 1],
        "depth_multiplier": multiplier,
        "depthwise_quantizer": quantizer,
        "use_bias": False,
    }
    path = saved(tmp_path / "m.h5", (3, 2, 2), "QDepthwiseConv2D", config, depthwise_kernel=kernel)
    x = np.rint(random.normal(0, 16, (3, 3, 2, 2))) / 8
    windows = np.lib.stride_tricks.sliding_window_view(parse(FRONT)(x), 2, 1)
    sums = np.einsum("bhwck,kcm->bhwcm", windows, parse(quantizer)(kernel)[:, 0])
    expected = parse(BEHIND)(sums.reshape(*sums.shape[:3], -1))
    for level in (0, 2):
        design = calocc.compile(path, level)
        assert np.array_equal(design.predict(x), expected)
        found = [op for op in design.module.walk() if isinstance(op, DataflowDepthwiseOp)]
        assert len(found) == parts
    assert np.array_equal(design.csim().predict(x), expected)
