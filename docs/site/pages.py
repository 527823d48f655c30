"""Pages of the documentation that are made from the code while the site is built.

mkdocs calls `on_files` (its hook of that name); each page is a function without arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import cleandoc, getdoc
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from xdsl.ir import Operation
from xdsl.irdl import IRDLOperation, ParametrizedAttribute

from calocc.compiler.compilation import STAGES, Compilation, Options
from calocc.compiler.pass_table import pass_docs
from calocc.compiler.pipeline import DATAFLOW, PREPARE, SIMPLIFY, to_fixed
from calocc.compiler.universe import UNIVERSE

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples" / "deepcalo" / "deepcalo_image.h5"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those that are written by hand."""
    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files


def home() -> str:
    """The README, without links out of the documentation."""
    text = (ROOT / "README.md").read_text()
    text = text.partition("## Read on")[0].replace("](docs/", "](")
    return text + "## Read on\n\nThe navigation has tutorials, and a reference of passes and ops.\n"


def passes() -> str:
    """Every pass with its options, and the pipelines."""
    rows = ["# Passes", "", "Made from the code; `calocc-opt --list-passes` shows the same.", ""]
    for row in pass_docs():
        options = "".join(f"\n- `{option}`" for option in row.options)
        rows += [f"## `{row.name}`", "", f"Takes: {row.takes or 'any stage'}.", "", row.doc]
        rows += [f"\nOptions:\n{options}" if options else "", ""]
    return "\n".join([*rows, *_pipelines()])


def _pipelines() -> Iterator[str]:
    yield "## Pipelines\n"
    yield f"What decides numbers, at every level: `{PREPARE},{to_fixed()}`. Then:\n"
    yield "| level | on tensors | on streams |\n|---|---|---|"
    for level in DATAFLOW:
        yield f"| `-O{level}` | `{SIMPLIFY[level] or '-'}` | `{DATAFLOW[level]}` |"


def dialects() -> str:
    """Every op and attribute of the three dialects."""
    rows = ["# Dialects", ""]
    for name, load in UNIVERSE.all_dialects.items():
        dialect = load()
        rows += [f"## `{name}`", ""]
        for kind in sorted(dialect.operations, key=lambda k: k.name):
            rows += [f"### `{kind.name}`", "", _signature(kind), "", cleandoc(getdoc(kind) or "")]
        for attribute in sorted(dialect.attributes, key=lambda k: k.name):
            if issubclass(attribute, ParametrizedAttribute):
                rows += [f"### `{attribute.name}`", "", cleandoc(getdoc(attribute) or "")]
        rows.append("")
    return "\n".join(rows)


def _signature(kind: type[Operation]) -> str:
    assert issubclass(kind, IRDLOperation)
    definition = kind.get_irdl_definition()
    parts = {
        "operands": definition.operands,
        "results": definition.results,
        "regions": definition.regions,
    }
    shown = [f"{word}: {', '.join(f'`{n}`' for n, _ in d)}" for word, d in parts.items() if d]
    properties = [f"`{name}`" for name in definition.properties]
    shown += [f"properties: {', '.join(properties)}"] if properties else []
    return "; ".join(shown)


def gallery() -> str:
    """DeepCalo at each stage of `calocc --emit`, without its weights."""
    rows = [
        "# DeepCalo at each stage",
        "",
        "`calocc examples/deepcalo/deepcalo_image.h5 --emit qnn|fixed|dataflow`, without weights.",
        "",
    ]
    for stage in STAGES:
        module = Compilation(MODEL, Options()).stage(stage)
        rows += [f"## `--emit {stage}`", "", "```mlir", str(module), "```", ""]
    return "\n".join(rows)


PAGES: dict[str, Callable[[], str]] = {
    "index.md": home,
    "passes.md": passes,
    "dialects.md": dialects,
    "gallery.md": gallery,
}
