"""What may be shown of a body that somebody sent: its secrets masked, its audio and long texts shortened. Pure.

A secret is known by its name (`password`, `apiKey`, …) or by its form (a bearer token, the user or the query of a URL). Where
that is doubtful, the value is masked.
"""

from __future__ import annotations

import re
from typing import Any, Final

MASK: Final = "***"
MAX_TEXT_CHARS: Final = 2_000
"""A longer text is shown up to here."""
MAX_VALUES: Final = 20_000
MAX_CHARS: Final = 256 * 1024
"""Of a body's values, so many are shown and so many characters; the others are left out."""
MAX_KEPT_TEXT_CHARS: Final = 64 * 1024
MAX_KEPT_CHARS: Final = 2 * 1024 * 1024
"""The same of a payload that is kept with a call."""
MAX_DEPTH: Final = 60
_MAX_INTEGER: Final = (1 << 63) - 1
_MAX_NAME_CHARS: Final = 200
_MIN_BASE64_CHARS: Final = 256
_SHOWN_BASE64_CHARS: Final = 16
_LEFT_OUT: Final = "…"

_SECRET_WORDS: Final = (
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "apikey", "authorization", "authentication",
    "credential", "signature", "cookie", "bearer", "privatekey", "accesskey", "accountsid", "sessionid", "jwt",
)  # fmt: skip
"""A name that contains one, whatever its case and separators, is a secret's."""
_SECRET_NAMES: Final = frozenset(("auth", "xauth", "basicauth", "pass", "pin", "otp", "sig", "key", "sid", "cvv", "cvc"))
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_NAME_FIELDS: Final = ("name", "key", "header")
"""Of an object that names what its `value` is, as lists of headers have it."""

_BASE64: Final = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/_=\r\n-]+")
_WORD: Final = re.compile(r'[^\s"<>]+')
_QUERY: Final = re.compile(r"[?#]")
_QUERY_PART: Final = re.compile(r"(^|[?&;#])([^=&;?#]*=)?[^&;?#]+")
_SCHEME: Final = re.compile(r'\b((?i:bearer|basic|digest|token|apikey))(\s{1,9})(?=\S{1,99}[0-9A-Z=+/_-])[^\s"\',;]{8,}')
_KEY_FORMS: Final = re.compile(
    r"\b(?:t[kr]_live_[\w-]+|[spr]k[_-](?:live|test|proj)?[\w-]{16,}|gh[pousr]_\w{16,}|xox[a-z]-[\w-]{10,}|whsec_[\w+/=-]+"
    r"|AKIA[0-9A-Z]{12,}|AIza[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_HEADER_LINE: Final = re.compile(
    r'(\b(?:proxy-)?authorization|\b(?:set-)?cookie)(\s*[:=]\s*)[^"\'\\\s][^"\r\n]*', re.IGNORECASE
)
# In text that is no JSON the name of the value may be missing: it is masked whatever it is.
_VALUE: Final = re.compile(r'("value"\s{0,9}:\s{0,9})"(?:[^"\\]|\\[\s\S])*"?', re.IGNORECASE)
_NAMED: Final = re.compile(
    r"((?:pass(?:word|wd|phrase|code)|pwd|secret|token|api[_.\- ]?key|authorization|authentication|credential|signature|cookie"
    r"|bearer|private[_.\- ]?key|access[_.\- ]?key|account[_.\- ]?sid|session[_.\- ]?id|jwt"
    r"|\b(?:auth|pass|pin|otp|sig|key|sid|cvv|cvc)(?![a-z0-9]))"
    r"[\w.\-]{0,64}(?:\\*[\"'])?\s{0,20}[:=]\s{0,20})"
    r"(\\+\"(?:(?!\\+\")[\s\S])*|\"(?:[^\"\\]|\\[\s\S])*\"?|'(?:[^'\\]|\\[\s\S])*'?|[\[{][\s\S]*|[^\s,;&}\]]+)",
    re.IGNORECASE,
)


def masked(value: Any) -> Any:
    """Return a JSON value as it may be shown."""
    return _Walk(MAX_CHARS, MAX_TEXT_CHARS).shown(value, 0)


def masked_payload(value: Any) -> Any:
    """Return a vendor's payload as it is kept with a call: its secrets masked, its texts whole up to `MAX_KEPT_TEXT_CHARS`.

    What BSON cannot hold is made text: integers past 64 bits, and NUL in names.
    """
    return _Walk(MAX_KEPT_CHARS, MAX_KEPT_TEXT_CHARS, is_stored=True).shown(value, 0)


def masked_text(text: str, most_chars: int = MAX_TEXT_CHARS) -> str:
    """Return a text as it may be shown, at most about `most_chars` long.

    Twice as much is judged, so that a secret that lies across the cut is seen as a whole.
    """
    if len(text) >= _MIN_BASE64_CHARS and _BASE64.fullmatch(text, 0, most_chars):
        data = text.find(",", 0, 200) + 1 if text.startswith("data:") else 0
        return f"{text[: data + _SHOWN_BASE64_CHARS]}{_LEFT_OUT} ({len(text):,} characters)"
    shown = text[: 2 * most_chars]
    if "://" in shown:
        shown = _WORD.sub(_masked_url, shown)
    shown = _KEY_FORMS.sub(MASK, shown)
    shown = _SCHEME.sub(rf"\1\2{MASK}", shown)
    shown = _HEADER_LINE.sub(rf"\1\2{MASK}", shown)
    shown = _VALUE.sub(rf'\1"{MASK}"', shown)
    shown = _NAMED.sub(lambda found: found[1] + (f'"{MASK}"' if found[2][0] == '"' else MASK), shown)
    return shown if len(text) <= most_chars else f"{shown[:most_chars]}{_LEFT_OUT} ({len(text):,} characters)"


def _masked_url(word: re.Match[str]) -> str:
    """Mask the user, the query and the fragment of a URL. An `@` after them makes more of it a user."""
    scheme, mark, rest = word[0].partition("://")
    if not mark:
        return scheme
    if "@" in rest:
        rest = f"{MASK}@{rest.rpartition('@')[2]}"
    query = _QUERY.search(rest)
    if query is not None:
        rest = rest[: query.start()] + _QUERY_PART.sub(_masked_part, rest[query.start() :])
    return scheme + mark + rest


def _masked_part(part: re.Match[str]) -> str:
    return f"{part[1]}{part[2] or ''}{MASK}"


def is_secret_name(name: str) -> bool:
    """Say if a value of this name is a secret."""
    plain = _NOT_IN_NAMES.sub("", name[:_MAX_NAME_CHARS].lower())
    return plain in _SECRET_NAMES or any(word in plain for word in _SECRET_WORDS)


class _Walk:
    """One walk over a value, which counts what it has shown."""

    def __init__(self, most_chars: int, most_text_chars: int, *, is_stored: bool = False) -> None:
        self._values_left = MAX_VALUES
        self._chars_left = most_chars
        self._most_text_chars = most_text_chars
        self._is_stored = is_stored

    @property
    def _is_over(self) -> bool:
        return self._values_left <= 0 or self._chars_left <= 0

    def _text(self, text: str, most_chars: int) -> str:
        shown = masked_text(text, most_chars)
        self._chars_left -= len(shown)
        return shown

    def shown(self, value: Any, depth: int) -> Any:
        self._values_left -= 1
        if isinstance(value, str):
            return self._text(value, self._most_text_chars)
        if self._is_stored and isinstance(value, int) and abs(value) > _MAX_INTEGER:
            return str(value)
        if not isinstance(value, dict | list):
            return value
        if depth >= MAX_DEPTH:
            return _LEFT_OUT
        return self._object(value, depth) if isinstance(value, dict) else self._array(value, depth)

    def _array(self, value: list[Any], depth: int) -> list[Any]:
        shown: list[Any] = []
        for item in value:
            if self._is_over:
                return [*shown, _LEFT_OUT]
            shown.append(self.shown(item, depth + 1))
        return shown

    def _object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        names_secret = any(isinstance(name := value.get(field), str) and is_secret_name(name) for field in _NAME_FIELDS)
        shown: dict[str, Any] = {}
        for name, item in value.items():
            if self._is_over:
                return {**shown, _LEFT_OUT: _LEFT_OUT}
            is_secret = is_secret_name(name) or (names_secret and name.lower() == "value")
            label = self._text(name, _MAX_NAME_CHARS)
            label = label.replace("\0", "") if self._is_stored else label
            shown[label] = _masked_secret(item) if is_secret else self.shown(item, depth + 1)
        return shown


def _masked_secret(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) or value == "" else MASK
