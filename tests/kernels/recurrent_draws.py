"""Random instances of the kernels for recurrent layers, each with its numpy model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from kernel_draws import divisors, draw_format, flat
from kernel_harness import Case, Ints, Port, constants

from calocc.dialects.fixed.arithmetic import quantize
from calocc.dialects.fixed.format import Format, Overflow, Rounding

FRAC = 22
"""Fraction bits of totals, more than any sum of products has."""
TOTAL = Format(True, 60, 60 - FRAC)
STATE = Format.parse("fixed<8,4>")
VECTORS = [Format.parse(text) for text in ("fixed<9,6>", "fixed<8,5>", "ufixed<7,5>")]
"""Formats that hold most totals."""


def draw_reverse(rng: random.Random) -> Case:
    """`reverse` of rows of any length."""
    rows, inner = rng.randint(1, 6), rng.randint(1, 6)
    port = Port(draw_format(rng), rng.choice(divisors(inner)), rows * inner)
    return Case(
        "reverse",
        (port,),
        (port,),
        constants("config", n_rows=rows, inner=inner),
        "nnet::reverse<in0_T, out0_T, config>(in0, out0);",
        2 * port.beats,
        lambda event: flat(event[0].reshape(rows, inner)[::-1]),
    )


def rounded(total: Ints, to: Format) -> Ints:
    """A total in another format."""
    return quantize(total, FRAC, to, Rounding.RND_CONV, Overflow.SAT)


@dataclass(frozen=True)
class Phase:
    """Multiplies a vector in one format with matrices (dots, units, units); makes another one."""

    vector: Format
    weight: Format
    made: Format
    matrices: Ints

    @staticmethod
    def draw(rng: random.Random, units: int, vector: Format, made: Format) -> Phase:
        weight = draw_format(rng)
        numbers = np.random.default_rng(rng.randrange(1 << 32))
        lo, hi = weight.min_mantissa, weight.max_mantissa
        size = (rng.randint(1, 3), units, units)
        return Phase(vector, weight, made, numbers.integers(lo, hi, size, endpoint=True))

    @property
    def frac(self) -> int:
        """Fraction bits of the sums."""
        return self.vector.frac + self.weight.frac

    def sums(self, vector: Ints) -> Ints:
        """All sums of each unit together, as totals."""
        return (vector @ self.matrices).sum(axis=0) << (FRAC - self.frac)

    def folded(self, simd: int, pe: int) -> Ints:
        """The weights as the kernel takes them: [pe * dots + k][nf * SF + sf][simd]."""
        dots, units, _ = self.matrices.shape
        parts = self.matrices.reshape(dots, units // simd, simd, units // pe, pe)
        return parts.transpose(4, 0, 3, 1, 2).reshape(pe * dots, -1, simd)

    def struct(self, k: int, gates: int, gate: Format, result: Format, last: bool) -> str:
        """Adds sums, state and channel, in the first phase also gates, and keeps the total."""
        dots = len(self.matrices)
        others = " + ".join(f"gates[{g}]" for g in range(gates if k == 0 else 0)) or "0"
        sums = " + ".join(f"sums[{n}]" for n in range(dots))
        modes = "AP_RND_CONV, AP_SAT"
        y = f"y = ap_{result}(ap_{_modes(result, modes)}(total));" if last else ""
        return (
            f"struct case_phase{k} {{\n"
            f"    static const unsigned n_dots = {dots};\n"
            f"    typedef ap_{self.vector} vector_t;\n"
            f"    typedef ap_{self.weight} weight_t;\n"
            f"    typedef ap_{Format(True, 26, 26 - self.frac)} accum_t;\n"
            "    static const nnet::storage weight_storage = nnet::storage::bram;\n"
            f"    static void apply(const accum_t (&sums)[{dots}],\n"
            f"                      const ap_{gate} (&{'gates' if k == 0 else ''})[{gates}],\n"
            f"                      case_unit &unit, ap_{self.made} &next, ap_{result}\n"
            f"                      &{'y' if last else ''}, const nnet::channel at) {{\n"
            f"        const ap_{TOTAL} total = ap_{TOTAL}({sums}) + ap_{TOTAL}({others})\n"
            "            + unit.state + at.fold * at.lanes + at.lane;\n"
            f"        unit.state = ap_{_modes(STATE, modes)}(total);\n"
            f"        next = ap_{_modes(self.made, modes)}(total);\n"
            f"        {y}\n"
            "    }\n"
            "};\n"
        )


def _modes(format: Format, modes: str) -> str:
    return f"{str(format)[:-1]}, {modes}>"


def draw_recurrent(rng: random.Random) -> Case:
    """`recurrent` in one or two phases, with a state of its own for each unit."""
    steps, units, gates = rng.randint(1, 4), rng.choice([1, 2, 3, 4, 6, 8]), rng.randint(1, 4)
    simd = rng.choice(divisors(units))
    pe = rng.choice(divisors(simd))
    sequences, gate, result = rng.random() < 0.5, draw_format(rng), rng.choice(VECTORS)
    vectors = [rng.choice(VECTORS) for _ in range(rng.randint(1, 2))]
    phases = [
        Phase.draw(rng, units, vector, vectors[(k + 1) % len(vectors)])
        for k, vector in enumerate(vectors)
    ]
    structs = [p.struct(k, gates, gate, result, p is phases[-1]) for k, p in enumerate(phases)]
    sizes = constants(
        "sizes", n_steps=steps, n_units=units, n_gates=gates, simd=simd, sequences=int(sequences)
    )
    aliases = [f"    typedef case_phase{k} phase{k};\n" for k in range(len(phases))]
    unit = f"struct case_unit {{ ap_{STATE} state; void clear() {{ state = 0; }} }};\n"
    config = f"struct config : sizes {{\n    typedef case_unit unit_t;\n{''.join(aliases)}}};\n"
    folded = [p.folded(simd, pe) for p in phases]
    names = [f"weights{k}" for k in range(len(phases))]
    fills = [
        f"fill(&{name}[0][0][0], mantissas{k}, {array.size}); "
        for k, (name, array) in enumerate(zip(names, folded, strict=True))
    ]

    def model(event: Sequence[Ints]) -> list[Ints]:
        rows = event[0].reshape(steps, units, gates).sum(axis=2) << (FRAC - gate.frac)
        vector, state = np.zeros(units, np.int64), np.zeros(units, np.int64)
        outputs: list[Ints] = []
        for row in rows:
            total = row
            for phase in phases:
                own = phase.sums(vector) + (state << (FRAC - STATE.frac))
                total = own + (np.arange(units) << FRAC) + (row if phase is phases[0] else 0)
                state, vector = rounded(total, STATE), rounded(total, phase.made)
            outputs.append(rounded(total, result))
        return flat(np.stack(outputs) if sequences else outputs[-1])

    return Case(
        "recurrent",
        (Port(gate, pe * gates, steps * units * gates),),
        (Port(result, pe, (steps if sequences else 1) * units),),
        sizes + "\n" + unit + "".join(structs) + config + "".join(map(_stored, range(2), folded)),
        f"{''.join(fills)}nnet::recurrent<in0_T, out0_T, config>(in0, out0, {', '.join(names)});",
        steps * len(phases) * (units // pe) * (units // simd),
        model,
    )


def _stored(k: int, weights: Ints) -> str:
    """The weights of a phase and their mantissas."""
    size = "".join(f"[{n}]" for n in weights.shape)
    return (
        f"static const long long mantissas{k}[] = {{{', '.join(map(str, weights.reshape(-1)))}}};\n"
        f"static case_phase{k}::weight_t weights{k}{size};\n"
    )


RECURRENT: dict[str, Callable[[random.Random], Case]] = {
    "recurrent": draw_recurrent,
    "reverse": draw_reverse,
}
