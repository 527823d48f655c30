"""Jet tagging: a 16-64-32-32-5 network on a synthetic five-class data set.

    python -m examples.jets.train

from the root of the repository writes `jets.h5` and `test_data.npz` beside this file. Network and
features follow the style of the hls4ml jet-tagging benchmark; the jets are drawn by `generate`
from a toy model, so nothing is downloaded and the accuracy says nothing about real jets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calocc.runtime.reference import ReferenceModules
from examples.common import Array, save_model, save_test_data, seeded_modules, training_parser

CLASSES = ("gluon", "quark", "W", "Z", "top")
MASS = np.array([0.0, 0.0, 80.4, 91.2, 172.8])  # GeV; 0: a falling spectrum
MASS_RESOLUTION = 0.055
PRONGS = np.array([1, 1, 2, 2, 3])
PARTICLES = np.array([52.0, 34.0, 36.0, 39.0, 56.0])  # mean multiplicity at 1 TeV
TEST_EVENTS = 512


def generate(events: int, seed: int) -> tuple[Array, Array]:
    """Draw jets: features `(events, 16)`, not yet normalised, and classes `(events,)` in 0..4.

    Hidden variables (momentum, mass, prong structure, multiplicity) are drawn per class and seen
    through 16 smeared, strongly correlated observables of the kinds used for real jets: sums of
    z log z, ratios C, D, N of energy correlations, moments M, groomed mass, multiplicity.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, len(CLASSES), events)
    momentum = rng.normal(1.0, 0.1, events)  # TeV
    mass = _masses(rng, label, momentum)
    multiplicity = rng.poisson(PARTICLES[label] * momentum**0.4)
    angle = 2e-3 * mass / momentum  # opening angle of the decay
    structure = np.exp(rng.normal(1.0 - 0.35 * PRONGS[label], 0.3))
    spread = multiplicity / 40.0 * np.exp(rng.normal(0.0, 0.15, events))
    observables = _observables(angle, structure, spread, mass, multiplicity)
    return observables + rng.normal(0.0, 0.08, observables.shape), label


def _masses(rng: np.random.Generator, label: Array, momentum: Array) -> Array:
    """Groomed jet masses in GeV: a resonance peak, or the falling spectrum of a parton."""
    width = np.where(label == 0, 45.0, 30.0)  # gluons radiate more
    parton = 12.0 + momentum * rng.gamma(1.3, width)
    peak = MASS[label] * rng.normal(1.0, MASS_RESOLUTION, len(label))
    return np.where(MASS[label] > 0, peak, parton)


def _observables(
    angle: Array, structure: Array, spread: Array, mass: Array, multiplicity: Array
) -> Array:
    """The sixteen noiseless observables, `(events, 16)`."""
    c1 = [np.log(spread + angle**power) for power in (0.25, 1.0, 2.0)]
    c2 = [np.log(structure * angle**power + 0.02 * spread) for power in (1.0, 2.0)]
    d2 = [np.log(structure * spread**power / (0.1 + angle)) for power in (0.2, 0.4, 0.6, 0.8)]
    m2 = [structure**0.5 * angle**power for power in (0.5, 1.0)]
    n2 = [structure * (1.0 + power * spread) for power in (0.1, 0.3)]
    zlogz = -np.log(multiplicity + 1.0) * (1.0 + 0.1 * structure)
    mass_like = 6.0 * np.log(mass)
    return np.stack([zlogz, *c1, *c2, *d2, *m2, *n2, mass_like, 0.1 * multiplicity], 1)


def build(modules: ReferenceModules) -> Any:
    """The untrained network; softmax is a layer of its own so that it can be cut off."""
    layers, qkeras = modules.keras.layers, modules.qkeras

    def dense(units: int, name: str) -> Any:
        return qkeras.QDense(
            units,
            kernel_quantizer=qkeras.quantized_bits(6, 0, alpha=1),
            bias_quantizer=qkeras.quantized_bits(6, 0, alpha=1),
            kernel_initializer="lecun_uniform",
            name=name,
        )

    inputs = value = layers.Input((16,), name="jets")
    value = qkeras.QActivation("quantized_bits(16,6,alpha=1)", name="input_quantizer")(value)
    value = qkeras.QActivation("quantized_relu(6)", name="relu_1")(dense(64, "dense_1")(value))
    value = layers.BatchNormalization(name="batch_norm_2")(dense(32, "dense_2")(value))
    value = qkeras.QActivation("quantized_relu(6)", name="relu_2")(value)
    value = qkeras.QActivation("quantized_relu(6)", name="relu_3")(dense(32, "dense_3")(value))
    value = layers.Activation("softmax", name="softmax")(dense(5, "dense_4")(value))
    return modules.keras.Model(inputs, value, name="jets")


def main() -> None:
    """Generate, train, report and save."""
    arguments = training_parser(__doc__, epochs=30).parse_args()
    directory: Path = arguments.output or Path(__file__).parent
    modules = seeded_modules(arguments.seed, arguments.threads)
    jets, label = generate(60_000, arguments.seed)
    test_jets, test_label = generate(10_000, arguments.seed + 1)
    mean, deviation = jets.mean(0), jets.std(0)
    jets, test_jets = (jets - mean) / deviation, (test_jets - mean) / deviation
    model = build(modules)
    optimizer = modules.keras.optimizers.legacy.Adam(2e-3)
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    rate = modules.keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2)
    model.fit(jets, label, 512, arguments.epochs, verbose=2, callbacks=[rate])
    save_model(model, directory / "jets.h5", test_jets)
    saved = {"jets": test_jets[:TEST_EVENTS]}
    save_test_data(directory / "test_data.npz", saved, test_label[:TEST_EVENTS])
    accuracy = model.evaluate(test_jets, test_label, verbose=0)[1]
    print(f"test accuracy {accuracy:.4f} on {len(test_label)} jets")


if __name__ == "__main__":
    main()
