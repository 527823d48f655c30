"""Lint for synthesis: clean projects pass, and each rule notices what it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from example_models import ALL, Example, design_of
from project_designs import every_kind

from calocc.codegen.vitis.lint import rules
from calocc.codegen.vitis.lint.checks import CHECKS
from calocc.codegen.vitis.lint.kernel_checks import KERNEL_CHECKS
from calocc.codegen.vitis.lint.lint import Finding, NotSynthesizable, lint
from calocc.codegen.vitis.lint.rules import RULES
from calocc.codegen.vitis.lint.syntax import for_synthesis
from calocc.compiler.lint_main import main

TOP = """\
#include "kernels.h"

void top(hls::stream<input_t> &x, hls::stream<result_t> &y) {
    #pragma HLS INTERFACE axis port=x
    #pragma HLS INTERFACE axis port=y
    #pragma HLS DATAFLOW
#ifndef __SYNTHESIS__
    if (true) load();
#endif
    hls::stream<input_t> a("a");
    #pragma HLS STREAM variable=a depth=4
    hls::stream<input_t> b("b");
    #pragma HLS STREAM variable=b depth=2
    hls::stream<input_t> c("c");
    #pragma HLS STREAM variable=c depth=2
    nnet::fork<input_t, config1>(x, a, b);
    nnet::add<input_t, input_t, config2>(a, b, c);
    nnet::last<input_t, result_t, config3>(c, y); // the end
}
"""
KERNELS = """\
#ifndef KERNELS_H_
#define KERNELS_H_
#include "nnet_types.h"

typedef nnet::array<ap_fixed<16, 6>, 4> input_t;
typedef nnet::array<ap_ufixed<8, 0>, 4> result_t;

struct config1 {
    static const unsigned n = 8;
};
struct config2 {
    static const unsigned n = 8;
};
struct config3 {
    static const unsigned n = 8;
    static const unsigned words = 32;
};

namespace nnet {

template <class T> void write_all(const T &) {}
template <class T, class... rest_S>
void write_all(const T &beat, hls::stream<T> &first, rest_S &...rest) {
    first.write(beat);
    write_all(beat, rest...);
}

template <class in_T, typename CONFIG_T, class... out_S>
void fork(hls::stream<in_T> &in, out_S &...out) {
    for (unsigned i = 0; i < CONFIG_T::n; i++) {
        #pragma HLS PIPELINE II=1
        write_all(in.read(), out...);
    }
}

template <class in_T, class out_T, typename CONFIG_T>
void add(hls::stream<in_T> &in1, hls::stream<in_T> &in2, hls::stream<out_T> &out) {
    for (unsigned i = 0; i < CONFIG_T::n; i++) {
        #pragma HLS PIPELINE II=1
        const in_T p = in1.read();
        const in_T q = in2.read();
        out_T y;
        for (unsigned l = 0; l < in_T::size; l++)
            for (unsigned k = l; k < l + 1; k++)
                y[k] = p[k] + q[k];
        out.write(y);
    }
}

template <class in_T, class out_T, typename CONFIG_T>
void last(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    const unsigned depth = CONFIG_T::words * in_T::size;
    int memory[depth][2];
    #pragma HLS ARRAY_PARTITION variable=memory complete dim=0
    for (unsigned i = 0; i + 1 < CONFIG_T::n + 1; i++) {
        #pragma HLS PIPELINE II=1
        memory[i][0] = i;
        out.write(out_T(in.read()));
    }
}

} // namespace nnet
#endif
"""

KERNEL = """\
#include "../firmware/kernels.h"

typedef ap_uint<512> word;

template <class T> void load(const word *memory, hls::stream<T> &beats, unsigned events) {
    for (unsigned i = 0; i < events; i++) {
        #pragma HLS PIPELINE II=1
        beats.write(memory[i]);
    }
}
template <class T> void store(hls::stream<T> &beats, word *memory, unsigned events) {
    for (unsigned i = 0; i < events; i++) {
        #pragma HLS PIPELINE II=1
        memory[i] = beats.read();
    }
}
void all(hls::stream<input_t> &in, hls::stream<result_t> &out, unsigned events) {
    for (unsigned e = 0; e < events; e++) {
        #pragma HLS DATAFLOW
        top(in, out);
    }
}
extern "C" void top_kernel(const word *in0, word *out0, unsigned events) {
    #pragma HLS INTERFACE m_axi port=in0 offset=slave bundle=gmem_in0 depth=8
    #pragma HLS INTERFACE mode=m_axi port=out0 offset=slave bundle=gmem_out0 depth=9
    #pragma HLS INTERFACE s_axilite port=events
    #pragma HLS INTERFACE s_axilite port=return
    #pragma HLS DATAFLOW
    hls::stream<input_t> in("in");
    #pragma HLS STREAM variable=in depth=2
    hls::stream<result_t> out("out");
    #pragma HLS STREAM variable=out depth=2
    load(in0, in, events);
    all(in, out, events);
    store(out, out0, events);
}
"""
STREAM = """\
#include "../firmware/kernels.h"

extern "C" void top_stream(hls::stream<input_t> &x, hls::stream<result_t> &y) {
    #pragma HLS INTERFACE ap_ctrl_none port=return
    #pragma HLS INTERFACE axis port=x
    #pragma HLS INTERFACE axis port=y
    #pragma HLS DATAFLOW
    top(x, y);
}
"""

BREAKS: list[tuple[str, str, str, str]] = [
    ("static-bounds", "i < CONFIG_T::n; i++", "i < in.size(); i++", "its end 'i < in.size()'"),
    ("static-bounds", "i < CONFIG_T::n; i++", "i < CONFIG_T::n; i += i", "does not count 'i'"),
    ("static-bounds", "memory[i][0] = i;", "memory[i][0] = i++;", "'i' changes inside it"),
    ("static-bounds", "memory[i][0] = i;", "while (i) {}", "iterations is not known"),
    ("no-recursion", "memory[i][0] = i;", "last<in_T, out_T, CONFIG_T>(in, out);", "last -> last"),
    ("no-heap", "int memory[depth][2];", "int *memory = new int[2];", "'new int[2]' needs a heap"),
    ("no-heap", "int memory[depth][2];", "std::vector<int> memory;", "std::vector<int> allocates"),
    ("no-system-calls", "memory[i][0] = i;", 'printf("%u", i);', "printf is a call of the system"),
    ("no-system-calls", "memory[i][0] = i;", "std::cout << i;", "std::cout is a file"),
    ("no-run-time-types", "memory[i][0] = i;", "throw i;", "'throw' has no hardware"),
    ("known-pragmas", "PIPELINE II=1", "PIPELNE II=1", "there is no pragma PIPELNE"),
    ("known-pragmas", "PIPELINE II=1", "PIPELINE interval=1", "has no option 'interval'"),
    ("pragma-variables", "variable=memory", "variable=memori", "'memori' is not declared"),
    ("pragma-variables", "port=x", "port=z", "'z' is not declared"),
    ("partition-size", "words = 32", "words = 1025", "it makes 4100 registers of axis 1"),
    ("stream-width", "ap_fixed<16, 6>, 4>", "ap_fixed<16, 6>, 257>", "input_t has 4112 bits"),
    ("single-producer-consumer", "(c, y);", "(b, y);", "1 tasks write 'c', 0 read it"),
    ("single-producer-consumer", "(x, a, b);", "(x, b, b);", "0 tasks write 'a', 1 read it"),
    ("single-producer-consumer", "(x, a, b);", "(c, a, b);", "it waits for what it makes"),
    ("dataflow-form", "    nnet::last", "    if (true) nnet::last", "if statement is no call"),
    ("dataflow-form", "void last(", "int last(", "last returns something"),
    ("stream-depth", "variable=c depth=2", "variable=c depth=0", "'c' has no depth"),
    ("top-interface", "    #pragma HLS INTERFACE axis port=y\n", "", "port 'y' has no interface"),
    ("memory-bundle", "bundle=gmem_out0", "bundle=gmem_in0", "'out0' shares the bundle gmem_in0"),
    ("memory-bundle", "bundle=gmem_out0", "", "'out0' has no bundle"),
    ("memory-offset", "out0 offset=slave", "out0 offset=off", "cannot set the address of 'out0'"),
    ("memory-depth", "depth=9", "", "'out0' has no depth"),
    ("memory-width", "ap_uint<512>", "ap_uint<384>", "words of 'in0' have 384 bits"),
    ("memory-width", "depth=9", "depth=9 max_widen_bitwidth=2048", "widened to 2048 bits"),
    ("memory-bursts", "memory[i] =", "if (i > 3) memory[i] =", "not every iteration makes it"),
    ("memory-bursts", "beats.write(memory[i])", "beats.write(memory[2 * i])", "but at 2 * i"),
    ("memory-bursts", "beats.write(memory[i])", "beats.write(*memory)", "but at 0"),
    ("memory-bursts", "memory[i] = b", "memory[i] = memory[i] + b", "is both read and written"),
    ("memory-bursts", "    load(in0", "    in0[0];\n    load(in0", "it is in no loop"),
    ("memory-bursts", "        #pragma HLS PIPELINE II=1\n        memory", "        memory",
     "its loop is not pipelined"),
    ("kernel-control", "s_axilite port=return", "ap_ctrl_hs port=return", "is not s_axilite"),
    ("kernel-control", "ap_ctrl_none port=return", "s_axilite port=return", "is not ap_ctrl_none"),
    ("kernel-control", "s_axilite port=events", "s_axilite port=events bundle=b", "of its own"),
    ("kernel-control", "s_axilite port=events", "axis port=events", "cannot set 'events'"),
    ("dataflow-form", "unsigned e = 0;", "unsigned e = 1;", "for statement is no call"),
]  # fmt: skip


FILES = {
    "firmware/top.cpp": TOP,
    "firmware/kernels.h": KERNELS,
    "kernel/top_kernel.cpp": KERNEL,
    "kernel/top_stream.cpp": STREAM,
}


def findings(directory: Path, files: Mapping[str, str]) -> list[Finding]:
    """What is found in a project of these files."""
    for name, text in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return lint(directory, "top")


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert findings(tmp_path, FILES) == []


@pytest.mark.parametrize(
    ("rule", "old", "new", "words"), BREAKS, ids=[f"{b[0]}: {b[3]}" for b in BREAKS]
)
def test_a_rule_notices(rule: str, old: str, new: str, words: str, tmp_path: Path) -> None:
    assert any(old in text for text in FILES.values())
    found = findings(tmp_path, {name: text.replace(old, new) for name, text in FILES.items()})
    assert rule in {finding.rule for finding in found}
    assert any(words in finding.problem for finding in found if finding.rule == rule)
    for finding in found:
        text = (tmp_path / finding.file).read_text().splitlines()[finding.line - 1]
        assert text.strip()
        assert finding.source == RULES[finding.rule].source


def test_every_rule_is_checked_and_broken() -> None:
    assert RULES.keys() == {**CHECKS, **KERNEL_CHECKS}.keys() == {rule for rule, *_ in BREAKS}


def test_what_is_for_simulation_only_is_not_seen() -> None:
    text = (
        "#if defined(A) || defined(__SYNTHESIS__)\na\n#else\nb\n#endif\n#ifndef __SYNTHESIS__\nc\n"
    )
    text += "#elif 1\nd\n#else\ne\n#endif\nf\n"
    assert for_synthesis(text).split("\n") == ["", "a", *[""] * 6, "d", "", "", "", "f", ""]


@pytest.mark.parametrize("example", ALL, ids=lambda e: e.model.stem)
def test_our_projects_pass(example: Example, tmp_path: Path) -> None:
    design = design_of(example, 2)
    assert lint(design.write(tmp_path / "project"), design.name) == []


@pytest.mark.parametrize("level", [0, 2])
def test_every_kind_of_process_passes(level: int, tmp_path: Path) -> None:
    design = every_kind(level)
    assert lint(design.write(tmp_path / "project"), design.name) == []


def test_a_project_that_synthesis_would_refuse_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rules.PRAGMAS, "PIPELINE", frozenset({"ii"}))
    with pytest.raises(NotSynthesizable, match="PIPELINE has no option 'style'"):
        every_kind().write(tmp_path / "project")
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    design = every_kind()
    project = design.write(tmp_path / "project")
    with pytest.raises(SystemExit) as clean:
        main([str(project)])
    assert (clean.value.code, capsys.readouterr().out) == (
        0,
        f"0 findings under {len(RULES)} rules\n",
    )
    header = project / "firmware/nnet_utils/calocc_map.h"
    header.write_text(header.read_text().replace("PIPELINE", "PIPE"))
    with pytest.raises(SystemExit) as broken:
        main([str(project), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert broken.value.code == 1
    places = {(finding["file"], finding["rule"]) for finding in found}
    assert places == {("firmware/nnet_utils/calocc_map.h", "known-pragmas")}
    main(["--rules"])
    shown = capsys.readouterr().out
    assert all(rule in shown for rule in RULES)
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "it holds no design" in capsys.readouterr().err
