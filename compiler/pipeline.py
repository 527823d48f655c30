"""The pass pipelines of the optimisation levels, as text."""

from __future__ import annotations

NUMERICS = "fold-batch-norm,factor-scales,hoist-quantize,lower-to-fixed,dce"
"""What decides numerics: the same at every level, and first."""

_SIMPLIFY = "canonicalize,cse,narrow-widths"
_BALANCE = "balance{{target=\"{target}\" budget={budget} pins={pins}}}"


def fixed_pipeline(level: int) -> str:
    """From reals to exact fixed-point numbers."""
    return f"{NUMERICS},{_SIMPLIFY}" if level >= 1 else NUMERICS
