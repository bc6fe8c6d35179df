"""The step that setup.cfg cannot express: the wheel contains the dashboard's libraries, which come from npm."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

STATIC = Path(__file__).parent / "static"
STEPS = (
    ["npm", "ci", "--prefix", str(STATIC), "--loglevel=error"],
    ["npm", "run", "--prefix", str(STATIC), "--silent", "vendor"],
)


class BuildWithDashboard(build_py):
    """Downloads `static/vendor` if it is missing, before setuptools lists the files of the package."""

    def run(self) -> None:
        if not (STATIC / "vendor").is_dir():
            if shutil.which("npm") is None:
                sys.exit("The dashboard's libraries are fetched with npm: install Node.js 18 or newer, then build again.")
            for step in STEPS:
                if subprocess.run(step, check=False).returncode:  # noqa: S603 - a constant command without a shell
                    sys.exit(f"The dashboard's libraries could not be fetched: {' '.join(step)} failed.")
            # setuptools lists the files once, maybe before the download: make it list them again.
            self.__dict__.pop("data_files", None)
        super().run()


setup(cmdclass={"build_py": BuildWithDashboard})
