"""DeepCalo on images alone, at full size: electron energies from calorimeter showers.

    python -m examples.deepcalo.train [--epochs N] [--events N] [--resume FILE]

from the root of the repository writes `deepcalo_image.h5` and `test_data.npz` beside this file:
42.7 million multiplications per event, 1.8 million weights of 6 bits. The showers come from
`showers.py`. The committed file was trained with the default options and `--threads 2`: 6000
showers, 10 epochs of 188 batches, 16 minutes. `--resume` starts from a saved file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calocc.runtime.reference import Inputs, ReferenceModules, load_keras_model
from examples.common import Array, save_model, save_test_data, seeded_modules, training_parser
from examples.deepcalo.showers import SHAPE, generate

BLOCKS = ((16,), (32, 32), (64, 64), (128, 128), (256, 256))
"""Filters of the convolutions of each block; every block but the first begins with a max pool."""

DENSE_UNITS = (256, 256)
TEST_EVENTS = 128
CALIBRATION_EVENTS = 256


def build(modules: ReferenceModules, seed: int, freeze_after: int) -> Any:
    """The untrained network: image in units of 8 GeV to energy in GeV.

    After `freeze_after` training steps the batch-norm statistics stay fixed, so that the last part
    of the training sees the network exactly as inference does.
    """
    keras, qkeras = modules.keras, modules.qkeras

    def options(name: str, layer_seed: int) -> dict[str, Any]:
        return {
            "kernel_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
            "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
            "kernel_initializer": keras.initializers.Orthogonal(seed=seed * 100 + layer_seed),
            "name": name,
        }

    def act(name: str, quantizer: str = "quantized_relu(6,1)") -> Any:
        return qkeras.QActivation(quantizer, name=name)

    image = value = keras.layers.Input(SHAPE, name="image")
    value = act("image_quantizer", "quantized_bits(14,4,1,alpha=1)")(value)
    value = keras.layers.UpSampling2D((1, 5), interpolation="nearest", name="upsampling")(value)
    value = act("upsampling_quantizer", "quantized_bits(14,4,1,alpha=1)")(value)
    index = 0
    for block, filters in enumerate(BLOCKS):
        if block:
            value = keras.layers.MaxPooling2D(2, name=f"max_pool_{block}")(value)
        for width in filters:
            size = 3 if index else 5
            conv = qkeras.QConv2DBatchnorm(
                width,
                size,
                padding="same",
                momentum=0.9,
                ema_freeze_delay=freeze_after,
                **options(f"conv_{index}", index),
            )
            value = act(f"conv_{index}_relu")(conv(value))
            index += 1
    value = keras.layers.Flatten(name="flatten")(value)
    for number, units in enumerate(DENSE_UNITS):
        dense = qkeras.QDense(units, **options(f"dense_{number}", index + number))
        value = act(f"dense_{number}_relu")(dense(value))
    value = qkeras.QDense(1, **options("energy", index + len(DENSE_UNITS)))(value)
    # Seven integer bits, not the six of the original: 14 bits with six end at 64 GeV.
    value = act("energy_quantizer", "quantized_relu(14,7)")(value)
    return keras.Model(image, value, name="deepcalo_image")


def calibrate(modules: ReferenceModules, model: Any, images: Array, energies: Array) -> None:
    """Set scales from data, layer by layer, so that no activation starts dead or saturated.

    Convolutions get the batch-norm statistics of `images`, dense layers are scaled to unit
    variance, and the last layer is a ridge regression of the energy on the random features.
    """
    for layer in model.layers:
        if not hasattr(layer, "kernel_quantizer_internal"):
            continue
        part: Any = modules.keras.Model(model.inputs, layer.input)
        value = np.asarray(part.predict(images, verbose=0))
        if hasattr(layer, "batchnorm"):
            _calibrate_norm(modules, layer, value)
        elif layer.units == 1:
            layer.kernel.assign(_ridge(value, energies)[:, None])
        else:
            layer.kernel.assign(layer.kernel / np.std(value @ np.asarray(layer.kernel)))


def _calibrate_norm(modules: ReferenceModules, layer: Any, value: Array) -> None:
    convolved = modules.keras.backend.conv2d(value, layer.kernel, padding="same")
    norm = layer.batchnorm
    norm.moving_mean.assign(np.mean(convolved, (0, 1, 2)))
    norm.moving_variance.assign(np.var(convolved, (0, 1, 2)))
    if layer.name == "conv_0":
        # Few hot cells make up its variance; lower gains keep their energies below saturation.
        norm.gamma.assign(np.geomspace(1.0, 0.125, layer.filters))


def _ridge(value: Array, energies: Array) -> Array:
    """Least squares of relative errors, with a penalty that keeps most weights in range."""
    rows = value / energies[:, None]
    penalty = 0.1 * len(rows) * np.mean(rows**2) * np.eye(rows.shape[1])
    linalg: Any = np.linalg
    return np.clip(linalg.solve(rows.T @ rows + penalty, rows.sum(0)), -2.0, 2.0)


def train(
    modules: ReferenceModules, model: Any, inputs: Inputs, energies: Array, arguments: Any
) -> None:
    """Fit with Adam, its rate falling along a half cosine to zero over all epochs."""
    tensorflow, keras = modules.tensorflow, modules.keras

    def relative_log_cosh(truth: Any, predicted: Any) -> Any:
        # In tenths: quadratic for relative errors well below 10 %, linear above.
        error = 10.0 * (predicted / truth - 1.0)
        return tensorflow.reduce_mean(error + tensorflow.math.softplus(-2.0 * error))

    # Without the last quantizer, whose gradient vanishes where it saturates.
    part: Any = keras.Model(model.inputs, model.get_layer("energy").output)
    rate = keras.optimizers.schedules.CosineDecay(arguments.rate, steps(arguments))
    part.compile(keras.optimizers.legacy.Adam(rate), relative_log_cosh, ["mape"])
    part.fit(inputs, energies[:, None], arguments.batch, arguments.epochs, verbose=2)


def steps(arguments: Any) -> int:
    """Training steps, by the options `epochs`, `events` and `batch`."""
    return arguments.epochs * -(-arguments.events // arguments.batch)


def report(model: Any, inputs: Inputs, energies: Array) -> None:
    """Print correlation and relative errors; IQR75 is Q(0.875) - Q(0.125) of E_pred/E_true - 1."""
    predicted = np.asarray(model.predict(inputs, verbose=0))[:, 0]
    error = predicted / energies - 1.0
    low, high = np.quantile(error, [0.125, 0.875])
    correlation = np.corrcoef(predicted, energies)[0, 1]
    print(f"test correlation {correlation:.4f} on {len(energies)} showers")
    print(f"relative error: mean {np.abs(error).mean():.4f}, median {np.median(error):+.4f}")
    print(f"IQR75 {high - low:.4f}, rms {np.sqrt(np.mean(error**2)):.4f}")


def main() -> None:
    """Generate, calibrate, train, report and save."""
    parser = training_parser(__doc__, epochs=10)
    parser.add_argument("--events", type=int, default=6000, help="training showers, default 6000")
    parser.add_argument("--batch", type=int, default=32, help="default 32")
    parser.add_argument(
        "--rate", type=float, default=3e-4, help="first learning rate, default 3e-4"
    )
    parser.add_argument("--resume", type=Path, help="start from this .h5 instead of from scratch")
    arguments = parser.parse_args()
    directory: Path = arguments.output or Path(__file__).parent
    modules = seeded_modules(arguments.seed, arguments.threads)
    images, energies = generate(arguments.events, arguments.seed)
    test_images, test_energies = generate(1024, arguments.seed + 1_000_000)
    if arguments.resume:
        model = load_keras_model(arguments.resume)
    else:
        model = build(modules, arguments.seed, steps(arguments) * 3 // 5)
        some = slice(CALIBRATION_EVENTS)
        calibrate(modules, model, images[some], energies[some])
    if arguments.epochs:
        train(modules, model, images, energies, arguments)
    saved = slice(TEST_EVENTS)
    save_model(model, directory / "deepcalo_image.h5", test_images[saved])
    save_test_data(directory / "test_data.npz", {"image": test_images[saved]}, test_energies[saved])
    report(model, test_images, test_energies)


if __name__ == "__main__":
    main()
