"""What can be wrong with a Keras file, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.qnn.quantizers import UnsupportedQuantizer

_SAVE = "save the trained model with Keras 2 (tf_keras): model.save('model.h5')"
_DAMAGED = "copy or save the file again"


def brief(value: object) -> str:
    """A value from the file for a message: its repr, cut after 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(eq=False)
class FileError(CaloccError):
    """An error in the file at `path`."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)


@dataclass(eq=False)
class MissingFile(FileError):
    """The path names no file."""

    @property
    def what(self) -> str:
        return "there is no such file"

    @property
    def hint(self) -> str:
        return "give the path of a Keras 2 model in HDF5 format (.h5)"


@dataclass(eq=False)
class UnreadableFile(FileError):
    """The operating system refuses to read the path."""

    reason: str

    @property
    def what(self) -> str:
        return f"cannot be read: {self.reason}"

    @property
    def hint(self) -> str:
        return "give the path of a readable Keras 2 model in HDF5 format (.h5)"


@dataclass(eq=False)
class NotHdf5(FileError):
    """The file does not start as HDF5 files do."""

    @property
    def what(self) -> str:
        return "this is not an HDF5 file"

    @property
    def hint(self) -> str:
        return f"{_SAVE}; the .keras and SavedModel formats are not read"


@dataclass(eq=False)
class DamagedFile(FileError):
    """The HDF5 library cannot read the file to its end."""

    @property
    def what(self) -> str:
        return "the HDF5 file is cut short or damaged"

    @property
    def hint(self) -> str:
        return _DAMAGED


@dataclass(eq=False)
class NoModelConfig(FileError):
    """The file lacks the attribute with the architecture."""

    @property
    def what(self) -> str:
        return "the file holds no model_config, so it is a weights-only file or not from Keras"

    @property
    def hint(self) -> str:
        return f"{_SAVE}, not model.save_weights"


@dataclass(eq=False)
class NoWeights(FileError):
    """The file has an architecture but no weights."""

    @property
    def what(self) -> str:
        return "the file has no group model_weights"

    @property
    def hint(self) -> str:
        return _SAVE


@dataclass(eq=False)
class InvalidJson(FileError):
    """model_config cannot be parsed."""

    detail: str

    @property
    def what(self) -> str:
        return f"model_config is not valid JSON: {self.detail}"

    @property
    def hint(self) -> str:
        return _DAMAGED


@dataclass(eq=False)
class MalformedConfig(FileError):
    """model_config is JSON, but not as Keras 2 writes it. `place` is the path inside it."""

    place: str
    expected: str
    found: object

    @property
    def what(self) -> str:
        return f"{self.place} should be {self.expected}, found {brief(self.found)}"

    @property
    def hint(self) -> str:
        return _SAVE


@dataclass(eq=False)
class UnknownInputShape(FileError):
    """A Sequential model that was saved without an input shape."""

    layer: str

    @property
    def what(self) -> str:
        return f"the first layer {self.layer!r} has no batch_input_shape"

    @property
    def hint(self) -> str:
        return "give the first layer an input_shape, or build the model, before saving"


@dataclass(eq=False)
class TooLarge(FileError):
    """Something declares more bytes than it can have or than a model needs."""

    item: str
    size: int
    limit: int

    @property
    def what(self) -> str:
        return f"{self.item} declares {self.size} bytes, more than the possible {self.limit}"

    @property
    def hint(self) -> str:
        return _DAMAGED


@dataclass(eq=False)
class ForeignStorage(FileError):
    """A link or dataset whose content is kept elsewhere (`kind`)."""

    item: str
    kind: str

    @property
    def what(self) -> str:
        return f"{self.item} is {self.kind}; only data stored in the file itself are read"

    @property
    def hint(self) -> str:
        return "repack the file into one without links: h5repack, or load and save it in Keras"


@dataclass(eq=False)
class WeightType(FileError):
    """A weight that is not an array of ordinary numbers."""

    item: str
    found: str

    @property
    def what(self) -> str:
        return f"{self.item} is {self.found}; weights are arrays of integers or float16/32/64"

    @property
    def hint(self) -> str:
        return "train and save the model in float32"


@dataclass(eq=False)
class NonFiniteWeight(FileError):
    """NaN or infinity among the weights."""

    item: str
    count: int

    @property
    def what(self) -> str:
        return f"{self.item} has {self.count} values that are NaN or infinite"

    @property
    def hint(self) -> str:
        return "the training diverged or the file is damaged; use an earlier checkpoint"


@dataclass(eq=False)
class ModelError(CaloccError):
    """An error at one layer of the model."""

    layer: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"


@dataclass(eq=False)
class UnsupportedModelClass(ModelError):
    """The outermost object is no Sequential or Functional model."""

    class_name: str

    @property
    def where(self) -> str:
        return f"model {self.layer!r}"

    @property
    def what(self) -> str:
        return f"the model class {self.class_name!r} is not supported"

    @property
    def hint(self) -> str:
        return "build the model with keras.Sequential or keras.Model(inputs, outputs)"


@dataclass(eq=False)
class NestedModel(ModelError):
    """A whole model used as a layer."""

    class_name: str

    @property
    def what(self) -> str:
        return f"a nested {self.class_name} model cannot be compiled yet"

    @property
    def hint(self) -> str:
        return "call the layers of the inner model one by one in the outer model"


@dataclass(eq=False)
class DuplicateLayer(ModelError):
    """Two layers of one name."""

    @property
    def what(self) -> str:
        return "two layers have this name"

    @property
    def hint(self) -> str:
        return "give each layer its own name"


@dataclass(eq=False)
class DanglingReference(ModelError):
    """A layer reads from a call that does not exist."""

    target: str
    node: int

    @property
    def what(self) -> str:
        return f"it reads call {self.node} of layer {self.target!r}, which does not exist"

    @property
    def hint(self) -> str:
        return _SAVE


@dataclass(eq=False)
class DanglingEndpoint(DanglingReference):
    """The model (its name in `layer`) has an input or output that does not exist."""

    @property
    def where(self) -> str:
        return f"model {self.layer!r}"

    @property
    def what(self) -> str:
        return f"an input or output is call {self.node} of layer {self.target!r}, which is missing"


@dataclass(eq=False)
class CyclicModel(ModelError):
    """A layer whose input depends on its output."""

    @property
    def what(self) -> str:
        return "its input depends on its own output"

    @property
    def hint(self) -> str:
        return "only models without feedback can be compiled"


@dataclass(eq=False)
class UnsupportedCall(ModelError):
    """A layer called with more than tensors."""

    class_name: str
    argument: str
    value: object

    @property
    def what(self) -> str:
        said = f"{self.argument}={brief(self.value)}"
        return f"{self.class_name} is called with {said}, which is not interpreted"

    @property
    def hint(self) -> str:
        return "use layers (Add, Multiply, ...) for operators on tensors, and no call arguments"


@dataclass(eq=False)
class MissingWeight(ModelError):
    """A layer without a weight that its class needs."""

    class_name: str
    weight: str
    present: tuple[str, ...]

    @property
    def what(self) -> str:
        present = ", ".join(self.present) or "none"
        return f"{self.class_name} has no weight {self.weight!r} in the file (present: {present})"

    @property
    def hint(self) -> str:
        return _SAVE


@dataclass(eq=False)
class UninterpretedKey(ModelError):
    """A config key that nothing read and that is not known to be harmless."""

    class_name: str
    key: str
    value: object

    @property
    def what(self) -> str:
        return f"{self.class_name} has {self.key}={brief(self.value)}, which is not interpreted"

    @property
    def hint(self) -> str:
        return f"retrain without {self.key}, or teach the importer of {self.class_name} about it"


@dataclass(eq=False)
class NotDefault(ModelError):
    """A config key that must hold its default."""

    class_name: str
    key: str
    value: object
    default: object

    @property
    def what(self) -> str:
        said = f"{self.key}={brief(self.value)}"
        return f"{self.class_name} has {said}, only {self.default!r} is supported"

    @property
    def hint(self) -> str:
        return f"use {self.key}={self.default!r} in the model"


@dataclass(eq=False)
class WrongValue(ModelError):
    """A config value of the wrong kind."""

    class_name: str
    key: str
    value: object
    expected: str

    @property
    def what(self) -> str:
        said = f"{self.key}={brief(self.value)}"
        return f"{self.class_name} has {said}, expected {self.expected}"

    @property
    def hint(self) -> str:
        return f"correct {self.key} in the model and save it again"


@dataclass(eq=False)
class MissingKey(ModelError):
    """A config key without default that is absent."""

    class_name: str
    key: str

    @property
    def what(self) -> str:
        return f"{self.class_name} has no {self.key} in its config"

    @property
    def hint(self) -> str:
        return _SAVE


@dataclass(eq=False)
class RefusedQuantizer(ModelError):
    """A quantizer that is unknown or whose parameters cannot be honoured."""

    class_name: str
    key: str
    reason: UnsupportedQuantizer

    @property
    def what(self) -> str:
        reason = self.reason
        said = f"{reason.name}: {reason.key}={brief(reason.value)} {reason.reason}"
        return f"the {self.key} of {self.class_name} cannot be compiled: {said}"

    @property
    def hint(self) -> str:
        return "use a quantizer listed in the documentation, e.g. quantized_bits(8,2,alpha=1)"
