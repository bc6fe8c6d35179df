"""The demo: `python run.py [--simulate N] [--port P]`; `--help` lists all options."""

from __future__ import annotations

import sys

try:
    from tether_rt.demo.demo import main
except ImportError as error:  # not the Python of .venv, or one before 3.11
    sys.exit(f"Error: this Python cannot run tether_rt ({error}); `make run` installs what it needs and starts the demo.")

if __name__ == "__main__":
    main()
