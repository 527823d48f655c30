"""The text of the files in `firmware/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calocc.codegen.vitis.cpp import literals
from calocc.codegen.vitis.emitter import Firmware, Weights

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # C++ and Tcl, not HTML; names are C identifiers
)


def render(template: str, **values: Any) -> str:
    """The text of a template; raise jinja2's UndefinedError for a missing value."""
    return _ENVIRONMENT.get_template(template).render(**values)


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
