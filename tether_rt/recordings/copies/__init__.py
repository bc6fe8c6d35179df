"""Copies of recordings for browsers that do not play the original."""
