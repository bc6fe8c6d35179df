"""A stream of varied sample calls, posted over HTTP as a vendor does.

The transcript and the recording stay as they are, so only fields that nobody mentions in them are varied.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPResponse

from tether_rt.demo import samples
from tether_rt.domain.call import iso_ms
from tether_rt.runtime.logs import log

_FIRST_AFTER_S: Final = 1.0
_TIMEOUT_S: Final = 30.0
_COMPLETED_SHARE: Final = 0.75

# Numbers that belong to nobody: 555-01xx (North American Numbering Plan), 020 7946 0xxx (Ofcom), 06 39 98 xx xx (ARCEP).
_CANADA: Final = ("+14165550{}", 101, 199)
_LONDON: Final = ("+442079460{}", 100, 999)
_FRANCE: Final = ("+336399{}", 80_000, 89_999)

_SURNAMES: Final = ("Nair", "Shah", "Menon", "Patel", "Rao", "Kapoor")
_NAMES: Final = (
    "Tom Becker", "Aisha Khan", "Lucía Fernández", "Daniel Osei", "Ingrid Sørensen", "Marek Novák", "Chloé Martin",
    "Kenji Watanabe", "Fatima Zahra", "Owen Hughes", "Noor de Vries", "Samuel Adeyemi",
)  # fmt: skip

_LOG: Final = logging.getLogger("tether.simulation")


def sample_call(chance: random.Random, name: str, now: datetime) -> dict[str, Any]:
    """Return the ingest payload of a call like the sample `name`, with a new id, that starts `now`."""
    call = samples.payload(name)
    call["externalCallId"] = f"simulated-{uuid.UUID(int=chance.getrandbits(128), version=4)}"
    call["callStartTime"] = iso_ms(now)
    ours, theirs = ("fromNumber", "toNumber") if call["direction"] == "outbound" else ("toNumber", "fromNumber")
    form, first, last = {"+1": _CANADA, "+4": _LONDON, "+3": _FRANCE}[call[theirs][:2]]
    digits = chance.randint(first, last)
    call[theirs] = form.format(digits)
    # Derived from the number, so that a number has one name.
    if name == "appointment":  # the agent says "Priya"
        call["callerName"] = f"Priya {_SURNAMES[digits % len(_SURNAMES)]}"
    elif digits % 4:
        call["callerName"] = _NAMES[digits % len(_NAMES)]
    else:
        call.pop("callerName", None)
    if name == "delivery":
        call["metadata"] = {**call["metadata"], "parcel": f"PP-{chance.randint(1000, 9999)}"}
    if name == "failed":
        call["duration"] = round(chance.uniform(0.5, 9), 1)
        call["metadata"] = {**call["metadata"], "sipCode": chance.choice((408, 480, 500, 503))}
    assert call[ours] != call[theirs]
    return call


class Simulation:
    """Posts `per_minute` calls a minute to `url` with an API key."""

    def __init__(self, url: str, api_key: str, per_minute: int, chance: random.Random) -> None:
        self._address = f"{url}/api/calls/ingest"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._interval_s = 60 / per_minute
        self._chance = chance
        # Completed calls come in turn, so that chance does not leave one out for long.
        self._completed = 0

    async def run(self) -> None:
        """Post calls at even intervals until cancelled. A refused call is logged, and the next one follows."""
        client = AsyncHTTPClient(force_instance=True)
        loop = asyncio.get_running_loop()
        due = loop.time() + min(_FIRST_AFTER_S, self._interval_s)
        try:
            while True:
                await asyncio.sleep(due - loop.time())
                due = max(due + self._interval_s, loop.time())  # no burst after a stall
                await self._post(client, sample_call(self._chance, self._next_name(), datetime.now(UTC)))
        finally:
            client.close()

    def _next_name(self) -> str:
        if self._completed and self._chance.random() > _COMPLETED_SHARE:
            return self._chance.choice(samples.UNANSWERED)
        self._completed += 1
        return samples.COMPLETED[(self._completed - 1) % len(samples.COMPLETED)]

    async def _post(self, client: AsyncHTTPClient, call: dict[str, Any]) -> None:
        try:
            answer: HTTPResponse = await client.fetch(
                self._address, method="POST", headers=self._headers, body=json.dumps(call), request_timeout=_TIMEOUT_S
            )
        except HTTPClientError as error:
            reason = error.response.body.decode(errors="replace") if error.response and error.response.body else str(error)
            log(_LOG, logging.WARNING, "simulated_call_refused", status=error.code, reason=reason)
        except OSError as error:
            log(_LOG, logging.WARNING, "simulated_call_failed", reason=str(error))
        else:
            log(_LOG, logging.INFO, "simulated_call", status=answer.code, call_status=call["status"])
