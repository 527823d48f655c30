"""Designs as they are deployed: `calocc.runtime.open`, the host library, and what may go wrong."""

from __future__ import annotations

import ctypes
import shutil
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_models import DEEPCALO, JETS, design_of, events_of
from numpy.typing import NDArray
from project_designs import FixedNetwork

import calocc
from calocc import runtime
from calocc.compiler.data import BadInput
from calocc.compiler.design import Design
from calocc.compiler.inputs import load_arrays, save_arrays
from calocc.compiler.manifest import Damaged
from calocc.compiler.run_main import main as run_main
from calocc.compiler.scaling import BadScaler
from calocc.dialects.fixed.arithmetic import quantize_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.dense import DenseOp
from calocc.runtime import host
from calocc.runtime.deployment import Closed, HostOptions, NoSuchPlace
from calocc.runtime.host import DeviceFailed, Host, XrtMissing

Reals = NDArray[np.float64]

KERNEL_ERROR, TIMEOUT, SHORT_READ, WRONG_DESIGN = 4, 5, 6, 100
MANY = 10_000
FAULTY = Path(__file__).parent / "faulty_device.cpp"
SCALER = {"jets": {"offset": np.linspace(-1, 1, 16), "scale": 1.25}}


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose host library also has the faulty device; inputs are scaled."""
    design = calocc.compile(JETS.model, scaler=SCALER)
    project = design.write(tmp_path_factory.mktemp("jets") / "project")
    host.compile_host(project, project / "build/jets-csim.so", "csim", [FAULTY])
    return project


@pytest.fixture(scope="module")
def events() -> Reals:
    """Many raw events, all different."""
    return np.random.default_rng(3).normal(0, 3, (MANY, 16))


@pytest.fixture(scope="module")
def expected(jets: Path, events: Reals) -> Reals:
    """What the emulator makes of them."""
    result = runtime.open(jets).predict(events)
    assert isinstance(result, np.ndarray)
    return result


def test_raw_inputs_are_scaled_then_quantized(jets: Path, events: Reals, expected: Reals) -> None:
    design = calocc.load(jets)
    by_hand = (events - np.linspace(-1, 1, 16)) * 1.25
    np.testing.assert_array_equal(design.predict(by_hand), expected)
    assert not np.array_equal(design.predict(events), expected)


def test_many_events_through_csim_are_complete_and_in_order(
    jets: Path, events: Reals, expected: Reals
) -> None:
    with runtime.open(jets, on="csim", units=2, batch=96) as deployed:
        np.testing.assert_array_equal(deployed.predict({"jets": events}), expected, strict=True)
        single = events[:3].astype(np.float32)
        np.testing.assert_array_equal(
            deployed.predict(single), runtime.open(jets).predict(single.astype(np.float64))
        )
        assert np.shape(deployed.predict(events[:0])) == (0, 5)
        seen = deployed.statistics()
    assert (seen.calls, seen.events, seen.retries) == (3, MANY + 3, 0)
    assert 0 < seen.median <= seen.p99 <= seen.worst


def test_threads_share_a_deployment(jets: Path, events: Reals, expected: Reals) -> None:
    pieces = np.array_split(np.arange(2000), 23)
    for on, options in (("emulator", {}), ("csim", {"units": 2, "batch": 16})):
        deployed = runtime.open(jets, on, **options)  # pyright: ignore[reportArgumentType]
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(deployed.predict, [events[p] for p in pieces]))
        deployed.close()
        for piece, found in zip(pieces, results, strict=True):
            np.testing.assert_array_equal(found, expected[piece])
        assert deployed.statistics().events == 2000


def image_of(kernel: str) -> bytes:
    """An .xclbin (xclbin.h of XRT: `struct axlf`) that says it holds a kernel, but no bits."""
    metadata = f"""
        <project name="p"><platform><device name="fpga0"><core type="clRegion">
        <kernel name="{kernel}"><instance name="{kernel}_1"/></kernel>
        </core></device></platform></project>
    """
    layout = struct.pack("<i4xIIQ64s", 1, 1, 0, 0, f"{kernel}:{kernel}_1".encode())
    sections = {2: metadata.encode(), 8: layout}  # EMBEDDED_METADATA, IP_LAYOUT
    at, entries = 456 + 40 * len(sections), b""
    for kind, content in sections.items():
        entries += struct.pack("<I20xQQ", kind, at, len(content))
        at += len(content)
    head = struct.pack("<8si28s264x", b"xclbin2", -1, 28 * b"\xff")
    header = struct.pack("<Q18xBB116xI4x", at, 2, 1, len(sections))
    return head + header + entries + b"".join(sections.values())


def run_at_the_command_line(project: Path, *options: str) -> Reals:
    """What `calocc-run` makes of events, given beside the project."""
    data, out = project.parent / "x.npz", project.parent / "y.npz"
    run_main([str(project), "--data", str(data), "--out", str(out), *options])
    return load_arrays(out)["softmax"]


def test_the_command_line_scales_wherever_it_runs(
    jets: Path, events: Reals, expected: Reals, capsys: pytest.CaptureFixture[str]
) -> None:
    save_arrays(jets.parent / "x.npz", {"jets": events[:50]})
    for options in ((), ("--on", "csim", "--units", "2", "--batch", "7")):
        found = run_at_the_command_line(jets, *options)
        np.testing.assert_array_equal(found, expected[:50], strict=True)
    assert "50 events on csim in " in capsys.readouterr().out


def test_the_command_line_says_why_no_card_can_be_used(
    jets: Path, events: Reals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This needs libxrt-dev, as below, and that there is no card."""
    save_arrays(jets.parent / "x.npz", {"jets": events[:5]})
    (tmp_path / "text.xclbin").write_text("no image")
    (tmp_path / "ours.xclbin").write_bytes(image_of("jets_kernel"))
    (tmp_path / "other.xclbin").write_bytes(image_of("other_kernel"))
    damaged = shutil.copytree(jets, tmp_path / "damaged")
    save_arrays(tmp_path / "x.npz", {"jets": events[:5]})
    (damaged / "host/design.cpp").write_text("")
    for project, options, words in (
        (jets, (), "there is no file"),
        (jets, ("--image", str(tmp_path / "text.xclbin")), "text.xclbin"),
        (jets, ("--image", str(tmp_path / "other.xclbin")), "has no kernel jets_kernel"),
        (jets, ("--image", str(tmp_path / "ours.xclbin")), "card 0 cannot be opened"),
        (jets, ("--threads", "2"), "threads: xrt has no such option"),
        (jets, ("--retries", "-1"), "retries: -1 is not between"),
        (damaged, (), "host/design.cpp"),
    ):
        with pytest.raises(SystemExit) as caught:
            run_at_the_command_line(project, "--on", "xrt", *options)
        assert caught.value.code == 1
        assert words in capsys.readouterr().err


def open_faulty(project: Path, faults: Sequence[int], repeats: bool, **options: Any) -> Host:
    """The project on a device with faults."""
    design = calocc.load(project)
    library = host.load_library(project / "build/jets-csim.so")
    given = host.given_options(project, "jets", "csim", HostOptions(**options))
    library.calocc_open_faulty.restype = ctypes.c_void_p
    array = (ctypes.c_int * len(faults))(*faults)
    model = library.calocc_open_faulty(ctypes.byref(given), array, len(faults), int(repeats))
    return Host(design, "csim", library, model)


def test_passing_failures_lose_and_reorder_nothing(
    jets: Path, events: Reals, expected: Reals
) -> None:
    faults = [0, KERNEL_ERROR, 0, TIMEOUT, 0, 0, SHORT_READ]
    opened = open_faulty(jets, faults, True, units=2, batch=50, retries=40)
    (found,) = opened.predict([events])
    np.testing.assert_array_equal(found, expected, strict=True)
    runs = opened.library.calocc_count(opened.model).runs
    assert runs == MANY // 50 + opened.retries()
    assert opened.retries() == sum(faults[k % len(faults)] != 0 for k in range(runs)) > 80
    opened.close()


@pytest.mark.parametrize("fault", [KERNEL_ERROR, TIMEOUT, SHORT_READ, WRONG_DESIGN])
def test_lasting_failures_are_reported_and_the_next_call_works(
    fault: int, jets: Path, events: Reals, expected: Reals
) -> None:
    few = events[:60]
    opened = open_faulty(jets, [fault] * 3, False, batch=60, retries=2)
    with pytest.raises(DeviceFailed) as caught:
        opened.predict([few])
    assert caught.value.status == (3 if fault == WRONG_DESIGN else fault)
    assert caught.value.hint
    output = np.zeros((60, 5))
    arguments = [(ctypes.c_void_p * 1)(array.ctypes.data) for array in (few, output)]
    if fault == WRONG_DESIGN:  # is not tried again, so that two faults are left
        assert opened.library.calocc_predict(opened.model, *arguments, 60) == 3
        assert np.isnan(output).all()
        with pytest.raises(DeviceFailed):
            opened.predict([few])
    (found,) = opened.predict([few])
    np.testing.assert_array_equal(found, expected[:60])
    opened.close()


def test_what_is_wrong_with_a_call(jets: Path) -> None:
    with runtime.open(jets, on="csim") as deployed:
        for wrong, words in (
            (np.zeros((3, 15)), "shape (3, 15)"),
            (np.full((3, 16), "a"), "not numbers"),
            (np.full((3, 16), np.nan), "NaN"),
            ({"jet": np.zeros((3, 16))}, "no array"),
        ):
            with pytest.raises(BadInput) as caught:
                deployed.predict(wrong)
            assert words in caught.value.what
        large = np.array([[0.0] * 16, [-1.7e308] * 16])  # too large once it is scaled
        with pytest.raises(BadInput, match="of event 1 is not finite"):
            deployed.predict(large)
    with pytest.raises(BadInput, match="infinite"):
        runtime.open(jets).predict(large)
    with pytest.raises(Closed):
        deployed.predict(np.zeros((3, 16)))
    deployed.close()


def test_what_is_wrong_with_an_opening(jets: Path) -> None:
    for arguments in ({"on": "fpga"}, {"batch": 3}, {"on": "csim", "colour": 3}):
        with pytest.raises(NoSuchPlace):
            runtime.open(jets, **arguments)  # pyright: ignore[reportArgumentType]
    for option, value in (("batch", 0), ("retries", -1), ("timeout", float("nan"))):
        with pytest.raises(NoSuchPlace, match=f"{option}.*not between"):
            runtime.open(jets, on="csim", **{option: value})  # pyright: ignore[reportArgumentType]


def test_a_changed_weight_is_refused(jets: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(jets, tmp_path / "copy")
    weights = next((copy / "firmware/weights").glob("w*.txt"))
    weights.write_text(weights.read_text().replace("1", "2", 1))
    with pytest.raises(Damaged) as caught:
        runtime.open(copy, on="csim")
    assert caught.value.file == str(weights.relative_to(copy))


def test_an_image_of_another_design_is_refused(jets: Path, tmp_path: Path) -> None:
    """The library of this kernel under the host library of the same model at another level."""
    other = calocc.compile(JETS.model, opt_level=0).write(tmp_path / "other")
    host.compile_host(other, other / "build/jets-csim.so", "csim")
    library = host.load_library(other / "build/jets-csim.so")
    given = host.given_options(jets, "jets", "csim", HostOptions())
    with pytest.raises(DeviceFailed, match="another design"):
        host.open_model(library, calocc.load(other), "csim", given)
    given.image = str(tmp_path / "nowhere.so").encode()
    with pytest.raises(DeviceFailed, match="cannot be loaded"):
        host.open_model(library, calocc.load(other), "csim", given)
    given.image = str(jets / "build/jets-csim.so").encode()
    with pytest.raises(DeviceFailed, match="no function jets_kernel"):
        host.open_model(library, calocc.load(other), "csim", given)


def test_the_host_library_links_against_xrt_and_tells_what_is_missing(
    jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This needs libxrt-dev (see the Makefile), but no card."""
    library = host.load_library(host.build_host(jets, "jets", "xrt"))
    design = calocc.load(jets)
    for name, data, words in (
        ("nowhere.xclbin", None, "there is no file"),
        ("text.xclbin", b"no image", "text.xclbin"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        given = host.given_options(jets, "jets", "xrt", HostOptions(image=tmp_path / name))
        with pytest.raises(DeviceFailed, match=words) as caught:
            host.open_model(library, design, "xrt", given)
        assert caught.value.status == 3
    monkeypatch.setenv("XILINX_XRT", str(tmp_path))
    with pytest.raises(XrtMissing):
        host.xrt_place()


def test_every_rounding_and_overflow_is_that_of_the_emulator(jets: Path) -> None:
    library = ctypes.CDLL(str(jets / "build/jets-csim.so"))
    random = np.random.default_rng(5)
    exact = np.arange(-70, 70) / 8
    drawn = random.normal(0, 1, 300) * 2.0 ** random.integers(-30, 80, 300)
    x = np.concatenate(
        [exact, np.nextafter(exact, 9), np.nextafter(exact, -9), drawn, [1e300, -1e300]]
    )
    formats = (
        "fixed<4,2>",
        "ufixed<4,2>",
        "fixed<16,7>",
        "ufixed<8,8>",
        "fixed<62,30>",
        "ufixed<60,3>",
    )
    for text, rounding, overflow in product(formats, Rounding, Overflow):
        format = Format.parse(text)
        found = np.empty(len(x), np.int64)
        modes = list(Rounding).index(rounding), list(Overflow).index(overflow)
        pointers = (ctypes.c_void_p(a.ctypes.data) for a in (x, found))
        library.quantize_all(
            *pointers, len(x), int(format.signed), format.width, format.frac, *modes
        )
        wanted = quantize_real(x, format, rounding, overflow)
        np.testing.assert_array_equal(found, wanted, err_msg=f"{text} {rounding} {overflow}")


def two_ways() -> Design:
    """Two inputs of different formats, each through a layer of its own."""
    net = FixedNetwork(((4,), "fixed<6,2>"), ((2, 3, 5), "ufixed<9,3>"))
    first, second = net.block.args
    kernels = net.constant((4, 3), "fixed<5,2>"), net.constant((5, 3), "fixed<5,2>")
    pairs = zip((first, second), kernels, strict=True)
    return net.design("two_ways", [net.add(DenseOp(x, k, layer="dense")) for x, k in pairs])


def test_several_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    design = two_ways()
    project = design.write(tmp_path / "project")
    random = np.random.default_rng(9)
    x = {p.name: random.normal(0, 2, (300, *p.shape)) for p in design.inputs}
    with runtime.open(project, on="csim", batch=64) as deployed:
        for found, wanted in zip(deployed.predict(x), design.predict(x), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_deepcalo_on_the_host_library(tmp_path: Path) -> None:
    design = design_of(DEEPCALO, 2)
    events = events_of(DEEPCALO)[:24]
    with runtime.open(design.write(tmp_path / "project"), on="csim", batch=8) as deployed:
        np.testing.assert_array_equal(deployed.predict(events), design.predict(events))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"jet": {"scale": 2}}, "no input 'jet'"),
        ({"jets": {}}, "an offset, a scale"),
        ({"jets": {"mean": 2}}, "an offset, a scale"),
        ({"jets": {"scale": [1, 2, 3]}}, "jets.scale does not fit the shape (16,)"),
        ({"jets": {"offset": float("nan")}}, "jets.offset is not finite"),
        ({"jets": {"offset": "a"}}, "jets.offset does not fit"),
    ],
)
def test_scalers_that_do_not_fit(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadScaler) as caught:
        calocc.compile(JETS.model, opt_level=0, scaler=given)
    assert words in caught.value.what


@pytest.mark.parametrize("text", ["", "[]", '{"jets": 3}'])
def test_scaler_files_that_do_not_fit(text: str, tmp_path: Path) -> None:
    (tmp_path / "scaler.json").write_text(text)
    for name in ("scaler.json", "none.json"):
        with pytest.raises(BadScaler):
            calocc.compile(JETS.model, opt_level=0, scaler=tmp_path / name)


def test_scaler_files(tmp_path: Path) -> None:
    offset = np.linspace(-1, 1, 16)
    arrays = {"jets.offset": offset, "jets.scale": np.array(0.75)}
    save_arrays(tmp_path / "scaler.npz", arrays)
    (tmp_path / "scaler.json").write_text(
        '{"jets": {"offset": ' + str(offset.tolist()) + ', "scale": 0.75}}'
    )
    for name in ("scaler.npz", "scaler.json"):
        (scaler,) = calocc.compile(JETS.model, opt_level=0, scaler=tmp_path / name).scalers.values()
        np.testing.assert_array_equal(scaler.offset, offset)
        np.testing.assert_array_equal(scaler.scale, np.full(16, 0.75))
