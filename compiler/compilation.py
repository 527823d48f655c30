"""One run of the compiler: options, stages, and what is reported of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.accumulators import accumulators
from calocc.compiler.calibration.calibrate import Calibrated, calibrate_model
from calocc.compiler.calibration.errors import BadRequest
from calocc.compiler.calibration.request import Request
from calocc.compiler.calibration.search import execute_all
from calocc.compiler.design import Design, Layers
from calocc.compiler.devices import Device, device_of, load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.dies import Held, held_by_dies
from calocc.compiler.hls4ml.configuration import HlsConfiguration, read_configuration
from calocc.compiler.hls4ml.importer import HlsModel
from calocc.compiler.hls4ml.reuse import pins_for
from calocc.compiler.hls4ml.strategy import strategy_notes
from calocc.compiler.hls4ml.wishes import HlsWishes
from calocc.compiler.inputs import (
    Arrays,
    calibration_arrays,
    declare_indices,
    declare_inputs,
    has_all_inputs,
    load_arrays,
    parse_format,
    quantize_inputs,
)
from calocc.compiler.keras.importer import module_of
from calocc.compiler.keras.layers.registry import Overrides
from calocc.compiler.keras.model import KerasModel
from calocc.compiler.keras.reader import read_live, read_model
from calocc.compiler.manifest import model_digest, plain
from calocc.compiler.observation import observed_ranges
from calocc.compiler.pipeline import (
    DATAFLOW,
    PREPARE,
    ROUNDS,
    SIMPLIFY,
    Runner,
    Watch,
    is_balanced,
    new_context,
    to_fixed,
)
from calocc.compiler.placement import placed
from calocc.compiler.ports import input_ports, main_function
from calocc.compiler.regions import division, regions_report
from calocc.compiler.report import Json, design_report, exactness
from calocc.compiler.roundings import BadRounding, Rounds, choices, compared_row
from calocc.compiler.scaling import Given, Scaler, Scalers, scalers_for
from calocc.compiler.settings import Settings, parse_settings
from calocc.compiler.text import module_text
from calocc.dialects.dataflow.process import set_multiplier
from calocc.dialects.fixed.format import Format
from calocc.passes.balance import Balance

STAGES = ("qnn", "fixed", "dataflow")
COMPARED_EVENTS = 256
"""Events on which roundings are compared."""


@dataclass(frozen=True)
class Options:
    """What a user can ask for; the defaults are those of the command line."""

    opt_level: int = 2
    target: str = "alveo-u50"
    clock_mhz: float = 250.0
    inputs: Mapping[str, str | Format] = field(default_factory=dict[str, str | Format])
    calibrate: str | Path | Arrays | None = None
    settings: tuple[str, ...] = ()
    weights: Path | None = None
    """The weights of a model that is given as a JSON architecture."""
    request: Request = field(default_factory=Request)
    """What calibration has to reach where the model has real numbers."""
    max_error: float | None = None
    """How far outputs may be from the model, certified; None for no further than need be."""
    exact_argmax: bool = False
    """Whether the greatest operand of a softmax must have the greatest result, and no other."""
    rounds: Rounds = field(default_factory=Rounds)
    compare_rounding: bool = False
    """Whether the report shows what each choice of rounding does, on the calibration data."""
    optimize: str = "latency"
    """What foldings are chosen for: `latency` or `throughput`."""
    budget: float = 0.8
    """The fraction of each of the device's resources that a design may use."""
    latency_us: float | None = None
    """The latency to reach with the fewest resources."""
    interval_us: float | None = None
    """The time between events to reach with the fewest resources."""
    scaler: Given | str | Path | None = None
    """What the host does to inputs before it quantizes them."""
    layout: str = "mixed"
    """What beats carry between layers: as much as is best (`mixed`), or a value (`single`)."""
    packing: bool = True
    """Whether products may share DSP slices."""
    hls4ml_config: HlsConfiguration | None = None
    """Types and reuse factors as hls4ml takes them."""


def device_and_clock(
    config: HlsConfiguration | None, target: str | None, clock_mhz: float | None
) -> tuple[str, float]:
    """Device and clock: those given, else those of a configuration, else the defaults.

    Raises UnknownDevice if the configuration has a part of no device.
    """
    part, period = (None, None) if config is None else (config.part, config.clock_period)
    if target is None:
        target = Options.target if part is None else device_of(part)
    if clock_mhz is None:
        clock_mhz = Options.clock_mhz if period is None else 1000 / period
    return target, clock_mhz


@dataclass(eq=False)
class NoSuchLevel(CaloccError):
    """An optimisation level that does not exist."""

    level: int

    @property
    def where(self) -> str:
        return "opt_level"

    @property
    def what(self) -> str:
        return f"there is no level {self.level}"

    @property
    def hint(self) -> str:
        return f"choose one of {', '.join(map(str, DATAFLOW))}"


def identifier(text: str) -> str:
    """A C identifier made of a file's stem."""
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in text)
    return name if name[:1].isalpha() else f"model_{name}"


def compile(
    model: str | Path | object,
    opt_level: int = 2,
    target: str | None = None,
    clock_mhz: float | None = None,
    inputs: Mapping[str, str | Format] | None = None,
    calibrate: str | Path | Arrays | None = None,
    settings: tuple[str, ...] = (),
    weights: str | Path | None = None,
    accuracy: float | None = None,
    weights_bits: int | None = None,
    activations_bits: int | None = None,
    criterion: str | None = None,
    max_error: float | None = None,
    exact_argmax: bool = False,
    rounding: str | None = None,
    compare_rounding: bool = False,
    optimize: str = "latency",
    budget: float = 0.8,
    latency_us: float | None = None,
    interval_us: float | None = None,
    scaler: Given | str | Path | None = None,
    layout: str = "mixed",
    packing: bool = True,
    hls4ml_config: str | Path | Mapping[str, Any] | None = None,
) -> Design:
    """Compile a Keras model: a `.h5` or `.keras` file, a JSON architecture with a file of
    `weights`, or a model of tf_keras or QKeras in memory; or a `ModelGraph` of hls4ml.

    `inputs` declares formats of inputs (`{"image": "fixed<16,6>"}`) that the model does not
    quantize itself, `calibrate` finds them from data (a `.npz` path or arrays by input name),
    `settings` are `layer.key=value` as on the command line. Of a model that computes with real
    numbers, calibration also finds the bits of weights and activations with which the relative
    error of each output (root mean square) stays below `accuracy`, 0.01 if nothing is given;
    `criterion` chooses formats: for the `range` that was seen, for all but 1 in 10,000 values
    (`percentile`), or for the least mean square error (`mse`, if nothing is given).

    `max_error` allows fewer bits as long as no output can be further than that from the model, for
    any input; `exact_argmax` lets the greatest operand of a softmax alone have the greatest result,
    or refuses. `rounding` lets activations round and overflow otherwise (`"truncate,wrap"`);
    `compare_rounding` reports what each choice does to the calibration data and to the design.
    Foldings are chosen for the least `latency` or the greatest `throughput` (`optimize`) within a
    `budget`, a fraction of the device; with `latency_us` or `interval_us` for the fewest resources
    that meet them. With the `layout` "single" streams between layers carry one value per beat;
    without `packing` each DSP slice multiplies one pair of values.

    `scaler` is a file or a dictionary of what the host does to inputs before it quantizes them
    (`compiler/scaling.py`). `hls4ml_config` is a configuration of hls4ml, a file or the dictionary
    that its tools make: types of what the model does not quantize, reuse factors, part and clock,
    where `target` (default: Alveo U50) and `clock_mhz` (250) are not given. Raises CaloccError.
    """
    file = None if weights is None else Path(weights)
    request = Request.of(accuracy, weights_bits, activations_bits, criterion)
    config = None if hls4ml_config is None else read_configuration(hls4ml_config)
    options = Options(
        opt_level,
        *device_and_clock(config, target, clock_mhz),
        inputs=inputs or {},
        calibrate=calibrate,
        settings=settings,
        weights=file,
        request=request,
        max_error=max_error,
        exact_argmax=exact_argmax,
        rounds=Rounds.parse(rounding),
        compare_rounding=compare_rounding,
        optimize=optimize,
        budget=budget,
        latency_us=latency_us,
        interval_us=interval_us,
        scaler=scaler,
        layout=layout,
        packing=packing,
        hls4ml_config=config,
    )
    if isinstance(model, str | Path):
        return Compilation(Path(model), options).design()
    graph = HlsModel.of(model)
    if graph is not None and config is not None:
        raise graph.configured_twice
    read = graph or read_live(model, file)
    return Compilation(Path(read.name), options, model=read).design()


def _in_silence(text: str) -> None:
    """Progress that no one wants to see."""


@dataclass
class Compilation:
    """One run of the compiler, stage by stage."""

    path: Path
    options: Options
    watch: Watch | None = None
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    model: KerasModel | HlsModel | None = None
    """A model that has been read already; `path` is then its name."""
    progress: Callable[[str], None] = field(default=_in_silence)
    """Told what calibration has found so far."""
    _digest: str = ""
    """A hash of the model that was read."""
    _layers: Layers | None = None
    _scalers: Scalers = field(default_factory=dict[str, Scaler])
    _exactness: list[Json] = field(default_factory=list[Json])
    _accumulators: list[Json] = field(default_factory=list[Json])
    _ranges: list[Json] = field(default_factory=list[Json])
    _calibrated: Calibrated | None = None
    _notes: tuple[str, ...] = ()
    """In what the results are not those that hls4ml, or its configuration, would give."""
    _held: Held | None = None
    """The balanced design that the dies of the device hold."""
    _wishes: HlsWishes | None = None
    """What a configuration of hls4ml says of the model."""
    _ready: ModuleOp | None = None
    """The module on reals with all formats."""
    _events: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])
    """Calibration data that tell roundings apart."""

    def stage(self, name: str) -> ModuleOp:
        """The module at the end of one of `STAGES`."""
        if self.options.opt_level not in DATAFLOW:
            raise NoSuchLevel(self.options.opt_level)
        most = self.options.max_error
        if most is not None and not 0 <= most < inf:
            raise BadRequest("max-error", f"{most:g} is not a difference of 0 or more")
        module = self._calibrate(self._import())
        return module if name == "qnn" else self._lower(module, name)

    def _provenance(self) -> Json:
        """What the design is made of: the model, and what was asked for."""
        options = self.options
        for option in ("calibrate", "scaler"):
            if isinstance(path := getattr(options, option), str):
                options = replace(options, **{option: Path(path)})
        model = {"name": self.path.name, "sha256": self._digest}
        return {"model": model, "options": plain(options)}

    @cached_property
    def _settings(self) -> Settings:
        return parse_settings(self.options.settings, self.options.opt_level)

    def _lower(self, module: ModuleOp, name: str) -> ModuleOp:
        """From reals to integers, and to a network of processes if asked for."""
        runner, options = Runner(new_context(), self.seconds, self.watch), self.options
        if options.rounds.given:
            runner.run(module, options.rounds.spec())
        level = options.opt_level
        set_multiplier(main_function(module), load_device(options.target).multiplier)
        runner.run(module, placed(PREPARE, level))
        reals = self._compared_with(module)
        runner.run(module, placed(to_fixed(options.max_error, options.exact_argmax), level))
        self._layers = Layers(reals, module.clone())
        self._exactness = exactness(module)
        self._accumulators = [row.row() for row in accumulators(module)]
        if (wishes := self._wishes) is not None:
            self._notes = (*wishes.notes, *wishes.accumulator_notes(self._accumulators))
        runner.run(module, placed(SIMPLIFY[level], level))
        if name == "fixed":
            return module
        return self._processes(module, runner)

    def _processes(self, module: ModuleOp, runner: Runner) -> ModuleOp:
        """From layers to processes that the dies of the device hold."""
        options, level = self.options, self.options.opt_level
        pins = self._settings.pins + pins_for(module, self._reuse())

        def build(budget: float) -> ModuleOp:
            built, balance = module.clone(), self._balance(budget, pins).spec()
            runner.run(built, placed(DATAFLOW[level].format(balance=balance), level))
            return built

        if not is_balanced(level):
            return build(options.budget)
        held = held_by_dies(build, load_device(options.target), options.budget)
        self._held = held
        return held.module

    def _balance(self, budget: float, pins: tuple[str, ...]) -> Balance:
        """The balance that is asked for, within a budget."""
        options = self.options
        return Balance(
            *(options.target, budget, options.optimize),
            pins=pins,
            latency_us=options.latency_us,
            interval_us=options.interval_us,
            clock=options.clock_mhz,
            layout=options.layout,
            packing=options.packing,
            rounds=ROUNDS[options.opt_level],
        )

    def _compared_with(self, prepared: ModuleOp) -> ModuleOp:
        """The module on reals that bounds are about: without what calibration has inserted."""
        if self._calibrated is None:
            return prepared.clone()
        reals = self._calibrated.calibration.module.clone()
        if self.options.rounds.given:
            Runner(new_context(), {}).run(reals, self.options.rounds.spec())
        return reals

    def _reuse(self) -> dict[str, int]:
        """Reuse factors of layers that `settings` give no folding."""
        pinned = {pin.rpartition(".")[0] for pin in self._settings.pins}
        source = self.model if isinstance(self.model, HlsModel) else self._wishes
        factors = {} if source is None else source.reuse
        return {layer: n for layer, n in factors.items() if layer not in pinned}

    def _strategy_notes(self, module: ModuleOp) -> Iterator[str]:
        """Where the design is not what a strategy of hls4ml asks for."""
        if self._wishes is not None:
            yield from strategy_notes(module, self._wishes.strategies)

    def _said(self, module: ModuleOp) -> Iterator[str]:
        """What a user should know of the way to the design."""
        yield from self._notes
        yield from self._strategy_notes(module)
        if self._held is not None:
            yield from self._held.notes(self.options.budget)

    def design(self) -> Design:
        """The finished design and its report."""
        device = load_device(self.options.target)
        started = perf_counter()
        design = self._reported(self.stage("dataflow"), device)
        while (calibrated := self._calibrated) is not None:
            design.report["calibration"] = calibrated.measured(design.predict)
            if calibrated.is_accurate:
                break
            design = self._reported(self._lower(calibrated.refined(), "dataflow"), device)
        if self.options.compare_rounding:
            design.report["roundings"] = self._roundings(device)
        self.seconds["total"] = perf_counter() - started
        design.provenance = self._provenance()
        design.scalers = self._scalers
        return design

    def _roundings(self, device: Device) -> list[Json]:
        """What each choice of rounding does to the calibration data and to the design."""
        module = self._calibrated.module if self._calibrated else self._ready
        assert module is not None
        exact: list[NDArray[np.float64]] = []
        rows: list[Json] = []
        for rounds in choices():  # the model's own way comes first
            self.progress(f"rounding: {rounds}")
            options = replace(self.options, rounds=rounds, compare_rounding=False)
            other = Compilation(self.path, options, _calibrated=self._calibrated)
            design = other._reported(other._lower(module.clone(), "dataflow"), device)
            if not exact and design.layers is not None:
                exact = execute_all(design.layers.reals, self._events)
            rows.append(compared_row(rounds, design.report, design.predict(self._events), exact))
        return rows

    def _reported(self, module: ModuleOp, device: Device) -> Design:
        """A design with what is known about it."""
        options = self.options
        facts = design_report(module, device, options.clock_mhz)
        function, held = main_function(module), self._held
        found = held.division if held else division(function, device, options.budget)
        facts["regions"] = regions_report(function, device, found)
        head = {
            "model": self.path.name,
            "target": options.target,
            "part": device.part,
            "clock_mhz": options.clock_mhz,
            "opt_level": options.opt_level,
        }
        known: Json = {
            "exactness": self._exactness,
            "accumulators": self._accumulators,
            "ranges": self._ranges,
            "rounding": str(options.rounds),
            "roundings": [],
            "notes": list(self._said(module)),
            "calibration": None,
        }
        report = {**head, **facts, **known, "seconds": self.seconds}
        return Design(identifier(self.path.stem), module, report, self._layers)

    def _import(self) -> ModuleOp:
        """The model on reals, with the formats that the user gives by hand."""
        started = perf_counter()
        overrides = Overrides(self._settings.formats)
        if isinstance(self.model, HlsModel):
            module, self._notes = self.model.module(overrides)
            self._digest = hashlib.sha256(module_text(module).encode()).hexdigest()
        else:
            self.model = self.model or read_model(self.path, self.options.weights)
            self._wishes = self._configured(self.model)
            self._digest = model_digest(self.model)
            module = module_of(self.model, overrides, self._wishes)
        declared = {
            name: parse_format(f"option --input {name}", f) if isinstance(f, str) else f
            for name, f in self.options.inputs.items()
        }
        if self.options.scaler is not None:
            self._scalers = scalers_for(input_ports(module), self.options.scaler)
        declare_inputs(module, declared)
        if self._wishes is not None:
            self._wishes.declare_inputs(module, tuple(declared))
        declare_indices(module)
        self.seconds["import"] = perf_counter() - started
        return module

    def _configured(self, model: KerasModel) -> HlsWishes | None:
        """What the configuration of hls4ml, if there is one, says of a model."""
        if self.options.hls4ml_config is None:
            return None
        wishes = HlsWishes(self.options.hls4ml_config, model)
        wishes.require_layers()
        return wishes

    def _calibrate(self, module: ModuleOp) -> ModuleOp:
        """Formats from data, where there are data; the ranges that quantizers meet."""
        options = self.options
        if options.calibrate is None:
            options.request.require_nothing()
            if options.compare_rounding:
                raise BadRounding("compare-rounding", "there are no data: it goes with --calibrate")
            return module
        started = perf_counter()
        data, source = options.calibrate, "calibration data"
        if isinstance(data, str | Path):
            data, source = load_arrays(Path(data)), str(data)
        self._calibrated = calibrate_model(module, data, source, options.request, self.progress)
        if self._calibrated is not None:
            module = self._calibrated.module
        else:
            quantize_inputs(module, data, source)
        if options.compare_rounding or has_all_inputs(module, data):
            arrays = calibration_arrays(module, data, source)
            self._ranges = observed_ranges(module, arrays)
            self._ready = module.clone()
            self._events = [a[:COMPARED_EVENTS] for a in arrays]
        self.seconds["calibrate"] = perf_counter() - started
        return module
