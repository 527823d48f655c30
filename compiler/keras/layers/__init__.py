"""Importers of Keras layers: one function per layer, registered by class name."""
