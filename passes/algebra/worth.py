"""What resources are worth against each other when a pass chooses between two exact forms."""

from __future__ import annotations

from calocc.dialects.dataflow.resources import Resources

LUTS_PER_DSP, LUTS_PER_BRAM18, FFS_PER_LUT = 146, 324, 2
"""Their ratios on an Alveo U50 (DS965)."""


def worth(used: Resources) -> float:
    """Resources in LUTs, each at its share of the device."""
    memories = LUTS_PER_BRAM18 * used.bram18
    return used.lut + used.ff / FFS_PER_LUT + LUTS_PER_DSP * used.dsp + memories
