"""Data that released versions wrote, and that this one must read. `make.py` makes it, docs/releasing.md says when."""
