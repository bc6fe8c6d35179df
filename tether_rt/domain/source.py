"""A source: where calls come from. A user's own API key is one, an organization has any number of others. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

API_KIND: Final = "api"
"""The kind of a source that sends calls as the contract has them."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What a source is set to; a user's own key has the defaults."""

    recordings: Literal["now", "later"] = "now"
    """Whether a recording that is a URL is fetched before the call is stored, or afterwards."""
    historic: bool = False
    """Whether all its calls are from the past: dashboards show them without notice."""


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
