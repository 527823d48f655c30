"""The Pareto front, and results that survive interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calocc.compiler.exploration.grid import Grid, Point, Setup, key
from calocc.compiler.exploration.pareto import front
from calocc.compiler.exploration.results import BadResults, Results

ROWS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), max_size=30)


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and list(a) != list(b)


@given(ROWS)
def test_nothing_beats_the_front_and_something_beats_the_rest(rows: list[list[int]]) -> None:
    kept = set(front(rows))
    assert bool(kept) == bool(rows)
    for k, row in enumerate(rows):
        beaten_by = [j for j, other in enumerate(rows) if dominates(other, row)]
        assert (k not in kept) == bool(beaten_by)
        if beaten_by:
            assert any(dominates(rows[j], row) for j in kept)


@given(ROWS, st.permutations(range(3)))
def test_the_front_does_not_know_the_order_of_figures(
    rows: list[list[int]], order: list[int]
) -> None:
    assert front(rows) == front([[row[k] for k in order] for row in rows])


RECORDS = st.lists(
    st.fixed_dictionaries(
        {"key": st.text(max_size=3), "message": st.text(), "dsp": st.integers() | st.none()}
    ),
    max_size=8,
)


@given(RECORDS, st.data())
def test_a_run_killed_while_writing_loses_at_most_that_record(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as place:
        results = Results(Path(place) / "results.jsonl")
        results.prepare()
        for record in records:
            results.add(record)
        whole = results.path.read_bytes()
        results.path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
        kept = results.path.read_bytes().count(b"\n")
        known = results.read()
        assert known == {r["key"]: r for r in records[:kept]}
        results.prepare()
        for record in records[kept:]:
            results.add(record)
        assert results.path.read_bytes() == whole


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"key": "a"}\n{"layers": []}\n')
    with pytest.raises(BadResults, match="line 2 is no result"):
        Results(path).read()


def test_a_grid_holds_every_combination_once() -> None:
    grid = Grid(clock=(100.0, 200.0, 100.0), layout=("single", "mixed"), budget=(0.1, 0.2))
    points = list(grid.points())
    assert len(points) == len(set(points)) == 8
    assert Point(clock=200.0, layout="single", budget=0.2) in points


def test_keys_tell_points_models_and_options_apart(tmp_path: Path) -> None:
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    a.write_bytes(b"one")
    b.write_bytes(b"one")
    setup, point = Setup(a), Point()
    assert key(setup.identity(), point) == key(Setup(b).identity(), Point())
    others = [
        key(setup.identity(), replace(point, clock=100.0)),
        key(replace(setup, settings=("x.pe=1",)).identity(), point),
        key(replace(setup, data=b).identity(), point),
    ]
    b.write_bytes(b"two")
    others.append(key(Setup(b).identity(), point))
    assert len({*others, key(setup.identity(), point)}) == 5
