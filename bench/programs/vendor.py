"""A vendor's web server: answers each GET with an MP3 of so many bytes after so many milliseconds (its arguments).

It says its port. No two addresses lead to the same recording; it is sent as fast as it is read.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys

import uvloop

from bench.payloads import mp3


async def main(size: int, delay_s: float) -> None:
    frame_bytes = 417
    piece = memoryview(mp3(frame_bytes * 2_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: {size}\r\n\r\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(delay_s)
                first = mp3(frame_bytes, hashlib.sha256(request.partition(b"\r\n")[0]).digest())[:frame_bytes]
                writer.write(head + first)
                left = size - len(first)
                while left > 0:
                    writer.write(piece[:left])
                    await writer.drain()
                    left -= min(left, len(piece))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
