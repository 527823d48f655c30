"""Kernels around a design: from and to memory, or between AXI streams; how v++ connects them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from calocc.codegen.memory import MemoryPort
from calocc.codegen.vitis.emitter import Firmware, TopPort
from calocc.codegen.vitis.sources import render
from calocc.compiler.devices import Device, Platform, Slr

MOST_UNITS = 8
"""Compute units that connectivity is written for, at most."""
_BENCH = "kernel/{name}_kernel_test.cpp"
_ONLY = {"kernel": "-DKERNEL_ONLY", "stream": "-DSTREAM_ONLY"}
"""What makes their test bench leave out the other kernel."""


def memory_ports(firmware: Firmware) -> tuple[list[MemoryPort], list[MemoryPort]]:
    """The inputs and the outputs of the kernels."""
    return (
        [_memory_port(p, f"in{k}", False) for k, p in enumerate(firmware.inputs)],
        [_memory_port(p, f"out{k}", True) for k, p in enumerate(firmware.outputs)],
    )


def _memory_port(top: TopPort, argument: str, is_output: bool) -> MemoryPort:
    stream = top.stream
    return MemoryPort(top.port, stream.stream, stream.type, argument, is_output)


def kernel_sources(firmware: Firmware, stamp: str, events: int) -> dict[str, str]:
    """File names and contents: both kernels, and a test bench for both with `events` events."""
    inputs, outputs = memory_ports(firmware)
    ports = [*inputs, *outputs]
    values: dict[str, Any] = {
        "fw": firmware,
        "id": stamp,
        "inputs": inputs,
        "outputs": outputs,
        "ports": ports,
        "events": events,
        "beats": ", ".join(f"{p.argument}_beats" for p in ports),
        "beat_parameters": _lines(f"hls::stream<{p.type}> &{p.argument}_beats" for p in ports),
        "memory_parameters": _lines(map(_pointer, ports)),
        "packet_parameters": _lines(f"hls::stream<nnet::packet> &{p.argument}" for p in ports),
        "sizes_in": sum(p.stream.size for p in inputs),
        "sizes_out": sum(p.stream.size for p in outputs),
    }
    return {
        f"kernel/{firmware.name}_{kind}.cpp": render(f"kernel/{kind}.cpp.j2", **values)
        for kind in ("kernel", "stream", "kernel_test")
    }


def _lines(parameters: Iterable[str]) -> str:
    return ",\n    ".join(parameters)


def _pointer(port: MemoryPort) -> str:
    return f"{'' if port.is_output else 'const '}nnet::word *{port.argument}"


@dataclass(frozen=True)
class Unit:
    """A compute unit: its die, None where v++ chooses, and the memory bank of each argument."""

    name: str
    slr: int | None
    banks: dict[str, str]


def units_that_fit(device: Device, used: dict[str, int], ports: int) -> int:
    """How many copies of a design to offer connectivity for: those within 80 % of the device and
    with memory banks of their own, at least one; none for a device without a platform."""
    if device.platform is None:
        return 0
    copies = [getattr(device, name) * 8 // (10 * n) for name, n in used.items() if n]
    banks = device.platform.banks // (ports if device.platform.memory == "HBM" else 1)
    return max(1, min(MOST_UNITS, banks, *copies))


def units(
    kernel: str, count: int, device: Device, used: dict[str, int], arguments: list[str]
) -> list[Unit]:
    """`count` compute units in turn on the dies that have room for one, and banks near them."""
    assert device.platform is not None
    dies = [k for k, slr in enumerate(device.slr) if _has_room(slr, used)]
    placed: list[Unit] = []
    for k in range(count):
        slr = dies[k % len(dies)] if dies else None
        banks = _banks(device.platform, k, len(arguments), slr)
        placed.append(Unit(f"{kernel}_{k + 1}", slr, dict(zip(arguments, banks, strict=True))))
    return placed


def _has_room(slr: Slr, used: dict[str, int]) -> bool:
    return all(10 * n <= 8 * getattr(slr, name) for name, n in used.items())


def _banks(platform: Platform, unit: int, ports: int, slr: int | None) -> list[str]:
    """HBM: a channel per argument. DDR: one bank for all arguments, on the unit's die if any is."""
    if platform.memory == "HBM":
        return [f"HBM[{(unit * ports + k) % platform.banks}]" for k in range(ports)]
    near = [b for b in range(platform.banks) if platform.bank_slrs[b] == slr]
    banks = near or list(range(platform.banks))
    return [f"{platform.memory}[{banks[unit % len(banks)]}]"] * ports


def connectivity(firmware: Firmware, device: Device, used: dict[str, int]) -> dict[str, str]:
    """File names and contents: one file for each number of compute units that fits."""
    inputs, outputs = memory_ports(firmware)
    arguments = [p.argument for p in (*inputs, *outputs)]
    kernel = f"{firmware.name}_kernel"
    most = units_that_fit(device, used, len(arguments))
    return {
        f"kernel/connectivity_{count}.cfg": render(
            "kernel/connectivity.cfg.j2",
            kernel=kernel,
            units=units(kernel, count, device, used, arguments),
        )
        for count in range(1, most + 1)
    }


def build_files(name: str, device: Device, clock_mhz: float) -> dict[str, str]:
    """File names and contents: the configurations of the unified flow, and the Makefile."""
    common = {"part": device.part, "period": f"{1000 / clock_mhz:g}"}
    tops = (("", f"{name}_test.cpp", ""), *((kind, _BENCH, _ONLY[kind]) for kind in _ONLY))
    texts = {"Makefile": render("Makefile.j2", name=name, device=device, clock=f"{clock_mhz:g}")}
    for kind, bench, flags in tops:
        top = f"{name}_{kind}" if kind else name
        file = f"{top}.cfg" if kind else "hls_config.cfg"
        sources = [f"kernel/{top}.cpp"] if kind else []
        texts[file] = render(
            "hls_config.cfg.j2",
            **common,
            file=file,
            top=top,
            is_kernel=bool(kind),
            sources=[*sources, f"firmware/{name}.cpp"],
            bench=bench.format(name=name),
            flags=flags,
        )
    return texts
