"""What an operator sees: metrics (Prometheus) and logs (one JSON object a line, on standard error).

Nothing here ever holds a secret, a transcript or a telephone number: metrics have fixed label values, and a log line has the
fields it was given by name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TextIO, TypeVar

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_TICK_S: Final = 0.25
_Metric = TypeVar("_Metric", bound=MetricWrapperBase)


class Metrics:
    """Every metric of one process, in a registry of its own; `exposition()` is the body of `/metrics`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.requests = Counter("tether_http_requests", "Requests answered", ["method", "status"], registry=registry)
        self.request_s = Histogram(
            "tether_http_request_seconds", "Time to answer a request", ["method"], buckets=_SECONDS, registry=registry
        )
        self.ingest = Counter(
            "tether_ingest", "Ingest requests by outcome: created, duplicate, refused, unavailable, failed", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.ingest_s = Histogram(
            "tether_ingest_seconds", "Time from headers to answer of an ingest", buckets=_SECONDS, registry=registry
        )
        self.limited = Counter("tether_limited", "Requests refused because a limit was reached", ["limit"], registry=registry)
        self.bodies_bytes = Gauge("tether_bodies_in_flight_bytes", "Request body bytes held", registry=registry)
        self.commit_calls = Histogram(
            "tether_commit_batch_calls", "Calls in one transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=registry,
        )  # fmt: skip
        self.commit_s = Histogram("tether_commit_seconds", "Time of one transaction", buckets=_SECONDS, registry=registry)
        self.commit_retries = Counter("tether_commit_retries", "Transactions begun again", registry=registry)
        self.commit_queue = Gauge("tether_commit_queue_calls", "Calls waiting for a commit", registry=registry)
        self.recording_bytes = Counter("tether_recording_bytes", "Bytes stored", ["source"], registry=registry)
        self.recording_s = Histogram(
            "tether_recording_seconds", "Time to obtain and store a recording", ["source"],
            buckets=(*_SECONDS, 30, 60, 120), registry=registry,
        )  # fmt: skip
        self.feed_lag_s = Histogram(
            "tether_feed_lag_seconds", "From commit to the tail having read it", buckets=_SECONDS, registry=registry
        )
        self.feed_restarts = Counter("tether_feed_restarts", "Change streams opened again", registry=registry)
        self.feed_mends = Counter("tether_feed_mends", "Gaps in the numbers mended from feed", registry=registry)
        self.dashboards = Gauge("tether_dashboards", "Dashboards connected", registry=registry)
        self.frames = Counter("tether_frames_sent", "WebSocket messages sent", registry=registry)
        self.frame_bytes = Counter("tether_frame_bytes_sent", "WebSocket bytes sent", registry=registry)
        self.closes = Counter("tether_dashboard_closes", "Dashboards closed by the server", ["code"], registry=registry)
        self.loop_lag_s = Histogram(
            "tether_loop_lag_seconds", "How late the event loop ran a timer",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1), registry=registry,
        )  # fmt: skip

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)

    async def run(self) -> None:
        """Measure the loop's lag until cancelled."""
        while True:
            due = time.perf_counter() + _LAG_TICK_S
            await asyncio.sleep(_LAG_TICK_S)
            self.loop_lag_s.observe(max(0.0, time.perf_counter() - due))


@cache
def labelled(metric: _Metric, *values: str) -> _Metric:
    """Return what `metric.labels` does, and remember it: that takes 2 µs, five times a call. The values are few and fixed."""
    child: _Metric = metric.labels(*values)
    return child


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `event` and whatever was passed as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except (
            orjson.JSONEncodeError
        ):  # half a surrogate pair, an integer past 64 bits: what cannot be sent can still be logged
            return json.dumps(line, default=str, skipkeys=True)


class TurnHandler(logging.StreamHandler[TextIO]):
    """Writes what one turn of the event loop logged in one go, after it; warnings, and what other threads log, at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []
        self._flushed_by: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.append(f"{self.format(record)}\n")
            if record.levelno >= logging.WARNING or not self._is_flushed_soon():
                self.flush()
        except Exception:  # as in every handler of `logging`: a line that cannot be written stops nobody
            self.handleError(record)

    def _is_flushed_soon(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # there is none here
            return False
        if loop is not self._flushed_by:
            self._flushed_by = loop
            loop.call_soon(self.flush)
        return True

    def flush(self) -> None:
        """Write what waits. `logging` does so, too, when the process ends."""
        self.acquire()
        try:
            self._flushed_by = None
            waiting, self._waiting = self._waiting, []
            if waiting:
                self.stream.write("".join(waiting))
                super().flush()
        finally:
            self.release()


def log(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log `event` with its fields as one structured line."""
    logger.log(level, event, extra={"fields": fields})


def configure_logging(level: int = logging.INFO) -> None:
    """Send every log to standard error as JSON lines; Tornado's own access log is replaced by ours."""
    # Where in the code a line was written, and by which thread, is in none of ours (logging HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = TurnHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("tornado.access", "botocore", "aiobotocore", "boto3", "urllib3", "pymongo", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "tornado.access" else logging.WARNING)
