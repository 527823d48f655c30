"""What a user wants of layers beyond what the model itself and `--set` say."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.model import KerasLayer
from calocc.dialects.qnn.quantizers import Quantizer


class Wishes:
    """Nothing; a subclass may give formats to what has none, or refuse what contradicts it."""

    def weight(
        self, layer: KerasLayer, tensor: str, values: NDArray[Any], own: Quantizer | None
    ) -> Quantizer | None:
        """The quantizer of a weight tensor, of which the model's own is known."""
        return own

    def sums(self, layer: KerasLayer) -> Quantizer | None:
        """A quantizer for the sums of a layer, in front of the activation that it holds."""
        return None

    def result(self, layer: KerasLayer, value: SSAValue) -> Quantizer | None:
        """A quantizer for the result of a layer."""
        return None
