"""Bits that accumulators proved from the actual weights save against hls4ml's worst case.

Run from the root of the repository: `python -m benchmarks.accumulators`. Both rules see the same
formats of operands and weights; a bias counts with the sum that it is added to.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.models import PATHS
from calocc.compiler.accumulators import Accumulator, accumulators
from calocc.compiler.compilation import Compilation, Options


def table(name: str, rows: list[Accumulator]) -> Table:
    """A row for each layer, and the sum."""
    columns = ("layer", "terms", "worst case", "proved", "mean of channels", "saved")
    result = Table(*columns, title=name)
    for row in rows:
        widths = (f"{row.worst_case.width}", f"{row.proved.width}", f"{row.channels:.1f}")
        result.add_row(row.layer, f"{row.terms:,}", *widths, f"{row.saved}")
    worst, proved = (sum(f.width for f in column) for column in zip(
        *((r.worst_case, r.proved) for r in rows), strict=True))  # fmt: skip
    share = f"{worst - proved} ({(worst - proved) / worst:.0%})"
    result.add_row("all", "", f"{worst}", f"{proved}", "", share)
    return result


def main() -> None:
    """Print a table for each example."""
    for path in PATHS:
        module = Compilation(path, Options(opt_level=0)).stage("fixed")
        Console().print(table(path.stem, accumulators(module)))


if __name__ == "__main__":
    main()
