"""A vendor's web server that sends an MP3 of so many bytes (its argument), as fast as it is read, and says its port."""

from __future__ import annotations

import socket
import sys

from bench.payloads import mp3


def main(size: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    piece = mp3(417 * 2_000)
    while True:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(4096)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: {size}\r\n\r\n".encode())
            left = size
            while left:
                connection.sendall(piece[:left])
                left -= min(left, len(piece))


if __name__ == "__main__":
    main(int(sys.argv[1]))
