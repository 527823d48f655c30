"""The committed examples on the whole road: every execution, at every level, gives the same bits.

The float64 reference is the imported model in real arithmetic. It is met exactly, but for the
softmax that the jets model ends in, whose distance is bounded by what its integer recipe does.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_models import (
    ALL,
    JETS,
    LEVELS,
    Example,
    Reals,
    design_of,
    events_of,
    scheduled_iterations,
    stage_of,
)
from xdsl.parser import Parser

import calocc
from calocc.compiler.compilation import STAGES
from calocc.compiler.data import BadInput, to_mantissas, to_reals
from calocc.compiler.design import Design, Prediction
from calocc.compiler.pipeline import Runner, new_context
from calocc.compiler.text import module_text
from calocc.passes.lowering.softmax import EXP_BITS, SOFTMAX_FRAC, SOFTMAX_OUT
from calocc.runtime.csim import COUNT, build_csim
from calocc.runtime.emulator import execute
from calocc.runtime.layers import layer_values
from calocc.runtime.native import plan as plans

MINIMUM_EVENTS = 100
FEW = 9

EXAMPLE = pytest.mark.parametrize("example", ALL, ids=lambda example: example.name)
LEVEL = pytest.mark.parametrize("level", LEVELS, ids="-O{}".format)

ITERATIONS = 600_000_000
"""Of the loops of one simulation: some ten seconds."""

Simulations = dict[tuple[Example, int], "Future[tuple[Prediction, list[int]]]"]


def simulated_events(example: Example, level: int) -> slice:
    """All events, or some of every kind where one takes a second: a product per cycle."""
    count = len(events_of(example))
    most = ITERATIONS // sum(scheduled_iterations(design_of(example, level), 1))
    return slice(None, None, -(-count // most))


def simulate(design: Design, events: Reals) -> tuple[Prediction, list[int]]:
    """Build the generated C++, run events through it, and count the iterations of its loops."""
    csim = build_csim(design, [COUNT])
    return csim.predict(events), csim.iterations()


@pytest.fixture(scope="session")
def simulations() -> Iterator[Simulations]:
    """The C++ of every example at every level, built and run beside the other tests.

    Levels that end in the same module share one simulation.
    """
    by_text: dict[str, Future[tuple[Prediction, list[int]]]] = {}
    futures: Simulations = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for example in ALL:
            for level in LEVELS:
                design = design_of(example, level)
                text = design.name + module_text(design.module)
                if text not in by_text:
                    events = events_of(example)[simulated_events(example, level)]
                    by_text[text] = pool.submit(simulate, design, events)
                futures[example, level] = by_text[text]
        yield futures
        pool.shutdown(cancel_futures=True)


@cache
def emulated(example: Example, level: int) -> Prediction:
    return design_of(example, level).predict(events_of(example))


@cache
def fixed_result(example: Example) -> Reals:
    """The fixed-point `qnn` module at -O0, where numerics are decided."""
    design, module = design_of(example, 0), stage_of(example, 0, "fixed")
    mantissas = to_mantissas(design.inputs[0], events_of(example))
    (result,) = execute(module, [mantissas])
    return to_reals(design.outputs[0], result)


@EXAMPLE
def test_events_exercise_the_outputs(example: Example) -> None:
    events = events_of(example)
    assert len(events) >= MINIMUM_EVENTS
    assert len(np.unique(emulated(example, 0), axis=0)) > MINIMUM_EVENTS // 3


@EXAMPLE
@LEVEL
def test_emulator_gives_the_bits_of_the_fixed_point_layers(example: Example, level: int) -> None:
    np.testing.assert_array_equal(emulated(example, level), fixed_result(example), strict=True)


@EXAMPLE
@LEVEL
def test_generated_code_gives_the_bits_of_the_emulator(
    example: Example, level: int, simulations: Simulations
) -> None:
    result, _ = simulations[example, level].result()
    expected = np.asarray(emulated(example, level))[simulated_events(example, level)]
    np.testing.assert_array_equal(result, expected, strict=True)


@EXAMPLE
@LEVEL
def test_every_loop_runs_as_often_as_its_schedule_says(
    example: Example, level: int, simulations: Simulations
) -> None:
    _, iterations = simulations[example, level].result()
    events = len(events_of(example)[simulated_events(example, level)])
    assert iterations == scheduled_iterations(design_of(example, level), events)


@pytest.mark.parametrize("example", [e for e in ALL if e is not JETS], ids=lambda e: e.name)
def test_float64_is_met_exactly(example: Example) -> None:
    (reference,) = execute(stage_of(example, 0, "qnn"), [events_of(example)])
    np.testing.assert_array_equal(fixed_result(example), reference, strict=True)


def jets_values(layers: list[str]) -> tuple[dict[str, Reals], dict[str, Reals]]:
    """Values of the jets model's layers, in fixed point and in float64."""
    mantissas = to_mantissas(design_of(JETS, 0).inputs[0], events_of(JETS))
    fixed = layer_values(stage_of(JETS, 0, "fixed"), [mantissas], layers)
    return fixed, layer_values(stage_of(JETS, 0, "qnn"), [events_of(JETS)], layers)


def test_jets_meet_float64_exactly_up_to_the_logits() -> None:
    layers = ["dense_1", "relu_1", "dense_2", "relu_2", "dense_3", "relu_3", "dense_4"]
    fixed, reference = jets_values(layers)
    assert list(fixed) == list(reference) == layers
    for layer in layers:
        np.testing.assert_array_equal(fixed[layer], reference[layer], err_msg=layer)


def operand_error() -> float:
    """How far rounding the operand to `SOFTMAX_FRAC` fraction bits moves a probability.

    Each operand moves by at most half an LSB, so each difference of two by at most an LSB: and so
    does log(p / (1 - p)), which is minus the log of the sum of the exponentials of such
    differences. The logistic function has slopes of at most 1/4.
    """
    return 2.0**-SOFTMAX_FRAC / 4


def recipe_error(classes: int) -> float:
    """How far the integer recipe is from the softmax of its rounded operand.

    A table entry is off by at most 1/2, that of the maximum, 2^EXP_BITS, by nothing. With the sum
    S of n entries, off by at most (n - 1) / 2, |e/S - E/T| <= (1/2 + (n - 1)/2) / S, and S is
    2^EXP_BITS at least. The quotient is rounded to the nearest LSB.
    """
    return classes / 2 * 2.0**-EXP_BITS + SOFTMAX_OUT.lsb / 2


def saturated(probability: Reals) -> Reals:
    """What the output format has instead of 1: clipping moves no two values apart."""
    return np.minimum(probability, SOFTMAX_OUT.max_mantissa * SOFTMAX_OUT.lsb)


def test_jets_softmax_is_within_its_bound_of_float64() -> None:
    fixed, reference = jets_values(["softmax"])
    distance = np.abs(fixed["softmax"] - saturated(reference["softmax"]))
    classes = distance.shape[-1]
    assert distance.max() <= operand_error() + recipe_error(classes)
    assert distance.max() > 0, "nothing is rounded: the bound is not put to the test"


def test_jets_softmax_recipe_is_within_its_bound() -> None:
    """The part of the bound that does not come from the rounded operand."""
    fixed, reference = jets_values(["dense_4", "softmax"])
    logits = np.rint(np.ldexp(reference["dense_4"], SOFTMAX_FRAC)) * 2.0**-SOFTMAX_FRAC
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = saturated(weights / weights.sum(axis=-1, keepdims=True))
    assert np.abs(fixed["softmax"] - expected).max() <= recipe_error(logits.shape[-1])


@EXAMPLE
@pytest.mark.parametrize("seed", range(2))
def test_passes_in_any_order_keep_every_bit(example: Example, seed: int) -> None:
    """Passes on layers and then passes on processes, each any number of times."""
    draw = random.Random(f"{example.name} {seed}")
    some = ["canonicalize", "cse", "dce", "exact-algebra", "narrow-widths", "thresholds"]
    layers = draw.choices(some, k=6)
    processes = draw.choices(["canonicalize", "cse", "dce", "fuse", "balance{interval=20000}"], k=5)
    module = stage_of(example, 0, "fixed").clone()
    order = ",".join([*layers, "partition-streams", *processes, "size-fifos", "check-dataflow"])
    Runner(new_context(), {}).run(module, order)
    result = Design(example.name, module, {}).predict(events_of(example))
    np.testing.assert_array_equal(result, emulated(example, 0), err_msg=order, strict=True)


@EXAMPLE
def test_inputs_come_as_array_list_or_dictionary(example: Example) -> None:
    design, events = design_of(example, 2), events_of(example)[:FEW]
    expected = design.predict(events)
    named = {example.input: events}
    given: list[Any] = [[events], (events,), named, named | {"not an input": 0}]
    for x in given:
        np.testing.assert_array_equal(design.predict(x), expected, strict=True)


@EXAMPLE
def test_numbers_of_any_kind_are_inputs(example: Example) -> None:
    design = design_of(example, 2)
    given = example.data()[:FEW]
    assert given.dtype == np.float32
    expected = design.predict(given.astype(np.float64))
    np.testing.assert_array_equal(design.predict(given), expected, strict=True)
    integers = np.rint(given * 4).astype(np.int16)
    expected = design.predict(integers.astype(np.float64))
    np.testing.assert_array_equal(design.predict(integers), expected, strict=True)
    np.testing.assert_array_equal(design.predict(integers.tolist()), expected, strict=True)


@EXAMPLE
def test_size_of_chunks_and_batches_changes_nothing(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    design, events = design_of(example, 2), events_of(example)[-FEW:]
    expected = design.predict(events)
    told: list[tuple[int, int]] = []
    for size in (1, 2, 4, FEW, 64):
        monkeypatch.setattr(plans, "EVENTS_AT_ONCE", size)
        monkeypatch.setattr(plans, "COMPILED_AT_ONCE", size)
        told.clear()
        found = design.predict(events, progress=lambda done, count: told.append((done, count)))
        np.testing.assert_array_equal(found, expected, strict=True)
        assert told == [(min(k + size, FEW), FEW) for k in range(0, FEW, size)]
    for k in range(FEW):
        np.testing.assert_array_equal(design.predict(events[k : k + 1])[0], expected[k])


@EXAMPLE
def test_no_events(example: Example) -> None:
    design = design_of(example, 2)
    result = design.predict(events_of(example)[:0])
    assert isinstance(result, np.ndarray)
    assert result.shape == (0, *design.outputs[0].shape)
    assert result.dtype == np.float64


JET = np.zeros((2, 16))


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.zeros(16), "its array has the shape (16,), not (events, 16)"),
        (np.zeros((2, 15)), "its array has the shape (2, 15), not (events, 16)"),
        (np.zeros((2, 16, 1)), "its array has the shape (2, 16, 1), not (events, 16)"),
        ([JET, JET], "its array has the shape (2, 2, 16), not (events, 16)"),
        ({"jet": JET}, "no array is given for it"),
        (JET * np.nan, "its array holds NaN or infinite values"),
        (JET + np.inf, "its array holds NaN or infinite values"),
        (JET.astype(str), "its array holds <U32, not numbers"),
        (JET * 1j, "its array holds complex128, not numbers"),
    ],
)
def test_wrong_inputs_are_refused(x: Any, problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        design_of(JETS, 2).predict(x)
    assert caught.value.name == "jets"
    assert caught.value.what == problem


@EXAMPLE
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("level", [0, 2], ids="-O{}".format)
def test_text_parses_back_to_an_equal_module(example: Example, stage: str, level: int) -> None:
    module = stage_of(example, level, stage)
    text = module_text(module)
    parsed = Parser(new_context(), text).parse_module()
    parsed.verify()
    assert parsed.is_structurally_equivalent(module)
    assert module_text(parsed) == text


LOAD_AND_PREDICT = """\
import sys
import numpy as np
import calocc

np.save(sys.argv[3], calocc.load(sys.argv[1]).predict(np.load(sys.argv[2])))
"""


def run_python(*arguments: str, **environment: str) -> None:
    """Run Python in another process, which knows nothing of this one's weights."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@EXAMPLE
def test_a_written_design_predicts_the_same_in_another_process(
    example: Example, tmp_path: Path
) -> None:
    design, events = design_of(example, 2), events_of(example)
    directory = design.write(tmp_path / "design")
    np.save(tmp_path / "x.npy", events)
    run_python("-c", LOAD_AND_PREDICT, *(str(tmp_path / f) for f in ("design", "x.npy", "y.npy")))
    result = np.load(tmp_path / "y.npy")
    np.testing.assert_array_equal(result, emulated(example, 2), strict=True)
    loaded = calocc.load(directory)
    assert loaded.name == design.name
    assert (loaded.inputs, loaded.outputs) == (design.inputs, design.outputs)
    assert loaded.report | {"seconds": design.report["seconds"]} == {
        "name": design.name,
        **design.report,
    }


def contents(directory: Path) -> dict[str, bytes]:
    """All files below a directory."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@EXAMPLE
def test_two_compilations_write_the_same_files(example: Example, tmp_path: Path) -> None:
    """The second in another process, with another order of hashes, in the place of the first."""
    directory = tmp_path / "design"
    design_of(example, 2).write(directory)
    first = contents(directory)
    main = "from calocc.compiler.main import main; main()"
    run_python("-c", main, str(example.model), "-O2", "-o", str(directory), PYTHONHASHSEED="1234")
    second = contents(directory)
    assert first.keys() == second.keys()
    assert [name for name, data in first.items() if second[name] != data] == []
