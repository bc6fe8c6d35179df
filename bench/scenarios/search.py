"""Search: what the search index, and the fields that figures are counted from, cost a call when many are stored."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import pymongo

from bench.contestants import Target
from bench.ingesting import COLUMNS, sample, server_us
from bench.lab import Lab
from bench.loader import entry_source
from bench.payloads import ID_BYTES, templates
from bench.results import Goal, Report, Table
from bench.scale import Scale
from bench.scenarios.growth import filled
from tether_rt.domain.call import completed_call
from tether_rt.domain.source import Source
from tether_rt.mongo.search_index import making_entry, texts_of
from tether_rt.runtime.cooperative import run_to_completion

_CONNECTIONS: Final = 128
_WITH, _WITHOUT = "with both", "with neither"
_CALLS: Final = 1_000


def run(lab: Lab, scale: Scale) -> Report:
    stored = scale.stored[-1]
    ingest = Table(f"Ingest at {_CONNECTIONS} connections, {stored:,} calls stored", ("search index and figures",), COLUMNS)
    entries = Table("The server's part: an entry of the search index", ("",), {"µs/call": 0})
    with lab.scope() as scope:
        targets = {what: filled(lab, scope, stored, f"search-{number}") for number, what in enumerate((_WITH, _WITHOUT))}
        _do_without(lab, targets[_WITHOUT])
        for what in scale.rounds(list(targets)):
            ingest.add(what, **sample(lab, targets[what], scale, _CONNECTIONS).columns)
    for what in scale.rounds(("a call of 20 turns",)):
        entries.add(what, **{"µs/call": _entry_us()})

    def cost_us(what: str) -> float:
        columns = ("mongod_µs/call", "mongod afterwards_µs/call")
        return server_us(ingest, what) + sum(ingest.get(what, column=column) for column in columns)

    return Report(
        "search",
        "Search index and figures",
        [ingest, entries],
        [
            Goal.at_least(
                f"ingest with search index and figures against without, {stored:,} calls stored, calls/s",
                0.9,
                ingest.get(_WITH, column="calls/s") / ingest.get(_WITHOUT, column="calls/s"),
            )
        ],
        [
            "Without: nobody feeds the search index, and the index of the lists lacks the three fields that figures are "
            f"counted from. Server and MongoDB use {cost_us(_WITH) - cost_us(_WITHOUT):,.0f} µs a call less then, as far as "
            "the index is fed within the time that is measured: in a flood most of that comes afterwards."
        ],
    )


def _do_without(lab: Lab, target: Target) -> None:
    """Keep the server from feeding the search index, and take the fields for figures from the index of the lists."""
    with lab.client() as client:
        database = client[target.database]
        for_ever = {"holder": "nobody", "until": datetime.now(UTC) + timedelta(days=1), "said": {}}
        database["leases"].update_one({"_id": "search"}, {"$set": for_ever}, upsert=True)
        calls = database["calls"]
        for name, index in calls.index_information().items():
            key = index["key"]
            if "duration" in {field for field, _ in key}:
                calls.create_index([(field, pymongo.DESCENDING if order < 0 else 1) for field, order in key[:3]])
                calls.drop_index(name)


def _entry_us() -> float:
    now = datetime.now(UTC)
    source = Source("0" * 24, "1" * 24, "Sam Poe")
    bodies = [json.loads((b"a" * ID_BYTES).join(call)) for call in templates(_CALLS)]
    calls = [completed_call(body, source, now=now, fingerprint="2" * 64) for body in bodies]
    documents = [entry_source(call, str(number), "Sam Poe") for number, call in enumerate(calls)]
    began_s = time.process_time()
    for document, call in zip(documents, calls, strict=True):
        run_to_completion(making_entry(document, texts_of(document, "Sam Poe", call.metadata)))
    return (time.process_time() - began_s) / _CALLS * 1e6
