"""The device descriptions, and the error for a name that none of them has."""

from __future__ import annotations

import dataclasses
import re

import pytest

from calocc.compiler.devices import Device, Slr, UnknownDevice, device_names, load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.dataflow.packing import DSP48E1, DSP48E2

NAMES = (
    "alveo-u200",
    "alveo-u250",
    "alveo-u280",
    "alveo-u50",
    "alveo-u55c",
    "kv260",
    "pynq-z2",
    "vu13p",
    "vu9p",
    "zcu102",
)
RESOURCES = tuple(field.name for field in dataclasses.fields(Slr))


def test_device_names_are_sorted_and_complete() -> None:
    assert device_names() == NAMES


@pytest.fixture(params=NAMES)
def device(request: pytest.FixtureRequest) -> Device:
    return load_device(request.param)


def test_totals_are_the_sums_over_the_dies(device: Device) -> None:
    for resource in RESOURCES:
        total = sum(getattr(slr, resource) for slr in device.slr)
        assert getattr(device, resource) == total, resource


def test_figures_fit_the_architecture(device: Device) -> None:
    # A slice or CLB has two flip-flops per look-up table; block RAM tiles hold two BRAM18.
    for part in (device, *device.slr):
        assert part.ff == 2 * part.lut
        assert part.bram18 % 2 == 0
        assert min(part.dsp, part.bram18, part.lut) > 0
    assert 50 <= device.clock_mhz <= 400


def test_multipliers_are_those_of_the_family(device: Device) -> None:
    """UG479 for the 7 series, UG579 for UltraScale+."""
    assert device.multiplier == (DSP48E1 if device.part.startswith("xc7") else DSP48E2)


def test_parts_are_named_as_vitis_names_them(device: Device) -> None:
    ultrascale = r"xc(u|vu|zu|k)\w+-[a-z]{4}\d+-\d(L|LV)?-[a-z]"
    assert re.fullmatch(ultrascale + r"|xc7z\d{3}clg\d{3}-\d", device.part)


def test_parts_differ() -> None:
    assert len({load_device(name).part for name in NAMES}) == len(NAMES)


def test_u50_is_as_its_data_sheet_says() -> None:
    u50 = load_device("alveo-u50")
    assert u50.part == "xcu50-fsvh2104-2-e"
    assert (u50.dsp, u50.bram18, u50.uram, u50.lut, u50.ff) == (5952, 2688, 640, 871680, 1743360)
    assert [slr.dsp for slr in u50.slr] == [2880, 3072]


def test_an_unknown_name_is_answered_with_the_closest_one() -> None:
    with pytest.raises(UnknownDevice) as caught:
        load_device("Alveo-U55")
    assert isinstance(caught.value, CaloccError)
    assert str(caught.value) == (
        "error: device 'Alveo-U55': there is no device of this name\n"
        "  hint: did you mean 'alveo-u55c'? known devices: alveo-u200, alveo-u250, alveo-u280, "
        "alveo-u50, alveo-u55c, kv260, pynq-z2, vu13p, vu9p, zcu102"
    )


@pytest.mark.parametrize("name", ["", "stratix", "../devices/vu9p", "vu9p.toml/"])
def test_names_are_not_paths(name: str) -> None:
    with pytest.raises(UnknownDevice):
        load_device(name)


def test_a_name_like_no_other_gets_the_list_only() -> None:
    with pytest.raises(UnknownDevice) as caught:
        load_device("stratix")
    assert caught.value.hint.startswith("known devices: alveo-u200, ")
