"""The deepcalo example."""
