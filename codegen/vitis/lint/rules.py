"""The rules as data: what each asks for, and where AMD says so."""

from __future__ import annotations

from dataclasses import dataclass

GUIDE = "AMD UG1399 (Vitis HLS User Guide)"


@dataclass(frozen=True)
class Rule:
    """A rule by its name; `section` is the heading in the guide that states it."""

    name: str
    demand: str
    section: str


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "static-bounds",
            "loops are `for` loops that count up to a constant",
            "Loops: Variable Loop Bounds",
        ),
        Rule(
            "no-recursion",
            "no function calls itself, directly or through others",
            "Unsupported C/C++ Constructs: Recursive Functions",
        ),
        Rule(
            "no-heap",
            "no memory is allocated at run time, and no container does so",
            "Unsupported C/C++ Constructs: Dynamic Memory Usage, Standard Template Libraries",
        ),
        Rule(
            "no-system-calls",
            "nothing outside of the kernel is called",
            "Unsupported C/C++ Constructs: System Calls",
        ),
        Rule(
            "no-run-time-types",
            "no exceptions, virtual functions, run-time types or jumps",
            "Unsupported C/C++ Constructs: Virtual Functions and Pointers",
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
            "config_array_partition: -maximum_size",
        ),
        Rule(
            "stream-width",
            "a beat has at most 4096 bits",
            "AXI4-Stream Interfaces: How AXI4-Stream Works",
        ),
        Rule(
            "single-producer-consumer",
            "each stream has one task that writes and one that reads, and no task waits for itself",
            "Dataflow Optimization Limitations: Single-producer-consumer Violations, Feedback",
        ),
        Rule(
            "dataflow-form",
            "a dataflow region holds declarations and calls of functions that return nothing",
            "Canonical Forms: Dataflow Canonical Form",
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
    )
}
"""All rules by name."""

MOST_REGISTERS = 4096
"""Elements along an axis of a partitioned array; `maximum_size` of the project's scripts."""
WIDEST_BEAT = 4096
"""Bits."""

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
