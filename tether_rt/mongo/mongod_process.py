"""The mongod program: where it is, how it is started, what it says when it fails.

Everything here is about one process and its files; who starts it, and when it is started again, is `embedded`'s business.
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
"""Past it the log starts again, so that a server that runs for months does not fill the disk with it."""

_NO_ROOM_BYTES: Final = 256 * 1024
"""With less than this left, a mongod that gave up did so because the disk is full."""

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
    """Return the path of mongod: `explicit`, else `$TETHER_MONGOD`, else `PATH`, else the wheel of the extras.

    Raises `ConfigError` when the one that was asked for cannot be run, or when there is none.
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
    # Looked up without importing: `fiftyone` itself, where somebody has it, takes seconds to import.
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
    """Return where the mongod of `folder` (absolute) listens: in the folder, or in a short private one for a long path.

    The short one is under /tmp whatever TMPDIR says, because every command on the same folder must come to the same answer.
    """
    near = folder / "mongod.sock"
    if len(os.fsencode(near)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(near)):
        return near
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:20]
    return Path("/tmp") / f"tether-{digest}" / "mongod.sock"  # noqa: S108 - `prepare_folder` makes sure whose it is


def prepare_folder(folder: Path, owner_uid: int | None = None) -> None:
    """Make `folder` private (0700), or see that it already is: not a link, owned by this user or by `owner_uid`.

    Raises `ConfigError` when it is somebody else's or cannot be made.
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
    """Take an exclusive lock on `path`; return the descriptor that holds it, or None when another process does.

    The lock ends with the descriptor: when its process dies, however it dies, the kernel lets go of it (flock(2)).
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
    """Return the pid of a mongod that still has `data_files` open, None when there is none.

    mongod holds a flock on its `mongod.lock` for as long as it lives and writes its pid there.
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
    """Start mongod as a replica set member that listens on `socket` alone, its output going to `log` (begun anew).

    It gets a session of its own, so that a Ctrl-C reaches the server and not its database, and dies with the calling thread
    on Linux (prctl(2): PR_SET_PDEATHSIG is tied to the thread that forked, so call this from one that lives as long as the
    process does). Raises `ConfigError` when it cannot be executed.
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
    prctl = ctypes.CDLL(None).prctl  # found before the fork: between fork and exec as little as possible should happen
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec


def bound_log(log: Path) -> None:
    """Keep what `log` holds as its `.old` and begin it again, once it is past `LOG_LIMIT_BYTES`.

    Copied and cut rather than renamed: mongod appends through the descriptor it was given, and goes on doing so.
    """
    if log.stat().st_size > LOG_LIMIT_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.old"))
        os.truncate(log, 0)


def telling_line(log: Path, exit_status: int | None) -> str:
    """Return what best explains why the mongod that wrote `log` failed; `exit_status` as `Popen.returncode`.

    What is not JSON comes from before its logging began (a missing library, an unknown option) and says it best; otherwise
    the first error or fatal line, since those that follow are its consequences.
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
        except json.JSONDecodeError:  # the last line of a process that was killed
            continue
        if entry.get("s") in ("E", "F") and not first_error:
            attributes = entry.get("attr", {})
            detail = attributes.get("error")
            if isinstance(detail, int):  # WiredTiger's: 28, and the words beside it
                message = attributes.get("message")
                detail = message.get("error_str") if isinstance(message, dict) else message
            first_error = str(detail or entry.get("msg", ""))[:300]
    if first_error:
        return first_error
    if exit_status is None:
        return "it did not answer in time"
    if exit_status == -signal.SIGABRT and shutil.disk_usage(log.parent).free < _NO_ROOM_BYTES:
        return os.strerror(errno.ENOSPC)  # the log lies on the same disk: there was no room for its last words
    if exit_status < 0:
        return f"it was ended by {signal.Signals(-exit_status).name}"
    return f"it ended with status {exit_status}"
