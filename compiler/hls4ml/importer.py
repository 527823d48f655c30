"""From an hls4ml `ModelGraph` to a `qnn` module on reals.

The fixed-point types of the graph are its quantizers: every weight is rounded to its type, and the
exact result of every layer to that of the layer's result. So the module means what hls4ml's own
streaming kernels compute, wherever their accumulators lose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from calocc.compiler.hls4ml.errors import BadHlsConfig
from calocc.compiler.hls4ml.layers import elements, linear, structure
from calocc.compiler.hls4ml.layers.registry import NODES, GraphBuilder, UnknownNode
from calocc.compiler.hls4ml.nodes import Node
from calocc.compiler.keras.layers.registry import Builder, Overrides
from calocc.compiler.ports import Port, set_ports
from calocc.dialects.qnn.op import real_tensor, shape_of

BUILT_IN = (elements, linear, structure)
"""Modules whose import fills the registry."""


@dataclass(frozen=True, eq=False)
class HlsModel:
    """A `ModelGraph` of hls4ml."""

    graph: Any

    @staticmethod
    def of(model: object) -> HlsModel | None:
        """The model if it is one of hls4ml's, which need not be imported to know."""
        known = {(c.__module__, c.__name__) for c in type(model).__mro__}
        return HlsModel(model) if ("hls4ml.model.graph", "ModelGraph") in known else None

    @property
    def name(self) -> str:
        """The name of hls4ml's project."""
        return str(self.graph.config.get_project_name())

    @property
    def configured_twice(self) -> BadHlsConfig:
        """What is said of a second configuration for a graph, to be raised."""
        problem, advice = "a ModelGraph has its configuration already", "give it to the converter"
        return BadHlsConfig("hls4ml_config", "", problem, advice)

    @property
    def reuse(self) -> dict[str, int]:
        """The reuse factors that someone has chosen: 1 everywhere is hls4ml's default."""
        default = self.graph.config.model_rf in (None, 1)
        factors = {str(n.name): int(n.get_attr("reuse_factor", 1)) for n in self.graph.get_layers()}
        return {name: factor for name, factor in factors.items() if factor > 1 or not default}

    def module(self, overrides: Overrides) -> tuple[ModuleOp, tuple[str, ...]]:
        """The module on reals, and in what its results are not equal to hls4ml's."""
        return import_graph(self.graph, overrides)


def import_graph(graph: Any, overrides: Overrides) -> tuple[ModuleOp, tuple[str, ...]]:
    """Import a `ModelGraph`; raise UnknownNode or UnsupportedLayer for what does not map.

    Returns the module, and in what its results are not equal to those of hls4ml's kernels.
    """
    builder = GraphBuilder(Builder(overrides))
    values: dict[str, SSAValue] = {}
    nodes = [Node(layer) for layer in graph.get_layers()]
    ports = {node.name: _input(builder, node, values) for node in nodes if node.kind == "Input"}
    for node in nodes:
        if node.kind != "Input":
            _import_node(builder, node, values)
    overrides.finish()
    makers = {tensor: node.name for node in nodes for tensor in node.outputs}
    results = [(makers[tensor], values[tensor]) for tensor in graph.outputs]
    module = _finish(builder, [ports[name] for name in graph.inputs], results)
    return module, tuple(builder.notes)


def _input(builder: GraphBuilder, node: Node, values: dict[str, SSAValue]) -> Port:
    block = builder.ops.block
    argument = block.insert_arg(real_tensor(node.shape()), len(block.args))
    argument.name_hint = node.name if SSAValue.is_valid_name(node.name) else None
    values[node.outputs[0]] = builder.cast(node, argument, node.result())
    return Port(node.name, node.shape())


def _import_node(builder: GraphBuilder, node: Node, values: dict[str, SSAValue]) -> None:
    """Import one layer; its results are cast to the types that hls4ml gives them."""
    if node.kind not in NODES:
        raise UnknownNode(node.name, node.kind)
    operands = [values[name] for name in node.inputs]
    try:
        value = NODES[node.kind](builder, node, operands)
    except VerifyException as error:
        reason = str(error).splitlines()[-1].strip()
        raise node.refused(reason, "check the attributes and weights of the layer") from None
    chosen = builder.ops.overrides.take(node.name, "output")
    for tensor in node.outputs:
        cast = chosen or node.result(tensor)
        values[tensor] = builder.ops.quantize(node.config, value, cast)


def _finish(
    builder: GraphBuilder, inputs: list[Port], results: list[tuple[str, SSAValue]]
) -> ModuleOp:
    block = builder.ops.block
    block.add_op(ReturnOp(*(value for _, value in results)))
    types = [a.type for a in block.args], [value.type for _, value in results]
    function = FuncOp("main", types, Region(block))
    outputs = [Port(name, shape_of(value)) for name, value in results]
    set_ports(function, inputs, outputs)
    module = ModuleOp([function])
    module.verify()
    return module
