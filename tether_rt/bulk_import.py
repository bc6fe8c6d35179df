"""`tether-rt import`: send a file of calls to the ingest, one line each, and resume where it was stopped.

Beside the file `calls.jsonl` stand `calls.done.jsonl`, which names each line that is stored and is read by the next run, and
`calls.refused.jsonl`, the lines that were refused. A refused line is sent again by the next run, so it can be mended in either
file. Memory holds the lines in flight, and four bytes for each line of the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from tether_rt.errors import BadRequest, TetherError
from tether_rt.runtime.backoff import Backoff

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""A longer line is refused without being sent; servers take less."""
MAX_REFUSALS: Final = 1_000
"""Refusals that the report describes; of more it has the number alone."""
GIVE_UP_S: Final = 900.0
"""An import stops when one line was not answered for so long."""
_INGEST_PATH: Final = "/api/calls/ingest"
_PROGRESS_S: Final = 5.0
_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 180.0
"""The server may fetch a recording before it answers."""
_BACKOFF: Final = Backoff(0.5, 30.0)
_FAILURES: Final = 5
"""After so many answers of 500 a line counts as refused, so that the others go on."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _Line(NamedTuple):
    number: int
    """Beginning with 1."""
    content: bytes
    is_whole: bool
    """False for a line that is too long, of which `content` is the beginning."""


class _Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    retry_after_s: float | None


@dataclass(slots=True)
class Report:
    """What became of a file's lines."""

    lines: int = 0
    created: int = 0
    duplicates: int = 0
    differing: int = 0
    """Duplicates whose stored call came from another body."""
    stored_before: int = 0
    """Lines that an earlier run had sent."""
    refused: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)
    """The first of them: `{line, code, field, error}`."""

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        payload = {
            "lines": self.lines,
            "created": self.created,
            "duplicates": self.duplicates,
            "payloadDiffers": self.differing,
            "storedBefore": self.stored_before,
            "refusedLines": self.refused,
            "refused": sorted(self.refusals, key=lambda refusal: int(refusal["line"])),
        }
        return json.dumps(payload, ensure_ascii=False)

    def __str__(self) -> str:
        return (
            f"{self.lines:,} lines: {self.created:,} created, {self.duplicates:,} duplicates, "
            f"{self.stored_before:,} stored before, {self.refused:,} refused"
        )


class Journal:
    """The lines that are stored, in a file that outlives the import: number, checksum and the call's id.

    It belongs to one address and one key: what one organization has stored, another one has not.
    """

    def __init__(self, path: Path, url: str, key: str) -> None:
        """Read what an earlier import has left; raises `BadRequest` if that was for another address or key."""
        self._checksums = array("I")  # by line number - 1; 0: not stored
        self._file = path.open("a+b")
        self._file.seek(0)
        owner = {"url": url, "key": hashlib.sha256(key.encode()).hexdigest()[:16]}
        end = 0
        for raw in self._file:
            if not raw.endswith(b"\n"):  # the import was stopped while it wrote
                break
            entry = json.loads(raw)
            if end:
                self._note(entry["line"], entry["checksum"])
            elif entry != owner:
                raise BadRequest(
                    f"{path} is of an import to another address or with another key: give those, or remove it to send all lines"
                )
            end += len(raw)
        self._file.truncate(end)
        if not end:
            self._write(owner)

    def has(self, line: _Line) -> bool:
        """Say if this line, as it is now, is stored."""
        return line.number <= len(self._checksums) and self._checksums[line.number - 1] == _checksum(line)

    def add(self, line: _Line, call_id: str) -> None:
        """Note that a line is stored."""
        self._note(line.number, _checksum(line))
        self._write({"line": line.number, "checksum": _checksum(line), "callId": call_id})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _note(self, number: int, checksum: int) -> None:
        if number > len(self._checksums):
            self._checksums.extend([0] * (number - len(self._checksums)))
        self._checksums[number - 1] = checksum

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()


class Import:
    """Sends the lines of a file that are not stored yet, `concurrency` at a time."""

    def __init__(self, path: Path, url: str, key: str, *, concurrency: int, progress: IO[str] = sys.stderr) -> None:
        """Raises `BadRequest` for an address or a key that cannot be one."""
        if not url.startswith(("http://", "https://")):
            raise BadRequest(f"--url must begin with http:// or https://, not {url!r}.")
        if not key or not key.isascii() or not key.isprintable():
            raise BadRequest("--key must be an API key, such as tk_live_…")
        self._path = path
        self._url = url.rstrip("/").removesuffix(_INGEST_PATH) + _INGEST_PATH
        self._key = key
        self._concurrency = concurrency
        self._progress = progress
        self._report = Report()
        self._trouble = ""
        """Why a line is being sent again, since the last progress was shown."""
        self._refused: IO[bytes] | None = None
        self._refused_path = path.with_suffix(".refused.jsonl")

    async def run(self) -> Report:
        """Send the lines and return what became of them.

        Raises `BadRequest` if the server refuses the address or the key, `TetherError` if it cannot be reached for
        `GIVE_UP_S`. What was stored until then is not sent again by the next run.
        """
        if self._refused_path.exists():  # perhaps with lines that somebody has begun to mend
            os.replace(self._refused_path, self._refused_path.with_name(self._refused_path.name + "~"))
        self._client = AsyncHTTPClient(force_instance=True, max_clients=self._concurrency)
        self._journal = Journal(self._path.with_suffix(".done.jsonl"), self._url, self._key)
        try:
            with self._path.open("rb") as file:
                lines = self._unsent(file)
                showing = asyncio.create_task(self._show_progress(file))
                workers = [asyncio.create_task(self._work(lines)) for _ in range(self._concurrency)]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for task in (showing, *workers):
                        task.cancel()
                    await asyncio.gather(showing, *workers, return_exceptions=True)
        finally:
            self._journal.close()
            self._client.close()
            if self._refused is not None:
                self._refused.close()
        self._say(str(self._report))
        return self._report

    def _unsent(self, file: IO[bytes]) -> Iterator[_Line]:
        for line in _lines(file):
            self._report.lines += 1
            if self._journal.has(line):
                self._report.stored_before += 1
            else:
                yield line

    async def _work(self, lines: Iterator[_Line]) -> None:
        for line in lines:
            if not line.is_whole:
                sentence = f"The line has more than {MAX_LINE_BYTES >> 20} MB"
                self._refuse(line, {"code": "too_large", "field": None, "error": sentence})
                continue
            answer = await self._answer(line)
            if answer.status in (200, 201):
                self._report.created += answer.status == 201
                self._report.duplicates += answer.status == 200
                self._report.differing += bool(answer.body.get("payloadDiffers"))
                self._journal.add(line, str(answer.body.get("callId")))
            else:
                self._refuse(line, {name: answer.body.get(name) for name in ("code", "field", "error")})

    async def _answer(self, line: _Line) -> _Answer:
        """Send a line until there is an answer that stays."""
        began_s = time.monotonic()
        attempts = failures = 0
        while True:
            attempts += 1
            answer = await self._post(line)
            if isinstance(answer, _Answer):
                trouble = f"{answer.status} {answer.body.get('error', '')}".strip()
                failures += answer.status == 500
                if answer.status in (401, 403, 404, 405) or 300 <= answer.status < 400:
                    raise BadRequest(f"{self._url} answers {trouble or 'with a redirect'}")
                if (answer.status < 500 and answer.status not in (408, 425, 429)) or failures >= _FAILURES:
                    return answer
            else:
                trouble = str(answer) or type(answer).__name__
            if time.monotonic() - began_s > GIVE_UP_S:
                raise TetherError(f"Line {line.number} was not taken for {GIVE_UP_S:g} s: {trouble}. Run this again later")
            self._trouble = trouble
            asked_s = answer.retry_after_s if isinstance(answer, _Answer) else None
            await asyncio.sleep(max(asked_s or 0.0, _BACKOFF.wait_s(attempts)))

    async def _post(self, line: _Line) -> _Answer | BaseException:
        """Return the answer, or why there is none."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = HTTPRequest(
            self._url,
            "POST",
            headers=headers,
            body=line.content,
            connect_timeout=_CONNECT_S,
            request_timeout=_ANSWER_S,
            follow_redirects=False,
        )
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError) as error:
            return error
        return response.error or TimeoutError() if response.code == 599 else _answer_of(response)

    def _refuse(self, line: _Line, fault: dict[str, Any]) -> None:
        self._report.refused += 1
        if len(self._report.refusals) < MAX_REFUSALS:
            self._report.refusals.append({"line": line.number, **fault})
        if line.is_whole:
            if self._refused is None:
                self._refused = self._refused_path.open("wb")
            self._refused.write(line.content + b"\n")
            self._refused.flush()

    async def _show_progress(self, file: IO[bytes]) -> None:
        size = max(1, self._path.stat().st_size)
        while True:
            await asyncio.sleep(_PROGRESS_S)
            trouble = f"; waiting: {self._trouble}" if self._trouble else ""
            self._say(f"{file.tell() * 100 // size} %, {self._report}{trouble}")
            self._trouble = ""

    def _say(self, text: str) -> None:
        print(text, file=self._progress, flush=True)


def _lines(file: IO[bytes]) -> Iterator[_Line]:
    """Yield the lines that are not blank."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES):
        number += 1
        is_whole = len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n")
        rest = raw
        while not rest.endswith(b"\n") and len(rest) == MAX_LINE_BYTES:
            rest = file.readline(MAX_LINE_BYTES)
        content = (raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw).strip()
        if content:
            yield _Line(number, content, is_whole)


def _checksum(line: _Line) -> int:
    return zlib.crc32(line.content) or 1


def _answer_of(response: HTTPResponse) -> _Answer:
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None  # of a proxy, perhaps
    wait = response.headers.get("Retry-After", "")
    return _Answer(response.code, body if isinstance(body, dict) else {}, float(wait) if wait.isdecimal() else None)
