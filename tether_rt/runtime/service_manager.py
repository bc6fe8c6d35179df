"""Tell systemd where the process is in its life: the protocol of `sd_notify`, one datagram for each state.

The packages for it are bindings to libsystemd, which a container lacks, or are not kept any more. The protocol is documented
and fixed: the manual page sd_notify(3).
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.server")


def notify(state: str) -> None:
    """Send `state`, such as `READY=1`, to the socket that `NOTIFY_SOCKET` names; without one, do nothing.

    A service manager that does not listen is no reason to fail: it decides by itself what an unheard service means.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError as error:
            log(_LOG, logging.WARNING, "service_manager_not_told", state=state, reason=error.strerror)
