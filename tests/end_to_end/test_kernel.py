"""The kernels around a design: their own test bench, and how v++ is told to build and link them."""

from __future__ import annotations

import configparser
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from project_designs import FixedNetwork, every_kind

import calocc
from calocc.codegen.vitis.emit import emit
from calocc.codegen.vitis.kernel import connectivity, units_that_fit
from calocc.compiler.design import Design
from calocc.compiler.devices import load_device
from calocc.dialects.qnn.dense import DenseOp

JETS = Path(__file__).parents[2] / "examples/jets/jets.h5"
STRICT = ("-std=c++14", "-O0", "-Wall", "-Wextra", "-Werror", "-DNDEBUG")
NOT_OURS = ("-Wno-unknown-pragmas", "-Wno-uninitialized", "-Wno-maybe-uninitialized")


def wide() -> Design:
    """Beats of several words: 70 elements of 9 bits in, 33 of up to 32 bits out."""
    net = FixedNetwork(((70,), "ufixed<9,2>"))
    (x,) = net.block.args
    return net.design(
        "wide", [net.add(DenseOp(x, net.constant((70, 33), "fixed<5,2>"), layer="d"))]
    )


DESIGNS: dict[str, Callable[[], Design]] = {"every_kind": every_kind, "wide": wide}


def run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """A finished process."""
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=DESIGNS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the executable `bench` of the test bench of its kernels."""
    name: str = request.param
    project = DESIGNS[name]().write(tmp_path_factory.mktemp(name) / "project")
    together = [f"firmware/{name}.cpp", f"kernel/{name}_kernel.cpp", f"kernel/{name}_stream.cpp"]
    included = [part for file in together for part in ("-include", file)]
    places = ("-isystemfirmware/ap_types", "-Ifirmware")
    command = ["g++", *STRICT, *NOT_OURS, *places, *included, f"kernel/{name}_kernel_test.cpp"]
    done = run([*command, "-o", "bench"], project)
    assert done.returncode == 0, done.stderr
    return project


def test_kernels_give_the_bits_of_the_emulator(bench: Path) -> None:
    done = run(["./bench"], bench)
    assert (done.returncode, done.stdout) == (0, "0 values differ in 4 events\n")


def last_greater(text: str) -> str:
    """The last value of the last event, greater by 1/4."""
    rest, last = text.rstrip().rsplit(" ", 1)
    return f"{rest} {float(last) + 0.25}\n"


def without_first_event(text: str) -> str:
    return text.split("\n", 1)[1]


def with_a_value_more(text: str) -> str:
    return text + "1\n"


def nothing(_: str) -> str:
    return ""


@pytest.mark.parametrize(
    "damage",
    [last_greater, without_first_event, with_a_value_more, nothing],
)
def test_the_bench_of_the_kernels_notices(bench: Path, damage: Callable[[str], str]) -> None:
    path = bench / "tb_data/tb_output_predictions.dat"
    original = path.read_text()
    path.write_text(damage(original))
    try:
        assert run(["./bench"], bench).returncode != 0
    finally:
        path.write_text(original)


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the smallest example."""
    return calocc.compile(JETS, opt_level=1).write(tmp_path_factory.mktemp("jets") / "jets")


def settings(file: Path) -> dict[str, list[str]]:
    """The values of a configuration of Vitis by key; a key may come several times."""
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("file", "top", "flow"),
    [
        ("hls_config.cfg", "jets", "vivado"),
        ("jets_kernel.cfg", "jets_kernel", "vitis"),
        ("jets_stream.cfg", "jets_stream", "vitis"),
    ],
)
def test_configurations_name_files_and_functions_that_exist(
    jets: Path, file: str, top: str, flow: str
) -> None:
    found = settings(jets / file)
    assert (found["syn.top"], found["flow_target"], found["clock"]) == ([top], [flow], ["4ns"])
    assert found["part"] == ["xcu50-fsvh2104-2-e"]
    for name in found["syn.file"] + found["tb.file"]:
        assert (jets / name).exists(), name
    sources = "".join((jets / name).read_text() for name in found["syn.file"])
    assert re.search(rf"\bvoid {top}\(", sources)
    configparser.ConfigParser(strict=False).read_string("[-]\n" + (jets / file).read_text())


def test_the_stream_kernel_runs_by_itself(jets: Path) -> None:
    text = (jets / "kernel/jets_stream.cpp").read_text()
    assert "#pragma HLS INTERFACE ap_ctrl_none port=return" in text
    assert "s_axilite" not in text


USED = {"dsp": 900, "bram18": 300, "uram": 0, "lut": 90_000, "ff": 100_000}


@pytest.mark.parametrize(
    ("device", "used", "most", "slrs", "banks"),
    [
        ("alveo-u50", USED, 5, "01010", ["HBM[0]", "HBM[1]", "HBM[2]"]),
        ("alveo-u250", USED, 4, "0123", ["DDR[0]", "DDR[0]", "DDR[1]"]),
        ("alveo-u200", USED, 4, "0120", ["DDR[0]", "DDR[0]", "DDR[2]"]),
        ("alveo-u200", USED | {"lut": 700_000}, 1, "", ["DDR[0]", "DDR[0]"]),
        ("zcu102", USED, 0, "", []),
    ],
)
def test_compute_units_have_dies_and_banks(
    device: str, used: dict[str, int], most: int, slrs: str, banks: list[str]
) -> None:
    card = load_device(device)
    files = connectivity(emit("wide", wide().module), card, used)
    assert len(files) == units_that_fit(card, used, 2) == most
    if not most:
        return
    found = re.findall(r"^(\w+)=(.*)$", files[f"kernel/connectivity_{most}.cfg"], re.M)
    assert found[0] == (
        "nk",
        f"wide_kernel:{most}:{'.'.join(f'wide_kernel_{k + 1}' for k in range(most))}",
    )
    assert "".join(value[-1] for key, value in found if key == "slr") == slrs
    places = [value for key, value in found if key == "sp"]
    assert [place.split(":")[1] for place in places][: len(banks)] == banks
    assert len({place.split(":")[0] for place in places}) == 2 * most
