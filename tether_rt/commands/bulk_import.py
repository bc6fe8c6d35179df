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
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from tether_rt.client import INGEST_PATH, Client, GaveUp, Refused, Retries
from tether_rt.errors import BadRequest, TetherError

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""A longer line is refused without being sent; servers take less."""
MAX_REFUSALS: Final = 1_000
"""Refusals that the report describes; of more it has the number alone."""
GIVE_UP_S: Final = 900.0
"""An import stops when one line was not answered for so long."""
_PROGRESS_S: Final = 5.0
_RETRIES: Final = Retries(longest_s=30.0, give_up_s=GIVE_UP_S, server_errors=5)
"""After so many answers of 500 a line counts as refused, so that the others go on."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _Line(NamedTuple):
    number: int
    """Beginning with 1."""
    content: bytes
    is_whole: bool
    """False for a line that is too long, of which `content` is the beginning."""


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
        """Raises `ValueError` for an address or a key that cannot be one."""
        base_url = url.rstrip("/").removesuffix(INGEST_PATH)
        self._client = Client(base_url, api_key=key, retries=_RETRIES, on_retry=self._note_trouble)
        self._path = path
        self._url = base_url + INGEST_PATH
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
        self._journal = Journal(self._path.with_suffix(".done.jsonl"), self._url, self._key)
        try:
            async with self._client:
                await self._send_all()
        finally:
            self._journal.close()
            if self._refused is not None:
                self._refused.close()
        self._say(str(self._report))
        return self._report

    async def _send_all(self) -> None:
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
            try:
                sent = await self._client.send_encoded(line.content)
            except Refused as refused:
                if refused.status in (401, 403, 404, 405) or 300 <= refused.status < 400:
                    raise BadRequest(f"{self._url} answers {refused.status} {refused.error}") from refused
                self._refuse_as(line, refused)
            except GaveUp as error:
                if error.answer is None or error.answer.status != 500:
                    raise TetherError(f"Line {line.number}: {error}. Run this again later") from error
                self._refuse_as(line, error.answer)
            else:
                self._report.created += not sent.deduplicated
                self._report.duplicates += sent.deduplicated
                self._report.differing += bool(sent.answer.get("payloadDiffers"))
                self._journal.add(line, sent.call_id)

    def _refuse_as(self, line: _Line, refused: Refused) -> None:
        self._refuse(line, {"code": refused.code, "field": refused.field, "error": refused.error})

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

    def _note_trouble(self, reason: str, _wait_s: float) -> None:
        self._trouble = reason

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
