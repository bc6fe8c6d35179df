"""What a call must be after what its vendor did: the model with which the stored calls are compared.

A step is one thing that a vendor does and insists on. A further kind of step is one more class with `take`, and where it makes
something new of a call, a further field of `CallModel` with its line in `require_equal`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from tests.support.service import Tenant

LATER_FIELDS = ("transcript", "summary", "recording", "duration", "status", "agentName", "callerName", "callStartTime")


class Insisting:
    """A vendor that repeats each request, at one process after the other, until its answer is neither lost nor 503."""

    def __init__(self, tenant: Tenant, base_urls: Sequence[str]) -> None:
        self.tenant = tenant
        self.base_urls = base_urls
        self.answers = 0
        """How many requests were answered; `answered` is told of each."""
        self.answered = asyncio.Condition()
        self.is_done = False

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None, door: int, *, as_agent: bool = False, **headers: str
    ) -> tuple[int, dict[str, Any], bool]:
        """Return the status and the body of the answer, and whether it was the first attempt's."""
        headers["Authorization"] = f"Bearer {self.tenant.token if as_agent else self.tenant.api_key}"
        attempts = 0
        while True:
            url = self.base_urls[(door + attempts) % len(self.base_urls)] + path
            attempts += 1
            try:
                async with self.tenant.http.request(
                    method, url, json=body, headers=headers, timeout=aiohttp.ClientTimeout(total=10)
                ) as response:
                    status, answer = response.status, await response.json()
            except (aiohttp.ClientError, OSError, TimeoutError):
                status, answer = 0, {}
            if status not in (0, 503):
                break
            await asyncio.sleep(0.05)
        async with self.answered:
            self.answers += 1
            self.answered.notify_all()
        return status, answer, attempts == 1

    async def was_answered(self, count: int) -> bool:
        """Return once so many requests were answered, or False when there are no more."""
        async with self.answered:
            await self.answered.wait_for(lambda: self.answers >= count or self.is_done)
            return not self.is_done

    async def end(self) -> None:
        """Note that no more requests follow."""
        async with self.answered:
            self.is_done = True
            self.answered.notify_all()


@dataclass
class CallModel:
    """A call as it must be; all fields by the contract's names."""

    external_id: str
    from_number: str
    call_id: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    recordings: list[str] = field(default_factory=list)
    """Their digests."""
    contact_name: str = "Unknown Caller"
    changes: list[dict[str, Any]] = field(default_factory=list)
    """The old values of each change of a step, in order."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is added beside the steps, one key by each change."""

    def body(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the request that sends it with these fields."""
        sides = {"direction": "inbound", "fromNumber": self.from_number, "toNumber": "+14165550100"}
        return {**sides, "externalCallId": self.external_id, **fields}

    def assign(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Give it these values; return the old ones of those that differ."""
        old: dict[str, Any] = {}
        for name, value in fields.items():
            if name == "recording":
                digest = hashlib.sha256(base64.b64decode(value)).hexdigest()
                if self.recordings[-1:] != [digest]:
                    old[name] = self.recordings[-1] if self.recordings else None
                    self.recordings.append(digest)
            elif self.values.get(name) != value:
                old[name] = self.values.get(name)
                self.values[name] = value
        if "callerName" in old and self.contact_name == "Unknown Caller":
            self.contact_name = fields["callerName"]
        return old


class Step(Protocol):
    """One thing that a vendor does with one call."""

    async def take(self, vendor: Insisting, call: CallModel) -> None:
        """Do it until it is answered, and note in the model what it must have done."""


@dataclass(frozen=True)
class Post:
    """Send the call; again, it changes nothing."""

    fields: dict[str, Any]
    door: int

    async def take(self, vendor: Insisting, call: CallModel) -> None:
        status, answer, is_first = await vendor.ask("POST", "/api/calls/ingest", call.body(self.fields), self.door)
        if call.call_id is None:
            assert status in ((201,) if is_first else (200, 201)), answer
            call.call_id = answer["callId"]
            call.assign(self.fields)
        else:
            assert (status, answer["callId"]) == (200, call.call_id)


@dataclass(frozen=True)
class PostWithAddress:
    """Send the call with the address of a recording that is fetched later, and wait until it is there."""

    fields: dict[str, Any]
    voice: bytes
    url: str
    door: int

    async def take(self, vendor: Insisting, call: CallModel) -> None:
        is_new = call.call_id is None
        body = call.body({**self.fields, "recording": self.url})
        status, answer, is_first = await vendor.ask("POST", "/api/calls/ingest", body, self.door, Prefer="respond-async")
        if not is_new:
            assert (status, answer["callId"]) == (200, call.call_id)
            return
        assert status in ((201,) if is_first else (200, 201)), answer
        call.call_id = answer["callId"]
        call.assign({**self.fields, "recording": base64.b64encode(self.voice).decode()})
        shown: dict[str, Any] = {}
        while shown.get("recordingStatus") != "stored":
            assert shown.get("recordingStatus") != "failed", shown
            await asyncio.sleep(0.05)
            shown = (await vendor.ask("GET", f"/api/calls/{call.call_id}", None, self.door, as_agent=True))[1]["call"]


@dataclass(frozen=True)
class AmendTooEarly:
    """Change the call before it is there, send it, and replay the refused change, twice; on a call that is there, change it."""

    fields: dict[str, Any]
    post: Post
    door: int

    async def take(self, vendor: Insisting, call: CallModel) -> None:
        amend = Amend(self.fields, self.door, by_id=False)
        is_new = call.call_id is None
        delivery_id = await self._refused(vendor, call) if is_new else None
        await self.post.take(vendor, call)
        if delivery_id is None:
            await amend.take(vendor, call)
            return
        for _ in range(2):
            path = f"/api/deliveries/{delivery_id}/replay"
            status, answer, _ = await vendor.ask("POST", path, {}, self.door, as_agent=True)
            assert (status, answer["verdict"], answer["callId"]) == (200, "merged", call.call_id), answer
        if old := call.assign(self.fields):
            call.changes.append(old)

    async def _refused(self, vendor: Insisting, call: CallModel) -> str:
        """Send the change until its refusal is kept: a process that is killed after its answer loses it."""
        while True:
            status, answer, _ = await vendor.ask("PATCH", f"/api/calls/ingest/{call.external_id}", self.fields, self.door)
            assert status == 404, answer
            for _ in range(20):
                _, listed, _ = await vendor.ask("GET", "/api/deliveries?limit=200", None, self.door)
                kept = [one["id"] for one in listed["deliveries"] if one["requestId"] == answer["requestId"]]
                if kept:
                    return str(kept[0])
                await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Amend:
    """Change the call; again, it changes nothing."""

    fields: dict[str, Any]
    door: int
    by_id: bool

    async def take(self, vendor: Insisting, call: CallModel) -> None:
        body, path = dict(self.fields), f"/api/calls/ingest/{call.external_id}"
        if self.by_id and call.call_id is not None:
            body["callId"], path = call.call_id, "/api/calls/ingest"
        status, answer, is_first = await vendor.ask("PATCH", path, body, self.door)
        if call.call_id is None:
            assert status == 404, answer
            return
        assert (status, answer["callId"]) == (200, call.call_id), answer
        old = call.assign(self.fields)
        # An earlier attempt, whose answer was lost, may have changed it.
        assert set(answer["changed"]) == old.keys() or (not is_first and answer["changed"] == [])
        if old:
            call.changes.append(old)


async def add_beside(vendor: Insisting, call: CallModel, name: str, count: int) -> None:
    """Add keys with this name to the call's metadata while its steps are taken: `count` changes, begun before it is there."""
    for number in range(count):
        added = {f"{name}{number}": number}
        while True:
            body = {"metadata": added, "externalCallId": call.external_id}
            status, answer, _ = await vendor.ask("PATCH", "/api/calls/ingest", body, number)
            if status == 200:
                break
            assert status == 404, answer
            await asyncio.sleep(0.01)
        call.metadata.update(added)


def require_equal(call: CallModel, shown: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """Assert that a call is as its model, by what HTTP shows of it and by all its events."""
    expected = {
        **{name: call.values.get(name) for name in ("summary", "agentName", "duration", "status")},
        "transcription": call.values.get("transcript", []),
        "startTime": call.values["callStartTime"],
        "contactName": call.contact_name,
    }
    assert {name: shown[name] for name in expected} == expected
    assert (shown["providerMetadata"]["metadata"] or {}) == call.metadata
    assert [recording["sha256"] for recording in shown["recordings"]] == call.recordings
    history = [entry["changed"] for entry in shown["history"]]
    beside = [one for one in history if one.keys() == {"metadata"}]
    assert len(beside) == len(call.metadata)
    of_steps = [one for one in history if one.keys() != {"metadata"}]
    for one in of_steps:
        if one.get("recording") is not None:
            one["recording"] = one["recording"]["sha256"]
        if one.get("transcript") == []:
            one["transcript"] = None
    assert of_steps == call.changes
    names = [event["event"] for event in events]
    first = ["call_initiated", "call_ended", "call_recording_ready", "fetch_messages"]
    assert [name for name in names if name in first[:2]] == first[:2]
    assert names.count("call_recording_ready") == len(call.recordings)
    updated = [set(event["data"]["changed"]) for event in events if event["event"] == "call_updated"]
    assert updated == [set(one) for one in history]
    seen: set[str] = set()
    for event in events:
        assert event["id"] == f"{call.call_id}:{event['event']}" + (f":{event['seq']}" if event["event"] in seen else "")
        seen.add(event["event"])
