"""What cannot be compiled exactly is refused by name, where it stands, with advice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hdf5_models import Weights, entry
from hdf5_models import write_layers as write

import calocc
from calocc.compiler.data import BadInput
from calocc.compiler.design import NotADesign
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import BadData, BadFormat, CannotSave, load_arrays, save_arrays
from calocc.compiler.keras.importer import import_model
from calocc.compiler.keras.layers.registry import Overrides
from calocc.compiler.main import main
from calocc.compiler.manifest import write_manifest
from calocc.compiler.run_main import main as run_main
from calocc.dialects.fixed.format import Format
from calocc.runtime.emulator import execute

EXAMPLES = Path(__file__).parents[2] / "examples"
JETS = EXAMPLES / "jets/jets.h5"
IMAGE, ROW = (4, 6, 2), (6,)
BITS = "quantized_bits(4,0,alpha=1)"


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def quantized_input(shape: tuple[int, ...] = IMAGE) -> list[dict[str, Any]]:
    return [
        entry("x", "InputLayer", batch_input_shape=[None, *shape]),
        entry("q", "QActivation", "x", activation="quantized_bits(6,2,alpha=1)"),
    ]


def single(
    path: Path,
    class_name: str,
    weights: Weights | None = None,
    shape: tuple[int, ...] = IMAGE,
    **config: Any,
) -> Path:
    """A model of one layer `y` behind a quantized input."""
    layers = [*quantized_input(shape), entry("y", class_name, "q", **config)]
    return write(path, layers, {"y": weights or {}})


CONV: Weights = {"kernel": ones(3, 3, 2, 5), "bias": ones(5)}
CONV_CONFIG = {"filters": 5, "kernel_size": [3, 3], "kernel_quantizer": BITS}
NORM = {n: ones(2) for n in ("gamma", "beta", "moving_mean", "moving_variance")}
DENSE = {"kernel": ones(6, 3), "bias": ones(3)}
UP = {"filters": 3, "kernel_size": [2, 3], "strides": 2}
Case = tuple[str, Weights, tuple[int, ...], dict[str, Any], str]


def conv(words: str, weights: Weights = CONV, **config: Any) -> Case:
    return "QConv2D", weights, IMAGE, CONV_CONFIG | config, words


def dense(words: str, weights: Weights = DENSE, **config: Any) -> Case:
    return "QDense", weights, ROW, {"units": 3, "kernel_quantizer": BITS} | config, words


def plain(class_name: str, words: str, shape: tuple[int, ...] = IMAGE, **config: Any) -> Case:
    return class_name, NORM, shape, config, words


def up(words: str, **config: Any) -> Case:
    kernel = np.arange(36, dtype=np.float32).reshape(2, 3, 3, 2)
    weights = {"kernel": kernel, "bias": ones(3)}
    return "QConv2DTranspose", weights, IMAGE, UP | config, words


def embedding(words: str, **config: Any) -> Case:
    sizes = {"input_dim": 3, "output_dim": 2}
    return "Embedding", {"embeddings": ones(3, 2)}, ROW, sizes | config, words


def proxy(words: str, bits: Any, integers: Any = 3, signs: Any = 1, **config: Any) -> Case:
    arrays = zip(("keep_negative", "bits", "integers"), (signs, bits, integers), strict=True)
    weights = {name: np.atleast_1d(np.asarray(values, np.int8)) for name, values in arrays}
    return "FixedPointQuantizer", weights, IMAGE, {"RND": "TRN", "SAT": "WRAP"} | config, words


def adaptive(words: str, extrema: int = 1, **config: Any) -> Case:
    weights = {"ema_min": ones(extrema), "ema_max": ones(extrema)}
    own = {"activation": "quantized_bits", "total_bits": 6}
    return "QAdaptiveActivation", weights, IMAGE, own | config, words


def timed(words: str, inner: str, shape: tuple[int, ...] = IMAGE, **config: Any) -> Case:
    layer = {"class_name": inner, "config": {"name": "inner", **config}}
    return "TimeDistributed", NORM, shape, {"layer": layer}, words


LAYERS: dict[str, Case] = {
    "dilated by nothing": conv("cannot move by (0, 2)", dilation_rate=[0, 2]),
    "dilated and strided": conv("both moves by (1, 2) and is dilated by (3, 3)",
        strides=[1, 2], dilation_rate=3),
    "grouped": conv("2 groups do not divide 2 channels and 5 filters", groups=2),
    "channels-first": conv("data_format='channels_first'", data_format="channels_first"),
    "causal": conv("padding='causal'", padding="causal"),
    "no-stride": conv("a window of size (3, 3) cannot move by (0, 1)", strides=[0, 1]),
    "huge-stride": conv("strides=[10000", strides=[10**30, 1]),
    "large-window": conv("the image (4, 6, 2) is smaller than the window",
        {"kernel": ones(5, 5, 2, 5), "bias": ones(5)}, kernel_size=[5, 5]),
    "kernel-shape": conv("kernel has the shape (3, 3, 2, 5), not (3, 3, 2, 4)", filters=4),
    "kernel-size": conv("kernel has the shape (3, 3, 2, 5), not (2, 2, 2, 5)", kernel_size=2),
    "kernel-rank": dense("kernel has the shape (18,), not (6, 3)", {"kernel": ones(18)}),
    "bias-of-one": dense("bias has the shape (1,), not (3,)",
        {"kernel": ones(6, 3), "bias": ones(1)}),
    "no-weights": dense("has no weight 'kernel'", {}),
    "nan": dense("2 values that are NaN or infinite",
        {"kernel": np.array([[np.nan, np.inf, 1.0]] * 1), "bias": ones(3)}),
    "output-padding": up("output_padding=2 does not fit 4 pixels, 2 taps, stride 2",
        output_padding=[2, 1]),
    "output-padding-below-zero": up("output_padding=-1 does not fit 6", output_padding=[0, -1]),
    "no-output-padding": up("output_padding=0 does not fit 4 pixels, 2 taps, stride 2",
        output_padding=[0, 1], padding="same"),
    "dilations": up("dilation_rate=(2, 3) varies", strides=1, dilation_rate=[2, 3]),
    "dilated-transposition": up("both moves by (2, 2) and is dilated by (1, 2)",
        dilation_rate=[1, 2]),
    "scales-of-inputs": up("alpha='auto') finds are no powers of two, one per input channel",
        kernel_quantizer="quantized_bits(4,0,alpha='auto')"),
    "transposed-channels-first": up("data_format='channels_first'", data_format="channels_first"),
    "transposed-groups": up("groups=2", groups=2),
    "transposed-kernel": up("kernel has the shape (2, 3, 3, 2), not (2, 3, 4, 2)", filters=4),
    "activation": dense("the activation 'log_softmax' is not known", activation="log_softmax"),
    "quantizer": dense("is not a known quantizer", kernel_quantizer="my_bits(4)"),
    "random": dense("draws random numbers at inference", kernel_quantizer="bernoulli()"),
    "bicubic": plain("UpSampling2D", "interpolation='bicubic' is neither 'nearest' nor 'bilinear'",
        interpolation="bicubic"),
    "area": plain("UpSampling2D", "interpolation='area' is neither", interpolation="area"),
    "lanczos": plain("UpSampling2D", "interpolation='lanczos3' is n", interpolation="lanczos3"),
    "gaussian": plain("UpSampling2D", "interpolation='gaussian' is n", interpolation="gaussian"),
    "mitchell": plain("UpSampling2D", "interpolation='mitchellcubic'",
        interpolation="mitchellcubic"),
    "no-size": plain("UpSampling2D", "(0, 2) are not how often rows and columns repeat",
        interpolation="bilinear", size=[0, 2]),
    "relu-threshold": plain("ReLU", "its threshold -1.0 is negative", threshold=-1.0),
    "relu-slope": plain("ReLU", "its negative_slope -0.5 is negative", negative_slope=-0.5),
    "prelu-axes": plain("PReLU", "shared_axes=['a'] is not a list of axes", shared_axes=["a"]),
    "norm-axis": plain("BatchNormalization", "axis=5 is not an axis of its operand", axis=[1, 5]),
    "norm-batch": plain("BatchNormalization", "axis=0 is not an axis of its operand", axis=0),
    "renorm": plain("BatchNormalization", "renorm=True", renorm=True),
    "embedding-rows": embedding("embeddings has the shape (3, 2), not (4, 2)", input_dim=4),
    "embedding-key": embedding("combiner='sum', which is not interpreted", combiner="sum"),
    "no-layer-norm-axis": plain("LayerNormalization", "axis=[] is not a list of axes", axis=[]),
    "layer-norm-none": plain("LayerNormalization", "no axis to normalise over", axis=None),
    "layer-norm-axis": plain("LayerNormalization", "axis=4 is not an axis of its operand", axis=4),
    "layer-norm-epsilon": plain("LayerNormalization", "its epsilon 0 is not positive", epsilon=0.0),
    "layer-norm-rms": plain("LayerNormalization", "rms_scaling=True", rms_scaling=True),
    "layer-norm-gamma": plain("LayerNormalization", "gamma has 2 elements, not 6", axis=2),
    "softmax-axis": plain("Softmax", "axis=4 is not an axis of its operand", axis=4),
    "concatenate": plain("Concatenate", "axis=4 is not an axis of its operands", axis=4),
    "reshape": plain("Reshape", "target_shape=5 is not understood", target_shape=5),
    "wrong-rank": plain("MaxPooling2D", "it takes 3 axes besides the batch", ROW),
    "unknown-class": plain("Mystery", "this class of layer is not known", units=3),
    "close-class": plain("QDens", "the closest known class is QDense"),
    "lambda": plain("Lambda", "stored as Python bytecode, which is not", function="cXVpdCgp"),
    "half": plain("Flatten", "dtype='float16', only 'float32' is supported", dtype="float16"),
    "new-key": plain("Flatten", "secret=1, which is not interpreted", secret=1),
    "no-steps": timed("its operand (6,) has no steps", "ReLU", ROW),
    "no-inner-layer": plain("TimeDistributed", "it has no inner layer", layer=None),
    "inner-model": timed("its inner layer is a model (Sequential)", "Sequential", layers=[]),
    "inner-unknown": timed("this class of layer is not known", "Mystery", units=3),
    "inner-refused": timed("by a norm of the event's own values", "UnitNormalization"),
    "inner-key": timed("secret=1, which is not interpreted", "Flatten", secret=1),
    "many-steps": timed("would be copied for each of 65 steps", "ZeroPadding2D", (65, 4, 4, 2)),
    "mask-value": plain("Masking", "its mask_value 0.1 is no fixed-point number", mask_value=0.1),
    "proxy-pixels": proxy("its formats differ from pixel to pixel", np.arange(48).reshape(4, 6, 2)),
    "proxy-shape": proxy("its stored bits has the shape (3,), which does not", [4, 4, 4]),
    "proxy-bits": proxy("its formats have not 0 to 24 bits", 25),
    "proxy-sign": proxy("or a sign of neither 0 nor 1", 5, signs=2),
    "proxy-place": proxy("it quantizes with integer=99, which must be within 96 of", 5, 99),
    "proxy-apart": proxy("it quantizes with bits=67, which must be 1 to 62 here", 5, [50, -11]),
    "proxy-reflection": proxy("SAT='WRAP_SM', expected one of wrap, sat", 5, SAT="WRAP_SM"),
    "proxy-to-zero": proxy("channels of different formats overflow to 0", [4, 5], SAT="SAT_ZERO"),
    "adaptive-bits": adaptive("it quantizes with bits=40, which must be", total_bits=40),
    "adaptive-slope": adaptive("it quantizes with negative_slope=0.3, which must be 0 or a power",
        activation="quantized_relu", relu_neg_slope=0.3),
    "adaptive-bound": adaptive("relu_upper_bound=2.0, only None", relu_upper_bound=2.0),
    "adaptive-kind": adaptive("activation='binary', expected one of", activation="binary"),
    "adaptive-channels": adaptive("its stored ema_min has the shape (1,), not (2,)",
        per_channel=True),
    "binary-scale": ("BinaryDense", DENSE, ROW, {"units": 3, "H": 0.0}, "its H=0 is no positive"),
    "shift-shape": ("QScaleShift", {"weight": ones(1), "bias": ones(1, 1)}, ROW, {},
        "its stored weight has the shape (1,), not (1, 1)"),
    "huge-tensor": plain("UpSampling2D", "its result has 4800000000 elements", size=[10**4, 10**4]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_cannot_be_imported(name: str, tmp_path: Path) -> None:
    class_name, weights, shape, config, words = LAYERS[name]
    with pytest.raises(CaloccError) as caught:
        import_model(single(tmp_path / "m.h5", class_name, weights, shape, **config))
    assert words in str(caught.value)
    assert "'y'" in caught.value.where or "y/kernel" in caught.value.what
    assert caught.value.hint


def test_a_variance_below_zero(tmp_path: Path) -> None:
    weights = NORM | {"moving_variance": np.array([1.0, -0.5])}
    with pytest.raises(CaloccError, match=r"variance -0\.5 plus epsilon 0\.001 is not positive"):
        import_model(single(tmp_path / "m.h5", "BatchNormalization", weights))


# ---- inputs of models --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "words"),
    [([None, None, 2], "its shape (None, 2) is not fixed"), ([None], "it is a single number")],
)
def test_inputs_without_a_fixed_shape(shape: Any, words: str, tmp_path: Path) -> None:
    layers = [
        entry("x", "InputLayer", batch_input_shape=shape),
        entry("y", "Activation", "x", activation="relu"),
    ]
    with pytest.raises(CaloccError) as caught:
        import_model(write(tmp_path / "m.h5", layers, {}))
    assert caught.value.where == "layer 'x' (InputLayer)"
    assert caught.value.what == words


def test_an_input_that_no_output_needs(tmp_path: Path) -> None:
    spare = entry("spare", "InputLayer", batch_input_shape=[None, 3])
    layers = [*quantized_input(), spare, entry("y", "Flatten", "q")]
    with pytest.raises(CaloccError, match=r"layer 'spare' .*: no output depends on it"):
        import_model(write(tmp_path / "m.h5", layers, {}))


@pytest.mark.parametrize(
    ("key", "slope"),
    [("batch_input_shape", 0.2), ("batch_shape", 1 / 6)],
    ids=["keras-2", "keras-3"],
)
def test_the_hard_sigmoid_is_that_of_the_version(key: str, slope: float, tmp_path: Path) -> None:
    """Keras 3 changed it, and is told by the name under which it writes the input shape."""
    layers = [
        entry("x", "InputLayer", **{key: [None, 3]}),
        entry("y", "Activation", "x", activation="hard_sigmoid"),
    ]
    x = np.array([[-1.0, 0.5, 4.0]])
    (y,) = execute(import_model(write(tmp_path / "m.h5", layers, {})), [x])
    np.testing.assert_allclose(y, np.clip(slope * x + 0.5, 0, 1), rtol=1e-12)


def test_operands_that_do_not_fit(tmp_path: Path) -> None:
    flat, norm = entry("f", "Flatten", "q"), entry("d", "UpSampling2D", "q", size=[2, 2])
    layers = [*quantized_input(), flat, norm, entry("y", "Add", "q", "d")]
    with pytest.raises(CaloccError, match=r"shapes \(4, 6, 2\), \(8, 12, 2\), which do not fit"):
        import_model(write(tmp_path / "m.h5", layers, {}))


# ---- numerics ----------------------------------------------------------------------------------

RANDOM = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
NUMERICS: dict[str, Case] = {
    "auto-activation": plain("QActivation", "alpha='auto') depends on the batch", ROW,
        activation="quantized_bits(4,0,alpha='auto')"),
    "no-grid": plain("QActivation", "not multiples of one power of two", ROW,
        activation="quantized_linear(4,alpha=0.3)"),
    "off-the-grid": plain("QActivation", "the result of mu_law has no number of bits", ROW,
        activation="quantized_ulaw(4)"),
    "plain-kernel": ("Dense", {"kernel": RANDOM}, ROW, {"units": 3, "use_bias": False},
        "its weights are not quantized: they need"),
    "kernel-off-the-grid": dense("quantized by quantized_ulaw(4,0), but they need",
        {"kernel": RANDOM, "bias": ones(3)}, kernel_quantizer="quantized_ulaw(4,0)"),
    "kernel-of-many-bits": dense("quantized by quantized_bits(30,0,alpha=1.0), but they need 3",
        {"kernel": RANDOM.astype(np.float64) / 3, "bias": ones(3)},
        kernel_quantizer="quantized_bits(30,0,alpha=1)"),
    "bare-function": plain("Activation", "--set y.output=fixed<W,I>", ROW, activation="tanh"),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMERICS)
def test_layers_without_a_number_of_bits(name: str, tmp_path: Path) -> None:
    class_name, weights, shape, config, words = NUMERICS[name]
    path = single(tmp_path / "m.h5", class_name, weights, shape, **config)
    with pytest.raises(CaloccError) as caught:
        calocc.compile(path)
    assert "layer 'y'" in str(caught.value)
    assert words in str(caught.value)


def quantizing(name: str, text: str, *sources: str) -> dict[str, Any]:
    return entry(name, "QActivation", *sources, activation=text)


X = entry("x", "InputLayer", batch_input_shape=[None, 6])
A, B = (quantizing(name, "quantized_bits(4,1,alpha=1)", "x") for name in "ab")
INPUTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "none": ([X, entry("y", "ReLU", "x")], "no quantizer stands between it and layer 'y'"),
    "output": ([X, A, entry("y", "Concatenate", "a", "x")],
        "of layer 'a' and layer 'y', which read it, not all quantize it"),
    "different": ([X, A, quantizing("b", "quantized_relu(4,1)", "x"), entry("y", "Add", "a", "b")],
        "layer 'a' and layer 'b' quantize it differently: quantized_bits(4,1,alpha=1.0), quant"),
    "slope": ([X, quantizing("y", "quantized_relu(6,2,negative_slope=0.25)", "x")],
        "quantized_relu(6,2,negative_slope=0.25) of layer 'y' does more than round and saturate"),
    "table": ([X, quantizing("y", "quantized_tanh(6,use_real_tanh=1)", "x")], "does more than"),
    "batch": ([X, quantizing("y", "quantized_bits(6,alpha='auto')", "x")], "depends on the batch"),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_say_why_they_have_no_format(name: str, tmp_path: Path) -> None:
    layers, words = INPUTS[name]
    path = write(tmp_path / "m.h5", layers, {})
    with pytest.raises(CaloccError) as caught:
        calocc.compile(path)
    assert words in str(caught.value)
    if name != "batch":
        assert caught.value.where == "input 'x'"
        assert calocc.compile(path, inputs={"x": "fixed<10,4>"}).inputs[0].format is not None


def test_one_quantizer_in_two_places_is_a_format(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", [X, A, B, entry("y", "Add", "a", "b")], {})
    assert str(calocc.compile(path).inputs[0].format) == "fixed<4,2>"


def test_a_function_with_a_quantizer_for_each_reader(tmp_path: Path) -> None:
    """Only one behind the function makes it a table."""
    texts = ("quantized_bits(4,0,alpha=1)", "quantized_bits(5,0,alpha=1)")
    ends = [quantizing(name, text, "f") for name, text in zip("yz", texts, strict=True)]
    layers = [*quantized_input(ROW), entry("f", "Activation", "q", activation="tanh"), *ends]
    with pytest.raises(CaloccError) as caught:
        calocc.compile(write(tmp_path / "m.h5", layers, {}, outputs="y z"))
    words = "the result of tanh has no number of bits: no quantizer stands between it and layer"
    assert words in caught.value.what
    assert "one QActivation right behind it for all that read it" in caught.value.hint


def test_a_setting_of_the_kernel_holds_for_all_kernels_of_a_layer(tmp_path: Path) -> None:
    weights = {"depthwise_kernel": RANDOM[:4, :2].reshape(2, 2, 2, 1) / 3, "bias": ones(3)}
    weights["pointwise_kernel"] = RANDOM[:2].reshape(1, 1, 2, 3) / 3
    path = single(tmp_path / "m.h5", "SeparableConv2D", weights, filters=3, kernel_size=[2, 2])
    with pytest.raises(CaloccError, match=r"pass --set y\.kernel=fixed<W,I>"):
        calocc.compile(path)
    design = calocc.compile(path, settings=("y.kernel=fixed<6,2>",))
    x = np.random.default_rng(1).normal(0, 1, (4, *IMAGE))
    formats = {("y", "kernel"): Format.parse("fixed<6,2>")}
    (reals,) = execute(import_model(path, Overrides(formats)), [x])
    assert np.array_equal(design.predict(x), reals)


def test_settings_make_up_for_missing_quantizers(tmp_path: Path) -> None:
    settings = {"plain-kernel": "y.kernel=fixed<6,2>", "bare-function": "y.output=fixed<8,1>"}
    for name, setting in settings.items():
        class_name, weights, shape, config, _ = NUMERICS[name]
        path = single(tmp_path / "m.h5", class_name, weights, shape, **config)
        design = calocc.compile(path, settings=(setting,))
        assert len(design.predict(np.ones((2, 6)))) == 2


# ---- options -----------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model whose input has no quantizer."""
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 6]),
        entry("y", "Activation", "x", activation="relu"),
    ]
    return write(tmp_path / "bare.h5", layers, {})


@pytest.mark.parametrize(
    "text",
    [
        "fixed<33,1>",
        "fixed<1,1>",
        "ufixed<0,0>",
        "fixed<8,99>",
        "ufixed<8,-60>",
        "int8",
        "fixed<8>",
    ],
)
def test_formats_that_no_quantizer_has(text: str, bare: Path) -> None:
    with pytest.raises(BadFormat) as caught:
        calocc.compile(bare, inputs={"x": text})
    assert caught.value.where == "option --input x"
    assert text in caught.value.what


def test_formats_as_objects_are_checked_too(bare: Path) -> None:
    with pytest.raises(BadFormat, match="has not 2 to 32 bits"):
        calocc.compile(bare, inputs={"x": Format(True, 1, 1)})


@pytest.mark.parametrize("text", ["fixed<2,1>", "ufixed<1,0>", "fixed<32,16>", "ufixed<16,-16>"])
def test_formats_at_the_limits_work(text: str, bare: Path) -> None:
    (port,) = calocc.compile(bare, inputs={"x": text}).inputs
    assert port.format == Format.parse(text)


def test_two_formats_for_one_thing(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--input", "x=fixed<8,2>", "--input", "x=fixed<9,2>"]
    assert "this input is given two formats" in refused([str(bare), *given], capsys)
    settings = ["--set", "y.output=fixed<8,2>", "--set", "y.output=fixed<9,2>"]
    assert "this tensor is given two formats" in refused([str(bare), *settings], capsys)


def test_foldings_that_would_be_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([str(JETS), "-O1", "--set", "dense_2.pe=4"], capsys)
    assert "-O1 would ignore this one" in message


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What `calocc` says as it exits with 1."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("other", ["--json", "-oplace"])
def test_options_that_contradict_each_other(other: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(JETS), "--emit", "qnn", other])
    assert caught.value.code == 2
    assert "prints IR alone: no --json, -o or --timeline with it" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file/design", "x" * 300):
        message = refused([str(JETS), "-o", str(tmp_path / place)], capsys)
        assert "it cannot be written" in message
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_reader_that_stops_early(tmp_path: Path) -> None:
    code = "import sys; from calocc.compiler.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, str(EXAMPLES / "digits/digits.h5"), "--emit", "fixed"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


# ---- data --------------------------------------------------------------------------------------


def archive(path: Path, member: str, content: bytes) -> None:
    with ZipFile(path, "w") as file:
        file.writestr(member, content)


def half(path: Path) -> None:
    np.savez(path, x=np.zeros((40, 6)))
    path.write_bytes(path.read_bytes()[:-90])


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "No such file"),
    "text": (lambda path: path.write_text("x,y\n1,2\n"), "it is no .npz file"),
    "npy": (lambda path: path.write_bytes(b"\x93NUMPY"), "it is no .npz file"),
    "cut": (half, "it is no .npz file, or it is cut short"),
    "empty": (lambda path: archive(path, "readme", b""), "it holds no arrays"),
    "no-array": (lambda path: archive(path, "x.npy", b"hello"), "it cannot be read"),
    "objects": (lambda path: np.savez(path, x=np.array([{}, None])), "it cannot be read"),
    "huge": (
        lambda path: archive(path, "x.npy", b"\x93NUMPY\x01\x00\x46\x00"
            + b"{'descr':'<f8','fortran_order':False,'shape':(99999999999999,)}".ljust(70)),
        "it cannot be read"),
    "names": (lambda path: np.savez(path, z=np.zeros((3, 6))), "it has no array 'x'"),
    "shape": (lambda path: np.savez(path, x=np.zeros((3, 7))), "not (events, 6)"),
    "no-events": (lambda path: np.savez(path, x=np.zeros((0, 6))), "holds no events"),
    "words": (lambda path: np.savez(path, x=np.array([["a"] * 6])), "holds <U1, not numbers"),
    "nan": (lambda path: np.savez(path, x=np.full((3, 6), np.nan)), "NaN or infinite"),
    "large": (lambda path: np.savez(path, x=np.full((3, 6), 1e30)), "beyond 2^32"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_calibration_data_that_cannot_be_used(name: str, bare: Path) -> None:
    make, words = FILES[name]
    data = bare.parent / "data.npz"
    make(data)
    with pytest.raises(BadData) as caught:
        calocc.compile(bare, calibrate=data)
    assert caught.value.where == str(data)
    assert words in caught.value.what


def test_arrays_in_memory_are_checked_like_files(bare: Path) -> None:
    with pytest.raises(BadData, match="array 'x' holds NaN"):
        calocc.compile(bare, calibrate={"x": np.full((3, 6), np.inf)})


@pytest.mark.parametrize("value", [0.0, 1e-30, -1e-30, 1.0, -4.0, 2.0**31, True])
def test_calibrated_formats_hold_the_data(value: Any, bare: Path) -> None:
    design = calocc.compile(bare, calibrate={"x": np.full((3, 6), value)})
    (port,) = design.inputs
    assert port.format is not None
    assert port.format.width == 16
    got = design.predict(np.full((1, 6), float(value)))
    np.testing.assert_allclose(got, max(float(value), 0.0), rtol=2.0**-15, atol=2.0**-32)


WRONG_INPUTS: dict[str, tuple[Any, str]] = {
    "shape": (np.zeros((2, 7)), "its array has the shape (2, 7), not (events, 6)"),
    "rank": (np.zeros(6), "its array has the shape (6,), not (events, 6)"),
    "words": (np.array([["a"] * 6]), "not numbers"),
    "nan": (np.full((1, 6), np.nan), "NaN or infinite"),
    "name": ({"y": np.zeros((1, 6))}, "no array is given for it"),
}


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_events_that_do_not_fit(name: str, bare: Path) -> None:
    given, words = WRONG_INPUTS[name]
    with pytest.raises(BadInput) as caught:
        calocc.compile(bare, inputs={"x": "fixed<8,2>"}).predict(given)
    assert caught.value.where == "input 'x'"
    assert words in caught.value.what


def test_results_of_any_name_are_saved(tmp_path: Path) -> None:
    """Layers may be called as the parameters of `numpy.savez`, or contain a slash."""
    arrays = {name: np.arange(3) + 0.5 for name in ("file", "allow_pickle", "outer/inner", "arr_0")}
    save_arrays(tmp_path / "y.npz", arrays)
    for read in (load_arrays(tmp_path / "y.npz"), dict(np.load(tmp_path / "y.npz"))):
        assert read.keys() == arrays.keys()
        assert all(np.array_equal(read[name], arrays[name]) for name in arrays)


def test_results_that_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(CannotSave, match="it cannot be written: No such file or directory"):
        save_arrays(tmp_path / "nowhere/y.npz", {"y": np.zeros(3)})


# ---- written designs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calocc.compile(JETS, opt_level=0).write(tmp_path_factory.mktemp("design") / "jets")


DAMAGE: dict[str, tuple[str, Callable[[str], str], str]] = {
    "report": ("report.json", lambda text: text[:-40], "no readable design"),
    "list": ("report.json", lambda text: "[]", "no readable design"),
    "no-name": ("report.json", lambda text: "{}", "no readable design"),
    "garbage": ("model.mlir", lambda text: "hello", "model.mlir is damaged"),
    "nothing": ("model.mlir", lambda text: "", "model.mlir is damaged"),
    "no-main": ("model.mlir", lambda text: "builtin.module {}", "no function @main"),
    "no-ports": (
        "model.mlir", lambda text: "func.func @main() { func.return }", "no inputs or no outputs"),
    "cut": ("model.mlir", lambda text: text[: len(text) * 3 // 4], "model.mlir"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_designs(name: str, design: Path) -> None:
    file, damage, words = DAMAGE[name]
    original = (design / file).read_text()
    (design / file).write_text(damage(original))
    write_manifest(design, {})
    try:
        with pytest.raises(NotADesign) as caught:
            calocc.load(design)
    finally:
        (design / file).write_text(original)
        write_manifest(design, {})
    assert caught.value.where == str(design)
    assert words in caught.value.what


def test_run_refuses_wrong_data(
    design: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "short.npz", jets=np.zeros((3, 15)))
    np.savez(tmp_path / "good.npz", jets=np.zeros((3, 16)), label=np.array(["a", "b", "c"]))
    out = tmp_path / "y.npz"
    for data, place, words in (
        ("short.npz", out, "its array has the shape (3, 15)"),
        ("none.npz", out, "No such file"),
        ("good.npz", tmp_path / "no/y.npz", "it cannot be written"),
    ):
        with pytest.raises(SystemExit) as caught:
            run_main([str(design), "--data", str(tmp_path / data), "--out", str(place)])
        assert caught.value.code == 1
        assert words in capsys.readouterr().err
        assert not place.exists()
    run_main([str(design), "--data", str(tmp_path / "good.npz"), "--out", str(out)])
    assert load_arrays(out)["softmax"].shape == (3, 5)
