"""Logs: one JSON object a line, on standard error.

No line holds a secret, a transcript or a telephone number: a line has the fields that were given by name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `event` and whatever was passed as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except orjson.JSONEncodeError:  # half a surrogate pair, an integer past 64 bits
            return json.dumps(line, default=str, skipkeys=True)


class TurnHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of one event-loop iteration together at its end; warnings and lines from other threads at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []
        self._flushed_by: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.append(f"{self.format(record)}\n")
            if record.levelno >= logging.WARNING or not self._is_flushed_soon():
                self.flush()
        except Exception:  # as in every handler of `logging`: a line that cannot be written stops nobody
            self.handleError(record)

    def _is_flushed_soon(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # there is none here
            return False
        if loop is not self._flushed_by:
            self._flushed_by = loop
            loop.call_soon(self.flush)
        return True

    def flush(self) -> None:
        """Write what waits. `logging` does so, too, when the process ends."""
        self.acquire()
        try:
            self._flushed_by = None
            waiting, self._waiting = self._waiting, []
            if waiting:
                self.stream.write("".join(waiting))
                super().flush()
        finally:
            self.release()


def log(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log `event` with its fields as one structured line."""
    logger.log(level, event, extra={"fields": fields})


def configure_logging(level: int = logging.INFO) -> None:
    """Send every log to standard error as JSON lines; Tornado's own access log is replaced by ours."""
    # No line says which thread or process wrote it (logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = TurnHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("tornado.access", "botocore", "aiobotocore", "boto3", "urllib3", "pymongo", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "tornado.access" else logging.WARNING)
