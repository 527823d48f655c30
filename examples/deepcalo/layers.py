"""The Keras layers that DeepCalo defines for itself, written for `tf_keras`.

The class names and the values are those of the DeepCalo package, so that files of either side load
with `LAYERS` as `custom_objects`. calocc imports the four classes without this module.
"""

from __future__ import annotations

from typing import Any

from calocc.runtime.reference import reference_modules

modules = reference_modules()
tensorflow: Any = modules.tensorflow
Layer: Any = modules.keras.layers.Layer


class FiLM(Layer):
    """Feature-wise linear modulation: `[x, c]` to `(1 + gamma) * x + beta` per channel.

    x has the shape `(events, ..., C)`, c the shape `(events, 2 C)`: gamma, then beta. Raises
    `ValueError` for other shapes.
    """

    def build(self, input_shape: Any) -> None:
        """Check the shapes."""
        features, modulation = input_shape
        if len(modulation) != 2 or modulation[-1] != 2 * features[-1]:
            raise ValueError(f"{self.name}: {modulation} does not modulate {features}")
        Layer.build(self, input_shape)

    def call(self, inputs: Any) -> Any:
        """Apply the layer."""
        features, modulation = inputs
        channels = features.shape[-1]
        shape = [-1, *(1 for _ in features.shape[1:-1]), channels]
        gamma = tensorflow.reshape(modulation[:, :channels], shape)
        beta = tensorflow.reshape(modulation[:, channels:], shape)
        return (1.0 + gamma) * features + beta

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of x."""
        return input_shape[0]


class Mask_track(Layer):  # the class name is part of the file format
    """1 for each track whose features all differ from zero, else 0: `(T, F)` to `(T, 1)`."""

    def call(self, inputs: Any) -> Any:
        """Apply the layer."""
        present = tensorflow.reduce_all(tensorflow.not_equal(inputs, 0.0), -1, keepdims=True)
        return tensorflow.cast(present, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One feature per track."""
        return (*input_shape[:-1], 1)


class Sum1D(Layer):
    """The sum over the tracks: `(T, F)` to `(F,)`."""

    def call(self, inputs: Any) -> Any:
        """Apply the layer."""
        return tensorflow.reduce_sum(inputs, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Without the axis of the tracks."""
        return (input_shape[0], *input_shape[2:])


class Slice_tensor1D(Layer):
    """The elements `start` to `end - 1` of a vector."""

    def __init__(self, start: int, end: int, **options: Any) -> None:
        Layer.__init__(self, **options)
        self.start, self.end = start, end

    def call(self, inputs: Any) -> Any:
        """Apply the layer."""
        return inputs[:, self.start : self.end]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """A shorter vector."""
        return (input_shape[0], self.end - self.start)

    def get_config(self) -> dict[str, Any]:
        """What the file holds besides the options of every layer."""
        return {**Layer.get_config(self), "start": self.start, "end": self.end}


LAYERS: dict[str, Any] = {cls.__name__: cls for cls in (FiLM, Mask_track, Sum1D, Slice_tensor1D)}
"""The classes by name, as `custom_objects` of `calocc.runtime.reference.load_keras_model`."""
