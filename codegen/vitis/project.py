"""Writes a project in the layout of hls4ml's Vitis backend."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from calocc.codegen.vitis.cpp import fixed_type
from calocc.codegen.vitis.emit import emit
from calocc.codegen.vitis.emitter import Firmware
from calocc.codegen.vitis.hls_config import hls_config
from calocc.codegen.vitis.kernel import (
    build_files,
    connectivity,
    kernel_sources,
    memory_ports,
)
from calocc.codegen.vitis.lint.lint import require_synthesizable
from calocc.codegen.vitis.sources import STREAMS, kernel_header, render, sources
from calocc.codegen.xrt.host import host_sources
from calocc.compiler.data import to_mantissas
from calocc.compiler.design import Design
from calocc.compiler.devices import load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.manifest import CONFIG, write_manifest
from calocc.compiler.ports import Port
from calocc.compiler.scaling import SCALERS, scalers_json
from calocc.compiler.text import module_text
from calocc.dialects.fixed.arithmetic import to_real
from calocc.runtime.gxx import ap_types_dir

TEST_EVENTS = 4
"""Events in the test bench's files."""
SCRIPTS = ("build_lib.sh", "project.tcl", "build_prj.tcl", "build_opt.tcl", "vivado_synth.tcl")
MARKS = ("model.mlir", "report.json", CONFIG)
"""Files by which a project of calocc is known."""


@dataclass(eq=False)
class OccupiedDirectory(CaloccError):
    """The output directory holds something that calocc has not written."""

    directory: str

    @property
    def where(self) -> str:
        return f"output directory {self.directory}"

    @property
    def what(self) -> str:
        return "it exists and holds no calocc project, so it will not be replaced"

    @property
    def hint(self) -> str:
        return "name another directory with -o, or remove this one"


@dataclass(eq=False)
class CannotWrite(CaloccError):
    """The operating system refuses to write."""

    directory: str
    problem: str

    @property
    def where(self) -> str:
        return f"output directory {self.directory}"

    @property
    def what(self) -> str:
        return f"it cannot be written: {self.problem}"

    @property
    def hint(self) -> str:
        return "name a directory you may write to with -o"


def expect_writable(directory: Path) -> None:
    """Raise OccupiedDirectory or CannotWrite where it is plain that no project can be written."""
    target = directory.absolute()
    try:
        if target.exists() and not _replaceable(target):
            raise OccupiedDirectory(str(directory))
        parent = next(path for path in target.parents if path.exists())
    except OSError as error:
        raise CannotWrite(str(directory), error.strerror or str(error)) from None
    if not parent.is_dir():
        raise CannotWrite(str(directory), f"{parent} is no directory")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise CannotWrite(str(directory), f"there is no permission to write to {parent}")


def write_project(design: Design, directory: Path) -> Path:
    """Write the project beside its final place, then rename; replace an older project.

    Returns the absolute path. Raises OccupiedDirectory, CannotWrite and NotSynthesizable.
    """
    target = directory.absolute()
    expect_writable(directory)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
            draft = Path(place) / target.name
            Project(design, draft, target).write()
            require_synthesizable(draft, design.name)
            _exchange(draft, target, Path(place) / "old")
    except OSError as error:
        raise CannotWrite(str(directory), error.strerror or str(error)) from None
    return target


def _exchange(draft: Path, target: Path, old: Path) -> None:
    """Move `draft` to `target` and what is there to `old`; undo the latter if that fails."""
    if not target.exists():
        draft.rename(target)
        return
    target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        old.rename(target)
        raise


def _replaceable(directory: Path) -> bool:
    """A project of ours, or an empty directory."""
    if not directory.is_dir():
        return False
    ours = all((directory / name).is_file() for name in MARKS)
    return ours or not any(directory.iterdir())


@dataclass
class Project:
    """One project on its way to disk: written to `draft`, to be renamed to `final`."""

    design: Design
    draft: Path
    final: Path

    def write(self) -> None:
        """Write all files."""
        firmware = emit(self.design.name, self.design.module)
        for folder in ("firmware/weights", "firmware/nnet_utils", "kernel", "host", "tb_data"):
            (self.draft / folder).mkdir(parents=True)
        self._copy_headers(firmware)
        self._write_sources(firmware)
        self._write_kernels(firmware)
        self._write_test_data()
        self._write_build_files(firmware)
        self._text("model.mlir", module_text(self.design.module))
        self._text("report.json", json.dumps(self._report(), indent=2) + "\n")
        write_manifest(self.draft, self.design.provenance)

    def _text(self, name: str, text: str) -> None:
        (self.draft / name).write_text(text)

    def _template(self, template: str, target: str, **values: Any) -> None:
        self._text(target, render(template, **values))

    def _report(self) -> dict[str, Any]:
        """The report but for the seconds that compiling took: equal models make equal files."""
        facts = {key: value for key, value in self.design.report.items() if key != "seconds"}
        return {"name": self.design.name, **facts}

    @property
    def stamp(self) -> str:
        """A short hash of the design: names the library that a build makes of it."""
        digest = hashlib.sha256(module_text(self.design.module).encode())
        return digest.hexdigest()[:8]

    def _copy_headers(self, firmware: Firmware) -> None:
        headers = ap_types_dir()
        shutil.copytree(headers, self.draft / "firmware/ap_types")
        shutil.copyfile(STREAMS, self.draft / "firmware/ap_types/hls_stream.h")
        utils = self.draft / "firmware/nnet_utils"
        shutil.copy(headers.parent / "nnet_utils/nnet_types.h", utils)
        for kernel in ("axi", "types", "packing", "weights", *firmware.kernels):
            (utils / f"calocc_{kernel}.h").write_bytes(kernel_header(kernel).read_bytes())

    def _write_sources(self, firmware: Firmware) -> None:
        for name, text in sources(firmware).items():
            self._text(f"firmware/{name}", text)
        self._write_bridge(firmware)
        self._write_test_bench(firmware)

    def _write_kernels(self, firmware: Firmware) -> None:
        """What brings events to a card and into the design, and how all that is built."""
        report = self.design.report
        used = {name: row["used"] for name, row in report["resources"].items()}
        device = load_device(report["target"])
        texts = kernel_sources(firmware, self.stamp, TEST_EVENTS)
        texts |= connectivity(firmware, device, used)
        texts |= host_sources(
            firmware.name, self.stamp, *memory_ports(firmware), self.design.scalers
        )
        if self.design.scalers:
            texts[SCALERS] = scalers_json(self.design.scalers)
        texts |= build_files(firmware.name, device, report["clock_mhz"])
        for name, text in texts.items():
            self._text(name, text)

    def _write_bridge(self, firmware: Firmware) -> None:
        self._text(f"{firmware.name}_bridge.cpp", bridge(firmware))

    def _write_test_bench(self, firmware: Firmware) -> None:
        ports = (*firmware.inputs, *firmware.outputs)
        self._template(
            "test.cpp.j2",
            f"{firmware.name}_test.cpp",
            fw=firmware,
            sizes_in=sum(p.stream.stream.size for p in firmware.inputs),
            sizes_out=sum(p.stream.stream.size for p in firmware.outputs),
            stream_variables=", ".join(p.stream.variable for p in ports),
        )

    def _write_test_data(self) -> None:
        """Random events in the range of the inputs, and what the emulator makes of them."""
        generator = np.random.default_rng(0)
        inputs = [_random_events(p, generator) for p in self.design.inputs]
        result = self.design.predict(inputs)
        outputs = result if isinstance(result, list) else [result]
        self._text("tb_data/tb_input_features.dat", _events(inputs))
        self._text("tb_data/tb_output_predictions.dat", _events(outputs))

    def _write_build_files(self, firmware: Firmware) -> None:
        report = self.design.report
        values = {"name": firmware.name, "stamp": self.stamp, "part": report["part"]}
        period = 1000 / report["clock_mhz"]
        for script in SCRIPTS:
            self._template(f"{script}.j2", script, **values, period=f"{period:g}")
        (self.draft / "build_lib.sh").chmod(0o755)
        text = yaml.safe_dump(self._config(period), sort_keys=False, width=math.inf)
        self._text(CONFIG, text)

    def _config(self, period: float) -> dict[str, Any]:
        """What `hls4ml.converters.link_existing_project` reads; OutputDir must be absolute."""
        design = self.design
        return {
            "OutputDir": os.fspath(self.final),
            "ProjectName": design.name,
            "Backend": "Vitis",
            "Stamp": self.stamp,
            "Part": design.report["part"],
            "ClockPeriod": period,
            "IOType": "io_stream",
            "InputShapes": {p.name: list(p.shape) for p in design.inputs},
            "OutputShapes": {p.name: list(p.shape) for p in design.outputs},
            "HLSConfig": hls_config(design.module),
        }


def bridge(firmware: Firmware) -> str:
    """C functions that take arrays of float or double, one event per call, for simulation."""
    inputs = [f"const T *{p.stream.variable}" for p in firmware.inputs]
    outputs = [f"T *{p.stream.variable}" for p in firmware.outputs]
    ports = [p.stream for p in (*firmware.inputs, *firmware.outputs)]
    return render(
        "bridge.cpp.j2",
        fw=firmware,
        pointers=", ".join(inputs + outputs),
        floats=", ".join(f"doubles({s.variable}, {s.stream.size})" for s in ports),
        streams=", ".join(f"{s.variable}_stream" for s in ports),
        casts=[_cast(p.port) for p in firmware.inputs],
    )


def _cast(port: Port) -> str:
    assert port.format is not None
    return fixed_type(port.format, port.rounding, port.overflow)


def _random_events(port: Port, generator: np.random.Generator) -> NDArray[np.float64]:
    assert port.format is not None
    span = port.format.max_mantissa - port.format.min_mantissa
    uniform = generator.random((TEST_EVENTS, *port.shape)) * span + port.format.min_mantissa
    values = uniform * port.format.lsb
    return to_real(to_mantissas(port, values), port.format.frac)


def _events(arrays: list[NDArray[np.float64]]) -> str:
    """One line per event: all arrays' values, separated by spaces."""
    flat = np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)
    return "".join(" ".join(map(repr, row)) + "\n" for row in flat.tolist())
