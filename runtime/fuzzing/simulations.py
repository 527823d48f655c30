"""The generated C++ of many designs in one program, compiled once.

The headers, most of what g++ has to read, are read once; each design has a namespace of its own.
The program reads events from a file and writes results to another, so that a design that ends it
can be told: it is the first one without results.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.codegen.vitis import project
from calocc.codegen.vitis.emit import emit
from calocc.codegen.vitis.emitter import Firmware
from calocc.codegen.vitis.sources import STREAMS, sources
from calocc.compiler.ports import Port, input_ports, output_ports
from calocc.runtime.gxx import ap_types_dir, compile_program

Reals = NDArray[np.float64]

FLAGS = ("-O0", "-w", "-DNDEBUG")
"""The fewest seconds per design: few events are run. For NDEBUG see `csim.py`."""
SECONDS = 120
"""After which a simulation is taken to hang."""
KERNELS = Path(project.__file__).parent / "kernels"
_INCLUDE = re.compile(r'^#include ["<][^">]*[">]\n', re.MULTILINE)
_GUARD = re.compile(r"^#ifndef (\w+_H_)$", re.MULTILINE)
_LOAD = re.compile(r'(load_weights<.*, )"(\w+\.txt)"\)')

HEAD = """\
#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "nnet_types.h"
{kernels}
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

static void take(FILE *file, double *values, size_t count) {{
    if (std::fread(values, sizeof(double), count, file) != count)
        std::exit(3);
}}
static void give(FILE *file, const double *values, size_t count) {{
    std::fwrite(values, sizeof(double), count, file);
}}
"""
RUN = """
static void run_{name}(FILE *in, FILE *out) {{
    for (unsigned event = 0; event < {events}; event++) {{
{arrays}
{takes}
        {name}::{name}_double({arguments});
{gives}
    }}
    std::fflush(out);
}}
"""
MAIN = """
int main(int, char **files) {{
    FILE *in = std::fopen(files[1], "rb"), *out = std::fopen(files[2], "wb");
    if (!in || !out)
        return 2;
{runs}
    return 0;
}}
"""


@dataclass(frozen=True, eq=False)
class Simulated:
    """A dataflow module, and events for it: reals (events, *shape) by input."""

    module: ModuleOp
    inputs: Sequence[Reals]

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The output ports."""
        return output_ports(self.module)

    @property
    def events(self) -> int:
        """How many events there are."""
        return len(self.inputs[0])


def simulate_all(designs: Sequence[Simulated]) -> list[list[Reals] | None]:
    """What the C++ of each design returns, by output; None for one that ended the program.

    Raises CompilerMissing, and CompilerFailed if g++ rejects any of them.
    """
    results: list[list[Reals] | None] = []
    with tempfile.TemporaryDirectory(prefix="calocc_fuzz_") as place:
        while len(results) < len(designs):
            found = _run(designs[len(results) :], Path(place))
            results += found
            if len(results) < len(designs):
                results.append(None)
    return results


def _run(designs: Sequence[Simulated], place: Path) -> list[list[Reals]]:
    """The results of the designs up to the first that fails."""
    source, program = place / "batch.cpp", place / "batch"
    source.write_text(program_text(designs, place))
    headers = ap_types_dir()
    include = [STREAMS.parent, headers, headers.parent / "nnet_utils", KERNELS]
    compile_program([source], program, include, (*FLAGS, f'-DWEIGHTS_DIR="{place}"'))
    events = [
        np.ascontiguousarray(x[e]) for d in designs for e in range(d.events) for x in d.inputs
    ]
    (place / "in").write_bytes(b"".join(x.tobytes() for x in events))
    command = [str(program), str(place / "in"), str(place / "out")]
    try:
        subprocess.run(command, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pass  # what it has written until then counts
    return _results(designs, np.fromfile(place / "out"))


def _results(designs: Sequence[Simulated], values: Reals) -> list[list[Reals]]:
    """The numbers that the program has written, by design and output."""
    results: list[list[Reals]] = []
    for design in designs:
        sizes = [prod(p.shape) for p in design.outputs]
        count = design.events * sum(sizes)
        if len(values) < count:
            break
        own, values = values[:count].reshape(design.events, -1), values[count:]
        parts = np.split(own, np.cumsum(sizes)[:-1], axis=1)
        shapes = [(design.events, *p.shape) for p in design.outputs]
        results.append([a.reshape(s) for a, s in zip(parts, shapes, strict=True)])
    return results


def program_text(designs: Sequence[Simulated], place: Path) -> str:
    """The whole program; weights are written below `place`."""
    names = [f"design_{k}" for k in range(len(designs))]
    firmwares = [emit(name, d.module) for name, d in zip(names, designs, strict=True)]
    kernels = sorted({kernel for firmware in firmwares for kernel in firmware.kernels})
    includes = [f'#include "calocc_{k}.h"' for k in ("types", "packing", "weights", *kernels)]
    parts = [HEAD.format(kernels="\n".join(includes))]
    for design, firmware in zip(designs, firmwares, strict=True):
        parts += [_namespace(firmware, place), _runner(design, firmware)]
    runs = "\n".join(f"    run_{name}(in, out);" for name in names)
    return "".join([*parts, MAIN.format(runs=runs)])


def _namespace(firmware: Firmware, place: Path) -> str:
    """The files of a project one behind the other, without what they include."""
    texts = sources(firmware)
    for file in (name for name in texts if name.endswith(".txt")):
        (place / f"{firmware.name}_{Path(file).name}").write_text(texts[file])
    weights = [name for name in texts if name.startswith("weights/") and name.endswith(".h")]
    order = ["defines.h", *weights, "parameters.h", f"{firmware.name}.h", f"{firmware.name}.cpp"]
    body = "".join(texts[name] for name in order) + project.bridge(firmware)
    body = _LOAD.sub(rf'\1"{firmware.name}_\2")', _INCLUDE.sub("", body))
    guards = "".join(f"#undef {name}\n" for name in _GUARD.findall(body))
    return f"\nnamespace {firmware.name} {{\n{body}}}\n{guards}"


def _runner(design: Simulated, firmware: Firmware) -> str:
    """A function that runs all events of a design."""
    inputs = {f"x{k}": prod(p.shape) for k, p in enumerate(input_ports(design.module))}
    outputs = {f"y{k}": prod(p.shape) for k, p in enumerate(design.outputs)}
    arrays = [f"        double {name}[{size}];" for name, size in (inputs | outputs).items()]
    takes = [f"        take(in, {name}, {size});" for name, size in inputs.items()]
    gives = [f"        give(out, {name}, {size});" for name, size in outputs.items()]
    return RUN.format(
        name=firmware.name,
        events=design.events,
        arrays="\n".join(arrays),
        takes="\n".join(takes),
        arguments=", ".join((*inputs, *outputs)),
        gives="\n".join(gives),
    )
