"""The rules as data: what each asks for, and where AMD says so."""

from __future__ import annotations

from dataclasses import dataclass

GUIDE = "AMD UG1399 (Vitis HLS User Guide)"
_PLATFORM_GUIDE = "AMD UG1393 (Application Acceleration Development)"
_HLS4ML = "hls4ml, templates/vitis/build_prj.tcl"


@dataclass(frozen=True)
class Rule:
    """A rule by its name; `section` is the heading under which a guide states it."""

    name: str
    demand: str
    section: str
    guide: str = GUIDE

    @property
    def source(self) -> str:
        """Guide and section."""
        return f"{self.guide}, {self.section}"


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "static-bounds",
            "loops are `for` loops that count up to a constant",
            "Variable Loop Bounds",
        ),
        Rule(
            "no-recursion",
            "no function calls itself, directly or through others",
            "Recursive Functions",
        ),
        Rule(
            "no-heap",
            "no memory is allocated at run time, and no container does so",
            "Dynamic Memory Usage; Standard Template Libraries",
        ),
        Rule(
            "no-system-calls",
            "nothing outside of the kernel is called",
            "System Calls",
        ),
        Rule(
            "no-run-time-types",
            "no exceptions, virtual functions, run-time types or jumps",
            "Unsupported C/C++ Constructs; Virtual Functions and Pointers",
        ),
        Rule(
            "known-pragmas",
            "pragmas and their options exist",
            "HLS Pragmas",
        ),
        Rule(
            "pragma-variables",
            "pragmas name variables that are declared in front of them, in the same function",
            "HLS Pragmas",
        ),
        Rule(
            "partition-size",
            "arrays are split into at most 4096 registers along an axis",
            "config_array_partition -maximum_size",
            _HLS4ML,
        ),
        Rule(
            "stream-width",
            "a beat has at most 4096 bits",
            "AXI4-Stream Interfaces",
        ),
        Rule(
            "single-producer-consumer",
            "each stream has one task that writes and one that reads, and no task waits for itself",
            "Canonical Forms of Dataflow Optimization",
            _PLATFORM_GUIDE,
        ),
        Rule(
            "dataflow-form",
            "a dataflow region holds declarations and calls of functions that return nothing, or "
            "is all of a loop that counts from 0",
            "Canonical Forms",
        ),
        Rule(
            "stream-depth",
            "each stream in a dataflow region states its depth",
            "pragma HLS stream",
        ),
        Rule(
            "top-interface",
            "each port of the top function has an interface",
            "pragma HLS interface",
        ),
        Rule(
            "memory-bundle",
            "each port to memory is an interface of its own, so that no two share its channels",
            "M_AXI Bundles",
        ),
        Rule(
            "memory-offset",
            "the host sets the address of each port to memory (offset=slave)",
            "Default Interfaces for Vitis Kernel Flow",
        ),
        Rule(
            "memory-depth",
            "each port to memory states how many words a test bench has there",
            "pragma HLS interface",
        ),
        Rule(
            "memory-width",
            "words of memory, and widths to widen them to, are powers of two up to 1024 bits",
            "Automatic Port Width Resizing",
        ),
        Rule(
            "memory-bursts",
            "memory is read or written in pipelined loops, at their counter, whatever the values",
            "Preconditions and Limitations of Burst Transfer",
        ),
        Rule(
            "kernel-control",
            "arguments and control are one s_axilite interface without a bundle, or, for a kernel "
            "of streams alone, there is no control",
            "AXI4-Lite Interface",
        ),
    )
}
"""All rules by name; those of memory and control are for kernels around a design."""

MOST_REGISTERS = 4096
"""Elements along an axis of a partitioned array, as hls4ml's scripts ask for."""
WIDEST_BEAT = 4096
"""Bits."""
WIDEST_WORD = 1024
"""Bits of a word of memory."""

_MEMORY = "variable type impl latency"
PRAGMAS: dict[str, frozenset[str]] = {
    name: frozenset(options.split())
    for name, options in {
        "AGGREGATE": "variable compact",
        "ALIAS": "ports offset distance",
        "ALLOCATION": "operation function instances limit",
        "ARRAY_PARTITION": "variable type factor dim off complete cyclic block",
        "ARRAY_RESHAPE": "variable type factor dim object off complete cyclic block",
        "BIND_OP": "variable op impl latency",
        "BIND_STORAGE": _MEMORY,
        "CACHE": "port lines depth ways users max_widen_bits",
        "DATAFLOW": "disable_start_propagation",
        "DEPENDENCE": "variable class type dependent direction distance inter intra false true",
        "DISAGGREGATE": "variable",
        "EXPRESSION_BALANCE": "off",
        "FUNCTION_INSTANTIATE": "variable",
        "INLINE": "recursive off",
        "INTERFACE": "mode port bundle name offset depth register register_mode storage_type "
        "num_read_outstanding num_write_outstanding max_read_burst_length max_write_burst_length "
        "max_widen_bitwidth latency direct_io channel axis m_axi s_axilite ap_none ap_vld ap_ack "
        "ap_hs ap_ovld ap_memory ap_fifo ap_ctrl_hs ap_ctrl_chain ap_ctrl_none bram both",
        "LATENCY": "min max",
        "LOOP_FLATTEN": "off",
        "LOOP_MERGE": "force",
        "LOOP_TRIPCOUNT": "min max avg",
        "OCCURRENCE": "cycle",
        "PERFORMANCE": "target_ti target_tl assume_ti unit",
        "PIPELINE": "ii off rewind style",
        "PROTOCOL": "mode",
        "RESET": "variable off",
        "STABLE": "variable",
        "STREAM": "variable type depth off",
        "TOP": "name",
        "UNROLL": "factor region skip_exit_check off",
    }.items()
}
"""The pragmas of the guide's chapter "HLS Pragmas" and their options, in lower case."""

HEAP = frozenset("malloc calloc realloc free make_unique make_shared".split())
CONTAINERS = frozenset(
    "vector string map unordered_map set unordered_set list deque queue stack function "
    "unique_ptr shared_ptr".split()
)
"""Of the standard library."""
SYSTEM = frozenset(
    "printf fprintf sprintf snprintf puts putchar scanf fscanf fopen fclose fread fwrite fgets "
    "getc getenv system exit abort time clock rand srand sleep usleep remove rename".split()
)
STREAMS = frozenset("cout cerr clog cin ifstream ofstream fstream ostream istream".split())
"""Of the standard library."""
RUN_TIME = frozenset("throw_statement try_statement virtual goto_statement asm_statement".split())
"""Kinds of nodes in the syntax."""
