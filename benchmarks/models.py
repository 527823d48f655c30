"""The example models, as the benchmarks see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Model:
    """A trained model and its input layer."""

    name: str
    path: Path
    input: str

    def events(self) -> NDArray[np.float32]:
        """The test events that come with the model, (events, *shape)."""
        with np.load(self.path.parent / "test_data.npz") as file:
            return file[self.input]

    def uniform(self, events: int, reach: float, seed: int = 0) -> dict[str, NDArray[Any]]:
        """Events drawn uniformly from -reach to reach, by input name, as float32."""
        shape = (events, *self.events().shape[1:])
        drawn = np.random.default_rng(seed).uniform(-reach, reach, shape)
        return {self.input: drawn.astype(np.float32)}


MODELS = (
    Model("jets", ROOT / "examples/jets/jets.h5", "jets"),
    Model("digits", ROOT / "examples/digits/digits.h5", "digits"),
    Model("deepcalo", ROOT / "examples/deepcalo/deepcalo_image.h5", "image"),
)
DEEPCALO = MODELS[2]
PATHS = (*(model.path for model in MODELS), ROOT / "examples/deepcalo/deepcalo_full.h5")
"""The files of all example models."""
