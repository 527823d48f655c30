"""The parts of `lower-to-fixed`."""
