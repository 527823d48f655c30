"""From a dataflow module to what the templates print: types, configs, calls, FIFOs, weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Region, SSAValue

from calocc.codegen.vitis.cpp import Struct, fixed_type
from calocc.codegen.vitis.scalars import function_lines, is_identity
from calocc.compiler.network import fifos_of, processes_of, wire_source
from calocc.compiler.ports import Port, input_ports, main_function, output_ports, return_op
from calocc.compiler.rules import NoRule, Rules
from calocc.dialects.dataflow.compute import WeightedOp
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed.ops import format_of

RESERVED = frozenset(
    "alignas alignof and asm auto bool break case catch char class const constexpr continue "
    "decltype default delete do double else enum explicit export extern false float for friend "
    "goto if inline int long main mutable namespace new nnet noexcept not nullptr operator or "
    "private protected public register return run short signed sizeof static std struct switch "
    "template this throw true try typedef typeid typename union unsigned using virtual void "
    "volatile while xor hls next found features expected differing events input inputs output "
    "outputs log read write numbers value line text loaded_weights to_stream from_stream "
    "doubles".split()
)
"""Words of C++ and of the templates that no stream may be called."""


@dataclass(frozen=True)
class Stream:
    """A C++ stream: its variable, the name of its beat type, and its FIFO."""

    variable: str
    type: str
    stream: StreamType
    depth: int | None = None

    @property
    def definition(self) -> str:
        """The beat type."""
        return f"nnet::array<{fixed_type(self.stream.format)}, {self.stream.width}>"

    @property
    def storage(self) -> str:
        """What the FIFO is made of: shift registers, LUT memory or block RAM."""
        assert self.depth is not None
        return "srl" if self.depth <= 32 else "lutram" if self.depth <= 128 else "bram"


@dataclass(frozen=True, eq=False)
class Weights:
    """A constant array: mantissas of `format` in the order of `dimensions`, row-major."""

    variable: str
    type: str
    definition: str
    dimensions: tuple[int, ...]
    mantissas: NDArray[np.int64]
    frac: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.dimensions)


@dataclass(frozen=True)
class Call:
    """One process: a call of a kernel."""

    kernel: str
    config: str
    template: str
    arguments: str
    comment: str


@dataclass(frozen=True)
class TopPort:
    """An input or output of the top function."""

    port: Port
    stream: Stream


@dataclass
class Firmware:
    """Everything that the templates need."""

    name: str
    inputs: list[TopPort] = field(default_factory=list[TopPort])
    outputs: list[TopPort] = field(default_factory=list[TopPort])
    streams: list[Stream] = field(default_factory=list[Stream])
    structs: list[Struct] = field(default_factory=list[Struct])
    weights: list[Weights] = field(default_factory=list[Weights])
    calls: list[Call] = field(default_factory=list[Call])

    @property
    def kernels(self) -> list[str]:
        """The kernels that are used, in alphabetical order."""
        return sorted({call.kernel for call in self.calls})

    @property
    def arguments(self) -> str:
        """The parameters of the top function."""
        ports = [*self.inputs, *self.outputs]
        return ", ".join(f"hls::stream<{p.stream.type}> &{p.stream.variable}" for p in ports)


@dataclass
class Emitter:
    """Walks a module and fills a `Firmware`."""

    firmware: Firmware
    streams: dict[SSAValue, Stream] = field(default_factory=dict[SSAValue, Stream])
    index: int = 0
    _taken: Counter[str] = field(default_factory=Counter[str])

    def variable(self, text: str) -> str:
        """A C identifier that is not taken yet."""
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in text)
        if name in RESERVED or name == self.firmware.name or not name[:1].isalpha():
            name = f"stream_{name}"
        self._taken[name] += 1
        return name if self._taken[name] == 1 else f"{name}_{self._taken[name]}"

    def run(self, module: ModuleOp) -> Firmware:
        """Emit all ports, streams and processes."""
        function, results = main_function(module), return_op(main_function(module)).operands
        self._inputs(module)
        ends = {wire_source(v): k for k, v in enumerate(results)}
        depths = {fifo.source: fifo.depth for fifo in fifos_of(function)}
        for index, op in enumerate(processes_of(function), start=2):
            self.index = index
            self._results(op, ends, depths)
            emit = EMITTERS.find(op)
            if emit is None:
                raise NoRule(op.layer_name, op.name, "kernel", "emits")
            emit(self, op)
        pairs = zip(output_ports(module), results, strict=True)
        self.firmware.outputs = [TopPort(p, self.stream(v)) for p, v in pairs]
        return self.firmware

    def _inputs(self, module: ModuleOp) -> None:
        ports = input_ports(module)
        for k, (port, argument) in enumerate(
            zip(ports, main_function(module).args, strict=True), start=1
        ):
            type = "input_t" if len(ports) == 1 else f"input{k}_t"
            stream = Stream(self.variable(port.name), type, stream_of(argument))
            self.streams[argument] = stream
            self.firmware.inputs.append(TopPort(port, stream))

    def _results(
        self, op: ProcessOp, ends: dict[SSAValue, int], depths: dict[SSAValue, int | None]
    ) -> None:
        """Name the streams behind a process; those at ports are arguments, not variables."""
        base = op.layer_name if isinstance(op, WeightedOp) else f"{op.layer_name}_{_kind(op)}"
        for k, result in enumerate(op.results):
            suffix = f"_{k + 1}" if len(op.results) > 1 else ""
            is_end = result in ends
            only = is_end and len(ends) == 1
            type = "result_t" if only else f"layer{self.index}{suffix}_t"
            variable = self.variable(f"{base}{suffix}_out")
            depth = None if is_end else depths[result]
            stream = Stream(variable, type, stream_of(result), depth)
            self.streams[result] = stream
            if not is_end:
                self.firmware.streams.append(stream)

    def stream(self, value: SSAValue) -> Stream:
        """The C++ stream of a value; reshapes are wires."""
        return self.streams[wire_source(value)]

    def config(self, op: ProcessOp) -> Struct:
        """A new config struct for a process."""
        struct = Struct(f"config{self.index}", f"{op.layer_name}: {_kind(op)}")
        self.firmware.structs.append(struct)
        return struct

    def call(self, op: ProcessOp, *others: str, types: tuple[str, ...] | None = None) -> None:
        """A kernel call with all operands and results, then other arguments."""
        streams = [self.stream(v) for v in (*op.operands, *op.results)]
        names = types or tuple(s.type for s in streams)
        config = f"config{self.index}"
        template = ", ".join((*names, config))
        arguments = ", ".join((*(s.variable for s in streams), *others))
        self.firmware.calls.append(Call(_kind(op), config, template, arguments, op.layer_name))

    def epilogue(self, op: ProcessOp, config: Struct, region: Region) -> None:
        """The epilogue of a process, as a type of its config."""
        out = f"{self.stream(op.results[0]).type}::value_type"
        if is_identity(region):
            config.alias(epilogue=f"nnet::identity<{out}>")
            return
        accumulator = fixed_type(format_of(region.block.args[0]))
        struct = Struct(f"epilogue{self.index}", f"{op.layer_name}: from sum to output")
        lanes = op.outputs[0].layout.lanes
        struct.add([static_function("apply", out, [accumulator], region, lanes)])
        self.firmware.structs.insert(-1, struct)
        config.alias(epilogue=struct.name)


EMITTERS = Rules[Emitter, None]()
emits = EMITTERS.on
"""Register how a kind of process is written."""


def _kind(op: ProcessOp) -> str:
    return op.name.partition(".")[2]


def static_function(
    name: str, result: str, arguments: list[str], region: Region, lanes: int
) -> str:
    """A static function with the body of a region, inlined where it is called."""
    names = ["x"] if len(arguments) == 1 else list("abcdefgh"[: len(arguments)])
    lines, uses_channel = function_lines(region, names, lanes)
    parameters = [f"const {t} &{n}" for t, n in zip(arguments, names, strict=True)]
    parameters.append(f"const nnet::channel{' at' if uses_channel else ''}")
    body = "\n".join(f"        {line}" for line in ["#pragma HLS INLINE", *lines])
    return f"static {result} {name}({', '.join(parameters)}) {{\n{body}\n    }}"
