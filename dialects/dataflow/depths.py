"""Pipeline depths in cycles: how long after an iteration its output leaves the process.

Every figure is an ESTIMATE from the structure of the loop, at a clock of 3 to 5 ns, and stands
until a csynth report gives the depth of the synthesised loop; then the report's number is passed
to the schedule instead. Depths move a latency by tens of cycles, never an interval or a rate.

The common part of all loops is the stream interface: a blocking read takes the beat from the
FIFO's output register in the first stage (1 cycle), a write hands it over in the last (1 cycle).
"""

from __future__ import annotations

STREAM = 2
"""One stage to take a beat from a FIFO, one to give it to the next."""

MULTIPLY = 3
"""A DSP48E2 at full speed uses its A/B, M and P registers (UG579): three stages."""

EPILOGUE = 2
"""A few scalar additions and comparisons and one rounding: two stages of carry chains."""

MEMORY = 2
"""A block RAM read with its output register (UG573): two cycles."""

TABLE = MEMORY
"""A function table lives in a block RAM or in LUTs with the same registers."""

DIVIDE = 20
"""A pipelined reciprocal and product at about one quotient bit per stage, 16 to 20 bits."""


def moving() -> int:
    """A loop that only moves beats: fork, lane conversion, concatenation, padding."""
    return STREAM


def mapping(epilogue: int = EPILOGUE) -> int:
    """An element-wise loop: the stream stages and the scalar operations between them."""
    return STREAM + epilogue


def matvec(simd: int, epilogue: int = EPILOGUE) -> int:
    """Stream, multiply, an adder tree over `simd` products (a level per cycle), accumulate."""
    return STREAM + MULTIPLY + (simd - 1).bit_length() + 1 + epilogue


def recurrent(simd: int, epilogue: int) -> int:
    """A matvec whose sums go through `epilogue` stages to a memory; entering the next loop."""
    return matvec(simd, epilogue) + MEMORY + 1


def reduction(epilogue: int = EPILOGUE) -> int:
    """Read and write back the partial results of a pixel (a small memory), then the epilogue."""
    return STREAM + MEMORY + epilogue


def line_buffer() -> int:
    """A window, upsampling or reorder loop: a memory read and one multiplexer stage."""
    return STREAM + MEMORY + 1


def interpolation() -> int:
    """A row from memory, two products one behind the other, each with an addition, the epilogue."""
    return STREAM + MEMORY + 2 * (MULTIPLY + 1) + EPILOGUE


def tap_sum(taps: int) -> int:
    """A line buffer, an adder tree over the taps (a level per cycle), the epilogue."""
    return line_buffer() + (taps - 1).bit_length() + EPILOGUE


def softmax() -> int:
    """Maximum, table, sum and the division by it, in the last of the three passes."""
    return STREAM + TABLE + DIVIDE


def embedding() -> int:
    """A comparison of the index, and the table."""
    return STREAM + EPILOGUE + TABLE


def layer_norm() -> int:
    """Products for the spread, its leading bit, two shifts, table, interpolation, product."""
    return STREAM + 2 * MULTIPLY + 2 * EPILOGUE + TABLE + 2 * MULTIPLY + EPILOGUE
