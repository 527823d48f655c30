"""calocc as a backend of hls4ml: `convert_from_keras_model(model, backend="calocc")`.

hls4ml finds `register` through the entry point group `hls4ml.backends` and calls it while it is
itself imported. So nothing of hls4ml is imported here before that, nor of the compiler before it
is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import yaml

NAME = "calocc"
OPTIONS = (
    *("opt_level", "target", "settings", "max_error", "exact_argmax"),
    *("rounding", "optimize", "budget"),
)
"""Options of `calocc.compile` that the converters of hls4ml hand on."""


class CaloccMethods:
    """What the backend adds to hls4ml's `FPGABackend`.

    It compiles the graph that hls4ml's own passes have left, with all of its types inferred;
    nothing of hls4ml's code generation is used.
    """

    def __init__(self) -> None:
        base: Any = super()
        base.__init__(NAME)
        flow = import_module("hls4ml.model.flow").register_flow
        initializers = base._get_layer_initializers
        init = flow("init_layers", initializers, requires=["optimize"], backend=NAME)
        self._default_flow = str(flow("ip", None, requires=["optimize", init], backend=NAME))

    def get_default_flow(self) -> str:
        """The passes that a converter applies."""
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
        return import_module("hls4ml.backends").get_backend("Vitis").build(model, **options)


def register(
    register_backend: Callable[[str, type], None], register_writer: Callable[[str, type], None]
) -> None:
    """Make the backend known to hls4ml; its writer has nothing to do."""
    base = import_module("hls4ml.backends.fpga.fpga_backend").FPGABackend
    register_writer(NAME, import_module("hls4ml.writer.writers").Writer)
    register_backend(NAME, type("CaloccBackend", (CaloccMethods, base), {}))
