"""The fuzzer: its models, what it finds in a broken compiler, and all that it has ever found."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.compiler import fuzz_main
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.fuzz_main import main
from calocc.compiler.keras.importer import known_layers
from calocc.compiler.keras.model import KerasLayer, TensorRef
from calocc.compiler.pipeline import NUMERICS
from calocc.compiler.ports import input_ports, output_ports
from calocc.compiler.stages import Stage
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.fixed.types import RoundingAttr
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import QUANTIZERS
from calocc.passes import thresholds
from calocc.passes.lowering import softmax
from calocc.passes.narrow_widths import NarrowWidths
from calocc.runtime.emulator import execute
from calocc.runtime.fuzzing import cases, reproducer
from calocc.runtime.fuzzing.campaign import BadState, Campaign, DaskMissing, executor_of
from calocc.runtime.fuzzing.cases import (
    Case,
    Deadline,
    Options,
    Tally,
    case_of,
    failures_of,
    run_chunk,
    run_trial,
    simulate_trials,
)
from calocc.runtime.fuzzing.coverage import Coverage, never_reached
from calocc.runtime.fuzzing.draw import draw_model
from calocc.runtime.fuzzing.models import assembled, write_h5
from calocc.runtime.fuzzing.plans import level_pipeline
from calocc.runtime.fuzzing.quantizers import PARAMETERS
from calocc.runtime.fuzzing.recipes import RECIPES
from calocc.runtime.fuzzing.shrink import Shrinker, smaller_models
from calocc.runtime.fuzzing.simulations import Simulated, simulate_all
from calocc.runtime.fuzzing.source import Seeded
from calocc.runtime.fuzzing.target import attack_model
from calocc.runtime.fuzzing.trial import Failure, Plan, Trial, run_passes
from calocc.runtime.fuzzing.widening import widened
from calocc.testing import assert_preserves_bits, foldings, formats, models, qnn_modules, tensors
from calocc.testing.passes import SLOW

CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.json"))
SMALL = Options(seed=3, layers=3, events=8, chunk=4, simulated=0)
FEW = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=SLOW,
)


@pytest.fixture(scope="module")
def replayed() -> dict[Path, Trial]:
    """What was ever found, run again; the C++ of all in one program."""
    trials = {path: run_trial(reproducer.load(path)) for path in CORPUS}
    simulate_trials([*trials.values()])
    return trials


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_found_stays_mended(path: Path, replayed: dict[Path, Trial]) -> None:
    assert [str(failure) for failure in replayed[path].result.failures] == []


def test_every_layer_and_quantizer_has_a_recipe() -> None:
    assert RECIPES.keys() == known_layers().keys()
    assert PARAMETERS.keys() == QUANTIZERS.keys()


# ---- models --------------------------------------------------------------------------------------


def test_a_number_and_a_seed_say_all_about_a_case() -> None:
    texts = [str(case_of(SMALL, k).drawn.module()) for k in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("number", range(12))
def test_a_model_is_the_same_in_a_file(number: int, tmp_path: Path) -> None:
    drawn = case_of(SMALL, number).drawn
    stored = drawn.module(drawn.write(tmp_path / "model.h5"))
    assert stored.is_structurally_equivalent(drawn.module())


@pytest.mark.parametrize("number", range(24))
def test_what_has_grown_with_a_model_is_what_the_importer_makes_of_it(number: int) -> None:
    drawn = draw_model(Seeded("grown", number))
    grown, anew = drawn.imported, drawn.module()
    grown.verify()
    assert (input_ports(grown), output_ports(grown)) == (input_ports(anew), output_ports(anew))
    random = np.random.default_rng(number)
    events = [random.integers(-8, 9, (4, *port.shape)) / 4 for port in input_ports(anew)]
    for one, other in zip(execute(grown, events), execute(anew, events), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_goes_to_other_processes_without_its_module() -> None:
    case = case_of(SMALL, 1)
    sent = pickle.loads(pickle.dumps(case))
    assert case.drawn.is_taken
    assert "imported" not in vars(sent.drawn)
    assert str(sent.drawn.module()) == str(case.drawn.module())


def test_wide_formats_are_drawn() -> None:
    drawn = case_of(replace(SMALL, layers=1, classes=("QDense", "Dense")), 0).drawn
    coverage = Coverage()
    for number in range(8):
        wide = widened(Seeded("wide", number), drawn)
        coverage.see(run_passes(wide.module(), NUMERICS))
    assert max(map(int, coverage.counts["widths"])) > 32


def configured_case() -> Case:
    """The first case with a configuration of hls4ml."""
    options = replace(SMALL, classes=("Dense", "QDense", "Activation"))
    return next(c for c in (case_of(options, k) for k in range(200)) if c.drawn.hls4ml is not None)


def test_configurations_of_hls4ml_are_drawn_stored_and_cut(tmp_path: Path) -> None:
    case = configured_case()
    without = replace(case.drawn, hls4ml=None)
    with suppress(CaloccError):  # nothing else may give its inputs a format
        assert str(case.drawn.module()) != str(without.module())
    path = reproducer.save(tmp_path, case, Failure("bits", "", ""))
    again = reproducer.load(path)
    assert again.drawn.hls4ml == case.drawn.hls4ml
    assert again.drawn.module().is_structurally_equivalent(case.drawn.module())
    assert next(d for d in smaller_models(case.drawn) if d.hls4ml is None).model == without.model


def test_cases_reach_what_there_is() -> None:
    tally = Tally()
    missing = ["everything"]
    for number in range(500):
        tally.coverage.see_model(draw_model(Seeded("reach", number), 12).model)
        missing = [n for c in ("Keras layers", "graphs") for n in never_reached(tally.coverage)[c]]
        if not missing:
            break
    assert missing == []


# ---- what it finds -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crooked(ModulePass):
    """Lets every cast that rounds half to even truncate: a pass that is wrong now and then."""

    name = "crooked"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """In place."""
        for cast in op.walk():
            if isinstance(cast, QuantizeOp) and cast.rounding is not None:
                cast.rounding = RoundingAttr(Rounding.TRN)


def broken_case(
    monkeypatch: pytest.MonkeyPatch, classes: tuple[str, ...], thorough: int = 1
) -> Case:
    """A case that fails as `narrow-widths` also does what `Crooked` does."""
    narrow = NarrowWidths.apply

    def apply(self: NarrowWidths, ctx: Context, op: ModuleOp) -> None:
        Crooked().apply(ctx, op)
        narrow(self, ctx, op)

    monkeypatch.setattr(NarrowWidths, "apply", apply)
    options = replace(SMALL, layers=6, classes=classes, thorough=thorough)
    for number in range(100):
        case = case_of(options, number)
        if any(failure.check == "bits" for failure in failures_of(case)):
            return case
    raise AssertionError("nothing fails")


def test_what_numpy_warns_of_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(self: NarrowWidths, ctx: Context, op: ModuleOp) -> None:
        np.multiply(np.inf, np.zeros(1))

    monkeypatch.setattr(NarrowWidths, "apply", apply)
    plan = Plan(NUMERICS, ("narrow-widths,partition-streams",))
    result = Trial(case_of(SMALL, 2).drawn.module(), plan).run()
    assert [str(f).splitlines()[0] for f in result.failures] == ["exception after narrow-widths"]
    assert "RuntimeWarning: invalid value" in result.failures[0].message


def test_a_broken_pass_is_found_shrunk_explained_and_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = broken_case(monkeypatch, ("QDense", "QActivation", "Add", "Flatten"))
    failure = failures_of(case)[0]
    smallest, shown = Shrinker(case, failure, seconds=600).run()
    assert len(smallest.drawn.model.layers) <= min(4, len(case.drawn.model.layers))
    assert shown.difference is not None
    assert shown.difference.op == "qnn.quantize"
    assert shown.difference.expected_mantissa != shown.difference.found_mantissa
    assert smallest.plan.pipelines == ("narrow-widths",)
    path = reproducer.save(tmp_path, smallest, shown)
    with pytest.raises(SystemExit):
        main(["--replay", str(path)])
    printed = capsys.readouterr().out
    assert "bits after narrow-widths" in printed
    assert f"layer {shown.difference.layer!r}" in printed
    monkeypatch.undo()
    assert reproducer.replay(path) == []


def test_a_brief_case_names_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    case = broken_case(monkeypatch, ("QDense", "QActivation", "Flatten"), thorough=0)
    one_by_one = replace(case, plan=replace(case.plan, brief=False))
    assert case.plan.brief
    assert [f.kind for f in failures_of(case)] == ["bits/narrow-widths"]
    assert [str(f) for f in failures_of(one_by_one)] == [str(f) for f in failures_of(case)]


def test_thresholds_of_casts_that_wrap_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if wrapping, not saturating, were what thresholds can do: few models have few levels that
    wrap, behind what costs more than comparisons."""
    monkeypatch.setattr(thresholds, "Overflow", SimpleNamespace(SAT=Overflow.WRAP))
    options = replace(SMALL, classes=("BatchNormalization",), thorough=0)
    drawn = (case_of(options, number) for number in range(100))
    found = next(failures for case in drawn if (failures := failures_of(case)))
    assert [failure.kind for failure in found] == ["bits/thresholds"]


def test_a_model_is_through_once_every_stage_was_compared() -> None:
    module = case_of(replace(SMALL, classes=("QDense",)), 1).drawn.module()
    to_layers = Trial(module, Plan(NUMERICS, ("canonicalize,cse",), brief=True)).run()
    to_processes = Trial(module, Plan(NUMERICS, (level_pipeline(0),), brief=True)).run()
    assert not to_layers.through
    assert to_layers.stages == {Stage.QNN, Stage.FIXED}
    assert to_processes.through


def test_a_wrong_bound_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the recipe of a softmax rounded nothing."""

    def nothing(logits: object, classes: int) -> NDArray[np.float64]:
        return np.zeros(1)

    monkeypatch.setattr(softmax, "recipe_deviation", nothing)
    options, plan = replace(SMALL, classes=("Softmax",), layers=1), Plan(NUMERICS, (), search=64)
    drawn = (replace(case_of(options, number), plan=plan) for number in range(20))
    found = next(failures for case in drawn if (failures := failures_of(case)))
    assert {failure.check for failure in found} == {"bound"}
    assert "certified are 0" in found[0].message


def test_cpp_of_many_designs_in_one_program() -> None:
    """A design whose expected values are other ones is told from those that agree."""
    trials: list[Trial] = []
    for number in range(3):
        plan = Plan(NUMERICS, (level_pipeline(1),), seed=number, events=8, emulate=False)
        trial = Trial(case_of(SMALL, number).drawn.module(), plan)
        trial.run()
        if trial.result.finished:
            trials.append(trial)
    assert len(trials) > 1
    designs = [Simulated(t.result.finished[0][1], t.result.inputs) for t in trials]
    results = simulate_all(designs)
    trials[-1].result.expected[0][0] += 1
    for trial, design, outputs in zip(trials, designs, results, strict=True):
        assert outputs is not None
        trial.compare_reals("csim", "", design.module, outputs)
    assert [bool(t.result.failures) for t in trials] == [False] * (len(trials) - 1) + [True]


# ---- campaigns -----------------------------------------------------------------------------------


class Here(Executor):
    """Runs at once what is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result is there already."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@pytest.fixture(scope="module")
def whole() -> Tally:
    """Two chunks, run here."""
    return Campaign(SMALL, examples=8).run(Here(), ahead=2)


def test_a_run_goes_on_from_its_state(tmp_path: Path, whole: Tally) -> None:
    state = tmp_path / "state"
    Campaign(SMALL, examples=4, state=state).run(Here(), ahead=1)
    resumed = Campaign(SMALL, examples=8, state=state).run(Here(), ahead=3)
    assert resumed.cases == whole.cases == 8
    assert resumed.coverage == whole.coverage
    with pytest.raises(BadState, match="other options"):
        Campaign(replace(SMALL, seed=4), state=state).run(Here(), ahead=1)
    state.write_bytes(b"nothing")
    with pytest.raises(BadState, match="cannot be read"):
        Campaign(SMALL, state=state).run(Here(), ahead=1)


def test_no_more_cases_run_than_are_asked_for(tmp_path: Path, whole: Tally) -> None:
    state = tmp_path / "state"
    first = Campaign(SMALL, examples=6, state=state)
    assert first.run(Here(), ahead=2).cases == 6
    assert (first.done, first.begun) == (1, {1: 2})
    assert Campaign(SMALL, examples=8, state=state).run(Here(), ahead=1).runs == whole.runs


def test_a_run_that_ends_within_a_chunk_goes_on_behind_it(tmp_path: Path, whole: Tally) -> None:
    state = tmp_path / "state"
    cut = Campaign(SMALL, examples=8, seconds=0.0, state=state)
    assert cut.run(Here(), ahead=2).cases == 1
    assert (cut.done, cut.begun) == (0, {0: 1})
    resumed = Campaign(SMALL, examples=8, state=state)
    tally = resumed.run(Here(), ahead=2)
    assert (resumed.done, resumed.begun) == (2, {})
    assert (tally.cases, tally.runs, tally.coverage) == (8, whole.runs, whole.coverage)


def test_chunks_end_in_time_behind_what_is_compiled_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[int] = []

    def compile_all(trials: Sequence[Trial]) -> int:
        compiled.append(len(trials))
        return len(trials)

    monkeypatch.setattr(cases, "simulate_trials", compile_all)
    options, over = replace(SMALL, chunk=5, simulated=2), time.time() - 1
    begun = run_chunk(options, 0, None, Deadline(over, margin=-math.inf))
    assert (begun.cases, begun.simulated, compiled) == (2, 2, [2])
    assert run_chunk(options, 0, range(2, 5), Deadline(over)).cases == 0
    soon = Deadline(over + 60, margin=90)
    assert run_chunk(options, options.compiled, None, soon).cases == 0
    assert run_chunk(options, options.compiled + 1, None, soon).cases == 5
    rest = run_chunk(options, 0, range(2, 5))
    assert (rest.cases, rest.simulated, compiled) == (3, 0, [2])


def test_a_cluster_gives_what_this_process_gives(whole: Tally) -> None:
    distributed: Any = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        executor_of(1, cluster.scheduler_address) as executor,
    ):
        there = Campaign(SMALL, examples=8).run(executor, ahead=2)
    assert there.coverage == whole.coverage
    assert there.runs == whole.runs


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DaskMissing, match="calocc\\[fuzz\\]"), executor_of(1, "tcp://nowhere:1"):
        pass
    absent = "import sys; sys.modules['hypothesis'] = None; import calocc.testing"
    done = subprocess.run([sys.executable, "-c", absent], capture_output=True, text=True)
    assert "pip install 'calocc[fuzz]'" in done.stderr


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_attacks_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = case_of(replace(SMALL, classes=("QDense", "QActivation")), 1).drawn
    given = [f"--input={name}={text}" for name, text in drawn.inputs.items()]
    given += [f"--set={text}" for text in drawn.settings]
    main([str(drawn.write(tmp_path / "m.h5")), "--examples", "20", *given])
    assert "executions compared" in capsys.readouterr().out


CONFIGURATION = """\
Model: {Precision: "fixed<9,4>", ReuseFactor: 1}
LayerName: {dense: {Precision: {weight: "fixed<5,2>", result: "fixed<7,4,RND_CONV,SAT>"}}}
"""


@pytest.fixture
def dense(tmp_path: Path) -> str:
    """A file of one layer that says nothing of formats."""
    kernel = np.array([[-2, 1.875], [0.125, -0.5]], np.float32)
    ref, config = TensorRef("x", 0, 0), {"units": 2, "use_bias": False, "activation": "linear"}
    layers = (
        KerasLayer("x", "InputLayer", {"batch_input_shape": [None, 2]}, (), {}),
        KerasLayer("dense", "Dense", config, ((ref,),), {"kernel": kernel}),
    )
    model = assembled("net", layers, (ref,), (TensorRef("dense", 0, 0),))
    return str(write_h5(tmp_path / "dense.h5", model))


def test_the_command_takes_a_configuration_of_hls4ml(
    dense: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tallies: list[Tally] = []

    def attack(*arguments: Any) -> Tally:
        tallies.append(attack_model(*arguments))
        return tallies[-1]

    monkeypatch.setattr(fuzz_main, "attack_model", attack)
    with pytest.raises(SystemExit):
        main([dense, "--examples", "1"])
    refused = capsys.readouterr()
    assert "does not say how many bits" in refused.err
    assert not refused.out.strip()
    (tmp_path / "config.yml").write_text(CONFIGURATION)
    main([dense, "--examples", "1", "--hls4ml-config", str(tmp_path / "config.yml")])
    counts = tallies[0].coverage.counts
    assert counts["roundings"].keys() == {"rnd_conv"}
    assert {"5", "7", "9"} <= counts["widths"].keys()
    assert counts["hls4ml settings"]["Precision of LayerName"] == 1
    assert "executions compared" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("LayerName: {dens: {Precision: 'fixed<5,2>'}}", "no layer of this name"),
        ("LayerName: {dense: {Precison: 'fixed<5,2>'}}", "did you mean Precision?"),
        ("Model: {Precision: 'fixed<5;2>'}", "fixed<5;2>"),
        ("Model: {", "it is no YAML"),
        (None, "it cannot be read"),
    ],
)
def test_the_command_refuses_a_bad_configuration(
    text: str | None, problem: str, dense: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main([dense, "--hls4ml-config", str(file), "-o", str(tmp_path / "found")])
    printed = capsys.readouterr()
    assert stopped.value.code == 1
    assert printed.err.count("error: ") == 1
    assert problem in printed.err
    assert "Traceback" not in printed.err
    assert not printed.out.strip()
    assert not (tmp_path / "found").exists()


def test_the_command_draws_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "found")
    main(["--random", "--examples", "2", "--csim", "0", "--layers", "2", "-o", folder])
    printed = capsys.readouterr().out
    assert "never reached" in printed
    assert not (tmp_path / "found").exists()


# ---- strategies ----------------------------------------------------------------------------------


@FEW
@given(data=st.data())
def test_strategies_draw_what_they_say(data: st.DataObject) -> None:
    format = data.draw(formats())
    mantissas = data.draw(tensors(format, (3, 2)))
    assert format.holds(int(mantissas.min()), int(mantissas.max()))
    drawn = data.draw(models(layers=2, classes=["Dense", "Flatten"]))
    assert {layer.class_name for layer in drawn.model.layers} <= {
        *("InputLayer", "QActivation", "Dense", "Flatten")
    }
    module = run_passes(data.draw(qnn_modules(layers=2)), "partition-streams,fuse")
    folded = data.draw(foldings(module))
    folded.verify()


@pytest.mark.parametrize("step", ["canonicalize,cse", "narrow-widths", "thresholds"])
def test_passes_on_layers_keep_every_bit(step: str) -> None:
    assert_preserves_bits(step, examples=6)


def test_passes_on_processes_keep_every_bit() -> None:
    assert_preserves_bits("fuse", before="partition-streams", examples=6)


def test_a_pass_that_changes_bits_is_told() -> None:
    with pytest.raises(AssertionError, match=r"crooked changes a bit: layer .*expected .*found"):
        assert_preserves_bits(Crooked(), examples=100, layers=1)
