"""The command that replays what was refused: an `App` that takes no requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from tether_rt.app import App
from tether_rt.domain.call import parse_time
from tether_rt.domain.delivery import COMMAND, FAILED, VERDICTS, Result
from tether_rt.errors import BadRequest, TetherError
from tether_rt.mongo import client as store
from tether_rt.mongo.deliveries import DeliveryFilter
from tether_rt.settings import Settings


def replay_filter(*, verdict: str | None, source: str | None, start: str | None) -> DeliveryFilter:
    """Return the filter of the command's options; raises `BadRequest` with what is wrong with one."""
    verdicts = FAILED if verdict is None else tuple(one for one in VERDICTS if one == verdict)
    if not verdicts:
        raise BadRequest(f"The verdict must be one of {', '.join(VERDICTS)}, not {verdict!r}.")
    return DeliveryFilter(source_id=source, verdicts=verdicts, start=_time(start) if start is not None else None)


def _time(text: str) -> datetime:
    try:
        moment = parse_time(text)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"--from must be a time such as 2026-05-15T09:10:00Z, not {text!r}.") from error
    return moment


async def replayed(settings: Settings, organization: str, chosen: DeliveryFilter) -> AsyncGenerator[tuple[str, Result], None]:
    """Replay the deliveries of the organization with this name, the oldest first; yield each id with what became of it.

    Raises `BadRequest` if there is no such organization, `Unavailable` when something that a replay needs is away.
    """
    app = App(settings)
    try:
        await app.start()
        organization_id = await app.users.organization_id(organization)
        if organization_id is None:
            raise BadRequest(f"There is no organization named {organization!r}.")
        async with aclosing(app.replays.each(organization_id, chosen, COMMAND)) as results:
            async for delivery, result in results:
                yield delivery["_id"], result
    except store.DriverError as error:
        raise store.unavailable(error) or TetherError(f"MongoDB refused: {error}") from error
    finally:
        await app.close()
