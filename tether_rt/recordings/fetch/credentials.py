"""What a source's recordings are fetched with: for the hosts of its vendor alone."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

from tether_rt.recordings.fetch.url_policy import Target


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password for HTTP Basic (RFC 7617), or a bearer token (RFC 6750) where there is no user."""

    hosts: tuple[str, ...]
    """The vendor's hosts, each with all below it."""
    user: str | None
    password: str = field(repr=False)

    def for_target(self, target: Target) -> str | None:
        """Return the header `Authorization` for a request, None for a host that is not the vendor's or not encrypted."""
        is_vendors = any(target.host == host or target.host.endswith(f".{host}") for host in self.hosts)
        if not is_vendors or not (target.scheme == "https" or target.is_listed):
            return None
        if self.user is None:
            return f"Bearer {self.password}"
        return f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
