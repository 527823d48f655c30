"""How events lie in the memory of a card; `calocc_axi.h` says the same in C++.

An element is its mantissa, extended to a slot of 8, 16, 32 or 64 bits. A beat fills a power of two
of slots of a word, or whole words; every event begins with a new word.
"""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.ports import Port
from calocc.dialects.dataflow.stream import StreamType

WORD_BITS = 512


@dataclass(frozen=True)
class MemoryPort:
    """An input or output of a kernel: `argument` is its name there."""

    port: Port
    stream: StreamType
    type: str
    argument: str
    is_output: bool

    @property
    def name(self) -> str:
        """The name of the model's input or output."""
        return self.port.name

    @property
    def direction(self) -> str:
        """For people."""
        return "output" if self.is_output else "input"

    @property
    def way(self) -> str:
        """What a kernel does with it in memory."""
        return "write" if self.is_output else "read"

    @property
    def beats(self) -> int:
        """Beats of an event."""
        return self.stream.beats

    @property
    def slot_bits(self) -> int:
        """Bits of an element in memory."""
        return next(bits for bits in (8, 16, 32, 64) if bits >= self.stream.format.width)

    @property
    def stride(self) -> int:
        """Slots from the beginning of a beat to that of the next, where those share a word."""
        lanes, slots = self.stream.width, WORD_BITS // self.slot_bits
        if lanes > slots:
            return -(-lanes // slots) * slots
        return 1 << (lanes - 1).bit_length()

    @property
    def words(self) -> int:
        """Words of an event."""
        return -(-self.beats * self.stride * self.slot_bits // WORD_BITS)
