"""How recurrent layers are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.codegen.vitis.cpp import Struct, fixed_type
from calocc.codegen.vitis.emitter import Emitter, Weights, emits
from calocc.codegen.vitis.emitters.compute import folded_weights, storage_of
from calocc.codegen.vitis.scalars import EMITTERS as SCALARS
from calocc.codegen.vitis.scalars import FunctionBody
from calocc.dialects.dataflow.recurrent import Phase, RecurrentOp
from calocc.dialects.dataflow.reverse import ReverseOp
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.ops import ConstantOp, ScalarOp, format_of


@emits(RecurrentOp)
def _recurrent(state: Emitter, op: RecurrentOp) -> None:
    config = state.config(op).define(
        n_steps=op.steps,
        n_units=op.units,
        n_gates=len(op.gates),
        simd=op.inner_lanes,
        sequences=int(op.sequences),
    )
    fields = _fields(op)
    unit = Struct(f"unit{state.index}", f"{op.layer_name}: what a unit keeps")
    unit.add(f"{fixed_type(format_of(v))} {name};" for v, name in fields.items())
    unit.add([f"void clear() {{ {' '.join(f'{name} = 0;' for name in fields.values())} }}"])
    state.firmware.structs.insert(-1, unit)
    config.alias(unit_t=unit.name)
    phases = op.phases()
    names: list[str] = []
    for k, phase in enumerate(phases):
        struct = Struct(f"phase{state.index}_{k}", f"{op.layer_name}: phase {k + 1} of a step")
        names.append(_weights(state, op, phase, k, struct))
        struct.add([_apply(state, op, k, fields)])
        state.firmware.structs.insert(-1, struct)
        config.alias(**{f"phase{k}": struct.name})
    state.call(op, *names)


def _weights(state: Emitter, op: RecurrentOp, phase: Phase, k: int, struct: Struct) -> str:
    """The types and the weights of a phase; the name of their array."""
    format, pe = phase.weight_format, op.pe
    parts = [align(d.weights.numpy(), d.weight_type.format.frac, format.frac) for d in phase.dots]
    mantissas = _folded([folded_weights(p, pe, op.inner_lanes) for p in parts])
    name, type = f"w{state.index}_{k}", f"weight{state.index}_{k}_t"
    state.firmware.weights.append(
        Weights(name, type, fixed_type(format), mantissas.shape, mantissas, format.frac)
    )
    struct.define(n_dots=len(phase.dots))
    struct.alias(
        weight_t=type,
        accum_t=fixed_type(phase.accumulator),
        vector_t=fixed_type(format_of(phase.vector)),
    )
    struct.add([f"static const nnet::storage weight_storage = {storage_of(mantissas, format)};"])
    return name


def _folded(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The sums of a unit side by side: [pe * n_dots + k][nf * SF + sf][simd]."""
    return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])


def _fields(op: RecurrentOp) -> dict[SSAValue, str]:
    """What a unit keeps from phase to phase and from step to step: values and their names."""
    phases = op.phases()
    kept: dict[SSAValue, str] = {}
    for k, state in enumerate(op.states):
        if any(state in o.operands for p in phases for o in p.body) or state in op.ending.args:
            kept[state] = f"state{k}"
    for later in phases[1:]:
        own = {o.result for o in (*later.body, *later.dots)}
        for value in _read(op, later):
            if value not in own and value not in kept and not _is_constant(value):
                kept[value] = f"kept{len(kept)}"
    return kept


def _read(op: RecurrentOp, phase: Phase) -> list[SSAValue]:
    """What the body of a phase reads; of the last phase also what a step yields."""
    last = op.phases()[-1] == phase
    return [v for o in phase.body for v in o.operands] + list(op.ending.args if last else ())


def _is_constant(value: SSAValue) -> bool:
    return isinstance(value.owner, ConstantOp)


def _apply(state: Emitter, op: RecurrentOp, k: int, fields: dict[SSAValue, str]) -> str:
    """What a phase does to a unit, as a static function."""
    phases, out = op.phases(), f"{state.stream(op.result).type}::value_type"
    phase, last = phases[k], k + 1 == len(phases)
    body = FunctionBody(op.pe)
    known = _arguments(op, phase, k, fields, body)
    for operation in _with_constants(op, phase, last):
        SCALARS[type(operation)](body, operation)
    stores = {f"unit.{fields[v]}": v for v in fields if v not in known and v in body.names}
    vector = phases[0].vector if last else phases[k + 1].vector
    made = op.next_of(vector) if last else vector
    stores["next"] = made
    if last:
        stores |= {f"unit.{fields[s]}": op.next_of(s) for s in op.states if s in fields}
        stores["y"] = op.ending.args[0]
    lines = [*body.lines, *(f"{place} = {body.names[v]};" for place, v in stores.items())]
    gate, types = fixed_type(op.inputs[0].format), fixed_type(format_of(vector))
    parameters = {
        "sums": f"const accum_t (&sums)[{len(phase.dots)}]",
        "gates": f"const {gate} (&gates)[{len(op.gates)}]",
        "unit": f"unit{state.index} &unit",
        "next": f"{types} &next",
        "y": f"{out} &y",
        "at": "const nnet::channel at",
    }
    return _function("apply", parameters, lines)


def _arguments(
    op: RecurrentOp, phase: Phase, k: int, fields: dict[SSAValue, str], body: FunctionBody
) -> set[SSAValue]:
    """Name what a phase begins with: sums, gates, and what the unit has kept."""
    reads = {*_read(op, phase), *(op.next_of(s) for s in op.states)}
    for n, dot in enumerate(phase.dots):
        body.value(dot, "dot", f"sums[{n}]")
    later = {o.result for p in op.phases()[k:] for o in (*p.body, *p.dots)}
    kept = {v for v in fields if v not in later and not (k == 0 and v in op.gates)}
    for value in kept & reads:
        name = body.name(fields[value])
        body.lines.append(f"const {fixed_type(format_of(value))} {name} = unit.{fields[value]};")
        body.names[value] = name
    if k == 0:
        body.names.update({gate: f"gates[{n}]" for n, gate in enumerate(op.gates)})
    return kept


def _with_constants(op: RecurrentOp, phase: Phase, last: bool) -> list[ScalarOp]:
    """The body of a phase with the constants that it reads."""
    wanted = {v for o in phase.body for v in o.operands} | set(op.ending.args if last else ())
    mine = set(phase.body)
    return [
        o
        for o in op.body.block.ops
        if isinstance(o, ScalarOp)
        and (o in mine or (_is_constant(o.result) and o.result in wanted))
    ]


def _function(name: str, parameters: dict[str, str], lines: Sequence[str]) -> str:
    """A static function; parameters that it does not use have no name."""
    text = "\n".join(f"        {line}" for line in ["#pragma HLS INLINE", *lines])
    own = (
        declared if re.search(rf"\b{parameter}\b", text) else _unnamed(parameter, declared)
        for parameter, declared in parameters.items()
    )
    return f"static void {name}({', '.join(own)}) {{\n{text}\n    }}"


def _unnamed(parameter: str, declared: str) -> str:
    return re.sub(rf"\b{parameter}\b", "", declared).rstrip()


@emits(ReverseOp)
def _reverse(state: Emitter, op: ReverseOp) -> None:
    shape = op.inputs[0].shape
    state.config(op).define(n_rows=shape[0], inner=prod(shape[1:]))
    state.call(op)
