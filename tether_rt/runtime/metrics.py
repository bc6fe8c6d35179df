"""Metrics, for Prometheus.

Label values are few and fixed: no metric holds a secret, a transcript or a telephone number.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Final, TypeVar

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
        for outcome in ("created", "duplicate", "refused", "unavailable", "failed"):
            self.ingest.labels(outcome)
        self.ingest_s = Histogram(
            "tether_ingest_seconds", "Time from headers to answer of an ingest", buckets=_SECONDS, registry=registry
        )
        self.errors = Counter("tether_errors", "Errors answered, by their code", ["code"], registry=registry)
        self.limited = Counter("tether_limited", "Requests refused because a limit was reached", ["limit"], registry=registry)
        self.bodies_bytes = Gauge("tether_bodies_in_flight_bytes", "Request body bytes held", registry=registry)
        self.commit_calls = Histogram(
            "tether_commit_batch_calls", "Calls in one transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=registry,
        )  # fmt: skip
        self.commit_s = Histogram("tether_commit_seconds", "Time of one transaction", buckets=_SECONDS, registry=registry)
        self.commit_retries = Counter("tether_commit_retries", "Transactions begun again", registry=registry)
        self.commit_queue = Gauge("tether_commit_queue_calls", "Calls waiting for a commit", registry=registry)
        self.commit_lanes = Gauge("tether_commit_lanes", "Organizations whose calls are being committed", registry=registry)
        self.fetches_failed = Counter(
            "tether_fetches_failed", "Attempts to fetch a recording that failed, by code", ["code"], registry=registry
        )
        self.fetches_active = Gauge("tether_fetches_active", "Recordings being fetched just now", registry=registry)
        self.fetches_waiting = Gauge("tether_fetches_waiting", "Fetches that wait for a slot", registry=registry)
        self.later_recordings = Counter(
            "tether_later_recordings",
            "Attempts at recordings that are fetched later, by outcome: stored, again, failed, away",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("stored", "again", "failed", "away"):
            self.later_recordings.labels(outcome)
        self.erased_calls = Counter("tether_erased_calls", "Calls erased, by people and by retention", registry=registry)
        self.erasures_waiting = Gauge(
            "tether_erasures_waiting", "Erasures of all organizations that are not done", registry=registry
        )
        self.later_recordings_active = Gauge(
            "tether_later_recordings_active", "Recordings being fetched later just now", registry=registry
        )
        self.later_recordings_waiting = Gauge(
            "tether_later_recordings_waiting", "Recordings of all organizations that wait to be fetched", registry=registry
        )
        self.recording_copies = Counter(
            "tether_recording_copies",
            "Recordings converted for browsers, by outcome: made, undecodable, too_long, failed",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("made", "undecodable", "too_long", "failed"):
            self.recording_copies.labels(outcome)
        self.recording_bytes = Counter("tether_recording_bytes", "Bytes stored", ["source"], registry=registry)
        self.recording_s = Histogram(
            "tether_recording_seconds", "Time to obtain and store a recording", ["source"],
            buckets=(*_SECONDS, 30, 60, 120), registry=registry,
        )  # fmt: skip
        self.deliveries_kept = Counter("tether_deliveries_kept", "Refused requests kept", registry=registry)
        self.deliveries_dropped = Counter(
            "tether_deliveries_dropped",
            "Refused requests not kept, by cause: rate, queue, failed",
            ["cause"],
            registry=registry,
        )
        for cause in ("rate", "queue", "failed"):
            self.deliveries_dropped.labels(cause)
        self.webhooks = Counter(
            "tether_webhooks", "Vendors' webhooks by vendor and by what became of them at first", ["vendor", "verdict"],
            registry=registry,
        )  # fmt: skip
        self.delivery_bytes = Counter("tether_delivery_bytes", "Bytes of bodies of refused requests kept", registry=registry)
        self.deliveries_waiting = Gauge("tether_deliveries_waiting", "Refused requests waiting to be kept", registry=registry)
        self.deliveries_waiting_bytes = Gauge(
            "tether_deliveries_waiting_bytes", "Bytes of bodies of refused requests in memory", registry=registry
        )
        self.uploads_undecided = Gauge(
            "tether_uploads_undecided", "Recordings stored whose call is not stored, nor refused for certain", registry=registry
        )
        self.feed_lag_s = Histogram(
            "tether_feed_lag_seconds", "From commit to the tail having read it", buckets=_SECONDS, registry=registry
        )
        self.feed_restarts = Counter("tether_feed_restarts", "Change streams opened again", registry=registry)
        self.feed_mends = Counter(
            "tether_feed_mends", "Times that events were read from feed because the stream did not bring them: gap, restart",
            ["cause"], registry=registry,
        )  # fmt: skip
        for cause in ("gap", "restart"):
            self.feed_mends.labels(cause)  # so that an alert sees the first one
        self.recent_bytes = Gauge("tether_recent_events_bytes", "Newest events kept in memory", registry=registry)
        self.dashboards = Gauge("tether_dashboards", "Dashboards connected", registry=registry)
        self.frames = Counter("tether_frames_sent", "WebSocket messages sent", registry=registry)
        self.frame_bytes = Counter("tether_frame_bytes_sent", "WebSocket bytes sent", registry=registry)
        self.closes = Counter("tether_dashboard_closes", "Dashboards closed by the server", ["code"], registry=registry)
        self.search_behind = Gauge("tether_search_behind_events", "Events not yet in the search index", registry=registry)
        self.search_lag_s = Gauge(
            "tether_search_lag_seconds", "Age of the oldest event not yet in the search index", registry=registry
        )
        self.search_building = Gauge(
            "tether_search_building", "Organizations whose search index is being built", registry=registry
        )
        self.ready = Gauge("tether_ready", "1 if a part could do its work when it was last asked", ["part"], registry=registry)
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
    """Return `metric.labels(*values)` from a cache: making the child takes 2 µs, five times a call."""
    child: _Metric = metric.labels(*values)
    return child
