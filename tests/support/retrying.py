"""A vendor that posts many calls at once, repeats each until it is acknowledged, and records every answer."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.service import Tenant

PATIENCE_S = 30.0
"""After this a request counts as hung. The promise is an answer within 5 s; a busy machine takes several times as long."""
LONGEST_PAUSE_S = 0.5
"""`Retry-After` is honoured up to here, so that a test does not take as long as an outage."""


@dataclass(eq=False)
class Delivery:
    """One call and what became of it."""

    body: dict[str, Any]
    user_id: str
    organization_id: str
    statuses: list[int] = field(default_factory=list)
    call_id: str | None = None
    """As acknowledged by a 201 or 200."""


class RetryingVendor:
    """One API key's calls, posted to one server or to several that share a database."""

    def __init__(self, tenant: Tenant, base_urls: Sequence[str] = ()) -> None:
        self._tenant = tenant
        self._base_urls = list(base_urls) or [tenant.base_url]
        self.ledger: list[Delivery] = []
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        """Requests whose connection was refused or broke before the answer."""
        self.hung = 0
        self.wrong: list[str] = []
        """Answers that the contract does not allow."""
        self.busy: list[str] = []
        """The sentences of those with 503."""
        self._changed = asyncio.Condition()

    @property
    def acknowledged(self) -> list[Delivery]:
        return [delivery for delivery in self.ledger if delivery.call_id is not None]

    async def deliver(self, calls: Iterable[dict[str, Any]], at_once: int = 24) -> None:
        """Post the calls, `at_once` at a time, each until it is acknowledged."""
        waiting = (self._note(call) for call in calls)

        async def line(number: int) -> None:
            for delivery in waiting:
                await self._insist(delivery, number)

        async with asyncio.TaskGroup() as lines:
            for number in range(at_once):
                lines.create_task(line(number))

    async def post(self, call: dict[str, Any], door: int = 0) -> tuple[int, Any]:
        """Post once and return status and body; 0 when the connection broke or hung."""
        return await self._post(self._note(call), door)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; looked at after every answer."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def until_acknowledged(self, count: int) -> None:
        await self.until(lambda: len(self.acknowledged) >= count)

    def _note(self, call: dict[str, Any]) -> Delivery:
        delivery = Delivery(call, self._tenant.user_id, self._tenant.organization_id)
        self.ledger.append(delivery)
        return delivery

    async def _insist(self, delivery: Delivery, door: int) -> None:
        while delivery.call_id is None:
            status, _ = await self._post(delivery, door)
            if status not in (200, 201, 503, 0):
                return  # noted as wrong; asking again would not mend it
            if delivery.call_id is None:
                door += 1
                await asyncio.sleep(LONGEST_PAUSE_S if status else LONGEST_PAUSE_S / 5)

    async def _post(self, delivery: Delivery, door: int) -> tuple[int, Any]:
        url = self._base_urls[door % len(self._base_urls)]
        headers = {"Authorization": f"Bearer {self._tenant.api_key}", "Content-Type": "application/json"}
        try:
            async with self._tenant.http.post(
                f"{url}/api/calls/ingest",
                data=io.BytesIO(json.dumps(delivery.body).encode()),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
            ) as response:
                status, body, retry_after = response.status, await response.json(), response.headers.get("Retry-After")
        except TimeoutError:
            status, body, retry_after = 0, None, None
            self.hung += 1
        except (aiohttp.ClientError, OSError):
            status, body, retry_after = 0, None, None
            self.broken += 1
        await self._judge(delivery, status, body, retry_after)
        return status, body

    async def _judge(self, delivery: Delivery, status: int, body: Any, retry_after: str | None) -> None:
        delivery.statuses.append(status)
        self.statuses[status] += 1
        if status in (200, 201):
            call_id = str(body["callId"])
            if delivery.call_id not in (None, call_id):
                self.wrong.append(f"the same call was acknowledged as {delivery.call_id} and as {call_id}")
            if status == 201 and delivery.statuses.count(201) > 1:
                self.wrong.append(f"{call_id} was created twice")
            delivery.call_id = call_id
        elif status == 503:
            self.busy.append(str(body.get("error")))
            if not (retry_after or "").isdigit() or body.get("success") is not False or not body.get("error"):
                self.wrong.append(f"503 without Retry-After or its sentence: {body}")
        elif status:
            self.wrong.append(f"{status}: {body}")
        async with self._changed:
            self._changed.notify_all()
