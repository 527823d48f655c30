"""Makes a failing case smaller while it fails in the same way: model, plan, inputs, weights.

Each step is tried in turn, from those that cut most; what still fails is kept, and steps are tried
until none helps or the time is up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.model import KerasLayer, TensorRef
from calocc.compiler.pipeline import NUMERICS
from calocc.compiler.ports import input_ports, output_ports
from calocc.runtime.fuzzing.cases import Case, failures_of
from calocc.runtime.fuzzing.models import Drawn, assembled, pruned, with_model
from calocc.runtime.fuzzing.trial import Failure, Plan, Reals, passes_of

Judge = Callable[[Case], list[Failure]]
FINEST = 12
"""Fraction bits up to which numbers are rounded."""


@dataclass
class Shrinker:
    """Looks for the smallest case that fails in the way of `failure`."""

    case: Case
    failure: Failure
    seconds: float = 60.0
    judge: Judge = failures_of
    tries: int = 0

    def run(self) -> tuple[Case, Failure]:
        """The smallest case found, and how it fails."""
        until = monotonic() + self.seconds
        self._keep(_focused(self.case, self.failure))
        progress = True
        while progress and monotonic() < until:
            progress = False
            for candidate in candidates(self.case):
                if monotonic() > until:
                    break
                if self._keep(candidate):
                    progress = True
                    break  # from the front: what is smaller has other, larger cuts
        self._shrink_events(until)
        return self.case, self.failure

    def _keep(self, candidate: Case) -> bool:
        """Take a candidate if it fails in the same way."""
        self.tries += 1
        try:
            found = self.judge(candidate)
        except CaloccError:  # a cut that left nothing to compile
            return False
        alike = [f for f in found if f.kind == self.failure.kind]
        if alike:
            self.case, self.failure = candidate, alike[0]
        return bool(alike)

    def _shrink_events(self, until: float) -> None:
        """One event in the place of all that are drawn, with as many zeros as can be."""
        alone = replace(self.case.plan, events=0)
        if not self.failure.events or not self._keep(
            Case(self.case.drawn, alone, self.failure.events)
        ):
            return
        for k, array in enumerate(self.case.given):
            for index in np.ndindex(*array.shape):
                if monotonic() > until:
                    return
                if self.case.given[k][index] != 0:
                    changed = self.case.given[k].copy()
                    changed[index] = 0.0
                    given = (*self.case.given[:k], changed, *self.case.given[k + 1 :])
                    self._keep(replace(self.case, given=given))


def _focused(case: Case, failure: Failure) -> Case:
    """The case with no more of its plan than the failure needs."""
    plan = case.plan
    pipelines = [p for p in plan.pipelines if failure.stage.startswith(p)]
    if not pipelines and failure.check not in ("bound", "interval", "overflow"):
        pipelines = [failure.stage] if _is_pipeline(failure.stage) else list(plan.pipelines)
    simulate = failure.check == "csim" or failure.stage.endswith(",csim")
    emulate = failure.check == "emulator" or failure.stage.endswith(",emulator")
    text = failure.check == "text" or failure.stage.endswith(",text")
    smaller = replace(
        plan, pipelines=tuple(pipelines[-1:]), emulate=emulate, text=text, simulate=simulate,
        brief=False,
    )  # fmt: skip
    return Case(case.drawn, smaller, failure.events)


def _is_pipeline(text: str) -> bool:
    try:
        return bool(passes_of(text))
    except Exception:
        return False


# ---- candidates ----------------------------------------------------------------------------------


def candidates(case: Case) -> Iterator[Case]:
    """Smaller cases, the smallest first. A change of the inputs' shapes drops given events."""
    for drawn in smaller_models(case.drawn):
        yield replace(case, drawn=drawn, given=_fitting(case.given, drawn))
    for plan in _smaller_plans(case.plan):
        yield replace(case, plan=plan)
    for drawn in simpler_weights(case.drawn):
        yield replace(case, drawn=drawn)


def _fitting(given: tuple[Reals, ...], drawn: Drawn) -> tuple[Reals, ...]:
    """The events, if the model still has such inputs."""
    try:
        ports = input_ports(drawn.module())
    except CaloccError:
        return ()
    fits = len(ports) == len(given) and all(
        p.shape == x.shape[1:] for p, x in zip(ports, given, strict=True)
    )
    return given if fits else ()


def smaller_models(drawn: Drawn) -> Iterator[Drawn]:
    """Models with fewer layers, then ones with smaller layers."""
    yield from _fewer_outputs(drawn)
    yield from _earlier_ends(drawn)
    yield from _later_starts(drawn)
    yield from _without_layers(drawn)
    yield from _narrower(drawn)
    yield from _less_configured(drawn)


def _less_configured(drawn: Drawn) -> Iterator[Drawn]:
    """Without the configuration of hls4ml, or without one of its entries."""
    if drawn.hls4ml is None:
        return
    yield replace(drawn, hls4ml=None)
    for part, entries in drawn.hls4ml.items():
        for key in entries:
            fewer = {k: v for k, v in entries.items() if k != key}
            yield replace(drawn, hls4ml={**drawn.hls4ml, part: fewer})


def _fewer_outputs(drawn: Drawn) -> Iterator[Drawn]:
    outputs = drawn.model.outputs
    if len(outputs) > 1:
        for ref in outputs:
            yield pruned(drawn, (ref,))


def _earlier_ends(drawn: Drawn) -> Iterator[Drawn]:
    """An inner tensor as the only output."""
    for call in drawn.model.calls:
        ref = TensorRef(call.layer, call.node, 0)
        if drawn.model.layer(call.layer).inbound and (ref,) != drawn.model.outputs:
            yield pruned(drawn, (ref,))


def _later_starts(drawn: Drawn) -> Iterator[Drawn]:
    """A tensor as an input, in the place of all that it was computed from."""
    shapes = shapes_of(drawn)
    for call in reversed(drawn.model.calls):
        ref = TensorRef(call.layer, call.node, 0)
        layer = drawn.model.layer(call.layer)
        if len(layer.inbound) != 1 or layer.class_name == "QActivation" or ref not in shapes:
            continue
        name = f"in_{layer.name}"
        config: dict[str, Any] = {"batch_input_shape": [None, *shapes[ref]]}
        start = KerasLayer(name, "InputLayer", config, (), {})
        moved = _replaced(drawn, ref, TensorRef(name, 0, 0), start)
        if moved is not None:
            yield replace(moved, inputs={**moved.inputs, name: "fixed<4,2>"})


def _without_layers(drawn: Drawn) -> Iterator[Drawn]:
    """Each call of a layer whose result has the shape of an operand left out."""
    shapes = shapes_of(drawn)
    for call in drawn.model.calls:
        inbound = drawn.model.layer(call.layer).inbound
        ref = TensorRef(call.layer, call.node, 0)
        for source in inbound[call.node] if inbound else ():
            if shapes.get(source) == shapes.get(ref):
                moved = _replaced(drawn, ref, source)
                if moved is not None:
                    yield moved


def _replaced(
    drawn: Drawn, old: TensorRef, new: TensorRef, start: KerasLayer | None = None
) -> Drawn | None:
    """The model in which `new` is read in the place of `old`; `start` is an input to add."""

    def moved(ref: TensorRef) -> TensorRef:
        return new if ref == old else ref

    model = drawn.model
    layers = [
        replace(layer, inbound=tuple(tuple(map(moved, call)) for call in layer.inbound))
        for layer in model.layers
    ]
    inputs = model.inputs if start is None else (*model.inputs, new)
    layers = layers if start is None else [start, *layers]
    outputs = tuple(dict.fromkeys(map(moved, model.outputs)))
    if all(ref in inputs for ref in outputs):
        return None
    try:
        whole = assembled(model.name, tuple(layers), inputs, outputs)
    except ValueError:
        return None
    result = pruned(with_model(drawn, whole), outputs)
    return result if result.model.inputs else None


def shapes_of(drawn: Drawn) -> Mapping[TensorRef, tuple[int, ...]]:
    """The shapes of all tensors of a model, without batch axis."""
    refs = [TensorRef(call.layer, call.node, 0) for call in drawn.model.calls]
    model = replace(drawn.model, outputs=tuple(refs))
    try:
        ports = output_ports(replace(drawn, model=model).module())
    except CaloccError:
        return {}
    return dict(zip(refs, (p.shape for p in ports), strict=True))


# ---- smaller layers ------------------------------------------------------------------------------

_COUNTS = ("units", "filters", "kernel_size", "depth_multiplier", "pool_size", "size", "n")
"""Keys of configurations that say how large a layer is."""


def _narrower(drawn: Drawn) -> Iterator[Drawn]:
    """Inputs and layers of smaller sizes; weights are cut to what the importer asks for."""
    for layer in drawn.model.layers:
        for config in _smaller_configs(layer):
            yield _with_layer(drawn, replace(layer, config=config))


def _smaller_configs(layer: KerasLayer) -> Iterator[dict[str, Any]]:
    config = dict(layer.config)
    if layer.class_name == "InputLayer":
        _, *shape = config["batch_input_shape"]
        for k, n in enumerate(shape):
            for less in dict.fromkeys((1, n // 2, n - 1)):
                if 0 < less < n:
                    sizes = [*shape[:k], less, *shape[k + 1 :]]
                    yield {**config, "batch_input_shape": [None, *sizes]}
    for key in _COUNTS:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            yield {**config, key: 1}
        elif isinstance(value, list) and set(sizes := cast(list[int], value)) != {1}:
            yield {**config, key: [1] * len(sizes)}
    for key, plain in (("use_bias", False), ("activation", "linear")):
        if config.get(key, plain) != plain and layer.class_name != "QActivation":
            yield {**config, key: plain}
    if layer.class_name == "QActivation" and config["activation"] != _PLAIN:
        yield {**config, "activation": _PLAIN}


_PLAIN = "quantized_bits(4,1,alpha=1.0)"


def _with_layer(drawn: Drawn, layer: KerasLayer) -> Drawn:
    """The model with another layer of that name, and all weights cut to fit."""
    model = drawn.model
    layers = tuple(layer if la.name == layer.name else la for la in model.layers)
    return fitted(with_model(drawn, replace(model, layers=layers)))


def fitted(drawn: Drawn) -> Drawn:
    """Weights cut, where the importer says of a layer that one has another shape than it takes.

    What cannot be mended is returned as it is: nobody will compile it.
    """
    for _ in range(3 * len(drawn.model.layers)):
        try:
            drawn.module()
            return drawn
        except CaloccError as error:
            mended = _mended(drawn, error)
        if mended is None:
            return drawn
        drawn = mended
    return drawn


def _mended(drawn: Drawn, error: CaloccError) -> Drawn | None:
    """The weight that an UnsupportedLayer names, cut to the shape that it names."""
    match = re.search(r"its stored (\w+) has the shape .*, not \(([\d, ]*)\)", error.what)
    name = getattr(error, "layer", None)
    if match is None or name is None:
        return None
    shape = tuple(int(n) for n in match[2].replace(",", " ").split())
    layer = drawn.model.layer(name)
    array = layer.weights.get(match[1])
    if array is None or array.ndim != len(shape):
        return None
    cut = array[tuple(slice(0, n) for n in shape)]
    if cut.shape != shape:
        return None
    smaller = replace(layer, weights={**layer.weights, match[1]: cut})
    layers = tuple(smaller if la.name == name else la for la in drawn.model.layers)
    return with_model(drawn, replace(drawn.model, layers=layers))


# ---- plans and weights ---------------------------------------------------------------------------


def _smaller_plans(plan: Plan) -> Iterator[Plan]:
    """Plain numerics, formats of the model itself, fewer pipelines, and ones with fewer passes."""
    if plan.numerics != NUMERICS:
        yield replace(plan, numerics=NUMERICS)
    if plan.data is not None:
        yield replace(plan, data=None)
    for k in range(len(plan.pipelines) if len(plan.pipelines) > 1 else 0):
        yield replace(plan, pipelines=(*plan.pipelines[:k], *plan.pipelines[k + 1 :]))
    for k, pipeline in enumerate(plan.pipelines):
        for shorter in _shorter(pipeline):
            yield replace(plan, pipelines=(*plan.pipelines[:k], shorter, *plan.pipelines[k + 1 :]))
    if plan.search:
        yield replace(plan, search=0)
    if plan.events > 2:
        yield replace(plan, events=plan.events // 2)


def _shorter(pipeline: str) -> Iterator[str]:
    specs = [str(step.spec()) for step in passes_of(pipeline)]
    for k in range(len(specs)):
        if len(specs) > 1:
            yield ",".join(specs[:k] + specs[k + 1 :])


def simpler_weights(drawn: Drawn) -> Iterator[Drawn]:
    """Weights of zeros or ones, then ones of fewer bits."""
    for layer in drawn.model.layers:
        for name, array in layer.weights.items():
            for simpler in _simpler(array):
                changed = replace(layer, weights={**layer.weights, name: simpler})
                layers = tuple(changed if la.name == layer.name else la
                               for la in drawn.model.layers)  # fmt: skip
                yield replace(drawn, model=replace(drawn.model, layers=layers))


def _simpler(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    if array.dtype.kind != "f":
        return
    for simple in (np.zeros_like(array), np.ones_like(array)):
        if array.any() and not np.array_equal(array, simple) and not (array == 1).all():
            yield simple
    for bits in (0, 2, FINEST):
        rounded = np.rint(array * 2.0**bits) / 2.0**bits
        if not np.array_equal(rounded, array):
            yield rounded.astype(array.dtype)
            return
