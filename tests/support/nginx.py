"""A real nginx with the configurations of `docs/proxy.md`, in front of servers that a test runs."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from tests.support.certificate import contexts
from tests.support.documents import ROOT, blocks
from tests.support.service import Tenant

PAGE: Final = "docs/proxy.md"
UNPACKED: Final = ROOT / ".tools" / "nginx" / "usr" / "sbin" / "nginx"
"""Where `make tools` unpacks Debian's package, which is not installed: its service would be started."""
Changes = Sequence[tuple[str, str]]
"""Texts of the documented configuration, and what stands in their place."""

UNBUFFERED: Final[Changes] = [
    ("proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;")
]
TAKES_THE_PATH_OFF: Final[Changes] = [("proxy_pass http://tether;", "proxy_pass http://tether/;")]
_MAIN: Final = """
daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 512; }}
http {{
access_log access.log;
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
{sites}
}}
"""


@dataclass
class Nginx:
    """A running nginx, and a client that trusts its certificate."""

    url: str
    certificate: Path
    http: aiohttp.ClientSession

    def tenant(self, tenant: Tenant) -> Tenant:
        """Return a tenant of a server behind it, who goes through it."""
        return replace(tenant, base_url=self.url + urlsplit(tenant.base_url).path, http=self.http, sockets=[])


@asynccontextmanager
async def nginx(
    folder: Path, servers: Sequence[str], *, below_path: bool = False, changes: Changes = ()
) -> AsyncIterator[Nginx]:
    """Run nginx with the documented configuration, at the root or below /tether, until the block ends."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - takes no time
    _, client = contexts(folder)
    port = _free_port()
    own: Changes = [
        (
            "    server 10.0.0.11:2212;\n    server 10.0.0.12:2212;\n",
            "".join(f"    server {urlsplit(url).netloc};\n" for url in servers),
        ),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("server_name calls.example.com;", "server_name localhost;"),
        ("/etc/ssl/calls.example.com.pem", "localhost.pem"),
        ("/etc/ssl/calls.example.com.key", "localhost.pem"),
    ]
    sites = documented(below_path=below_path)
    for text, instead in [*own, *changes]:
        assert text in sites, f"{PAGE} has no {text!r}"
        sites = sites.replace(text, instead)
    (folder / "nginx.conf").write_text(_MAIN.format(sites=sites))
    with (folder / "nginx.log").open("wb") as log:
        command = (_program(), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr")
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while not await _listens(port):
            assert process.returncode is None, (folder / "nginx.log").read_text()
            await asyncio.sleep(0.02)
        connector = aiohttp.TCPConnector(ssl=client, limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Nginx(f"https://localhost:{port}", folder / "localhost.pem", http)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def documented(*, below_path: bool) -> str:
    """Return the configuration of the page; below a path the second block stands in the place of the first one's locations."""
    root, locations = blocks(PAGE, "nginx")
    return (
        re.sub(r"^    location / \{.*\n\}\n\Z", lambda _: f"{locations}}}\n", root, flags=re.M | re.S) if below_path else root
    )


def _program() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or (str(UNPACKED) if UNPACKED.exists() else None)
    assert found, "nginx is missing: make tools"
    return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True
