"""Synthetic electromagnetic showers as images of a sampling calorimeter.

A toy with the shapes, units and fluctuations of an electron in a liquid-argon calorimeter with
four layers: presampler, strips, middle, back. It replaces the simulated data that DeepCalo was
trained on, which are not public; no number obtained with it describes a real detector.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SHAPE = (56, 11, 4)
"""Bins in eta (one strip each), bins in phi (one middle cell each), layers."""

UNIT = 8.0
"""GeV per unit of an image: the hottest cells stay well below 16, the model's input range."""

LOWEST_ENERGY, HIGHEST_ENERGY = 5.0, 120.0
"""Drawn energies in GeV; with fluctuations below 127, what the model's last quantizer can hold."""

CRITICAL_ENERGY = 0.0073  # GeV, lead
DEPTHS = np.array([0.0, 1.7, 6.0, 22.0])  # radiation lengths in front of each layer
ETA_BINS_PER_CELL = (8, 1, 8, 14)
NOISE = np.array([0.020, 0.010, 0.035, 0.030])  # GeV per cell and layer
SAMPLING_TERM, CONSTANT_TERM = 0.10, 0.007  # 10 % / sqrt(E / GeV) and 0.7 %
CORE, HALO = 0.28, 1.1  # lateral decay lengths in middle cells (about one Moliere radius each)
PILE_UP_MEAN, PILE_UP_ENERGY = 37.5, 0.03  # deposits per event, GeV each


def generate(events: int, seed: int) -> tuple[Array, Array]:
    """Draw showers: images float32 `(events, 56, 11, 4)` in `UNIT`s, energies `(events,)` in GeV.

    Energies are log-uniform. The longitudinal profile is a gamma distribution with
    a = 1 + ln(E/Ec)/2, b = 1/2 per radiation length; the lateral one a core and a halo, both
    exponential in eta and in phi. Deposits fluctuate by the sampling and the constant term, each
    cell has electronic noise and is suppressed below two sigma, and pile-up adds soft deposits.
    """
    rng = np.random.default_rng(seed)
    energy = np.exp(rng.uniform(np.log(LOWEST_ENERGY), np.log(HIGHEST_ENERGY), events))
    image = _profiles(rng, events) * _layer_energies(rng, energy)[:, None, None, :]
    _add_pile_up(rng, image)
    return (_cells(rng, image) / UNIT).astype(np.float32), energy.astype(np.float32)


def _layer_energies(rng: np.random.Generator, energy: Array) -> Array:
    """Visible energy in each layer, GeV, `(events, 4)`; what lies behind the last one is lost."""
    events = len(energy)
    shape = 1.0 + 0.5 * np.log(energy / CRITICAL_ENERGY) * rng.normal(1.0, 0.08, events)
    back_end = rng.uniform(24.0, 32.0, (events, 1))  # the depth of the back layer varies with eta
    edges = np.concatenate([np.broadcast_to(DEPTHS, (events, 4)), back_end], 1)
    special: Any = importlib.import_module("scipy.special")
    fractions: Array = np.diff(special.gammainc(shape[:, None], 0.5 * edges), axis=1)
    deposit = energy[:, None] * fractions
    deposit += SAMPLING_TERM * np.sqrt(deposit) * rng.normal(size=deposit.shape)
    return np.maximum(deposit, 0.0) * rng.normal(1.0, CONSTANT_TERM, (events, 1))


def _profiles(rng: np.random.Generator, events: int) -> Array:
    """Lateral profiles, `(events, 56, 11, 4)`, each with sum close to one per layer."""
    halo = rng.uniform(0.08, 0.2, (events, 1, 1, 4))
    centre = rng.uniform(-0.5, 0.5, (events, 2))  # in middle cells from the centre of the image
    eta = (np.arange(SHAPE[0] + 1) - SHAPE[0] / 2) / 8.0
    phi = np.arange(SHAPE[1] + 1) - SHAPE[1] / 2

    def density(length: float) -> Array:
        along_eta = np.diff(_laplace(eta - centre[:, :1], length), axis=1)
        along_phi = np.diff(_laplace(phi - centre[:, 1:], length), axis=1)
        return along_eta[:, :, None, None] * along_phi[:, None, :, None]

    return (1.0 - halo) * density(CORE) + halo * density(HALO)


def _laplace(x: Array, length: float) -> Array:
    """Cumulative two-sided exponential distribution."""
    tail = 0.5 * np.exp(-np.abs(x) / length)
    return np.where(x < 0, tail, 1.0 - tail)


def _add_pile_up(rng: np.random.Generator, image: Array) -> None:
    events = len(image)
    owner = np.repeat(np.arange(events), rng.poisson(PILE_UP_MEAN, events))
    place = tuple(rng.integers(0, size, len(owner)) for size in SHAPE)
    np.add.at(image, (owner, *place), rng.exponential(PILE_UP_ENERGY, len(owner)))


def _cells(rng: np.random.Generator, image: Array) -> Array:
    """Read out the cells: sum their bins, add noise, suppress zeros; every bin shows its cell."""
    result = np.empty_like(image)
    for layer, bins in enumerate(ETA_BINS_PER_CELL):
        cells: Array = image[..., layer].reshape(len(image), -1, bins, SHAPE[1]).sum(2)
        cells += NOISE[layer] * rng.normal(size=cells.shape)
        cells[cells < 2.0 * NOISE[layer]] = 0.0
        result[..., layer] = np.repeat(cells, bins, axis=1)
    return result
