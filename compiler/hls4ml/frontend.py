"""`calocc.from_hls4ml`: a model of hls4ml, with what its configuration says of the device."""

from __future__ import annotations

import warnings
from typing import Any

from calocc.compiler.compilation import compile
from calocc.compiler.design import Design
from calocc.compiler.devices import device_names, load_device

DEFAULT_TARGET = "alveo-u50"


class DiffersFromHls4ml(UserWarning):
    """Something in which results are not those of hls4ml's own kernels."""


def from_hls4ml(model: Any, **options: Any) -> Design:
    """Compile a `ModelGraph` of hls4ml, of whatever converter and backend.

    The fixed-point types of the graph are the quantizers of the model. Results equal those of
    hls4ml's streaming kernels bit for bit, but for what a `DiffersFromHls4ml` warning names.
    `options` are those of `calocc.compile`; target and clock are, if not given, those of the
    graph's configuration. Raises CaloccError.
    """
    config = model.config
    if "target" not in options:
        options["target"] = target_of(config.get_config_value("Part"))
    if "clock_mhz" not in options and (period := config.get_config_value("ClockPeriod")):
        options["clock_mhz"] = 1000 / float(period)
    design = compile(model, **options)
    for note in design.report["notes"]:
        warnings.warn(note, DiffersFromHls4ml, stacklevel=2)
    return design


def target_of(part: str | None) -> str:
    """The device of this part, or of this name; the default one if there is none."""
    for name in device_names():
        if part is not None and part.lower() in (name, load_device(name).part.lower()):
            return name
    if part is not None:
        text = f"no device of calocc has the part {part!r}; the design is for {DEFAULT_TARGET}"
        warnings.warn(text, DiffersFromHls4ml, stacklevel=3)
    return DEFAULT_TARGET
