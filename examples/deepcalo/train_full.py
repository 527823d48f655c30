"""The full DeepCalo: showers as images, modulated by what scalars and tracks say.

    python -m examples.deepcalo.train_full [--epochs N] [--events N] [--resume FILE]

from the root of the repository writes `deepcalo_full.h5` and `test_data_full.npz` beside this file:
3.6 million weights of 6 bits. It is the network of `train.py` with a FiLM layer behind the first
convolution of each block. A scalar net and a track net generate the factors and offsets of all
FiLM layers. The events come from `generate_full` of `showers.py`.

The layers that the image network has too start from `deepcalo_image.h5`, the others from small
modulations. The committed file was trained with the default options and `--threads 2`: 4000
showers, 4 epochs of 125 batches, 8 minutes. `--resume` starts from a saved file instead.

Where the original repeats the mask of the tracks by a convolution with ones, `Multiply` repeats it
here. A track of which a feature rounds to zero is lost, as in the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from calocc.runtime.reference import ReferenceModules, load_keras_model
from examples.common import Array, save_model, save_test_data, seeded_modules, training_parser
from examples.deepcalo.layers import LAYERS
from examples.deepcalo.showers import MOST_TRACKS, SCALARS, SHAPE, TRACK_FEATURES, generate_full
from examples.deepcalo.train import BLOCKS, CALIBRATION_EVENTS, DENSE_UNITS, report, steps, train

INPUTS: dict[str, tuple[int, ...]] = {
    "image": SHAPE,
    "scalars": (len(SCALARS),),
    "tracks": (MOST_TRACKS, len(TRACK_FEATURES)),
}
SCALAR_UNITS = (256,)
PHI_UNITS, RHO_UNITS = (128, 128), (128, 128)
GENERATOR_UNITS = (512, 1024)
MODULATIONS = tuple(2 * block[0] for block in BLOCKS)
"""Sizes of the vectors that modulate the first convolution of each block: gamma, beta."""

TEST_EVENTS = 64
SOURCES_PER_MODULATION = 4
"""Non-zero weights behind each gamma and beta at the start: small modulations, in 6-bit weights."""


@dataclass
class Network:
    """Builds the network; layers are numbered for their seeds in the order of their making."""

    modules: ReferenceModules
    seed: int
    freeze_after: int
    made: int = 0

    def options(self, name: str) -> dict[str, Any]:
        """Quantizers, initial kernel and name of the next layer with weights."""
        self.made += 1
        qkeras, initializers = self.modules.qkeras, self.modules.keras.initializers
        return {
            "kernel_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
            "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
            "kernel_initializer": initializers.Orthogonal(seed=self.seed * 100 + self.made),
            "name": name,
        }

    def act(self, value: Any, name: str, quantizer: str = "quantized_relu(6,1)") -> Any:
        """A quantizing activation."""
        return self.modules.qkeras.QActivation(quantizer, name=name)(value)

    def bits(self, value: Any, name: str) -> Any:
        """The 14 bits of inputs and of other values that are no activations."""
        return self.act(value, f"{name}_quantizer", "quantized_bits(14,4,1,alpha=1)")

    def dense(self, value: Any, name: str, units: tuple[int, ...]) -> Any:
        """Dense layers, each with an activation."""
        for number, width in enumerate(units):
            layer = self.modules.qkeras.QDense(width, **self.options(f"{name}_{number}"))
            value = self.act(layer(value), f"{name}_{number}_relu")
        return value

    def tracks(self, tracks: Any) -> Any:
        """A sum over the tracks of what phi makes of each of them, then rho."""
        value, layers = tracks, self.modules.keras.layers
        for number, width in enumerate(PHI_UNITS):
            conv = self.modules.qkeras.QConv1D(width, 1, **self.options(f"phi_{number}"))
            value = self.act(conv(value), f"phi_{number}_relu")
        mask = LAYERS["Mask_track"](name="mask")(tracks)
        value = layers.Multiply(name="masked")([value, mask])
        return self.dense(LAYERS["Sum1D"](name="track_sum")(value), "rho", RHO_UNITS)

    def modulations(self, scalars: Any, tracks: Any) -> list[Any]:
        """gamma and beta of each block, as one vector each."""
        parts = [self.dense(scalars, "scalar", SCALAR_UNITS), self.tracks(tracks)]
        value = self.modules.keras.layers.Concatenate(name="conditions")(parts)
        value = self.dense(value, "film_gen", GENERATOR_UNITS)
        units = sum(MODULATIONS)
        value = self.modules.qkeras.QDense(units, **self.options("film_gen_out"))(value)
        value = self.bits(value, "film_gen")
        ends = accumulate(MODULATIONS, initial=0)
        cut = LAYERS["Slice_tensor1D"]
        return [cut(a, b, name=f"slice_{k}")(value) for k, (a, b) in enumerate(pairwise(ends))]

    def convolution(self, value: Any, index: int, width: int) -> Any:
        """A convolution with its batch norm folded in."""
        layer = self.modules.qkeras.QConv2DBatchnorm(
            width,
            3 if index else 5,
            padding="same",
            momentum=0.9,
            ema_freeze_delay=self.freeze_after,
            **self.options(f"conv_{index}"),
        )
        return layer(value)

    def images(self, image: Any, modulations: list[Any]) -> Any:
        """The convolutions; the first of each block is modulated before its activation."""
        layers = self.modules.keras.layers
        value = layers.UpSampling2D((1, 5), interpolation="nearest", name="upsampling")(image)
        value = self.bits(value, "upsampling")
        index = 0
        for block, filters in enumerate(BLOCKS):
            if block:
                value = layers.MaxPooling2D(2, name=f"max_pool_{block}")(value)
            for number, width in enumerate(filters):
                value = self.convolution(value, index, width)
                if number == 0:
                    value = LAYERS["FiLM"](name=f"film_{block}")([value, modulations[block]])
                value = self.act(value, f"conv_{index}_relu")
                index += 1
        return layers.Flatten(name="flatten")(value)


def build(modules: ReferenceModules, seed: int, freeze_after: int) -> Any:
    """The untrained network: image, scalars and tracks to energy in GeV.

    After `freeze_after` training steps the batch-norm statistics stay fixed.
    """
    network = Network(modules, seed, freeze_after)
    inputs = {name: modules.keras.layers.Input(shape, name=name) for name, shape in INPUTS.items()}
    image, scalars, tracks = (network.bits(value, name) for name, value in inputs.items())
    value = network.images(image, network.modulations(scalars, tracks))
    value = network.dense(value, "dense", DENSE_UNITS)
    value = modules.qkeras.QDense(1, **network.options("energy"))(value)
    value = network.act(value, "energy_quantizer", "quantized_relu(14,7)")
    return modules.keras.Model(list(inputs.values()), value, name="deepcalo_full")


def start_from(model: Any, image_model: Any) -> None:
    """Take the weights and the batch-norm statistics of layers that the image network has too."""
    for source in image_model.layers:
        if not hasattr(source, "kernel_quantizer_internal"):
            continue
        layer = model.get_layer(source.name)
        layer.kernel.assign(source.kernel)
        layer.bias.assign(source.bias)
        if hasattr(source, "batchnorm"):
            layer.batchnorm.set_weights(source.batchnorm.get_weights())


def calibrate(modules: ReferenceModules, model: Any, inputs: Mapping[str, Array]) -> None:
    """Scale the layers that generate modulations, from data, so that none is dead or saturated.

    Each has unit variance over events and units; the last gets few non-zero weights instead.
    """
    for layer in model.layers:
        if not layer.name.startswith(("scalar_", "phi_", "rho_", "film_gen_")):
            continue
        if not hasattr(layer, "kernel_quantizer_internal"):
            continue
        if layer.name == "film_gen_out":
            layer.kernel.assign(_sparse(layer.kernel.shape))
            continue
        part: Any = modules.keras.Model(model.inputs, layer.input)
        value = np.asarray(part.predict(inputs, verbose=0))
        kernel = np.asarray(layer.kernel)
        kernel = kernel / np.std(value @ kernel.reshape(kernel.shape[-2:]))
        layer.kernel.assign(kernel)
        print(f"{layer.name}: {np.mean(np.abs(kernel) > 1 / 32):.2f} of the weights differ from 0")


def _sparse(shape: tuple[int, int]) -> Array:
    """A kernel with `SOURCES_PER_MODULATION` weights of +-1/16 per unit, else zeros."""
    rng = np.random.default_rng(0)
    kernel = np.zeros(shape, np.float32)
    for unit in range(shape[1]):
        sources = rng.choice(shape[0], SOURCES_PER_MODULATION, replace=False)
        kernel[sources, unit] = rng.choice([-0.0625, 0.0625], SOURCES_PER_MODULATION)
    return kernel


def main() -> None:
    """Generate, start, train, report and save."""
    parser = training_parser(__doc__, epochs=4)
    parser.add_argument("--events", type=int, default=4000, help="default %(default)s")
    parser.add_argument("--batch", type=int, default=32, help="default %(default)s")
    parser.add_argument("--rate", type=float, default=2e-4, help="default %(default)s")
    parser.add_argument("--resume", type=Path, help="start from this .h5")
    arguments = parser.parse_args()
    here = Path(__file__).parent
    directory: Path = arguments.output or here
    modules = seeded_modules(arguments.seed, arguments.threads)
    inputs, energies = generate_full(arguments.events, arguments.seed)
    test_inputs, test_energies = generate_full(1024, arguments.seed + 1_000_000)
    if arguments.resume:
        model = load_keras_model(arguments.resume, LAYERS)
    else:
        model = build(modules, arguments.seed, steps(arguments) * 3 // 5)
        start_from(model, load_keras_model(here / "deepcalo_image.h5"))
        calibrate(modules, model, first(inputs, CALIBRATION_EVENTS))
    if arguments.epochs:
        train(modules, model, inputs, energies, arguments)
    saved = first(test_inputs, TEST_EVENTS)
    save_model(model, directory / "deepcalo_full.h5", saved, LAYERS)
    save_test_data(directory / "test_data_full.npz", saved, test_energies[:TEST_EVENTS])
    report(model, test_inputs, test_energies)


def first(inputs: Mapping[str, Array], events: int) -> dict[str, Array]:
    """The first events."""
    return {name: value[:events] for name, value in inputs.items()}


if __name__ == "__main__":
    main()
