"""The full DeepCalo on the whole road: images, scalars and tracks, joined by FiLM layers.

Its predictions in float64 are met exactly at every level; Keras, in float32, is met wherever no
value lies next to a rounding boundary.
"""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_models import (
    EXAMPLES,
    Reals,
    constant_events,
    drawn_events,
    scheduled_iterations,
)

from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.data import to_mantissas, to_reals
from calocc.compiler.design import Design
from calocc.runtime.compare import Comparison, against_keras
from calocc.runtime.csim import COUNT, build_csim
from calocc.runtime.emulator import execute

FOLDER = EXAMPLES / "deepcalo"
MODEL = FOLDER / "deepcalo_full.h5"
DRAWN_OF_EACH_KIND = 2
CSIM_EVENTS = 6
KERAS_EVENTS = 16

Events = dict[str, Reals]


@cache
def design_of(level: int) -> Design:
    return Compilation(MODEL, Options(level)).design()


@cache
def label_and_data() -> tuple[Reals, Events]:
    """The test events that come with the model."""
    with np.load(FOLDER / "test_data_full.npz") as file:
        data = {name: np.asarray(file[name], np.float64) for name in file}
    return data.pop("label"), data


@cache
def events() -> Events:
    """Test events, then what the input formats find hard, the kinds in another order per input."""
    result: Events = {}
    for k, port in enumerate(design_of(2).inputs):
        hard = [e[:DRAWN_OF_EACH_KIND] for e in drawn_events(port, np.random.default_rng(k))]
        edges = constant_events(port)
        drawn = np.roll(np.concatenate([edges, *hard]), k, axis=0)
        result[port.name] = np.concatenate([label_and_data()[1][port.name], drawn])
    return result


@cache
def fixed_result() -> Reals:
    """The fixed-point `qnn` module at -O0, where numerics are decided."""
    design = design_of(2)
    module = Compilation(MODEL, Options(0)).stage("fixed")
    (result,) = execute(module, [to_mantissas(p, events()[p.name]) for p in design.inputs])
    return to_reals(design.outputs[0], result)


def test_float64_and_fixed_point_are_equal() -> None:
    module = Compilation(MODEL, Options()).stage("qnn")
    (result,) = execute(module, [events()[p.name] for p in design_of(2).inputs])
    np.testing.assert_array_equal(result, fixed_result())
    assert len(np.unique(result)) > len(result) // 2


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_gives_the_same_bits(level: int) -> None:
    np.testing.assert_array_equal(design_of(level).predict(events()), fixed_result())


@pytest.mark.parametrize("level", [0, 2])
def test_the_generated_code_gives_the_same_bits_in_the_same_iterations(level: int) -> None:
    picked = np.linspace(0, len(fixed_result()) - 1, CSIM_EVENTS).astype(int)
    csim = build_csim(design_of(level), [COUNT])
    found = csim.predict({name: x[picked] for name, x in events().items()})
    np.testing.assert_array_equal(found, fixed_result()[picked])
    assert csim.iterations() == scheduled_iterations(design_of(level), CSIM_EVENTS)


@pytest.mark.parametrize("name", ["image", "scalars", "tracks"])
def test_every_input_matters(name: str) -> None:
    _, data = label_and_data()
    design = design_of(2)
    other = {**data, name: np.roll(data[name], 1, axis=0)}
    assert np.mean(design.predict(data) != design.predict(other)) > 0.5


def test_energies_correlate() -> None:
    label, data = label_and_data()
    energies = np.asarray(design_of(2).predict(data))[:, 0]
    assert np.corrcoef(energies, label)[0, 1] > 0.95


@cache
def comparison() -> Comparison:
    layers: dict[str, Any] = runpy.run_path(str(FOLDER / "layers.py"))["LAYERS"]
    data = {name: x[:KERAS_EVENTS] for name, x in label_and_data()[1].items()}
    return against_keras(MODEL, data, layers)


def test_keras_differs_only_next_to_rounding_boundaries() -> None:
    flip = comparison().flip
    if flip is not None:
        assert flip.distance is not None
        assert flip.distance < 1e-4, flip


def test_few_values_differ_from_keras() -> None:
    for layer in comparison().layers:
        assert layer.differing <= 1e-3 * layer.values, layer


def test_the_design_fits_the_card() -> None:
    resources = design_of(2).report["resources"]
    assert all(r["used"] <= r["available"] for r in resources.values()), resources
    assert Path(MODEL).stat().st_size < 4e6
