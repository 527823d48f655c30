"""The table of known layers and quantizers in `docs/layers.md`, made from the registry.

python -m calocc.compiler.keras.layers.table > docs/layers.md
"""

from __future__ import annotations

from collections import defaultdict
from inspect import getdoc

from calocc.compiler.keras.importer import known_layers
from calocc.compiler.keras.layers.activation import ACTIVATIONS, ACTIVATIONS_OF_QKERAS
from calocc.compiler.keras.layers.registry import Importer
from calocc.compiler.keras.refusals import REFUSED_LAYERS, Refusal
from calocc.dialects.qnn.quantizers import QUANTIZERS, REFUSED_QUANTIZERS

HEAD = """\
# Layers and quantizers

What calocc imports, and what it refuses for a reason. Whatever is not listed, and every key of a
configuration that an importer does not read, is refused by name. Made by
`python -m calocc.compiler.keras.layers.table`.
"""


def first_sentence(thing: object) -> str:
    """The first paragraph of a docstring on one line, fit for a cell of a table."""
    paragraph = (getdoc(thing) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def layer_table() -> str:
    """All classes, grouped by importer, with what the importer makes of them."""
    groups: dict[Importer, list[str]] = defaultdict(list)
    for name, importer in sorted(known_layers().items()):
        groups[importer].append(name)
    rows = [
        f"| {', '.join(f'`{n}`' for n in names)} | {first_sentence(importer)} |"
        for importer, names in sorted(groups.items(), key=lambda group: group[1])
    ]
    return "\n".join(["| Keras class | meaning |", "|---|---|", *rows])


def refusal_table() -> str:
    """The classes that are known and not imported, grouped by reason."""
    groups: dict[Refusal, list[str]] = defaultdict(list)
    for name, refusal in REFUSED_LAYERS.items():
        groups[refusal].append(f"`{name}`")
    rows = [
        f"| {', '.join(names)} | {refusal.reason} | {refusal.advice} |"
        for refusal, names in groups.items()
    ]
    return "\n".join(["| Keras class | why it is refused | instead |", "|---|---|---|", *rows])


def quantizer_table() -> str:
    """All quantizers."""
    meanings = {name: first_sentence(kind) for name, kind in QUANTIZERS.items()}
    meanings |= {name: f"refused: it {why}" for name, why in REFUSED_QUANTIZERS.items()}
    rows = [f"| `{name}` | {meaning} |" for name, meaning in sorted(meanings.items())]
    return "\n".join(["| quantizer | meaning |", "|---|---|", *rows])


def activation_table() -> str:
    """All activations by name, where layers look for them."""
    groups = {"any layer": ACTIVATIONS, "layers of QKeras first": ACTIVATIONS_OF_QKERAS}
    rows = [
        f"| {where} | {', '.join(f'`{n}`' for n in names)} |" for where, names in groups.items()
    ]
    return "\n".join(["| in | activations by name |", "|---|---|", *rows])


def document() -> str:
    """The whole page."""
    tables = {
        "Layers": layer_table(),
        "Layers that are refused": refusal_table(),
        "Activations": activation_table(),
        "Quantizers": quantizer_table(),
    }
    return HEAD + "".join(f"\n## {title}\n\n{table}\n" for title, table in tables.items())


if __name__ == "__main__":
    print(document(), end="")
