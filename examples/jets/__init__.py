"""The jets example."""
