"""Boards that calocc does not know."""
