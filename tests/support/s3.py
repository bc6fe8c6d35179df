"""A real S3 server over HTTP (moto) in a process of its own, and one bucket to begin with.

from tests.support.s3 import s3_server# noqa: F401  makes the fixture known to a conftest.py

def test_something(s3_server: S3Server) -> None:
    bucket = s3_server.create_bucket()
    ...  # s3_server.endpoint_url, S3Server.ACCESS_KEY_ID, S3Server.SECRET_ACCESS_KEY
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

_ROOT = Path(__file__).parents[2]


class S3Server:
    """`start` it, use `endpoint_url` with any credentials, `stop` it; it also ends when this process does."""

    ACCESS_KEY_ID: ClassVar = "AKIDFORTESTS"
    SECRET_ACCESS_KEY: ClassVar = "a-secret-for-tests"

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.endpoint_url = ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, port: int = 0) -> None:
        """Listen on `port` (0: any). A stopped server may be started again on its port; it has forgotten everything."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.s3", str(port)],
            cwd=_ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the S3 server did not start"
        self.endpoint_url = f"http://127.0.0.1:{line}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def create_bucket(self, name: str | None = None) -> str:
        """Create a bucket (named for you unless you do) and return its name."""
        name = name or f"recordings-{uuid.uuid4().hex[:12]}"
        self._call("PUT", name)
        return name

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return an object's bytes, or None when there is no such object."""
        return self._call("GET", f"{bucket}/{quote(key)}")

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        self._call("DELETE", f"{bucket}/{quote(key)}")

    def keys(self, bucket: str) -> list[str]:
        """Return the bucket's keys."""
        listing = (self._call("GET", f"{bucket}?list-type=2") or b"").decode()
        return [part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]]

    def unfinished_uploads(self, bucket: str) -> int:
        """Return how many multipart uploads were neither completed nor aborted."""
        return (self._call("GET", f"{bucket}?uploads") or b"").count(b"<UploadId>")

    def unfinished_parts(self, bucket: str) -> int:
        """Return how many parts those uploads have."""
        listing = (self._call("GET", f"{bucket}?uploads") or b"").decode()
        uploads = re.findall("<UploadId>([^<]+)</UploadId><Key>([^<]+)</Key>", listing)
        parts = (self._call("GET", f"{bucket}/{quote(key)}?uploadId={quote(name)}") or b"" for name, key in uploads)
        return sum(listed.count(b"<Part>") for listed in parts)

    def _call(self, method: str, path: str) -> bytes | None:
        # Moto reads the region from the credential scope and checks no signature.
        scope = f"{self.ACCESS_KEY_ID}/20260101/us-east-1/s3/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        request = Request(f"{self.endpoint_url}/{path}", method=method, headers={"Authorization": authorization})
        try:
            with urlopen(request, timeout=30) as answer:
                return bytes(answer.read())
        except OSError as error:
            if getattr(error, "code", None) == 404:
                error.close()  # type: ignore[attr-defined]
                return None
            raise


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _serve(port: int) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)
    locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        # Of two at once that write one key, moto answers 500 to the first: it closes what the second replaced.
        with locks[environ["PATH_INFO"]]:
            return list(moto(environ, start_response))

    server = make_server("127.0.0.1", port, one_at_a_time, threaded=True, request_handler=MotoRequestHandler)
    print(server.server_port, flush=True)  # noqa: T201
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server.serve_forever()


def _end_with_parent() -> None:
    # Standard input ends when the parent does, however it ends.
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    _serve(int(sys.argv[1]))
