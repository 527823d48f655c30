"""The streams of simulation do what those of ap_types do, to the words of their warnings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from calocc.codegen.vitis.sources import STREAMS
from calocc.runtime.gxx import ap_types_dir, compile_program

PROGRAM = """
#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "nnet_types.h"
#include <cstdio>
#include <iostream>

template <class T> void use(const char *name, unsigned seed) {
    hls::stream<T> stream(name);
    unsigned random = seed, written = 0;
    for (unsigned i = 0; i < 3000; i++) {
        random = random * 1664525 + 1013904223;
        const unsigned among = 2 + i / 300 % 3; // grows, keeps its length, shrinks
        if ((random >> 16) % among != 0 && i / 300 % 3 != 2) {
            T x;
            for (unsigned k = 0; k < T::size; k++)
                x[k] = int(written + k) % 100;
            written % 2 ? stream.write(x) : stream << x;
            written++;
        } else {
            T x;
            if (stream.empty())
                std::printf("%d ", int(stream.read_nb(x)));
            else if (random % 3 == 0)
                stream >> x;
            else
                x = stream.read();
            if (!stream.empty() || stream.size())
                std::printf("%g ", x[T::size - 1].to_double());
        }
    }
    std::printf("%zu left, %d\\n", stream.size(), int(stream.full()));
}

int main() {
    use<nnet::array<ap_fixed<9, 8>, 3>>("narrow", 1);
    use<nnet::array<ap_int<100>, 2>>("wide", 2);
    hls::stream<nnet::array<ap_fixed<9, 8>, 3>> empty("empty");
    std::printf("%g\\n", empty.read()[0].to_double() * 0);
    std::fflush(stdout);
}
"""


def printed(headers: list[Path], place: Path) -> str:
    """What the program says with headers of these directories."""
    (place / "program.cpp").write_text(PROGRAM)
    program = place / "program"
    compile_program([place / "program.cpp"], program, headers, ("-O0", "-w"))
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    return done.stdout


def test_streams_are_those_of_ap_types(tmp_path: Path) -> None:
    theirs = [ap_types_dir(), ap_types_dir().parent / "nnet_utils"]
    (tmp_path / "ours").mkdir()
    ours = printed([STREAMS.parent, *theirs], tmp_path / "ours")
    assert ours == printed(theirs, tmp_path)
    assert ours.count("contains leftover data") == 2
    assert ours.count("is read while empty") == 1


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_the_header_has_no_warning(level: str, tmp_path: Path) -> None:
    (tmp_path / "use.cpp").write_text(
        '#include "hls_stream.h"\n'
        "int f() { hls::stream<int> s; s << 3; int x = 0; return s.read_nb(x) ? x : s.read(); }\n"
    )
    flags = (level, "-Wall", "-Wextra", "-Werror")
    compile_program(
        [tmp_path / "use.cpp"], tmp_path / "u", [STREAMS.parent], (*flags, "-shared", "-fPIC")
    )
