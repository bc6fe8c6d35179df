"""The rules against server-side request forgery (SSRF): which URLs a recording may be fetched from. Pure.

The vendor chooses the URL, so every URL is taken for an attack until it is checked. For each hop there are two questions: may
this URL be tried at all (`judge_url`), and, once its host is resolved, may the server connect to this address (`is_public`)?
The server connects to, and sends, the parts that `judge_url` returns, so no second parser can read the URL differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from tether_rt.errors import BadRequest, ConfigError

Address = IPv4Address | IPv6Address

MAX_URL_CHARS: Final = 8192

# Web servers listen on these four. On other ports a request could reach somebody's mail server or database in our name; an
# operator allows any other with TETHER_PRIVATE_RECORDING_HOSTS.
_PORTS: Final = frozenset({80, 443, 8080, 8443})
_DEFAULT_PORT: Final = {"http": 80, "https": 443}

# The IANA registries of special-purpose addresses; `ipaddress.is_global` differs between releases of Python.
_NOT_PUBLIC_4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598), and a cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent, public by number only
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_UNICAST_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: tunnels to the IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# A translator connects these to the IPv4 address in their last 32 bits (RFC 6052); DNS64 makes them for public hosts, too.
_NAT64: Final = IPv6Network("64:ff9b::/96")

_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
# URL parsers (WHATWG section 3.5, "ends in a number") and getaddrinfo read these as IPv4 addresses: 2130706433, 0x7f.1, 0177.1
_NUMERIC: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed `judge_url`: where to connect and what to request.

    `host` is a lower-case ASCII name or an IP address without brackets, `address` that address if it is one. `is_listed`:
    the operator allows this host and port even though it is not public.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None
    is_listed: bool
    authorization: str | None = field(default=None, repr=False)
    """The header of that name, for this very host."""

    @property
    def host_header(self) -> str:
        """RFC 9110 section 7.2."""
        pair = _pair(self.host, self.port)
        return pair.removesuffix(f":{self.port}") if self.port == _DEFAULT_PORT[self.scheme] else pair

    @property
    def url(self) -> str:
        """The URL as judged, for resolving a relative redirect."""
        return f"{self.scheme}://{self.host_header}{self.path}"


def listed_hosts(pairs: Iterable[str]) -> frozenset[str]:
    """Return the operator's `host:port` pairs in the one spelling that `judge_url` compares with; raises `ConfigError`."""
    listed = set()
    for pair in pairs:
        host, _, port = pair.rpartition(":")
        try:
            name, _ = _host(host)
            listed.add(_pair(name, int(port)))
        except (BadRequest, ValueError) as error:
            raise ConfigError(f"TETHER_PRIVATE_RECORDING_HOSTS must hold host:port pairs, not {pair}.") from error
    return frozenset(listed)


def judge_url(url: str, listed: frozenset[str] = frozenset()) -> Target:
    """Return what to connect to for `url`; `listed` (from `listed_hosts`) may be reached although not public.

    Raises `BadRequest` with the reason for: a scheme other than http and https, a user or password, a host that is no plain
    name or address (decimal, octal, hex and shortened forms, IPv6 zones), an address that is not public, an unusual port.
    """
    if len(url) > MAX_URL_CHARS:
        raise BadRequest(f"recording is a URL of more than {MAX_URL_CHARS} characters")
    # `urlsplit` silently drops tabs and line breaks; browsers read a backslash as a slash.
    if _CONTROL.search(url):
        raise BadRequest("recording is a URL with a backslash or a control character in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRequest("recording is not a valid URL") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORT:
        raise BadRequest("recording must be base64 or a URL that starts with http:// or https://")
    if "@" in parts.netloc:
        raise BadRequest("recording is a URL with a user name or password in it; only plain URLs are fetched")
    port = _DEFAULT_PORT[scheme] if port is None else port
    host, address = _host(parts.netloc)
    is_listed = _pair(host, port) in listed
    if not is_listed:
        if address is not None and not is_public(address):
            raise not_public()
        if port not in _PORTS:
            raise BadRequest(f"recording is a URL with port {port}; only 80, 443, 8080 and 8443 are fetched from")
    return Target(scheme, host, port, _request_target(parts.path, parts.query), address, is_listed)


def redirected(target: Target, location: str) -> str:
    """Return the URL, not yet judged, to which the answer of `target` redirects (RFC 9110 section 10.2.2)."""
    if _CONTROL.search(location):
        raise BadRequest("recording is a URL with a backslash or a control character in it")
    try:
        return urljoin(target.url, location)
    except ValueError as error:
        raise BadRequest("recording is not a valid URL") from error


def not_public() -> BadRequest:
    """Return the refusal of an address that is not public. It does not say which address a name resolved to."""
    return BadRequest("recording points to an address that is not public")


def is_public(address: Address) -> bool:
    """Whether `address` is one that the whole internet can reach.

    False for loopback, private, link-local, multicast, carrier-grade NAT, metadata, documentation, benchmark, reserved and
    unspecified addresses, and for IPv6 forms that carry such an IPv4 address (mapped, compatible, 6to4, NAT64, Teredo).
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    embedded = address.ipv4_mapped
    if embedded is None and address in _NAT64:
        embedded = IPv4Address(int(address) & 0xFFFF_FFFF)
    if embedded is not None:
        return is_public(embedded)
    return (
        address in _GLOBAL_UNICAST_6 and address.scope_id is None and not any(address in network for network in _NOT_PUBLIC_6)
    )


def _pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(netloc: str) -> tuple[str, Address | None]:
    """Return the host of a URL's authority as plain name or address text, and the address if it is one."""
    text = netloc if netloc.endswith("]") else re.sub(r":[0-9]*\Z", "", netloc)
    if text.startswith("["):
        try:
            address = ip_address(text[1:-1])
        except ValueError as error:
            raise _bad_host() from error
        if not text.endswith("]") or not isinstance(address, IPv6Address) or address.scope_id is not None:
            raise _bad_host()
        return str(address), address
    try:
        # IDNA (RFC 3490) first: its name preparation turns full-width digits and dots into plain ones.
        name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise _bad_host() from error
    try:
        address = IPv4Address(name)
    except ValueError as error:
        if _NUMERIC.fullmatch(name) or not _HOST_NAME.fullmatch(name):
            raise _bad_host() from error
        return name, None
    return name, address


def _request_target(path: str, query: str) -> str:
    """Percent-encode what a request line may not hold (RFC 9112 section 3.2.1), as browsers do; the fragment is not sent."""
    try:
        return quote(path or "/", safe="/%:@!$&'()*+,;=") + (
            "?" + quote(query, safe="/%:@!$&'()*+,;=?[]|^`{}") if query else ""
        )
    except UnicodeError as error:
        raise BadRequest("recording is not a valid URL") from error


def _bad_host() -> BadRequest:
    return BadRequest("recording is a URL whose host is neither a plain name nor a plain IP address")
