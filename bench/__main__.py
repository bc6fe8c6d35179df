"""`python -m bench`: run the scenarios, print their tables, write bench/results/."""

from __future__ import annotations

import argparse
import importlib
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import results
from bench.install import install
from bench.lab import CACHE, Lab
from bench.process import BenchError
from bench.results import SCENARIOS
from bench.scale import SCALES, Scale


def main() -> int:
    """Return the exit status: 0, or 1 when a scenario could not be measured. A missed target is a result, not an error."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 5,000 dashboards; every process below inherits it
    scale = SCALES[options.scale]
    if options.rounds:
        scale = replace(scale, name=f"{scale.name}, rounds {options.rounds}", repeats=options.rounds)
    failed = []
    peers_python = install()
    CACHE.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="run-", dir=CACHE, ignore_cleanup_errors=True) as folder:
        for name in options.only:
            try:
                _measure(name, scale, Lab(peers_python, Path(folder) / name))
            except BenchError as error:
                failed.append(name)
                print(f"{name} failed: {error}", file=sys.stderr)
    return 1 if failed else 0


def _measure(name: str, scale: Scale, lab: Lab) -> None:
    began_s = time.monotonic()
    print(f"\n# {name} ({scale.name})\n", flush=True)
    with lab:
        report = importlib.import_module(f"bench.scenarios.{name}").run(lab, scale)
    content: dict[str, Any] = report.write(scale.name)
    print("\n".join(results.markdown(content)))
    for goal in report.goals:
        print(f"{'reached' if goal.met else 'MISSED '}  {goal.what}: {goal.measured:.2f}, target {goal.wanted}")
    print(f"\n{name} took {time.monotonic() - began_s:.0f} s", flush=True)
    results.write_readme()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--quick", dest="scale", action="store_const", const="quick", help="one short sample of everything")
    scale.add_argument("--full", dest="scale", action="store_const", const="full", help="long samples, a million stored calls")
    parser.add_argument("--only", default=",".join(SCENARIOS), help="some of: %(default)s")
    parser.add_argument("--rounds", type=int, help="how often everything is measured, in turn")
    parser.set_defaults(scale="normal")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BenchError as error:
        sys.exit(f"Error: {error}")
