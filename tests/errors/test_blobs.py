"""Blobs whose bytes are missing or are not those that their key stands for."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.builtin import StringAttr, TensorType, i8
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.blob import BLOBS, BlobAttr


def test_bytes_must_match_their_hash() -> None:
    key = BlobAttr.of(np.array([1, 2, 3])).key.data
    BLOBS.parse_resource(key, "0x010203")
    with pytest.raises(ValueError, match=f"blob {key} does not match its hash"):
        BLOBS.parse_resource(key, "0x010204")


def test_missing_bytes() -> None:
    blob = BlobAttr(StringAttr("b0000000000000000"), TensorType(i8, (3,)))
    with pytest.raises(VerifyException, match="no resource section defines blob b0000000000000000"):
        blob.numpy()


def test_too_few_bytes() -> None:
    blob = BlobAttr(BlobAttr.of(np.array([1, 2, 3])).key, TensorType(i8, (4,)))
    with pytest.raises(VerifyException, match="holds 3 elements"):
        blob.numpy()


@pytest.mark.parametrize("largest", [100, 200, 40_000, 2**40])
def test_integers_are_stored_in_few_bytes(largest: int) -> None:
    values = np.array([[0, -largest], [largest, 1]])
    blob = BlobAttr.of(values)
    np.testing.assert_array_equal(blob.numpy(), values)
    assert blob == BlobAttr.of(values.copy())
    assert blob.type.element_type.bitwidth <= max(8, 2 * largest.bit_length())


def test_reals_keep_every_bit() -> None:
    values = np.array([0.1, -1e300, 0.0])
    np.testing.assert_array_equal(BlobAttr.of(values).numpy(), values)
