"""How many faults in the compiler its tests notice: the mutation score.

Run from the root of the repository: `python -m benchmarks.mutate`. A mutant is a small, plausible
fault: a text that is replaced in a file, and the tests that should notice. They run against a copy
of the tree, in which one mutant at a time is made and unmade; the tree itself is never changed.
A test that fails without any mutant as well has noticed nothing, and is left out.
`--only WORD` runs the mutants with that word in their names, `--list` shows them all.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.table import Table

ROOT = Path(__file__).parents[1]
SECONDS = 900
"""After which tests that hang count as having noticed."""
COPIED = ("benchmarks", "codegen", "compiler", "dialects", "docs", "examples", "passes", "runtime")


@dataclass(frozen=True)
class Mutant:
    """A fault: `old` becomes `new` in a file, which `tests` (below `tests/`) should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str

    @property
    def paths(self) -> list[str]:
        """The files or tests, those first that are cheap."""
        return self.tests.split()

    def text(self, root: Path) -> str:
        """The file with the fault; raise ValueError unless `old` is there exactly once."""
        text = (root / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has the text {text.count(self.old)} times")
        return text.replace(self.old, self.new)


ARITHMETIC, INTERVAL = "dialects/fixed/arithmetic.py", "dialects/fixed/interval.py"
WINDOWS, SCALARS = "dialects/qnn/windows.py", "codegen/vitis/scalars.py"
HOIST, THRESHOLDS = "passes/hoist_quantize.py", "passes/thresholds.py"
LOWERED = "property/test_lowering.py"
OF_ARITHMETIC, OF_INTERVALS = "property/test_fixed_arithmetic.py", "property/test_fixed_interval.py"
OF_OPS, OF_BOUNDS = "property/test_qnn_ops.py", "property/test_deviation.py"
OF_MISCOMPILES, FUZZED = "property/test_known_miscompiles.py", "property/test_fuzzing.py"
JETS = "end_to_end/test_examples.py::test_jets_softmax_recipe_is_within_its_bound"

MUTANTS = (
    Mutant("half to even becomes half up", ARITHMETIC,
        "return (half - 1) + (quotient & np.int64(1))", "return half", OF_ARITHMETIC),
    Mutant("half to zero is off below 0", ARITHMETIC,
        "return (half - 1) + (m < 0)", "return half - 1", OF_ARITHMETIC),
    Mutant("wrapping keeps a bit too many", ARITHMETIC,
        "unused = 64 - to.width", "unused = 63 - to.width", OF_ARITHMETIC),
    Mutant("symmetric saturation is dropped", ARITHMETIC,
        "return -to.max_mantissa if symmetric else to.min_mantissa", "return to.min_mantissa",
        OF_ARITHMETIC),
    Mutant("bits that are cut off leave no trace", ARITHMETIC,
        "return (m >> np.int64(cut)) | sticky, _MAX_SHIFT",
        "return m >> np.int64(cut), _MAX_SHIFT", OF_ARITHMETIC),
    Mutant("differences have the bounds of sums", INTERVAL,
        "_checked(a.lo - b.hi, a.hi - b.lo, a.frac)", "_checked(a.lo - b.lo, a.hi - b.hi, a.frac)",
        OF_INTERVALS),
    Mutant("products of negative bounds are forgotten", INTERVAL,
        "for a in (self.lo, self.hi) for b in (other.lo, other.hi)]",
        "for a, b in ((self.lo, other.lo), (self.hi, other.hi))]", OF_INTERVALS),
    Mutant("wrapped values are taken to be saturated", INTERVAL,
        "if overflow is Overflow.WRAP:", "if overflow is None:", OF_INTERVALS),
    Mutant("only the starts of steps are compared", "dialects/fixed/steps.py",
        "ends = np.concatenate([self.first - 1, self.first, self.lo[None], self.hi[None]])",
        "ends = np.concatenate([self.first, self.lo[None]])", "property/test_steps.py"),
    Mutant("same padding on the wrong side", WINDOWS,
        "return total // 2, total - total // 2", "return total - total // 2, total // 2",
        "property/test_import_layers.py::test_imported_layers_agree_with_keras"),
    Mutant("swapped axes of a dilation", WINDOWS,
        "down, across = self.dilation", "across, down = self.dilation", OF_MISCOMPILES),
    Mutant("swapped strides of a window", WINDOWS,
        "moved = view[:, :: self.strides[0], :: self.strides[1],",
        "moved = view[:, :: self.strides[1], :: self.strides[0],", OF_OPS),
    Mutant("sums of floats that are not exact any more", WINDOWS,
        "(np.float32, 1 << 24)", "(np.float32, 1 << 40)", f"{OF_OPS} {FUZZED}"),
    Mutant("maximum over padding of zeros", "dialects/qnn/pool.py",
        "return self.window.slide(x, lowest).max", "return self.window.slide(x).max",
        f"{OF_OPS} {LOWERED}"),
    Mutant("swapped factors of an upsampling", "dialects/qnn/movement.py",
        "x.repeat(down, axis=1).repeat(across, axis=2)",
        "x.repeat(across, axis=1).repeat(down, axis=2)", OF_OPS),
    Mutant("softmax divides without rounding", "dialects/qnn/softmax.py",
        "+ (total >> 1)) // total", ") // total", f"{OF_OPS} {JETS}"),
    Mutant("casts of all kinds are narrowed", "passes/narrow_widths.py",
        "if isinstance(op, QuantizeOp) and op.modes[1] is not Overflow.SAT:",
        "if isinstance(op, QuantizeOp) and op.modes[1] is None:",
        "property/test_narrow_widths.py"),
    Mutant("accumulators lose a bit", "passes/narrow_widths.py",
        "return narrow if narrow.width < op.out.width and op.allows(narrow) else op.out",
        "return Format(narrow.signed, max(narrow.width - 1, 1), narrow.integer - 1)", LOWERED),
    Mutant("thresholds of functions that fall", THRESHOLDS,
        "if (final < first).any() or not 0 < levels", "if not 0 < levels",
        f"property/test_thresholds.py {FUZZED}"),
    Mutant("all channels have the thresholds of the first", THRESHOLDS,
        "rows = rows[:1] if (rows == rows[:1]).all() else rows", "rows = rows[:1]",
        f"property/test_thresholds.py {LOWERED}"),
    Mutant("thresholds of casts that wrap", THRESHOLDS,
        "if op.modes[1] is not Overflow.SAT or isinstance(", "if isinstance(",
        "property/test_thresholds.py"),
    Mutant("quantizers pass paddings that they change", HOIST,
        "return not quantizer.data_dependent and float(quantizer(np.zeros(1))[0]) == 0.0",
        "return not quantizer.data_dependent", f"filecheck {OF_MISCOMPILES} {FUZZED}"),
    Mutant("quantizers that fall pass a maximum", HOIST,
        "op.kind.data is Pooling.MAX and quantizer.monotone", "op.kind.data is Pooling.MAX",
        "filecheck/passes/hoist_quantize.mlir"),
    Mutant("quantizers pass sums", HOIST,
        "return isinstance(op, PoolOp) and op.kind.data is Pooling.MAX and quantizer.monotone",
        "return isinstance(op, PoolOp) and quantizer.monotone", f"filecheck {LOWERED}"),
    Mutant("scales in the wrong order", "passes/factor_scales.py",
        "reshape(-1, *levels.shape[-axes:])[0].ravel()",
        "reshape(-1, *levels.shape[-axes:])[0].ravel()[::-1]", LOWERED),
    Mutant("strides of a 1 x 1 convolution are lost", "passes/partitioning/layers.py",
        "if not window.divides(*shape[:2]):", "if window.padding or window.taps > 1:", LOWERED),
    Mutant("FIFOs one beat too short", "runtime/cycles.py",
        "max(least, in_flight(timing.reserved[c], timing.consumed[c]))",
        "max(least, in_flight(timing.reserved[c], timing.consumed[c]) - 1)",
        "property/test_cycles.py"),
    Mutant("rectifiers forget what they are not sure of", "passes/lowering/forms.py",
        "unsure = np.where(share == 0.5, 0.5 * form.radius(), 0.0)",
        "unsure = np.zeros(form.rest.shape)", OF_BOUNDS),
    Mutant("the least deviation of a channel counts", "passes/lowering/rebuild.py",
        "channels = radius.max(axis=tuple(range(radius.ndim - 1)))",
        "channels = radius.min(axis=tuple(range(radius.ndim - 1)))", OF_BOUNDS),
    Mutant("levels above a threshold, not from it on", SCALARS,
        "{x} >= {table}[k] ? 1 : 0;", "{x} > {table}[k] ? 1 : 0;", f"filecheck {FUZZED}"),
    Mutant("all casts of the C++ truncate", "codegen/vitis/cpp.py",
        "if (rounding, overflow) != (Rounding.TRN, Overflow.WRAP):", "if overflow is None:",
        f"filecheck {FUZZED}"),
    Mutant("layers that run backwards run forwards", "compiler/keras/layers/recurrent.py",
        'if config.take_bool("go_backwards", False):',
        'if config.take_bool("go_backwards", False) and cell.units < 0:',
        "property/test_import_recurrent.py"),
)  # fmt: skip
"""Faults as they are made by hand."""


def copy_of(root: Path, place: Path) -> Path:
    """A tree whose packages are files of its own and whose tests and configuration are too."""
    tree = place / "tree"
    tree.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in (*COPIED, "testing", "src", "tests"):
        shutil.copytree(root / name, tree / name, symlinks=True, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(root / name, tree / name)
    return tree


def notices(tree: Path, mutant: Mutant) -> str | None:
    """The first test that fails with a mutant in the tree and passes without; None if none does."""
    idle: list[str] = []
    while (failing := _with_mutant(tree, mutant, idle)) is not None:
        if first_failure(tree, [failing]) is None:
            return failing
        idle.append(failing)
    return None


def _with_mutant(tree: Path, mutant: Mutant, idle: Sequence[str]) -> str | None:
    """The first test that fails with a mutant in the tree, which is then as it was."""
    file = tree / mutant.file
    original = file.read_text()
    try:
        file.write_text(mutant.text(tree))
        return first_failure(tree, [f"tests/{path}" for path in mutant.paths], idle)
    finally:
        file.write_text(original)


def first_failure(tree: Path, tests: Sequence[str], idle: Sequence[str] = ()) -> str | None:
    """Run tests in a tree, against the packages of that tree, until one fails that is not idle.

    Where they take too long, the first of them is said to.
    """
    options = ["-q", "-x", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
    options += ["--hypothesis-profile=brief", *(f"--deselect={test}" for test in idle)]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree,
            env={**environment, "COLUMNS": "1000"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return tests[0]
    found = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 5) and found is None:  # 5: there is nothing but idle tests
        raise RuntimeError(f"{done.stdout}{done.stderr}"[-2000:])
    return found[1] if found else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table and the score; end with 1 if a mutant survives."""
    parser = argparse.ArgumentParser("benchmarks.mutate", description=__doc__)
    parser.add_argument("--only", default="", help="mutants with this word in their names")
    parser.add_argument("--list", action="store_true", help="show the mutants")
    parsed = parser.parse_args(arguments)
    chosen, console = [m for m in MUTANTS if parsed.only in m.name], Console()
    if parsed.list:
        for mutant in chosen:
            console.print(f"{mutant.name} ({mutant.file})", markup=False)
        return
    table = Table("mutant", "file", "noticed by", "seconds", title="mutation testing")
    with tempfile.TemporaryDirectory(prefix="calocc_mutants_") as place:
        tree = copy_of(ROOT, Path(place))
        answers = [_judged(tree, mutant, table) for mutant in chosen]
    console.print(table)
    console.print(f"{sum(answers)} of {len(chosen)} mutants noticed")
    sys.exit(int(not all(answers)))


def _judged(tree: Path, mutant: Mutant, table: Table) -> bool:
    """Whether a mutant is noticed, as a row of the table and, at once, a line."""
    started = monotonic()
    test = notices(tree, mutant)
    answer = "NONE" if test is None else test.removeprefix("tests/")
    table.add_row(mutant.name, mutant.file, escape(answer), f"{monotonic() - started:.0f}")
    print(f"{mutant.name}: {answer}", file=sys.stderr, flush=True)
    return test is not None


if __name__ == "__main__":
    main()
