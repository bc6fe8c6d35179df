"""The dashboard in a real browser, watched with the browser's own tools: performance entries, and the DevTools protocol.

`Window` is one window of one profile; a profile's cache lasts as long as its window does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from bench.contestants import Target
from bench.process import BenchError

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--expose-gc",
)
_VIEWPORT: Final[ViewportSize] = {"width": 1280, "height": 800}
_PATIENCE_MS: Final = 60_000

# Runs before the page's own modules. What it notes is taken out now and then, so that it does not grow in the page's heap.
_PROBE: Final = """
globalThis.probe = { frames: [], longTasks: [], delays: [], sinceMs: Infinity };
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) if (startTime >= probe.sinceMs) probe.longTasks.push(duration);
}).observe({ type: "longtask" });
new PerformanceObserver((list) => {
  for (const { name, startTime, detail } of list.getEntries()) {
    if (name !== "tether:calls-painted" || startTime < probe.sinceMs) continue;
    for (const { atMs } of detail) probe.delays.push(performance.timeOrigin + startTime - atMs);
  }
}).observe({ type: "mark" });
probe.begin = () => {
  const sinceMs = performance.now();
  Object.assign(probe, { frames: [], longTasks: [], delays: [], sinceMs });
  let last = null;
  const frame = (now) => {
    if (probe.sinceMs !== sinceMs) return;
    if (last !== null) probe.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
};
probe.end = () => {
  const { frames, longTasks, delays } = probe;
  probe.sinceMs = Infinity;
  return { frames, longTasks, delays };
};
"""
# Scrolls on as a reader with a heavy thumb: some rows a frame, and again where more has been loaded, to the end or so many.
_SCROLL: Final = """
async ([rows, stepPx]) => {
  const list = document.querySelector(".list-scroll");
  const rowPx = document.querySelector(".row").getBoundingClientRect().height;
  const isDone = () => list.scrollTop + list.clientHeight >= rows * rowPx || !document.querySelector(".list-more");
  while (!isDone()) {
    list.scrollTop += stepPx;
    await new Promise(requestAnimationFrame);
  }
  return Math.round(document.querySelector(".rows").getBoundingClientRect().height / rowPx);
}
"""


@dataclass(frozen=True, slots=True)
class Noted:
    """What was seen in a while: milliseconds between frames, of long tasks, and from commit to painted row."""

    frames: list[float]
    long_tasks: list[float]
    delays: list[float]
    cpu_s: float
    """CPU time that the page's process took: unlike the others, it does not depend on what else the machine does."""


class Window:
    """One window, signed in at a server's dashboard."""

    def __init__(self, browser: Browser, target: Target) -> None:
        self._url = f"http://127.0.0.1:{target.port}/"
        self._context = browser.new_context(locale="en-GB", viewport=_VIEWPORT)
        self._context.set_default_timeout(_PATIENCE_MS)
        self._context.add_cookies(
            [{"name": "tether_session", "value": target.token, "url": self._url, "httpOnly": True, "sameSite": "Strict"}]
        )
        # As for whoever signed in here before: only the name is remembered.
        self._context.add_init_script("localStorage.setItem('tether.user', JSON.stringify({ fullName: 'Agent' }))")
        self._context.add_init_script(_PROBE)
        self.page = self._context.new_page()
        self._tools = self._context.new_cdp_session(self.page)
        self._tools.send("Network.enable")
        self._processes = browser.new_browser_cdp_session()
        self._cpu_s = 0.0
        self._received: list[float] = []
        self._tools.on("Network.loadingFinished", lambda event: self._received.append(event["encodedDataLength"]))

    def close(self) -> None:
        self._context.close()

    def open(self) -> tuple[float, int, float]:
        """Load the dashboard; return when its list was painted in ms, and how many answers of how many bytes came by then.

        Bytes are as they came over the wire, headers included; what is loaded ahead once the list is there counts as well.
        """
        self.page.goto("about:blank")
        self._received.clear()
        self.page.goto(self._url)
        painted = self.page.wait_for_function("() => performance.getEntriesByName('tether:list-painted')[0]?.startTime")
        painted_ms = float(painted.json_value())
        self.page.wait_for_load_state("networkidle")
        fetched = [size for size in self._received if size > 0]
        return painted_ms, len(fetched), sum(fetched)

    def scroll(self, rows: int, step_px: int) -> int:
        """Scroll down until so many rows have been passed, or to the end; return how many the list has then."""
        return int(self.page.evaluate(_SCROLL, [rows, step_px]))

    def to_top(self) -> None:
        """Scroll back, so that what arrives is shown."""
        self.page.evaluate("() => document.querySelector('.list-scroll').scrollTo(0, 0)")

    def begin(self) -> None:
        """Begin to note frames, long tasks and arrivals."""
        self._cpu_s = self._used_s()
        self.page.evaluate("() => probe.begin()")

    def end(self) -> Noted:
        """Return what was noted since `begin`, and note no more."""
        found: dict[str, list[float]] = self.page.evaluate("() => probe.end()")
        return Noted(found["frames"], found["longTasks"], found["delays"], self._used_s() - self._cpu_s)

    def memory(self) -> tuple[float, int]:
        """Return the page's JavaScript heap after a collection, in bytes, and how many nodes its document has."""
        self._tools.send("HeapProfiler.collectGarbage")
        usage: dict[str, Any] = self._tools.send("Runtime.getHeapUsage")
        return float(usage["usedSize"]), int(self.page.evaluate("() => document.querySelectorAll('*').length"))

    def _used_s(self) -> float:
        found: list[dict[str, Any]] = self._processes.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(float(process["cpuTime"]) for process in found if process["type"] == "renderer")

    def missed(self) -> int:
        """Return how many events the page says that it missed; raises `BenchError` when it is not live."""
        connection = self.page.get_by_test_id("connection")
        state = connection.get_attribute("data-state")
        if state not in ("live", "caught-up"):
            raise BenchError(f"The dashboard is not live: {state!r}.")
        return int(connection.get_attribute("data-missed") or 0)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that Playwright has installed; gone with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
