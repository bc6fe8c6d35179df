"""The address of one side of a call: a telephone number, a SIP address, or None where the caller withheld the number. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tether_rt.domain import phone
from tether_rt.errors import BadRequest

WITHHELD: Final = "withheld"
"""The search term of calls whose number was withheld."""
WITHHELD_WORDS: Final = frozenset(("anonymous", "restricted", "private", "unknown", "unavailable", "blocked", WITHHELD))
"""What telephone systems send in place of a withheld number."""
MAX_SIP_CHARS: Final = 256

_ANONYMOUS_HOST: Final = "anonymous.invalid"
"""RFC 3323 section 4.1.1.3."""
_SCHEME: Final = re.compile(r"(?:sips?|tel):", re.ASCII | re.IGNORECASE)
_SIP: Final = re.compile(
    r"(?P<scheme>sips?):(?P<user>[A-Za-z0-9_.!~*'()&=+$,;?/%-]+)(?::[^@\s]*)?"
    r"@(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(?P<port>:[0-9]{1,5})?(?:[;?]\S*)?",
    re.ASCII | re.IGNORECASE,
)
"""RFC 3261 section 25.1, without quotes and angle brackets."""

_NUMBER_OR_ADDRESS: Final = re.compile("[0-9@+:]")


def read_caller(raw: str, field: str, *, other: str) -> str | None:
    """Return the address of the caller of an inbound call, as `read_address` does, or None when its number was withheld."""
    number = phone.read(raw)
    if isinstance(number, str):
        return number
    text = _visible(raw)
    if number.code == "withheld_number" or _is_withheld(text):
        return None
    if not _NUMBER_OR_ADDRESS.search(text):
        sentence = f'{field} must start with + and the country code, such as +14155551234, or be "anonymous" if it is withheld'
        raise BadRequest(sentence, code="not_e164", field=field)
    return read_address(raw, field, other=other)


def read_address(raw: str, field: str, *, other: str) -> str:
    """Return an address as it is stored: a number in E.164 (`phone.to_e164`), or `sip:user@host`.

    Scheme and host of a SIP address are in lower case; its password, parameters and headers are dropped. `other` is what was
    sent for the other side, whose country says what a national number means. Raises `BadRequest` with one sentence.
    """
    number = phone.read(raw)
    if isinstance(number, str):
        return number
    text = _visible(raw)
    if number.code == "withheld_number" or _is_withheld(text):
        sentence = f"{field} must be a number or a SIP address: only the caller of an inbound call can withhold it"
        raise BadRequest(sentence, code="withheld_number", field=field)
    if _SCHEME.match(text) and text[:3].lower() == "sip":
        return _sip_address(text, field)
    if is_sip(f"sip:{text}"):
        sentence = f"{field} must start with sip: if it is a SIP address, such as sip:reception@example.com"
        raise BadRequest(sentence, code="wrong_format", field=field)
    if (meant := phone.probably_meant(raw, other)) is not None:
        sentence = f"{field} must start with + and the country code: did you mean {meant}?"
        raise BadRequest(sentence, code="national_number", field=field)
    raise number.for_field(field)


def is_number(address: str) -> bool:
    """Say if an address is a telephone number."""
    return address.startswith("+")


def is_sip(text: str) -> bool:
    """Say if a text is a SIP address."""
    return len(text) <= MAX_SIP_CHARS and _SIP.fullmatch(text) is not None


def _visible(raw: str) -> str:
    """Return a text without invisible marks and without white space at its ends, cut where no SIP address is so long."""
    return "".join(one for one in raw[: MAX_SIP_CHARS + 1] if unicodedata.category(one) != "Cf").strip()


def _is_withheld(text: str) -> bool:
    user, _, host = _SCHEME.sub("", text, count=1).casefold().partition("@")
    is_stand_in = f"+{user.removeprefix('+')}" in phone.WITHHELD_STAND_INS
    return user in WITHHELD_WORDS or is_stand_in or re.split("[:;?]", host)[0] == _ANONYMOUS_HOST


def _sip_address(text: str, field: str) -> str:
    if len(text) > MAX_SIP_CHARS:
        raise BadRequest(f"{field} must have at most {MAX_SIP_CHARS} characters", code="too_long", field=field)
    match = _SIP.fullmatch(text)
    if match is None:
        sentence = f"{field} must be sip:user@host if it is a SIP address, such as sip:reception@example.com"
        raise BadRequest(sentence, code="wrong_format", field=field)
    return f"{match['scheme'].lower()}:{match['user']}@{match['host'].lower()}{match['port'] or ''}"
