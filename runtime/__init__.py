"""Running designs: `open` for what has been deployed, and the parts behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from calocc.runtime.deployment import Deployment


def open(
    directory: str | Path, on: Literal["emulator", "csim", "xrt"] = "emulator", **options: Any
) -> Deployment:
    """A written design, ready to predict: in the exact emulator, in the generated C++ behind the
    host library, or on a card. `options` are those of `EmulatorOptions` or `HostOptions` in
    `calocc.runtime.deployment`.

    Files are verified against the manifest first. Raises CaloccError.
    """
    from calocc.runtime.deployment import deploy

    return deploy(Path(directory), on, **options)
