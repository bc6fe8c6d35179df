"""A source: where calls come from. A user's own API key is one, an organization has any number of others. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

API_KIND: Final = "api"
"""The kind of a source that sends calls as the contract has them, with an API key."""

OVERLAP_HOURS: Final = 24.0
"""How long the key before a new one holds, unless a request says otherwise."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What a source is set to; a user's own key has the defaults."""

    recordings: Literal["now", "later"] = "now"
    """Whether a recording that is a URL is fetched before the call is stored, or afterwards."""
    historic: bool = False
    """Whether all its calls are from the past: dashboards show them without notice."""
    numbers: tuple[str, ...] = ()
    """The organization's own numbers, in E.164: they tell which side of a call is the contact."""
    agent_ids: tuple[str, ...] = ()
    """The vendor's agents whose calls are taken; none means all."""
    tolerance_s: float | None = None
    """How old a webhook's signature may be; None leaves it to the vendor's rules."""
    fetch_user: str | None = None
    sealed_fetch_password: str | None = field(default=None, repr=False)
    """What recordings are fetched with; the password is encrypted (`Keyring.unseal`)."""
    public_url: str | None = None
    """Scheme, host and port that Twilio calls, and what a proxy takes off the path: its signature covers the address."""
    proof: Literal["hmac", "secret", "standard"] | None = None
    """How Vapi proves that a webhook is its own; None is `hmac`."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a request. Ids are 24 hex digits; a user's own key has the user's id and full name."""

    id: str
    organization_id: str
    name: str
    kind: str = API_KIND
    settings: SourceSettings = field(default_factory=SourceSettings)

    @property
    def provider(self) -> str:
        """What its calls and their events have as `provider`."""
        return "external" if self.kind == API_KIND else self.kind


class SourceKey(NamedTuple):
    """An API key of a source, known by its SHA-256. Times are aware; without an end it holds until it is rotated."""

    digest: str
    created_at: datetime
    ends_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Say if the key holds at this moment."""
        return self.ends_at is None or now < self.ends_at


def rotated(keys: Sequence[SourceKey], digest: str, now: datetime, overlap: timedelta) -> tuple[SourceKey, ...]:
    """Return a source's keys after a new one was made: the new key, and the newest before it for as long as `overlap`.

    So no more than two are live. A key that was already ending ends at once.
    """
    latest = [key._replace(ends_at=now + overlap) for key in keys if key.ends_at is None]
    return (*(key for key in latest if key.is_live(now)), SourceKey(digest, now))
