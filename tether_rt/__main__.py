"""`python -m tether_rt` is `tether-rt`."""

from __future__ import annotations

from tether_rt.cli import main

main()
