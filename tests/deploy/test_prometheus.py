"""The alerts: promtool reads them, and each fires when what it names goes on for long enough, and not otherwise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.tools import DEPLOY, files, passes
from tests.support.documents import text_of

FILES = files("prometheus/*.yaml")
RULES = DEPLOY / "prometheus" / "rules.yaml"
A: Final = 'job="tether", instance="a"'
HEALTHY: Final = (
    ("up{%s}", "1x600"),
    ('tether_ready{%s, part="mongodb"}', "1x600"),
    ('tether_ready{%s, part="store"}', "1x600"),
    ('tether_ready{%s, part="feed"}', "1x600"),
    ('tether_feed_lag_seconds_bucket{%s, le="0.01"}', "0+10x600"),
    ('tether_feed_lag_seconds_bucket{%s, le="+Inf"}', "0+10x600"),
    ('tether_feed_mends_total{%s, cause="gap"}', "0x600"),
    ('tether_feed_mends_total{%s, cause="restart"}', "0+1x600"),
    ('tether_ingest_total{%s, outcome="created"}', "0+100x600"),
    ('tether_ingest_total{%s, outcome="duplicate"}', "0+1x600"),
    ('tether_ingest_total{%s, outcome="refused"}', "0+10x600"),
    ('tether_ingest_total{%s, outcome="unavailable"}', "0+1x600"),
    ('tether_ingest_total{%s, outcome="failed"}', "0x600"),
    ('tether_deliveries_dropped_total{%s, cause="rate"}', "0x600"),
    ("tether_search_lag_seconds{%s}", "5x600"),
    ('tether_later_recordings_total{%s, outcome="failed"}', "3x600"),
    ("tether_erasures_waiting{%s}", "0 1 2 1 0 1x100 0x600"),
    ('tether_loop_lag_seconds_bucket{%s, le="0.005"}', "0+60x600"),
    ('tether_loop_lag_seconds_bucket{%s, le="+Inf"}', "0+60x600"),
    ('tether_limited_total{%s, limit="key_rate"}', "7x600"),
    ("process_open_fds{%s}", "100x600"),
    ("process_max_fds{%s}", "1000x600"),
)
"""Each series of a process that is well, one value every 15 seconds."""

WRONG: Final = {
    "TetherAway": ({"up{%s}": "1x40 0x600"}, "10m45s", "11m30s"),
    "TetherGone": ({"up{%s}": "1x40 _x600"}, "15m", "21m"),
    "TetherMongodbAway": ({'tether_ready{%s, part="mongodb"}': "1x40 0x600"}, "10m45s", "11m30s"),
    "TetherStoreAway": ({'tether_ready{%s, part="store"}': "1x40 0x600"}, "10m45s", "11m30s"),
    "TetherFeedNotFollowed": ({'tether_ready{%s, part="feed"}': "1x40 0x600"}, "10m45s", "11m30s"),
    "TetherFeedLate": (
        {
            'tether_feed_lag_seconds_bucket{%s, le="0.01"}': "0x600",
            'tether_feed_lag_seconds_bucket{%s, le="2.5"}': "0+10x600",
        },
        "4m",
        "6m",
    ),
    "TetherFeedGap": ({'tether_feed_mends_total{%s, cause="gap"}': "0x40 1x600"}, "9m", "11m"),
    "TetherCallsFailed": ({'tether_ingest_total{%s, outcome="failed"}': "0x40 1x600"}, "9m", "11m"),
    "TetherCallsUnavailable": ({'tether_ingest_total{%s, outcome="unavailable"}': "0+50x600"}, "4m", "6m"),
    "TetherCallsRefused": ({'tether_ingest_total{%s, outcome="refused"}': "0+50x600"}, "14m", "16m"),
    "TetherDeliveriesDropped": ({'tether_deliveries_dropped_total{%s, cause="rate"}': "0x40 5x600"}, "9m", "11m"),
    "TetherSearchLate": ({"tether_search_lag_seconds{%s}": "61x600"}, "9m", "11m"),
    "TetherRecordingsGivenUp": ({'tether_later_recordings_total{%s, outcome="failed"}': "3x40 4x600"}, "9m", "11m"),
    "TetherErasuresWait": ({"tether_erasures_waiting{%s}": "1x600"}, "59m", "61m"),
    "TetherLoopLate": (
        {
            'tether_loop_lag_seconds_bucket{%s, le="0.005"}': "0x600",
            'tether_loop_lag_seconds_bucket{%s, le="0.5"}': "0+60x600",
        },
        "9m",
        "11m",
    ),
    "TetherLimitReached": ({'tether_limited_total{%s, limit="key_rate"}': "0+2x600"}, "9m", "11m"),
    "TetherFewOpenFiles": ({"process_open_fds{%s}": "900x600"}, "4m", "6m"),
}
"""Of each alert: what is wrong, a time at which it does not fire yet, and one at which it does."""


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def series(wrong: dict[str, str]) -> list[dict[str, str]]:
    """Return the series of a process that is well, but for what is wrong."""
    return [{"series": name % A, "values": values} for name, values in {**dict(HEALTHY), **wrong}.items()]


def firing(alert: str, at: str, fires: bool) -> dict[str, Any]:
    """Return a test that the alert does or does not fire at this time."""
    expression = f'count(ALERTS{{alertname=~"{alert}", alertstate="firing"}})'
    return {"expr": expression, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}


def test_promtool_finds_nothing_wrong() -> None:
    assert f"{len(rules())} rules found" in passes("promtool", "check", "rules", RULES)
    passes("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yaml")


def test_every_alert_fires_when_what_it_names_lasts_and_not_otherwise(tmp_path: Path) -> None:
    assert [rule["alert"] for rule in rules()] == [*WRONG]
    cases = [(series({}), [firing(".*", at, False) for at in ("1m", "10m", "30m", "2h")])]
    cases += [
        (series(wrong), [firing(name, before, False), firing(name, at, True)]) for name, (wrong, before, at) in WRONG.items()
    ]
    file = tmp_path / "tests.yaml"
    tests = [{"interval": "15s", "input_series": given, "promql_expr_test": asked} for given, asked in cases]
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": tests}))
    passes("promtool", "test", "rules", file)


def test_every_alert_says_what_is_wrong_and_where_it_is_explained() -> None:
    headings = re.findall(r"^### (.*)$", text_of("docs/monitoring.md"), re.MULTILINE)
    anchors = {f"docs/monitoring.md#{heading.lower().replace(' ', '-')}" for heading in headings}
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook"] in anchors
    assert {rule["annotations"]["runbook"] for rule in rules()} == anchors
