"""Tornado: `write_message` in a loop, as its chat demo does it."""

from __future__ import annotations

import uvloop
from fanout import obey
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

waiters: set[WebSocketHandler] = set()


class Dashboard(WebSocketHandler):
    def open(self) -> None:
        self.set_nodelay(True)
        waiters.add(self)

    def on_close(self) -> None:
        waiters.remove(self)


def send(text: str) -> None:
    for waiter in waiters:
        try:
            waiter.write_message(text)
        except WebSocketClosedError:
            continue


async def main() -> None:
    sockets = bind_sockets(0, "127.0.0.1", backlog=4096)
    HTTPServer(Application([("/ws", Dashboard)])).add_sockets(sockets)
    await obey(sockets[0].getsockname()[1], lambda text: lambda: send(text))


uvloop.run(main())
