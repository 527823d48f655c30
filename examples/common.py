"""What the three training scripts share: modules, seeds, options, and the files they write."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.runtime.reference import (
    Inputs,
    ReferenceModules,
    load_keras_model,
    reference_modules,
)

Array = NDArray[Any]


def training_parser(description: str | None, epochs: int) -> argparse.ArgumentParser:
    """Options that every training script has; `epochs` is the default of `--epochs`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=epochs, help=f"default {epochs}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0: all")
    parser.add_argument("--output", type=Path, help="directory, default: beside the script")
    return parser


def seeded_modules(seed: int, threads: int = 0) -> ReferenceModules:
    """TensorFlow, Keras and QKeras with all random generators seeded.

    Training is reproducible up to the order of float32 sums, which varies with the CPU.
    """
    modules = reference_modules()
    modules.keras.utils.set_random_seed(seed)
    modules.tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    return modules


def settle_weights(model: Any) -> None:
    """Move every stored kernel to the middle of the quantization step it rounds to.

    Training leaves real-valued kernels, some of them so near to a rounding boundary that float32
    and float64 quantize them differently. The quantized kernels, all that inference uses, stay
    as they are. Kernels folded with batch-norm statistics are divided by the folding factor again.
    """
    for layer in model.layers:
        quantizer = getattr(layer, "kernel_quantizer_internal", None)
        if quantizer is None:
            continue
        folds = hasattr(layer, "get_folded_weights")
        folded = layer.get_folded_weights()[0] if folds else layer.kernel
        quantized = np.asarray(quantizer(folded), np.float64)
        factor = _folding_factor(layer) if folds else 1.0
        layer.kernel.assign((quantized / factor).astype(np.float32))


def _folding_factor(layer: Any) -> Array:
    """gamma / sqrt(variance + epsilon) of a QConv2DBatchnorm."""
    norm = layer.batchnorm
    variance = np.asarray(norm.moving_variance, np.float64)
    return np.asarray(norm.gamma) / np.sqrt(variance + norm.epsilon)


def save_model(
    model: Any, path: Path, sample: Inputs, custom_objects: Mapping[str, Any] | None = None
) -> None:
    """Settle the weights of `model`, write it as a compressed `.h5` and check the file.

    Prints how many predictions for `sample` settling changed: none, unless a folded kernel lay on
    a rounding boundary to the last bit of float32. `custom_objects` has the model's own layers by
    name. Raises `ValueError` if a weight is not finite
    or if the file, loaded again, predicts anything else than the settled model.
    """
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise ValueError(f"{model.name}: training diverged, weights are not finite")
    trained = np.asarray(model.predict(sample, verbose=0))
    settle_weights(model)
    settled = np.asarray(model.predict(sample, verbose=0))
    print(f"settling the weights changed {(trained != settled).sum()} of {settled.size} outputs")
    model.save(path, include_optimizer=False, save_format="h5")
    _compress(path)
    loaded = load_keras_model(path, custom_objects)
    if not np.array_equal(settled, loaded.predict(sample, verbose=0)):
        raise ValueError(f"{path}: the file does not predict what the model predicted")


def _compress(path: Path) -> None:
    """Rewrite an HDF5 file with its larger data sets shuffled and gzipped."""
    plain = path.with_suffix(".plain.h5")
    path.rename(plain)
    h5py: Any = importlib.import_module("h5py")
    with h5py.File(plain, "r") as source, h5py.File(path, "w") as target:
        _copy_attributes(source, target)

        def copy(name: str, item: Any) -> None:
            _copy_item(name, item, target)

        source.visititems(copy)
    plain.unlink()


def _copy_item(name: str, item: Any, target: Any) -> None:
    if hasattr(item, "keys"):
        copy = target.require_group(name)
    else:
        packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        copy = target.create_dataset(name, data=item[()], **(packed if item.size > 256 else {}))
    _copy_attributes(item, copy)


def _copy_attributes(source: Any, target: Any) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value


def save_test_data(path: Path, inputs: Mapping[str, Array], label: Array) -> None:
    """Write test events: float32 inputs by input-layer name, and `label`."""
    arrays: dict[str, Any] = {name: value.astype(np.float32) for name, value in inputs.items()}
    np.savez_compressed(path, label=label, **arrays)
