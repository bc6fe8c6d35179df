"""Search: what the search index, and the fields that figures are counted from, cost a call when many are stored."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Final

import pymongo

from bench.contestants import Target
from bench.ingesting import COLUMNS, sample, server_us
from bench.lab import Lab
from bench.payloads import ID_BYTES, templates
from bench.results import Goal, Report, Table
from bench.scale import Scale
from bench.scenarios.growth import filled
from tether_rt.domain.call import completed_call
from tether_rt.domain.source import Source
from tether_rt.mongo.calls import call_elements

_CONNECTIONS: Final = 128
_WITH, _WITHOUT = "with both", "with neither"
_CALLS: Final = 1_000


def run(lab: Lab, scale: Scale) -> Report:
    stored = scale.stored[-1]
    ingest = Table(f"Ingest at {_CONNECTIONS} connections, {stored:,} calls stored", ("search index and figures",), COLUMNS)
    words = Table("The server's part: a call's document, as bytes", ("",), {"µs/call": 0})
    with lab.scope() as scope:
        targets = {what: filled(lab, scope, stored, f"search-{number}") for number, what in enumerate((_WITH, _WITHOUT))}
        _drop_indexes(lab, targets[_WITHOUT])
        for what in scale.rounds(list(targets)):
            ingest.add(what, **sample(lab, targets[what], scale, _CONNECTIONS).columns)
    for is_indexed in scale.rounds((True, False)):
        words.add("with its words" if is_indexed else "without", **{"µs/call": _document_us(is_indexed)})

    def cost_us(what: str) -> float:
        columns = ("mongod_µs/call", "mongod afterwards_µs/call")
        return server_us(ingest, what) + sum(ingest.get(what, column=column) for column in columns)

    return Report(
        "search",
        "Search index and figures",
        [ingest, words],
        [
            Goal.at_least(
                f"ingest with search index and figures against without, {stored:,} calls stored, calls/s",
                0.9,
                ingest.get(_WITH, column="calls/s") / ingest.get(_WITHOUT, column="calls/s"),
            )
        ],
        [
            "Without: no index of words and numbers, and that of the lists without the three fields that figures are counted "
            f"from. Server and MongoDB use {cost_us(_WITH) - cost_us(_WITHOUT):,.0f} µs a call less then. The server makes the "
            "words all the same; the second table has what that takes."
        ],
    )


def _drop_indexes(lab: Lab, target: Target) -> None:
    """Take the indexes of search away, and from that of the lists the fields for figures. A server makes them at its start."""
    with lab.client() as client:
        calls = client[target.database]["calls"]
        for name, index in calls.index_information().items():
            key = index["key"]
            fields = {field for field, _ in key}
            if "duration" in fields:
                calls.create_index([(field, pymongo.DESCENDING if order < 0 else 1) for field, order in key[:3]])
            if fields & {"terms", "numbers", "duration"}:
                calls.drop_index(name)


def _document_us(is_indexed: bool) -> float:
    now = datetime.now(UTC)
    source = Source("0" * 24, "1" * 24, "Sam Poe")
    bodies = [json.loads((b"a" * ID_BYTES).join(call)) for call in templates(_CALLS)]
    calls = [completed_call(body, source, now=now, fingerprint="2" * 64) for body in bodies]
    began_s = time.process_time()
    for call in calls:
        call_elements(call, None)
    return (time.process_time() - began_s) / _CALLS * 1e6
