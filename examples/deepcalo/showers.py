"""Synthetic electromagnetic showers as images of a sampling calorimeter.

A toy with the shapes, units and fluctuations of an electron in a liquid-argon calorimeter with
four layers: presampler, strips, middle, back. `generate_full` adds the scalar variables and the
tracks that the full network reads. This replaces the simulated data that DeepCalo was trained on,
which are not public; no number obtained with it describes a real detector.
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

SCALARS = (
    *("eAccCluster", "cellIndexCluster", "f0Cluster", "R12", "pt_track", "nTracks", "eta"),
    *("deltaPhiRescaled2", "etaModCalo", "deltaEta2", "NvtxReco", "averageInteractionsPerCrossing"),
    *("poscs2", "dPhiTH3", "fTG3"),
)
"""The scalar variables in order, each scaled to order one."""

TRACK_FEATURES = ("pt", "eta", "z0", "d0", "dR", "theta")
MOST_TRACKS = 57
ETA_RANGE = (1.6, 2.4)  # |eta| of the electrons
TRACK_UNIT = 32.0  # GeV of transverse momentum per unit
MEAN_SOFT_TRACKS = 2.5


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


def generate_full(events: int, seed: int) -> tuple[dict[str, Array], Array]:
    """Showers with all that the full DeepCalo reads, by input name, and their energies in GeV.

    `image` and the energies are those of `generate(events, seed)`; `scalars` is `(events, 15)` in
    the order of `SCALARS`, `tracks` is `(events, 57, 6)`: the electron's track, if it was found,
    then soft tracks of falling momentum, then zeros.
    """
    image, energy = generate(events, seed)
    rng = np.random.default_rng([seed, 1])
    eta = rng.uniform(*ETA_RANGE, events) * rng.choice([-1.0, 1.0], events)
    pile_up = np.maximum(rng.normal(PILE_UP_MEAN, 8.0, events), 1.0)
    tracks = _tracks(rng, energy, eta)
    scalars = _scalars(rng, image, eta, pile_up, tracks)
    inputs = {"image": image, "scalars": scalars, "tracks": tracks}
    return {name: value.astype(np.float32) for name, value in inputs.items()}, energy


def _tracks(rng: np.random.Generator, energy: Array, eta: Array) -> Array:
    """The features of up to 57 tracks per event, `(events, 57, 6)`; zeros where there is none."""
    shape = (len(energy), MOST_TRACKS)
    momentum = np.sort(rng.exponential(1.5, shape) + 0.5)[:, ::-1].copy()
    found = rng.random(len(energy)) < 0.95
    bremsstrahlung = 1.0 - 0.6 * rng.beta(0.6, 2.0, len(energy))
    electron = energy / np.cosh(eta) * bremsstrahlung * rng.normal(1.0, 0.03, len(energy))
    momentum[:, 0] = np.where(found, electron, momentum[:, 0])
    distance = np.abs(rng.normal(0.0, 0.2, shape)) + 0.01
    distance[:, 0] = np.where(found, 0.1 * distance[:, 0] + 0.002, distance[:, 0])
    track_eta = eta[:, None] + distance * rng.uniform(-1.0, 1.0, shape)
    z0, d0 = rng.normal(0.0, 0.5, shape), rng.normal(0.0, 0.3, shape)  # 100 mm and 0.1 mm
    theta = 2.0 * np.arctan(np.exp(-track_eta))
    features = (momentum / TRACK_UNIT, track_eta / 2.0, z0, d0, 4.0 * distance, theta / 2.0)
    count = found + rng.poisson(MEAN_SOFT_TRACKS, len(energy))
    present = np.arange(MOST_TRACKS) < np.minimum(count, MOST_TRACKS)[:, None]
    return np.where(present[..., None], np.stack(features, -1), 0.0)


def _scalars(
    rng: np.random.Generator, image: Array, eta: Array, pile_up: Array, tracks: Array
) -> Array:
    """The scalar variables, `(events, 15)`, from what the detector shows of the event."""
    events = len(image)
    layers = UNIT * image.sum((1, 2), dtype=np.float64) / ETA_BINS_PER_CELL + 1e-3
    total = layers.sum(1)
    strips_eta, middle_eta = (_barycentre(image[..., k], 1) for k in (1, 2))
    middle_phi = _barycentre(image[..., 2], 2)
    columns = (
        total / 64.0,
        np.abs(eta) + rng.normal(0.0, 0.02, events),
        layers[:, 0] / total * 4.0,
        np.log(layers[:, 1] / layers[:, 2]) / 2.0,
        tracks[:, 0, 0],
        np.any(tracks, 2).sum(1) / 4.0,
        eta / 2.0,
        middle_phi + rng.normal(0.0, 0.1, events),
        np.mod(eta, 0.1) * 10.0,
        (strips_eta - middle_eta) * 4.0,
        (0.6 * pile_up + rng.normal(0.0, 3.0, events)) / 32.0,
        pile_up / 32.0,
        np.mod(middle_phi, 1.0),
        rng.uniform(-1.0, 1.0, events),
        rng.exponential(0.2, events),
    )
    return np.stack(columns, -1)


def _barycentre(plane: Array, axis: int) -> Array:
    """Mean position in middle cells from the centre along an axis of `(events, 56, 11)`."""
    weights: Array = plane.sum(3 - axis, dtype=np.float64) + 1e-6
    cell = 8.0 if axis == 1 else 1.0
    bins = weights.shape[1]
    positions = (np.arange(bins, dtype=np.float64) + 0.5 - bins / 2) / cell
    total: Array = weights.sum(1)
    return weights @ positions / total
