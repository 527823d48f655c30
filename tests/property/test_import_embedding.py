"""Embeddings from a Keras model to their tables: indices, masks, formats, what reads the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_layers import keras, qkeras, randomize
from test_import_layers import check_against_keras, saved
from test_keras_formats import imported, stored

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.compiler.text import module_text
from calocc.dialects.dataflow.embedding import EmbeddingOp
from calocc.dialects.fixed.format import Format
from calocc.passes.lowering.errors import FractionalIndices, UnquantizedTable
from calocc.runtime.emulator import execute
from calocc.runtime.reference import predict

layers: Any = keras.layers
ROWS, COLUMNS, STEPS = 11, 4, 6
BITS = "quantized_bits(5,1,alpha=1)"
KERNEL = "quantized_bits(4,0,alpha=1)"


def quantized(text: str = BITS, name: str = "q") -> Any:
    return qkeras.QActivation(text, name=name)


def rows(
    *behind: Any, shape: tuple[int, ...] = (STEPS,), dtype: str = "int32", **options: Any
) -> Any:
    """A model of an embedding `y` and the layers behind it."""
    table = layers.Embedding(ROWS, COLUMNS, name="y", **options)
    model = keras.Sequential([keras.Input(shape, name="x", dtype=dtype), table, *behind])
    randomize(model, 3)
    return model


def indices(shape: tuple[int, ...] = (STEPS,), most: int = ROWS, events: int = 20) -> Any:
    return np.random.default_rng(7).integers(0, most, (events, *shape)).astype("i4")


def outputs(design: calocc.Design, x: Any) -> Any:
    """The results of a design with one output."""
    return design.predict(x)


def tables(design: calocc.Design) -> list[EmbeddingOp]:
    return [op for op in design.module.walk() if isinstance(op, EmbeddingOp)]


def dense(units: int) -> Any:
    return qkeras.QDense(units, kernel_quantizer=KERNEL, bias_quantizer=KERNEL)


def lstm() -> Any:
    gate = {"activation": "quantized_tanh(6)", "recurrent_activation": "quantized_sigmoid(6)"}
    kernels = {f"{k}_quantizer": KERNEL for k in ("kernel", "recurrent", "bias")}
    return qkeras.QLSTM(3, **kernels, **gate, state_quantizer="quantized_bits(6,1,alpha=1)")


BEHIND: dict[str, Callable[[], list[Any]]] = {
    "rows": lambda: [],
    "flatten": lambda: [layers.Flatten(), dense(3)],
    "dense": lambda: [dense(3)],
    "average": lambda: [layers.GlobalAveragePooling1D(), quantized(name="behind")],
    "convolution": lambda: [qkeras.QConv1D(2, 3, kernel_quantizer=KERNEL, bias_quantizer=KERNEL)],
    "lstm": lambda: [lstm()],
}


@pytest.mark.parametrize("name", BEHIND)
def test_what_reads_the_rows(name: str) -> None:
    model, x = rows(quantized(), *BEHIND[name]()), indices()
    check_against_keras(model, {"x": x})
    with saved(model) as path:
        (real,) = execute(import_model(path), [x.astype(np.float64)])
        designs = [calocc.compile(path, level) for level in (0, 2)]
    for design in designs:
        assert design.inputs[0].format == Format(signed=False, width=4, integer=4)
        assert np.array_equal(outputs(design, x), real)


@pytest.mark.parametrize("shape", [(1,), (STEPS,), (3, 2), (2, 2, 2)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
def test_shapes_and_types_of_indices(shape: tuple[int, ...], dtype: str) -> None:
    model, x = rows(quantized(), shape=shape, dtype=dtype), indices(shape)
    check_against_keras(model, {"x": x.astype(dtype)})
    with saved(model) as path:
        assert np.array_equal(calocc.compile(path).predict(x), predict(model, {"x": x})[0])


def test_rows_that_are_not_there_are_zeros() -> None:
    """With the bits of the last row, and with more of them."""
    model = rows(quantized())
    x = np.array([[0, ROWS - 1, ROWS, 15, 16, -1]], np.int32)
    with saved(model) as path:
        narrow = calocc.compile(path)
        wide = calocc.compile(path, inputs={"x": "fixed<8,8>"})
        (real,) = execute(import_model(path), [x.astype(np.float64)])
    table = outputs(narrow, np.arange(ROWS + 1).reshape(2, 6)).reshape(-1, COLUMNS)
    assert (table[:ROWS] != 0).any(axis=1).all()
    absent = 0 * table[:4]
    assert np.array_equal(outputs(wide, x)[0], [*table[[0, ROWS - 1]], *absent])
    # Like any number, an index below the port's format becomes its least number.
    assert np.array_equal(outputs(narrow, x)[0], [*table[[0, ROWS - 1]], *absent[:3], table[0]])
    assert (real[0, 2:] == 0).all()


def test_indices_are_moved_before_they_are_used() -> None:
    parts = [layers.Reshape((3, 2)), layers.Embedding(ROWS, COLUMNS, name="y"), quantized()]
    model = keras.Sequential([keras.Input((STEPS,), name="x"), *parts])
    randomize(model, 3)
    with saved(model) as path:
        design = calocc.compile(path)
    assert design.inputs[0].format == Format(signed=False, width=4, integer=4)
    assert np.array_equal(outputs(design, indices()), predict(model, {"x": indices()})[0])


def test_tables_of_one_input_share_its_format() -> None:
    x = keras.Input((STEPS,), name="x", dtype="int32")
    small, large = layers.Embedding(3, 2, name="small"), layers.Embedding(300, 2, name="large")
    y = layers.Concatenate()([small(x), large(x)])
    model = keras.Model(x, quantized()(y))
    randomize(model, 3)
    with saved(model) as path:
        design = calocc.compile(path)
    assert design.inputs[0].format == Format(signed=False, width=9, integer=9)
    data = indices(most=3)
    assert np.array_equal(outputs(design, data), predict(model, {"x": data})[0])
    assert not outputs(design, indices(most=300) + 3)[..., :2].any()


def test_each_step_of_a_sequence() -> None:
    each = layers.TimeDistributed(layers.Embedding(ROWS, COLUMNS), name="y")
    model = keras.Sequential([keras.Input((3, 2), name="x"), each, quantized()])
    randomize(model, 3)
    x = indices((3, 2))
    check_against_keras(model, {"x": x})
    with saved(model) as path:
        design = calocc.compile(path)
    assert len(tables(design)) == 1
    assert np.array_equal(outputs(design, x), predict(model, {"x": x})[0])


def test_rows_that_no_index_asks_for_are_left_out() -> None:
    """Of two bits, and of the even numbers."""
    for text, kept in (("ufixed<2,2>", 4), ("ufixed<2,3>", 7)):
        with saved(rows(quantized())) as path:
            design = calocc.compile(path, inputs={"x": text})
        (table,) = tables(design)
        assert table.table.shape == (kept, COLUMNS)


# ---- masks -------------------------------------------------------------------------------------


def test_a_mask_that_no_one_looks_at() -> None:
    behind = [layers.Dense(2), layers.Conv1D(2, 2), layers.GlobalAveragePooling1D()]
    model = rows(*behind, mask_zero=True)
    check_against_keras(model, {"x": indices()})


@pytest.mark.parametrize("layer", [layers.GlobalAveragePooling1D, lstm])
def test_layers_that_look_at_the_mask_are_refused(layer: Any) -> None:
    with saved(rows(layer(), mask_zero=True)) as path:
        with pytest.raises(calocc.CaloccError, match="its operand has a mask"):
            import_model(path)


# ---- formats -----------------------------------------------------------------------------------


def test_the_format_of_the_table_can_be_given() -> None:
    """Of the table itself, or of what is read from it, which is the same."""
    model, x = rows(layers.Flatten(), dense(3)), indices()
    with saved(model) as path:
        for key in ("embeddings", "output"):
            design = calocc.compile(path, settings=(f"y.{key}=fixed<5,2>",))
            (table,) = tables(design)
            assert table.result.type.format == Format(signed=True, width=5, integer=2)
            error = outputs(design, x) - predict(model, {"x": x})[0]
            assert 0 < np.abs(error).max() < STEPS * COLUMNS * 2.0**-4


@pytest.mark.parametrize("behind", [[], [quantized("binary(alpha=1)")]])
def test_a_table_of_reals_is_refused(behind: Any) -> None:
    """So is one that a quantizer follows which makes something of zeros."""
    with saved(rows(*behind, dense(2))) as path, pytest.raises(UnquantizedTable):
        calocc.compile(path)


def test_fractional_indices_are_refused() -> None:
    with saved(rows(quantized())) as path, pytest.raises(FractionalIndices) as caught:
        calocc.compile(path, inputs={"x": "fixed<8,6>"})
    assert caught.value.where == "layer 'y'"


@pytest.mark.parametrize("layer", [layers.ReLU(), layers.Flatten()])
def test_integers_for_other_layers_are_refused(layer: Any) -> None:
    x = keras.Input((STEPS,), name="x", dtype="int32")
    model = keras.Model(x, [layers.Embedding(ROWS, COLUMNS)(x), layer(x)])
    with saved(model) as path, pytest.raises(calocc.CaloccError, match="dtype='int32'"):
        import_model(path)


def test_a_model_of_reals_is_calibrated() -> None:
    """The format of indices is that of the table, whatever the data."""
    model = rows(layers.Flatten(), layers.Dense(5, activation="relu"), layers.Dense(2))
    x = indices(most=4, events=200)
    with saved(model) as path:
        design = calocc.compile(path, calibrate={"x": x}, accuracy=0.01)
    assert design.inputs[0].format == Format(signed=False, width=4, integer=4)
    expected = predict(model, {"x": x})[0]
    assert ((outputs(design, x) - expected) ** 2).mean() <= 0.0101**2 * (expected**2).mean()


def test_all_file_formats_are_one_module(tmp_path: Path) -> None:
    model = rows(layers.Flatten(), layers.Dense(2), input_length=STEPS, mask_zero=True)
    assert len({module_text(imported(m)) for m in stored(model, tmp_path)}) == 1
