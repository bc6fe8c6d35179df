"""The demo: `python run.py [--simulate N] [--port P]`; `--help` tells the rest."""

from __future__ import annotations

import sys

try:
    from tether_rt.demo.demo import main
except ImportError as error:  # another Python than the one of .venv, or an older one
    sys.exit(f"Error: this Python cannot run tether_rt ({error}); `make run` installs what it needs and starts the demo.")

if __name__ == "__main__":
    main()
