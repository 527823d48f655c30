"""The C++ kernels against numpy, bit for bit, with their iteration counts.

All cases are compiled into one library; each runs several events in one process, so state left over
from an event shows up in the next.
"""

from __future__ import annotations

import random
from itertools import chain

import numpy as np
import pytest
from kernel_draws import DRAWS
from kernel_harness import Case, KernelLibrary, draw_event
from recurrent_draws import RECURRENT

_DRAWS = {**DRAWS, **RECURRENT}
_EVENTS = 5
_CASES = {
    **{"window": 40, "buffer": 30, "matvec": 10, "reduce": 10, "map": 10, "softmax": 10},
    **{"layer_norm": 8, "tap_sum": 24},
}


def _cases(kernel: str, count: int) -> list[Case]:
    rng = random.Random(f"{kernel} cases")
    return [_DRAWS[kernel](rng) for _ in range(count)]


_DRAWN = {kernel: _cases(kernel, _CASES.get(kernel, 16)) for kernel in _DRAWS}
_SUMS = {kernel: _cases(kernel, 6) for kernel in ("matvec", "recurrent")}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> KernelLibrary:
    """All that is drawn, as it is simulated."""
    return KernelLibrary(list(chain(*_DRAWN.values())), tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="module")
def fixed_sums(tmp_path_factory: pytest.TempPathFactory) -> KernelLibrary:
    """The accumulation that is synthesised, not the faster one of simulation."""
    directory = tmp_path_factory.mktemp("fixed_sums")
    return KernelLibrary(list(chain(*_SUMS.values())), directory, ["-DCALOCC_FIXED_SUMS"])


def _check(cases: list[Case], library: KernelLibrary) -> None:
    """Outputs, iteration count, and the number of beats read and written, for drawn events."""
    rng = np.random.default_rng(2024)
    for case in cases:
        for _ in range(_EVENTS):
            event = draw_event(case, rng)
            outcome = library.run(case, event)
            assert outcome.unread == (1,) * len(case.inputs), case
            assert outcome.written == tuple(port.beats for port in case.outputs), case
            assert outcome.ticks == case.trips, case
            for got, expected in zip(outcome.outputs, case.model(event), strict=True):
                np.testing.assert_array_equal(got, expected, err_msg=str(case))


@pytest.mark.parametrize("kernel", _DRAWS)
def test_matches_numpy(kernel: str, library: KernelLibrary) -> None:
    _check(_DRAWN[kernel], library)


@pytest.mark.parametrize("kernel", _SUMS)
def test_sums_in_ap_fixed(kernel: str, fixed_sums: KernelLibrary) -> None:
    _check(_SUMS[kernel], fixed_sums)
