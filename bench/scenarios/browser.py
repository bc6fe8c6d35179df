"""Browser: the dashboard as an agent has it, in Chromium: its first view, scrolling, and a list that lives for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

from playwright.sync_api import Browser

from bench.chromium import Noted, Window, chromium
from bench.contestants import Target, add_organizations, ours
from bench.ingesting import calm
from bench.lab import Lab
from bench.loader import fill
from bench.process import BenchError
from bench.results import Goal, Report, Table
from bench.scale import Scale
from tether_rt.domain.source import Source

_LIVE_ROWS: Final = 10_000
_EVENTS_S: Final = 50
_EVENTS_A_CALL: Final = 3.7  # 70 % of the calls have a recording, and so a fourth event
_WARMING_LOADS: Final = 3  # V8 keeps a script's code when it has seen it more than once
_STEP_PX: Final = 1_500  # a frame: some 34 rows
_FRAME_MS: Final = 1000 / 60
_SAMPLES: Final = 12

_FRAMES: Final = {
    "frames/s": 1,
    "frame p50_ms": 1,
    "frame p99_ms": 1,
    "longest frame_ms": 0,
    "long tasks": 0,
    "page's CPU_%": 0,
}


def run(lab: Lab, scale: Scale) -> Report:
    report = Report("browser", "Browser")
    with lab.scope() as scope:
        user = add_organizations(lab.mongodb_uri, "browser", 1)[0]
        fill(
            lab.mongodb_uri,
            "browser",
            Source(user.user_id, user.organization_id, "Sam Poe"),
            max(scale.scrolled, _LIVE_ROWS + 5_000),
        )
        target = ours(lab, scope, database="browser", keys=(user.api_key,))
        # Not before: while Playwright is there it has the event loop, and nothing above could run one of its own.
        browser = scope.enter_context(chromium())
        report.notes.append(
            f"Chromium {browser.version}, headless, without a graphics processor: it draws with the same cores."
        )
        calm(lab, target)  # mongod writes down what was loaded
        _first_view(browser, target, scale, report)
        _scrolling(browser, target, scale, report)
        _living(lab, browser, target, scale, report)
    return report


def _first_view(browser: Browser, target: Target, scale: Scale, report: Report) -> None:
    table = Table("First view, fifty calls in the list", ("cache",), {"list painted_ms": 0, "answers": 0, "KB received": 1})
    for _ in range(scale.loads):
        with _window(browser, target) as window:
            for number in range(_WARMING_LOADS + 1):
                painted_ms, answers, received = window.open()
                if number in (0, _WARMING_LOADS):
                    cache = "warm" if number else "cold"
                    values = {"list painted_ms": painted_ms, "answers": answers, "KB received": received / 1000}
                    table.add(cache, **values)
    report.tables.append(table)
    report.goals += [
        Goal.at_most("first paint of the list, warm", 300, table.get("warm", column="list painted_ms"), "ms"),
        Goal.at_most("bytes of the first view, cold", 150, table.get("cold", column="KB received"), "KB"),
    ]


def _scrolling(browser: Browser, target: Target, scale: Scale, report: Report) -> None:
    table = Table("Endless scroll", ("calls",), {**_FRAMES, "calls/s": 0, "JS heap_MB": 1})
    with _window(browser, target) as window:
        window.open()
        began_s = time.monotonic()
        window.begin()
        rows = window.scroll(scale.scrolled, _STEP_PX)
        seconds = time.monotonic() - began_s
        if rows < scale.scrolled:
            raise BenchError(f"The list ended at {rows:,} of {scale.scrolled:,} calls.")
        values = {**_frames(window.end()), "calls/s": rows / seconds, "JS heap_MB": window.memory()[0] / 1e6}
        table.add(f"{rows:,}", **values)
    report.tables.append(table)


def _living(lab: Lab, browser: Browser, target: Target, scale: Scale, report: Report) -> None:
    live = Table(
        f"{_EVENTS_S} events/s",
        ("calls loaded",),
        {**_FRAMES, "calls arrived": 0, "commit to row p50_ms": 1, "commit to row p99_ms": 1},
    )
    memory = Table("Memory while they arrive", ("minutes",), {"JS heap_MB": 2, "elements": 0})
    noted: list[Noted] = []
    heaps: list[float] = []
    with lab.scope() as scope, _window(browser, target) as window:
        window.open()
        loaded = window.scroll(_LIVE_ROWS, _STEP_PX)
        window.to_top()
        vendor = lab.program(scope, "watch")
        vendor.tell(
            {
                "port": target.port, "key": target.keys[0], "token": target.token, "kind": target.dashboards, "dashboards": 1,
                "rate": _EVENTS_S / _EVENTS_A_CALL, "seconds": scale.live_s + 5, "warm_s": 3,
            }
        )  # fmt: skip
        window.page.wait_for_timeout(4_000)
        for number in range(_SAMPLES):
            window.begin()
            window.page.wait_for_timeout(scale.live_s * 1000 / _SAMPLES)
            noted.append(window.end())
            heap, elements = window.memory()  # the collection is ours, and so is the frame that it costs: not while it is noted
            heaps.append(heap)
            minutes = (number + 1) * scale.live_s / _SAMPLES / 60
            memory.add(f"{minutes:.2f}", **{"JS heap_MB": heap / 1e6, "elements": elements})
        if window.missed():
            raise BenchError(f"The dashboard missed {window.missed()} events.")
    everything = Noted(
        [ms for one in noted for ms in one.frames],
        [ms for one in noted for ms in one.long_tasks],
        [ms for one in noted for ms in one.delays],
        sum(one.cpu_s for one in noted),
    )
    delays = sorted(everything.delays)
    if not delays:
        raise BenchError("No call was seen to arrive.")
    live.add(
        f"{loaded:,}",
        **{
            **_frames(everything), "calls arrived": len(delays),
            "commit to row p50_ms": median(delays), "commit to row p99_ms": delays[int(len(delays) * 0.99)],
        },
    )  # fmt: skip
    report.tables += [live, memory]
    half = len(heaps) // 2
    row = (f"{loaded:,}",)
    report.goals += [
        Goal.at_most("commit to painted row, p50", 50, live.get(*row, column="commit to row p50_ms"), "ms"),
        Goal.at_least(
            f"frames at {_EVENTS_S} events/s, {loaded:,} calls loaded", 59, live.get(*row, column="frames/s"), "a second"
        ),
        Goal.at_most("long tasks meanwhile", 0, live.get(*row, column="long tasks"), "of 50 ms"),
        Goal.at_most(
            f"heap over {scale.live_s / 60:g} min, second half against first", 1.1, median(heaps[half:]) / median(heaps[:half])
        ),
    ]


def _frames(noted: Noted) -> dict[str, float]:
    frames = sorted(noted.frames)
    return {
        "frames/s": 1000 * len(frames) / sum(frames),
        "frame p50_ms": median(frames),
        "frame p99_ms": frames[int(len(frames) * 0.99)],
        "longest frame_ms": frames[-1],
        "long tasks": len(noted.long_tasks),
        "page's CPU_%": 100_000 * noted.cpu_s / sum(frames),
    }


@contextmanager
def _window(browser: Browser, target: Target) -> Iterator[Window]:
    window = Window(browser, target)
    try:
        yield window
    finally:
        window.close()
