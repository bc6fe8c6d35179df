"""A source: where calls come from. A user's own API key is one, an organization has any number of others. No I/O.

A source of the kind `api` has API keys. One of a vendor's kind has an address of its own, to which the vendor's webhooks go,
and secrets that prove that they come from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

SourceKind = Literal["api", "elevenlabs", "retell", "vapi", "twilio", "bland", "standard", "telnyx", "quo"]
"""How a source sends: `api` as the contract has it, with an API key; `standard` the same by Standard Webhooks; each other one
as the vendor of that name."""
KINDS: Final[tuple[SourceKind, ...]] = get_args(SourceKind)
API_KIND: Final = "api"

Proof = Literal["hmac", "secret", "standard"]
"""How Vapi proves that a webhook is its own, as its customer has set it: HMAC, the secret itself, or Standard Webhooks."""

MAX_SECRETS: Final = 5
"""Of one source: old and new ones hold together while they are being replaced."""

STANDARD_KIND: Final = "standard"
"""The kind of a source that sends the contract's own body in a signed webhook (Standard Webhooks)."""

EXTERNAL: Final = "external"
"""What calls of a source of the kind `api` have as `provider`."""
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
    public_url: str | None = None
    """Scheme, host and port that Twilio calls, and what a proxy takes off the path: its signature covers the address."""
    proof: Proof | None = None
    """How Vapi proves that a webhook is its own; None is `hmac`."""
    fetch_user: str | None = None
    sealed_fetch_password: str | None = field(default=None, repr=False)
    """What recordings are fetched with; the password is encrypted (`Keyring.unseal`)."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a request. Ids are 24 hex digits; a user's own key has the user's id and full name."""

    id: str
    organization_id: str
    name: str
    kind: SourceKind = API_KIND
    settings: SourceSettings = field(default_factory=SourceSettings)

    @property
    def takes_contract(self) -> bool:
        """Whether its calls must have all that the contract asks for; most vendors' webhooks never have some of that."""
        return self.kind in (API_KIND, STANDARD_KIND)

    @property
    def provider(self) -> str:
        """What its calls and their events have as `provider`."""
        return EXTERNAL if self.kind == API_KIND else self.kind

    @property
    def webhook_path(self) -> str | None:
        """The path of the address that a vendor sends to; None for a source with API keys."""
        return None if self.kind == API_KIND else f"/api/webhook/{self.kind}/{self.id}"


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


def read_public_url(text: str) -> str | None:
    """Return an address that consists of scheme, host and perhaps a port and a path, without a slash at its end.

    None for anything else.
    """
    try:
        url = urlsplit(text)
        is_usable = (
            text.isascii()
            and text.isprintable()
            and " " not in text
            and url.scheme in ("http", "https")
            and bool(url.hostname)
            and url.port != 0
            and "@" not in url.netloc
            and "?" not in text
            and "#" not in text
        )
    except ValueError:  # a port that is none
        is_usable = False
    return text.rstrip("/") if is_usable else None
