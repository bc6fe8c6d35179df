"""The command that erases: an `App` that takes no requests."""

from __future__ import annotations

import math
import re

from tether_rt.api.erasing import past_moment
from tether_rt.app import App
from tether_rt.domain.erasure import Erased, Kind
from tether_rt.domain.party import read_address
from tether_rt.domain.phone import same_telephone
from tether_rt.errors import BadRequest, TetherError
from tether_rt.mongo import client as store
from tether_rt.mongo.erasures import Asked, Erasures
from tether_rt.settings import Settings


async def erase(
    settings: Settings, organization: str, *, contact: str | None, call_id: str | None, before: str | None
) -> tuple[str, Kind, Erased]:
    """Erase what one of the three names, of the organization with this name; return its id, the kind, and what was erased.

    `contact` is a number, a SIP address or an id. Raises `BadRequest` if there is no such organization, contact or call.
    """
    kind: Kind = "contact" if contact is not None else "call" if call_id is not None else "before"
    moment = past_moment(before, "before") if before is not None else None
    app = App(settings)
    try:
        await app.start()
        organization_id = await app.users.organization_id(organization.strip())
        if organization_id is None:
            raise BadRequest(f"There is no organization named {organization.strip()!r}.")
        contact_id = await _contact_id(app, organization_id, contact) if contact is not None else None
        asked = Asked(organization_id, kind, None, "command", call_id=call_id, contact_id=contact_id, before=moment)
        erased = await app.eraser.erase(asked, math.inf)
        if erased is None:
            raise BadRequest(f"There is no such {kind}.")
        return organization_id, kind, erased
    except store.DriverError as error:
        raise store.unavailable(error) or TetherError(f"MongoDB refused: {error}") from error
    finally:
        await app.close()


async def _contact_id(app: App, organization_id: str, contact: str) -> str:
    if re.fullmatch(r"[0-9a-f]{24}", contact):
        return contact
    address = read_address(contact, "contact", other="")
    numbers = same_telephone(address) if address.startswith("+") else (address,)
    found = await Erasures(app.database).contact_with(organization_id, numbers)
    if found is None:
        raise BadRequest("There is no contact with this number.")
    return found
