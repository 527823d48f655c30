"""FPGAs and cards that designs are made for: one TOML file each, beside this module or in a package
of the entry point group `calocc.devices`.

The numbers are those of the whole FPGA. What a card's static shell occupies is not subtracted;
budgets are fractions of the whole. Each file says where its figures are from.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import astuple, dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.plugins import DEVICES, resources
from calocc.dialects.dataflow.packing import DSP48E2, Multiplier

_DIRECTORY = Path(__file__).parent


@dataclass(eq=False)
class UnknownDevice(CaloccError):
    """No device has this name."""

    name: str

    @property
    def where(self) -> str:
        return f"device {self.name!r}"

    @property
    def what(self) -> str:
        return "there is no device of this name"

    @property
    def hint(self) -> str:
        known = device_names()
        close = difflib.get_close_matches(self.name.lower(), known, n=1, cutoff=0.5)
        guess = f"did you mean {close[0]!r}? " if close else ""
        return f"{guess}known devices: {', '.join(known)}"


@dataclass(frozen=True)
class Slr:
    """What one die (super logic region) of an FPGA offers."""

    dsp: int
    """DSP slices (DSP48E1 or DSP48E2)."""
    bram18: int
    """Block RAMs of 18 Kib; a block RAM tile counts as two."""
    uram: int
    """UltraRAMs of 288 Kib."""
    lut: int
    """Six-input look-up tables."""
    ff: int
    """Flip-flops."""


@dataclass(frozen=True)
class Platform:
    """The Vitis platform of a card: what `v++` links kernels into."""

    name: str
    memory: str
    """`HBM` or `DDR`, as connectivity files name a bank."""
    banks: int
    bank_slrs: tuple[int, ...]
    """The die that a bank borders on; bank k on that of `k % len(bank_slrs)`."""


@dataclass(frozen=True)
class Device:
    """An FPGA and the clock designs for it aim at unless told otherwise.

    `dsp`, `bram18`, `uram`, `lut` and `ff` are the sums over `slr`, in the units of `Slr`.
    """

    name: str
    part: str
    """The part as Vitis and Vivado name it."""
    clock_mhz: float
    dsp: int
    bram18: int
    uram: int
    lut: int
    ff: int
    slr: tuple[Slr, ...]
    """The dies from the bottom up; one for a monolithic FPGA."""
    multiplier: Multiplier
    """The ports of the multiplier in a DSP slice."""
    platform: Platform | None = None
    """None for what is no card with a platform of its own."""


def device_names() -> tuple[str, ...]:
    """The names `load_device` knows, sorted."""
    return tuple(sorted(_device_files()))


def load_device(name: str) -> Device:
    """The device called `name`; raises UnknownDevice."""
    if (file := _device_files().get(name)) is None:
        raise UnknownDevice(name)
    fields = tomllib.loads(file.read_text(encoding="utf-8"))
    slr = tuple(Slr(**each) for each in fields.pop("slr"))
    given = fields.pop("platform", None)
    platform = given and Platform(**given | {"bank_slrs": tuple(given["bank_slrs"])})
    multiplier = Multiplier(*fields.pop("multiplier", astuple(DSP48E2)))
    return Device(name=name, slr=slr, platform=platform, multiplier=multiplier, **fields)


def device_of(part: str) -> str:
    """The name of the device with this part, or of this name; raises UnknownDevice."""
    for name in device_names():
        if part.lower() in (name, load_device(name).part.lower()):
            return name
    raise UnknownDevice(part)


def _device_files() -> dict[str, Traversable]:
    own = {path.stem: path for path in _DIRECTORY.glob("*.toml")}
    return {**resources(DEVICES, "", ".toml"), **own}
