"""Strategies and assertions for tests of passes, layers and targets; needs the extra `fuzz`.

```python
from calocc.testing import assert_preserves_bits

def test_my_pass() -> None:
    assert_preserves_bits("my-pass")
```
"""

from __future__ import annotations

from importlib.util import find_spec

from calocc.testing.missing import HypothesisMissing

if find_spec("hypothesis") is None:
    raise HypothesisMissing()

from calocc.testing.passes import assert_preserves_bits
from calocc.testing.strategies import foldings, formats, models, qnn_modules, tensors

__all__ = [
    "HypothesisMissing",
    "assert_preserves_bits",
    "foldings",
    "formats",
    "models",
    "qnn_modules",
    "tensors",
]
