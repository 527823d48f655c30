"""Digits: a small residual network on the 8x8 handwritten digits of scikit-learn.

    python -m examples.digits.train

from the root of the repository writes `digits.h5` and `test_data.npz` beside this file. The data
come with scikit-learn (`pip install 'calocc[examples]'`); a quarter of them is kept for the test.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from calocc.runtime.reference import ReferenceModules
from examples.common import Array, save_model, save_test_data, seeded_modules, training_parser

TEST_EVENTS = 256


def load(seed: int) -> tuple[Array, Array, Array, Array]:
    """Training images and labels, test images and labels.

    Images are float32 `(events, 8, 8, 1)` in steps of 1/16 from 0 to 1.
    """
    digits: Any = importlib.import_module("sklearn.datasets").load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.images))
    images = (digits.images[order, :, :, None] / 16).astype(np.float32)
    label = digits.target[order]
    cut = len(images) * 3 // 4
    return images[:cut], label[:cut], images[cut:], label[cut:]


def build(modules: ReferenceModules) -> Any:
    """The untrained network; its outputs are ten logits."""
    layers, qkeras = modules.keras.layers, modules.qkeras
    quantizers: dict[str, Any] = {
        "kernel_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
        "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
    }

    def conv(name: str, kind: Any = qkeras.QConv2D, **options: Any) -> Any:
        return kind(16, 3, padding="same", name=name, **quantizers, **options)

    def act(name: str, quantizer: str = "quantized_relu(6,2)") -> Any:
        return qkeras.QActivation(quantizer, name=name)

    inputs = layers.Input((8, 8, 1), name="digits")
    value = act("input_quantizer", "quantized_bits(8,1,alpha=1)")(inputs)
    value = act("relu_1")(conv("conv_1", qkeras.QConv2DBatchnorm)(value))
    value = shortcut = layers.MaxPooling2D(2, name="max_pool")(value)
    value = act("relu_2")(layers.BatchNormalization(name="batch_norm_2")(conv("conv_2")(value)))
    value = layers.Add(name="add")([conv("conv_3")(value), shortcut])
    value = layers.AveragePooling2D(2, name="average_pool")(act("relu_3")(value))
    value = layers.Flatten(name="flatten")(act("average_quantizer")(value))
    value = act("relu_4")(qkeras.QDense(32, name="dense_1", **quantizers)(value))
    value = qkeras.QDense(10, name="dense_2", **quantizers)(value)
    return modules.keras.Model(inputs, value, name="digits")


def main() -> None:
    """Load, train, report and save."""
    arguments = training_parser(__doc__, epochs=60).parse_args()
    directory: Path = arguments.output or Path(__file__).parent
    modules = seeded_modules(arguments.seed, arguments.threads)
    images, label, test_images, test_label = load(arguments.seed)
    model = build(modules)
    loss = modules.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(modules.keras.optimizers.legacy.Adam(2e-3), loss, ["accuracy"])
    rate = modules.keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=4)
    model.fit(images, label, 64, arguments.epochs, verbose=2, callbacks=[rate])
    save_model(model, directory / "digits.h5", test_images)
    saved = {"digits": test_images[:TEST_EVENTS]}
    save_test_data(directory / "test_data.npz", saved, test_label[:TEST_EVENTS])
    accuracy = model.evaluate(test_images, test_label, verbose=0)[1]
    print(f"test accuracy {accuracy:.4f} on {len(test_label)} digits")


if __name__ == "__main__":
    main()
