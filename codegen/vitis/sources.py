"""The text of the files in `firmware/`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calocc.codegen.vitis.cpp import literals
from calocc.codegen.vitis.emitter import Firmware, Weights
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.plugins import KERNELS, resources

_HERE = Path(__file__).parent
STREAMS = _HERE / "simulation/hls_stream.h"
"""In the place of that of ap_types; g++ takes less time for it."""

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # C++ and Tcl, not HTML; names are C identifiers
)


def render(template: str, **values: Any) -> str:
    """The text of a template; raise jinja2's UndefinedError for a missing value."""
    return _ENVIRONMENT.get_template(template).render(**values)


@dataclass(eq=False)
class NoKernel(CaloccError):
    """A kernel whose header no package brings."""

    header: str

    @property
    def where(self) -> str:
        return f"kernel {self.header}"

    @property
    def what(self) -> str:
        return "no package brings this header"

    @property
    def hint(self) -> str:
        return "name the package that holds it in the entry point group calocc.kernels"


def kernel_header(kernel: str) -> Traversable:
    """The header of a kernel, of calocc or of a plug-in; raise NoKernel."""
    own = _HERE / f"kernels/calocc_{kernel}.h"
    header = own if own.is_file() else resources(KERNELS, "calocc_", ".h").get(kernel)
    if header is None:
        raise NoKernel(f"calocc_{kernel}.h")
    return header


def sources(firmware: Firmware) -> dict[str, str]:
    """File names below `firmware/` and their contents: the top function, its types, its constants.

    Kernels and simulation headers are not among them: they are the same in every project.
    """
    texts = {
        f"{firmware.name}.{suffix}": render(f"firmware/top.{suffix}.j2", fw=firmware)
        for suffix in ("cpp", "h")
    }
    for header in ("defines.h", "parameters.h"):
        texts[header] = render(f"firmware/{header}.j2", fw=firmware)
    for w in firmware.weights:
        dims = "".join(f"[{d}]" for d in w.dimensions)
        texts[f"weights/{w.variable}.h"] = render("firmware/weights.h.j2", w=w, dims=dims)
        texts[f"weights/{w.variable}.txt"] = _csv(w)
    return texts


def _csv(weights: Weights) -> str:
    return ", ".join(literals(weights.mantissas, weights.frac)) + "\n"
