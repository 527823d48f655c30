"""calocc as a backend of hls4ml: `convert_from_keras_model(model, backend="calocc")`.

hls4ml finds `register` through the entry point group `hls4ml.backends` and calls it while it is
itself imported, so this module imports nothing of the compiler before it is needed.
"""
# hls4ml has no type annotations.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUntypedBaseClass=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from hls4ml.backends.backend import get_backend
from hls4ml.backends.fpga.fpga_backend import FPGABackend
from hls4ml.model.flow import register_flow
from hls4ml.writer.writers import Writer

NAME = "calocc"
OPTIONS = (
    *("opt_level", "target", "settings", "max_error", "exact_argmax"),
    *("rounding", "optimize", "budget"),
)
"""Options of `calocc.compile` that the converters of hls4ml hand on."""


class CaloccWriter(Writer):
    """Writes nothing itself: a project of calocc is written as a whole."""


class CaloccBackend(FPGABackend):
    """Compiles the graph that hls4ml's own passes have left, with all of its types inferred."""

    def __init__(self) -> None:
        super().__init__(NAME)
        init = register_flow(
            "init_layers", self._get_layer_initializers, requires=["optimize"], backend=NAME
        )
        self._default_flow = register_flow("ip", None, requires=["optimize", init], backend=NAME)

    def get_default_flow(self) -> str:
        """hls4ml's parsing, optimisation and inference of types; nothing of its code generation."""
        return self._default_flow

    def create_initial_config(
        self, part: str | None = None, clock_period: float | None = None, **options: Any
    ) -> dict[str, Any]:
        """The configuration of a project: streams, and the options of `calocc.compile`.

        `part` is that of a device of calocc or its name, `clock_period` in ns. Options for the
        C++ of other backends are without meaning here.
        """
        return {
            "Part": part or "alveo-u50",
            "ClockPeriod": clock_period or 4,
            "IOType": "io_stream",
            "HLSConfig": {},
            "Calocc": {key: options[key] for key in OPTIONS if key in options},
        }

    def write(self, model: Any) -> None:
        """Compile the model and write calocc's project to its output directory."""
        from calocc.compiler.hls4ml.frontend import from_hls4ml

        design = from_hls4ml(model, **model.config.get_config_value("Calocc", {}))
        project = design.write(model.config.get_output_dir())
        written = yaml.safe_load((project / "hls4ml_config.yml").read_text())
        model.config.config["Stamp"] = written["Stamp"]
        model.config.config["ProjectName"] = design.name

    def build(self, model: Any, **options: Any) -> Any:
        """Synthesise the project, as hls4ml's backend Vitis does with the same options."""
        return get_backend("Vitis").build(model, **options)


def register(
    register_backend: Callable[[str, type], None], register_writer: Callable[[str, type], None]
) -> None:
    """Make the backend known to hls4ml."""
    register_writer(NAME, CaloccWriter)
    register_backend(NAME, CaloccBackend)
