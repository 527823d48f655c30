"""What can be wrong with a Keras file, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.qnn.quantizers import UnsupportedQuantizer

_SAVE = "save the trained model with Keras 2 (tf_keras): model.save('model.h5')"
_DAMAGED = "copy or save the file again"
_FORMATS = ".h5, .keras, or a .json architecture with --weights"


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
        return f"give the path of a Keras model: {_FORMATS}"


@dataclass(eq=False)
class UnreadableFile(FileError):
    """The operating system refuses to read the path."""

    reason: str

    @property
    def what(self) -> str:
        return f"cannot be read: {self.reason}"

    @property
    def hint(self) -> str:
        return f"give the path of a readable Keras model: {_FORMATS}"


@dataclass(eq=False)
class UnknownFormat(FileError):
    """The file starts like none of the formats in which Keras stores models."""

    @property
    def what(self) -> str:
        return "this is neither an HDF5 file, a .keras archive nor the JSON of an architecture"

    @property
    def hint(self) -> str:
        return f"{_SAVE}; the SavedModel format is not read"


@dataclass(eq=False)
class NotHdf5(FileError):
    """A weights file that does not start as HDF5 files do."""

    @property
    def what(self) -> str:
        return "this is not an HDF5 file with weights"

    @property
    def hint(self) -> str:
        return "write the weights with model.save_weights('weights.h5')"


@dataclass(eq=False)
class DamagedFile(FileError):
    """The HDF5 or zip library cannot read the file to its end."""

    @property
    def what(self) -> str:
        return "the file is cut short or damaged"

    @property
    def hint(self) -> str:
        return _DAMAGED


@dataclass(eq=False)
class UnusableMember(FileError):
    """A member of a .keras archive that is missing or not stored as Keras stores it."""

    member: str
    reason: str

    @property
    def what(self) -> str:
        return f"the archive's member {self.member!r} {self.reason}"

    @property
    def hint(self) -> str:
        return "save the trained model with model.save('model.keras') or model.save('model.h5')"


@dataclass(eq=False)
class ArchitectureOnly(FileError):
    """The JSON of an architecture without a file of weights."""

    @property
    def what(self) -> str:
        return "the file holds an architecture without weights"

    @property
    def hint(self) -> str:
        return "add --weights FILE, written by model.save_weights('weights.h5')"


@dataclass(eq=False)
class WeightsGivenTwice(FileError):
    """A file of weights for a model that has its own."""

    weights: Path

    @property
    def what(self) -> str:
        return f"the model has weights of its own, so {str(self.weights)!r} cannot be used as well"

    @property
    def hint(self) -> str:
        return "leave out --weights, or give the architecture alone (model.to_json())"


@dataclass(eq=False)
class UnknownWeights(FileError):
    """An HDF5 file given for weights that is not as Keras saves them."""

    @property
    def what(self) -> str:
        return "the file holds no weights as Keras saves them"

    @property
    def hint(self) -> str:
        return "write the weights with model.save_weights('weights.h5')"


@dataclass(eq=False)
class ForeignWeights(FileError):
    """Weights of a layer that the architecture lacks."""

    layer: str

    @property
    def what(self) -> str:
        return f"there are weights of layer {self.layer!r}, which the architecture lacks"

    @property
    def hint(self) -> str:
        return "save architecture and weights from the same model"


@dataclass(eq=False)
class UnassignedWeight(FileError):
    """A weight of a nested model whose layer its name does not tell."""

    model: str
    weight: str
    candidates: tuple[str, ...]

    @property
    def what(self) -> str:
        found = f"layers {', '.join(self.candidates)}" if self.candidates else "no layer"
        return f"the weight {self.weight!r} of the nested model {self.model!r} fits {found}"

    @property
    def hint(self) -> str:
        return "give every layer a name of its own and save again, or save as .keras"


@dataclass(eq=False)
class UnmatchedGroups(FileError):
    """The groups of weights in a .keras file are not those of the layers."""

    place: str
    expected: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def what(self) -> str:
        found, expected = ", ".join(self.found) or "none", ", ".join(self.expected) or "none"
        return f"the groups in {self.place!r} are {found}, but those of the layers {expected}"

    @property
    def hint(self) -> str:
        return "save the model as .h5, where weights carry the names of their layers"


@dataclass(eq=False)
class NoModelConfig(FileError):
    """The file lacks the attribute with the architecture."""

    @property
    def what(self) -> str:
        return "the file holds no model_config, so it is a weights-only file or not from Keras"

    @property
    def hint(self) -> str:
        return f"{_SAVE}, or give the architecture and this file: model.json --weights FILE"


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
    """An architecture (`item`) that cannot be parsed."""

    item: str
    detail: str

    @property
    def what(self) -> str:
        return f"{self.item} is not valid JSON: {self.detail}"

    @property
    def hint(self) -> str:
        return _DAMAGED


@dataclass(eq=False)
class MalformedConfig(FileError):
    """An architecture is JSON, but not as Keras writes it. `place` is the path inside it."""

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
class NestedOperands(ModelError):
    """A nested model called with other operands than it has inputs, or a layer with a dictionary.

    `found` and `expected` describe the operands.
    """

    class_name: str
    found: str
    expected: str

    @property
    def what(self) -> str:
        return f"{self.class_name} is called with {self.found}, but takes {self.expected}"

    @property
    def hint(self) -> str:
        return "call models and layers with the same structure that they were made with"


@dataclass(eq=False)
class UnlistedInput(ModelError):
    """An input layer of a nested model that nothing feeds."""

    @property
    def what(self) -> str:
        return "this input layer is not among the inputs of its model"

    @property
    def hint(self) -> str:
        return _SAVE


@dataclass(eq=False)
class AmbiguousCalls(ModelError):
    """A nested model with calls that nothing reads, so that their numbers can mean two things."""

    class_name: str

    @property
    def what(self) -> str:
        return f"not all calls of this nested {self.class_name} are used, so their order is unclear"

    @property
    def hint(self) -> str:
        return "make the model again from its inputs to its outputs, and save it"


@dataclass(eq=False)
class TooManyCalls(ModelError):
    """Nested models that multiply beyond `limit` calls."""

    limit: int

    @property
    def what(self) -> str:
        return f"with this nested model the layers are called more than {self.limit} times"

    @property
    def hint(self) -> str:
        return "only models whose layers fit on a chip can be compiled"


@dataclass(eq=False)
class Keras1Config(ModelError):
    """A config key of Keras 1."""

    class_name: str
    key: str

    @property
    def what(self) -> str:
        return f"{self.class_name} has {self.key}, as Keras 1 wrote it"

    @property
    def hint(self) -> str:
        return "load the model with Keras 2.0 to 2.2 and save it again"


@dataclass(eq=False)
class UnnamedVariables(ModelError):
    """Variables of a layer that a .keras file numbers otherwise than is known of its class."""

    class_name: str
    found: tuple[str, ...]
    expected: tuple[str, ...]

    @property
    def what(self) -> str:
        found, expected = ", ".join(self.found) or "none", ", ".join(self.expected) or "none"
        return f"{self.class_name} has the variables {found} in the file, known are {expected}"

    @property
    def hint(self) -> str:
        return "save the model as .h5, where variables have names"


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
    """A layer reads a tensor that does not exist."""

    target: str
    node: int
    tensor: int = 0

    @property
    def tensor_name(self) -> str:
        """The tensor in words."""
        output = f"output {self.tensor} of " if self.tensor else ""
        return f"{output}call {self.node} of layer {self.target!r}"

    @property
    def what(self) -> str:
        return f"it reads {self.tensor_name}, which does not exist"

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
        return f"an input or output is {self.tensor_name}, which is missing"


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


@dataclass(eq=False)
class NotAModel(CaloccError):
    """Something given to `calocc.compile` that is neither a path nor a Keras model."""

    class_name: str
    reason: str

    @property
    def where(self) -> str:
        return f"object of class {self.class_name}"

    @property
    def what(self) -> str:
        return f"this is neither a path nor a Keras model: {self.reason}"

    @property
    def hint(self) -> str:
        return "give a path, or a built Sequential or Functional model of tf_keras"
