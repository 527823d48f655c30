"""hls4ml's view of a project on disk, wherever the project is now."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from calocc.compiler.design import NotADesign


def link_existing_project(directory: str | Path) -> Any:
    """What `hls4ml.converters.link_existing_project` returns, also for a project that was moved.

    hls4ml builds and loads a library in the absolute `OutputDir` that the project's
    `hls4ml_config.yml` names, which is the place where it was written; here it is the directory
    given. The file stays as it is. Raises NotADesign.
    """
    root = Path(directory).absolute()
    if not (root / "hls4ml_config.yml").is_file():
        raise NotADesign(str(directory), "it holds no hls4ml_config.yml")
    graph = import_module("hls4ml.utils.link").FilesystemModelGraph(root)
    graph.config.config["OutputDir"] = str(root)
    return graph
