"""Sample calls as a stream: varied, and posted over real HTTP as a vendor would.

What is said in a recording stays what the transcript and the metadata say: only what nobody speaks of is varied.
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
    """Return the ingest payload of one call like the sample `name`, which starts `now` and has an id of its own."""
    call = samples.payload(name)
    call["externalCallId"] = f"simulated-{uuid.UUID(int=chance.getrandbits(128), version=4)}"
    call["callStartTime"] = iso_ms(now)
    ours, theirs = ("fromNumber", "toNumber") if call["direction"] == "outbound" else ("toNumber", "fromNumber")
    form, first, last = {"+1": _CANADA, "+4": _LONDON, "+3": _FRANCE}[call[theirs][:2]]
    digits = chance.randint(first, last)
    call[theirs] = form.format(digits)
    # From the number, so that who calls again is called the same.
    if name == "appointment":  # the agent asks for Priya
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
    """Posts `per_minute` calls a minute to `url` with an API key until it is cancelled."""

    def __init__(self, url: str, api_key: str, per_minute: int, chance: random.Random) -> None:
        self._address = f"{url}/api/calls/ingest"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._interval_s = 60 / per_minute
        self._chance = chance
        # Spoken calls in turn, so that none is missed for long by chance.
        self._spoken = 0

    async def run(self) -> None:
        """Post call after call, evenly; one that is refused is logged and the next one follows all the same."""
        client = AsyncHTTPClient(force_instance=True)
        loop = asyncio.get_running_loop()
        due = loop.time() + min(_FIRST_AFTER_S, self._interval_s)
        try:
            while True:
                await asyncio.sleep(due - loop.time())
                due = max(due + self._interval_s, loop.time())  # after a stall it goes on, and does not catch up in a burst
                await self._post(client, sample_call(self._chance, self._next_name(), datetime.now(UTC)))
        finally:
            client.close()

    def _next_name(self) -> str:
        if self._spoken and self._chance.random() > _COMPLETED_SHARE:
            return self._chance.choice(samples.UNANSWERED)
        self._spoken += 1
        return samples.COMPLETED[(self._spoken - 1) % len(samples.COMPLETED)]

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
