"""What refusals say about values: which layers read them, and why an input has no format."""

from __future__ import annotations

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.op import QnnOp
from calocc.dialects.qnn.quantize import QuantizeOp


def readers(value: SSAValue) -> str:
    """The layers that read a value, in words."""
    names = list(dict.fromkeys(_name(op) for op in _users(value)))
    return " and ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and others"


def _users(value: SSAValue) -> list[Operation]:
    """The ops that read a value, in their order; for one of its own layer those behind it."""
    users = {use.operation for use in value.uses}
    block = value.owner if isinstance(value.owner, Block) else value.owner.parent
    direct = [op for op in block.ops if op in users] if block is not None else []
    return [
        user for op in direct for user in (_users(op.results[0]) if _inner(value, op) else [op])
    ]


def _inner(value: SSAValue, user: Operation) -> bool:
    """Whether both belong to one layer, which goes on behind the user."""
    owner = value.owner
    if not isinstance(owner, QnnOp) or not isinstance(user, QnnOp):
        return False
    return owner.layer_name == user.layer_name and not isinstance(user, QuantizeOp)


def _name(op: Operation) -> str:
    if isinstance(op, ReturnOp):
        return "the model's output"
    return f"layer {op.layer_name!r}" if isinstance(op, QnnOp) else f"op {op.name}"


def function_name(op: QnnOp) -> str:
    """What an op computes: the name of the activation, or of the op."""
    return op.kind.data if isinstance(op, FunctionOp) else op.name.partition(".")[2]


def why_no_format(argument: SSAValue) -> str:
    """What keeps an input from having the format of a quantizer behind it."""
    users = _users(argument)
    quantizes = [op for op in users if isinstance(op, QuantizeOp) and op.quantizer is not None]
    if not quantizes:
        return f"no quantizer stands between it and {readers(argument)}"
    if len(quantizes) < len(users):
        return f"of {readers(argument)}, which read it, not all quantize it"
    texts = list(dict.fromkeys(str(q.quantizer.quantizer) for q in quantizes if q.quantizer))
    if len(texts) > 1:
        return f"{readers(argument)} quantize it differently: {', '.join(texts)}"
    return f"{texts[0]} of {readers(argument)} does more than round and saturate to a format"
