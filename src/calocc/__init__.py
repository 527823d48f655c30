"""calocc: compiles QKeras networks to bit-exact streaming FPGA designs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calocc.compiler.compilation import compile
    from calocc.compiler.design import Design, load
    from calocc.compiler.diagnostics import CaloccError
    from calocc.compiler.hls4ml.frontend import from_hls4ml
    from calocc.compiler.hls4ml.link import link_existing_project

_PLACES = {
    "CaloccError": "diagnostics",
    "Design": "design",
    "compile": "compilation",
    "from_hls4ml": "hls4ml.frontend",
    "link_existing_project": "hls4ml.link",
    "load": "design",
}
__all__ = ["CaloccError", "Design", "compile", "from_hls4ml", "link_existing_project", "load"]


def __getattr__(name: str) -> Any:
    """Import the API when it is first used, so that parts of the package load alone."""
    if name not in __all__:
        raise AttributeError(f"module 'calocc' has no attribute {name!r}")
    return getattr(import_module(f"calocc.compiler.{_PLACES[name]}"), name)
