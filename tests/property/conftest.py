"""Makes the helper modules of this directory importable by name; a busy machine is no failure."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("calocc", deadline=None)
settings.load_profile("calocc")
