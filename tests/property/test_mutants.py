"""The list of faults that `benchmarks.mutate` makes fits the code.

Not beside the tests that are to notice faults: it fails as soon as any fault is made.
"""

from __future__ import annotations

from benchmarks.mutate import MUTANTS, ROOT


def test_every_mutant_is_a_fault_in_a_text_that_there_is() -> None:
    for mutant in MUTANTS:
        assert mutant.text(ROOT) != (ROOT / mutant.file).read_text()
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
    paths = {path.partition("::")[0] for mutant in MUTANTS for path in mutant.paths}
    assert all((ROOT / "tests" / path).exists() for path in paths)
    assert "property/test_mutants.py" not in paths
