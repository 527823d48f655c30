"""`calocc.from_hls4ml`: a model of hls4ml, with what its configuration says of the device."""

from __future__ import annotations

import warnings
from typing import Any

from calocc.compiler.compilation import compile
from calocc.compiler.design import Design
from calocc.compiler.devices import UnknownDevice, device_of


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
    if "target" not in options and (part := config.get_config_value("Part")):
        options["target"] = _target(part)
    if "clock_mhz" not in options and (period := config.get_config_value("ClockPeriod")):
        options["clock_mhz"] = 1000 / float(period)
    design = compile(model, **options)
    for note in design.report["notes"]:
        warnings.warn(note, DiffersFromHls4ml, stacklevel=2)
    return design


def _target(part: str) -> str | None:
    """The device of a part; None for one that calocc has not, which hls4ml may have put there."""
    try:
        return device_of(part)
    except UnknownDevice as error:
        warnings.warn(f"part {part!r}: {error.what}; {error.hint}", UserWarning, stacklevel=3)
        return None
