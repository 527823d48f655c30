"""Draws whole Keras models: branches, merges, shared layers, every class of layer.

A model grows call by call. Each call is imported at once, which tells the shape of its result and
whether calocc takes it; what is refused is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.importer import finished
from calocc.compiler.keras.layers.masks import passes_mask
from calocc.compiler.keras.layers.registry import IMPORTERS, Builder, Overrides
from calocc.compiler.keras.model import KerasLayer, KerasModel, TensorRef
from calocc.compiler.ports import Port
from calocc.compiler.settings import parse_settings
from calocc.dialects.qnn.op import Shape, real_tensor, shape_of
from calocc.runtime.fuzzing import (
    quantizers,
    recipes_elements,
    recipes_products,
    recipes_sequences,
    weights,
)
from calocc.runtime.fuzzing.models import Drawn, assembled, pruned
from calocc.runtime.fuzzing.recipes import RECIPES, Recipe
from calocc.runtime.fuzzing.source import Source

BUILT_IN = (recipes_elements, recipes_products, recipes_sequences)
"""Modules whose import fills the registry of recipes."""

LARGEST = 200
"""Elements of a tensor."""
MOST_OUTPUTS = 3
ENLARGED = 10
"""Once in so many times a layer is one that upsamples."""
STEPPED = 5
"""Once in so many times a layer is one that scales each channel, with few levels behind it."""
_TRIES = 6
_PLAIN = "quantized_bits(6,2,alpha=1)"
_INDEX = "quantized_bits(3,3,keep_negative=0,alpha=1)"


@dataclass(frozen=True)
class Tensor:
    """A result of a call, its value in the module that grows, and how coarse it is."""

    ref: TensorRef
    value: SSAValue
    rough: bool = False

    @cached_property
    def shape(self) -> Shape:
        """Without the batch axis."""
        return shape_of(self.value)


@dataclass
class Drawer:
    """A model in the making."""

    source: Source
    classes: Sequence[str]
    builder: Builder = field(default_factory=lambda: Builder(Overrides()))
    layers: dict[str, KerasLayer] = field(default_factory=dict[str, KerasLayer])
    tensors: list[Tensor] = field(default_factory=list[Tensor])
    inputs: list[TensorRef] = field(default_factory=list[TensorRef])
    settings: list[str] = field(default_factory=list[str])
    formats: dict[str, str] = field(default_factory=dict[str, str])
    read: set[TensorRef] = field(default_factory=set[TensorRef])

    def model(self, layers: int) -> Drawn:
        """A model with about so many layers between its inputs and its outputs."""
        for _ in range(self.source.pick(1, 1, 2)):
            self._input()
        for _ in range(layers):
            self._grow()
        if self._is_enlarged(self.tensors[-1]):
            self._grow()
        outputs = self._outputs()
        whole = assembled("net", tuple(self.layers.values()), tuple(self.inputs), outputs)
        drawn = pruned(Drawn(whole, tuple(self.settings), self.formats), outputs)
        return drawn.grown(self._module(drawn.model, outputs))

    def _module(self, model: KerasModel, outputs: Sequence[TensorRef]) -> ModuleOp:
        """What has grown, but for what the outputs do not need."""
        values = {t.ref: t.value for t in self.tensors}
        results, block = [values[ref] for ref in outputs], self.builder.block
        for op in reversed(list(block.ops)):
            if not op.results[0].uses and op.results[0] not in results:
                block.erase_op(op)
        for argument in block.args:
            if not argument.uses and argument not in results:
                block.erase_arg(argument)
        ports = [
            Port(ref.layer, shape_of(argument))
            for ref, argument in zip(model.inputs, block.args, strict=True)
        ]
        return finished(self.builder, model, ports, results)

    # ---- inputs and outputs ----------------------------------------------------------------------

    def _input(self) -> None:
        """An input and what gives it a format: a quantizer behind it, or the user."""
        source, name = self.source, f"x{len(self.inputs)}"
        rank = source.pick(3, 2, 1)
        shape = (*(source.integer(1, 6) for _ in range(rank - 1)), source.integer(1, 4))
        layer = KerasLayer(name, "InputLayer", {"batch_input_shape": [None, *shape]}, (), {})
        value = self.builder.block.insert_arg(real_tensor(shape), len(self.inputs))
        value.name_hint = name
        self.layers[name] = layer
        ref = TensorRef(name, 0, 0)
        self.inputs.append(ref)
        tensor = Tensor(ref, value)
        if source.once_in(4):
            self.formats[name] = quantizers.fixed_text(source)
            self.tensors.append(tensor)
        else:
            self._quantize(tensor, quantizers.of_inputs(source))

    def _outputs(self) -> tuple[TensorRef, ...]:
        """What nothing reads, and perhaps an inner tensor; rough ends are quantized."""
        ends = [t for t in self.tensors if t.ref not in self.read]
        ends = [self._quantize(t, _PLAIN) or t if t.rough else t for t in ends]
        refs = [t.ref for t in ends][-MOST_OUTPUTS:]
        if len(refs) < MOST_OUTPUTS and self.source.once_in(4):
            refs.append(self.source.one_of(self.tensors).ref)
        return tuple(dict.fromkeys(refs))

    # ---- layers ----------------------------------------------------------------------------------

    def _grow(self) -> None:
        """One more layer, or a call of one that is there, and perhaps a quantizer."""
        for _ in range(_TRIES):
            first = self._tensor()
            again = self.source.once_in(8)
            grown = self._call_again() if again else self._new_layer(first)
            if grown is not None:
                if _scales(self._class_of(grown)) and self.source.integer(0, 7):
                    self._quantize(grown, quantizers.of_few_levels(self.source))
                    return
                unlikely = 10 if grown.rough or self._is_enlarged(grown) else 2
                if self.source.once_in(unlikely) != grown.rough:
                    self._quantize(grown)
                return

    def _tensor(self) -> Tensor:
        """Mostly the last one, so that models grow deep."""
        return self.tensors[-1] if self.source.integer(0, 2) else self.source.one_of(self.tensors)

    def _new_layer(self, first: Tensor) -> Tensor | None:
        """A layer of any class that takes the tensor."""
        fitting = [n for n in self._likely(first) if len(first.shape) in RECIPES[n].ranks]
        if not fitting:
            return None
        recipe = RECIPES[self.source.one_of(fitting)]
        operands = self._operands(recipe, first)
        if operands is None:
            return None
        layout = recipe.draw(self.source, recipe.class_name, [t.shape for t in operands])
        name = f"{_short(recipe.class_name)}_{len(self.layers)}"
        arrays = {w: weights.drawn(self.source, w, s) for w, s in layout.weights.items()}
        layer = KerasLayer(name, recipe.class_name, layout.config, (), arrays)
        own = {f"{name}.{tensor}={text}" for tensor, text in layout.formats.items()}
        return self._called(layer, operands, layout.rough, sorted(own))

    def _likely(self, first: Tensor) -> Sequence[str]:
        """All classes; at times upsampling alone, and behind it convolutions alone, or layers that
        scale alone, with few levels behind them: passes look for such two in a row."""
        scaling = [n for n in self.classes if _scales(n)]
        if scaling and self.source.once_in(STEPPED):
            return scaling
        enlarged = self._is_enlarged(first)
        chosen = [n for n in self.classes if ("Conv" in n if enlarged else _enlarges(n))]
        wanted = self.source.integer(0, 3) > 0 if enlarged else self.source.once_in(ENLARGED)
        return chosen if chosen and wanted else self.classes

    def _is_enlarged(self, tensor: Tensor) -> bool:
        return _enlarges(self._class_of(tensor))

    def _class_of(self, tensor: Tensor) -> str:
        return self.layers[tensor.ref.layer].class_name

    def _operands(self, recipe: Recipe, first: Tensor) -> list[Tensor] | None:
        """The tensors that a new layer reads; None where there are none that fit."""
        if recipe.indices:
            index = self._quantize(first, _INDEX)
            return None if index is None else [index]
        if recipe.class_name == "FiLM":
            return self._modulated(first)
        if recipe.operands == (1, 1):
            return [first]
        joined = recipe.class_name in ("Concatenate", "Dot")
        alike = [t for t in self.tensors if _fit(t.shape, first.shape, joined)]
        count = self.source.integer(*recipe.operands)
        return [first, *(self.source.one_of(alike) for _ in range(count - 1))]

    def _modulated(self, first: Tensor) -> list[Tensor] | None:
        """A tensor and a vector with two numbers for each of its channels, from a dense layer."""
        vectors = [t for t in self.tensors if len(t.shape) == 1]
        if not vectors:
            return None
        x = self.source.one_of(vectors)
        units, name = 2 * first.shape[-1], f"qdense_{len(self.layers)}"
        kernel = weights.drawn(self.source, "kernel", (x.shape[0], units))
        config = {
            "units": units,
            "use_bias": False,
            "kernel_quantizer": quantizers.of_kernels(self.source, fitted=False),
            "bias_quantizer": None,
            "activation": quantizers.of_activations(self.source),
        }
        layer = KerasLayer(name, "QDense", config, (), {"kernel": kernel})
        modulation = self._called(layer, [x], False, [])
        return None if modulation is None else [first, modulation]

    def _call_again(self) -> Tensor | None:
        """A shared layer: a call of one that is there on other tensors of the same shapes."""
        layer = self.source.one_of([*self.layers.values()])
        if not layer.inbound or layer.class_name == "FiLM":
            return None
        shapes = {t.ref: t for t in self.tensors}
        if not all(ref in shapes for ref in layer.inbound[0]):
            return None
        operands: list[Tensor] = []
        for ref in layer.inbound[0]:
            alike = [t for t in self.tensors if t.shape == shapes[ref].shape]
            operands.append(self.source.one_of(alike))
        own = [s for s in self.settings if s.startswith(f"{layer.name}.")]
        return self._called(layer, operands, True, own)

    def _quantize(self, x: Tensor, text: str | None = None) -> Tensor | None:
        """A quantizer behind a tensor, as text or as an object of Keras."""
        chosen = text or quantizers.of_activations(self.source)
        name = f"q_{len(self.layers)}"
        layer = KerasLayer(name, "QActivation", {"activation": chosen}, (), {})
        return self._called(layer, [x], not quantizers.on_a_grid(chosen), [])

    def _called(
        self, layer: KerasLayer, operands: Sequence[Tensor], rough: bool, settings: Sequence[str]
    ) -> Tensor | None:
        """Import a call; None if the layer, or a result of this size, is refused."""
        count = len(list(self.builder.block.ops))
        inputs = [t.value for t in operands]
        try:
            value = self._imported(layer, inputs, settings)
        except (CaloccError, VerifyException):
            value = None
        if value is None or prod(shape_of(value)) > LARGEST:
            for op in reversed(list(self.builder.block.ops)[count:]):
                self.builder.block.erase_op(op)
            return None
        refs = tuple(t.ref for t in operands)
        self.read.update(refs)
        if layer.name not in self.layers:
            self.settings += settings
        self.layers[layer.name] = replace(layer, inbound=(*layer.inbound, refs))
        rough = rough or (_passes(layer.class_name) and any(t.rough for t in operands))
        tensor = Tensor(TensorRef(layer.name, len(layer.inbound), 0), value, rough)
        self.tensors.append(tensor)
        return tensor

    def _imported(
        self, layer: KerasLayer, inputs: Sequence[SSAValue], settings: Sequence[str]
    ) -> SSAValue:
        config = LayerConfig(layer)
        self.builder.overrides = Overrides(parse_settings(tuple(settings)).formats)
        masked = passes_mask(self.builder, config, inputs)
        value = IMPORTERS[layer.class_name](self.builder, config, inputs)
        config.finish()
        self.builder.overrides.finish()
        if masked:
            self.builder.masked.add(value)
        return value


def _enlarges(class_name: str) -> bool:
    return class_name.startswith("UpSampling")


def _scales(class_name: str) -> bool:
    return class_name.endswith("BatchNormalization")


def _short(class_name: str) -> str:
    return class_name.rpartition(">")[2].lower()


def _fit(shape: Shape, other: Shape, joined: bool) -> bool:
    """Whether tensors can be joined along an axis, or element by element with broadcasting."""
    if len(shape) != len(other):
        return False
    pairs = list(zip(shape, other, strict=True))
    if joined:
        return all(a == b for a, b in pairs)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def _passes(class_name: str) -> bool:
    """Whether a layer hands on numbers as they are, real ones too."""
    return RECIPES[class_name].class_name != "QActivation"


def draw_model(source: Source, layers: int = 6, classes: Sequence[str] | None = None) -> Drawn:
    """A model with up to about `layers` layers, of these Keras classes (default: all)."""
    return Drawer(source, classes or sorted(RECIPES)).model(source.integer(1, layers))
