"""The settings, one row each: name, variable, flag, default, type and help.

`cli` makes its options from these rows, and tests compare the documentation with them. A missing or wrong value is refused here
with one sentence (`errors.ConfigError`), before anything is opened.
"""

from __future__ import annotations

import dataclasses
import fcntl
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from tether_rt.errors import ConfigError

OWN_PATHS: Final = frozenset(
    ("api", "asyncapi.json", "docs", "healthz", "join", "metrics", "openapi.json", "readyz", "static", "ws")
)
"""How the server's own addresses begin: a path in front of them must not begin so."""
_BASE_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)*")
"""Segments of unreserved characters (RFC 3986 section 2.3), which no proxy rewrites."""

_AT_LEAST_ONE: Final = (
    "max_body_mb", "max_recording_mb", "bodies_in_flight_mb", "max_connections", "max_dashboards", "max_dashboards_per_user",
    "feed_retention_days", "audit_retention_days", "shutdown_s",
)  # fmt: skip


def _setting(default: Any, help_text: str, *, variable: str | None = None, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": help_text, "variable": variable, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of a process, immutable."""

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(2212, "port to listen on; 0 picks a free one and logs it")
    base_path: str = _setting(
        "", "path in front of every address, such as /tether, where a proxy serves other things beside it"
    )
    data_dir: Path = _setting(Path("var"), "folder of the private MongoDB, recordings on disk and the generated secret")
    mongodb_uri: str | None = _setting(
        None, "replica set to use; without it the server starts a private MongoDB", variable="MONGODB_URI", secret=True
    )
    database: str = _setting("tether", "database name")
    mongod: Path | None = _setting(
        None, "mongod program of the private MongoDB; by default the one on PATH, then the one of the demo extra"
    )
    r2_endpoint_url: str | None = _setting(
        None, "S3 endpoint of the recording store (or give the account id)", variable="R2_ENDPOINT_URL"
    )
    r2_account_id: str | None = _setting(None, "Cloudflare account id of the R2 bucket", variable="R2_ACCOUNT_ID")
    r2_access_key_id: str | None = _setting(None, "R2 access key id", variable="R2_ACCESS_KEY_ID", secret=True)
    r2_secret_access_key: str | None = _setting(None, "R2 secret access key", variable="R2_SECRET_ACCESS_KEY", secret=True)
    r2_bucket: str | None = _setting(None, "R2 bucket for recordings; without R2 they are stored on disk", variable="R2_BUCKET")
    secret: str | None = _setting(
        None,
        "signs sessions and recording links, encrypts stored API keys and refused bodies; generated for a private MongoDB only",
        secret=True,
    )
    secret_previous: str | None = _setting(
        None, "the secret before this one: what it signed and encrypted still holds; see tether-rt reseal", secret=True
    )
    allowed_origins: tuple[str, ...] = _setting(
        (), "comma-separated origins, beside the server's own, whose pages may use cookies and the WebSocket"
    )
    private_recording_hosts: tuple[str, ...] = _setting(
        (), "comma-separated host:port that a recording URL may reach although it is not a public address"
    )
    max_body_mb: int = _setting(48, "largest request body, in MB (2^20 bytes)")
    max_recording_mb: int = _setting(200, "largest recording fetched from a URL, in MB")
    bodies_in_flight_mb: int = _setting(256, "request bodies held in memory at once, in MB; above it callers get 503")
    max_connections: int = _setting(2000, "HTTP connections open at once, without dashboards; above it callers get 503")
    rate_limit: float = _setting(0, "calls a second that one API key may send to one process, above it 429; 0 for no limit")
    max_dashboards: int = _setting(10_000, "dashboards open in one process, above it 503")
    max_dashboards_per_user: int = _setting(2_000, "dashboards that one user may have open in one process, above it 429")
    trusted_proxies: tuple[str, ...] = _setting(
        (), "comma-separated addresses or networks of proxies whose X-Forwarded-For is trusted"
    )
    feed_retention_days: int = _setting(7, "days for which a dashboard may be away and still resume without refetching")
    audit_retention_days: int = _setting(1095, "days for which entries of the audit log are kept")
    drain_delay_s: int = _setting(0, "seconds from SIGTERM in which new requests are still served, while /readyz fails")
    shutdown_s: int = _setting(25, "seconds after that until unfinished requests are cut off")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Build settings from raw values by field name; None, "" and absent mean the default.

        Raises `ConfigError` with one sentence that names the variable and what it must be.
        """
        parsed: dict[str, Any] = {}
        for row in SETTINGS:
            raw = values.get(row.name)
            if raw is not None and raw != "":
                parsed[row.name] = row.parse(raw)
        settings = cls(**parsed)
        settings._check()
        return settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Build settings from environment variables alone; raises as `from_values`."""
        return cls.from_values({row.name: environ.get(row.variable) for row in SETTINGS})

    def _check(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"TETHER_PORT must be between 0 and 65535, not {self.port}.")
        if not _BASE_PATH.fullmatch(self.base_path):
            raise ConfigError(
                "TETHER_BASE_PATH must begin with /, must not end with /, and may have letters, digits, and -._~ between, "
                f"such as /tether, not {self.base_path}."
            )
        if self.base_path and self.base_path.split("/")[1] in OWN_PATHS:
            raise ConfigError(f"TETHER_BASE_PATH must not begin like the server's own addresses, not {self.base_path}.")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{_variable(name)} must be 1 or more, not {getattr(self, name)}.")
        if not 0 <= self.drain_delay_s <= 3600:
            raise ConfigError(f"TETHER_DRAIN_DELAY_S must be between 0 and 3600, not {self.drain_delay_s}.")
        if not 0 <= self.rate_limit < math.inf:
            raise ConfigError(
                f"TETHER_RATE_LIMIT must be a number of calls a second, or 0 for no limit, not {self.rate_limit}."
            )
        if self.bodies_in_flight_mb < self.max_body_mb:
            raise ConfigError("TETHER_BODIES_IN_FLIGHT_MB must be at least TETHER_MAX_BODY_MB.")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,38}", self.database):
            raise ConfigError("TETHER_DATABASE must be 1 to 38 letters, digits, dashes or underscores.")
        if self.mongodb_uri and not re.match(r"mongodb(\+srv)?://", self.mongodb_uri):
            raise ConfigError("MONGODB_URI must start with mongodb:// or mongodb+srv://.")
        if self.mongodb_uri and not self.secret:
            raise ConfigError(
                "TETHER_SECRET is missing: with MONGODB_URI, set it to a random value of 32 characters or more, "
                "the same for every process."
            )
        for origin in self.allowed_origins:
            if not re.fullmatch(r"https?://([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", origin):
                raise ConfigError(f"TETHER_ALLOWED_ORIGINS must hold origins such as https://calls.example, not {origin}.")
        for host in self.private_recording_hosts:
            if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@]+):\d{1,5}", host):
                raise ConfigError(f"TETHER_PRIVATE_RECORDING_HOSTS must hold host:port pairs, not {host}.")
        for network in self.trusted_proxies:
            try:
                ip_network(network)
            except ValueError as error:
                raise ConfigError(
                    f"TETHER_TRUSTED_PROXIES must hold addresses or networks such as 10.0.0.0/8, not {network}."
                ) from error
        self._check_r2()

    def _check_r2(self) -> None:
        parts = {
            "R2_ENDPOINT_URL or R2_ACCOUNT_ID": self.r2_endpoint_url or self.r2_account_id,
            "R2_ACCESS_KEY_ID": self.r2_access_key_id,
            "R2_SECRET_ACCESS_KEY": self.r2_secret_access_key,
            "R2_BUCKET": self.r2_bucket,
        }
        missing = [name for name, value in parts.items() if not value]
        if missing and len(missing) < len(parts):
            raise ConfigError(f"R2 needs all of its settings or none; missing: {', '.join(missing)}.")
        if self.r2_endpoint_url and not re.match(r"https?://[^/\s]+", self.r2_endpoint_url):
            raise ConfigError("R2_ENDPOINT_URL must be an http or https address.")

    @property
    def r2_endpoint(self) -> str | None:
        """The S3 endpoint: the one that is set, or that of the account (Cloudflare R2's documentation)."""
        if self.r2_endpoint_url:
            return self.r2_endpoint_url
        return f"https://{self.r2_account_id}.r2.cloudflarestorage.com" if self.r2_account_id else None

    def resolve_secret(self) -> str:
        """Return the secret. Without one, read it from the data directory, or generate it there (mode 0600).

        Raises `ConfigError` if the file cannot be read or written.
        """
        if self.secret:
            return self.secret
        path = self.data_dir / "secret"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            return _stored(path) or _generated(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"The secret in {path} cannot be read or written: {reason}.") from error


def _stored(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _generated(path: Path) -> str:
    """Return a new secret, or the one that another process generated first: the file is locked from reading to writing."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        secret = file.read().strip()
        if not secret:
            secret = secrets.token_urlsafe(48)
            file.write(secret)
        return secret


def _variable(name: str) -> str:
    explicit = Settings.__dataclass_fields__[name].metadata["variable"]
    return explicit or f"TETHER_{name.upper()}"


def _text(raw: Any) -> str:
    return str(raw).strip()


def _path(raw: Any) -> Path:
    path = Path(raw)
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: a folder whose name begins with a tilde
        return path


def _names(raw: Any) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    return tuple(part.strip().rstrip("/") for part in parts if part.strip())


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "str | None": _text,
    "int": int,
    "float": float,
    "Path": _path,
    "Path | None": _path,
    "tuple[str, ...]": _names,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A row: everything that `--help`, the documentation and the parser need."""

    name: str
    variable: str
    flag: str
    default: Any
    kind: str
    help: str
    secret: bool

    def parse(self, raw: Any) -> Any:
        """Turn text into the field's type; raises `ConfigError` naming the variable."""
        try:
            return _PARSERS[self.kind](raw)
        except ValueError as error:
            kind = "a number" if self.kind == "float" else "a whole number"
            raise ConfigError(f"{self.variable} must be {kind}, not {raw!r}.") from error


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(
        name=item.name,
        variable=_variable(item.name),
        flag="--" + item.name.replace("_", "-"),
        default=item.default,
        kind=str(item.type),
        help=item.metadata["help"],
        secret=item.metadata["secret"],
    )
    for item in dataclasses.fields(Settings)
)
