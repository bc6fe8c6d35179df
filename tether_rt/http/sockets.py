"""Listening sockets, and how many connections fit under the process' limit on open files."""

from __future__ import annotations

import errno
import logging
import resource
import socket
from typing import Final, NamedTuple

from tether_rt.runtime.logs import log

_OWN_FILES: Final = 320
"""Descriptors that are neither connections nor dashboards: MongoDB, R2, files, the interpreter's own, 64 connections that are
being refused, and some fetches of recordings."""
_FETCH_FILES: Final = 384
"""Descriptors of many fetches, each with a socket and perhaps a file."""

_logger = logging.getLogger("tether.http")


class OpenFiles(NamedTuple):
    """How many connections and dashboards fit, at least one of each, and whether many fetches fit beside them."""

    connections: int
    dashboards: int
    many_fetches: bool


def fit_open_files(max_connections: int, max_dashboards: int) -> OpenFiles:
    """Raise the soft limit on open files as far as the hard limit allows; return what fits.

    If not all fit, connections get half of what there is, or more if the dashboards do not need the other half.
    """
    wanted = max_connections + max_dashboards
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OWN_FILES + _FETCH_FILES
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = min(wanted, max(2, soft - _OWN_FILES))
    if possible == wanted:
        return OpenFiles(max_connections, max_dashboards, soft >= needed)
    log(_logger, logging.WARNING, "few_open_files", wanted=wanted, possible=possible)
    connections = min(max_connections, max(possible // 2, possible - max_dashboards))
    return OpenFiles(connections, possible - connections, many_fetches=False)


def bind(host: str, port: int) -> list[socket.socket]:
    """Return a bound TCP socket for each address of `host`; connections are refused until `listen` is called on it.

    All sockets get the same port if `port` is 0. An address that this machine does not have is left out as long as another
    one can be bound: `localhost` has an IPv6 address where IPv6 is off. Raises `OSError`.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            chosen_port = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bound(family, (address[0], chosen_port, *address[2:])))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Without it [::] would take the port of 0.0.0.0 as well, which gets a socket of its own.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setblocking(False)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one
