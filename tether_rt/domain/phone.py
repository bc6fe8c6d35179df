"""Telephone numbers: the forms that a vendor may send, and E.164, in which they are stored.

A strict pattern comes before `phonenumbers`, which would also read letters (`+1800FLOWERS`), extensions (`ext. 5`, `;ext=5`,
`x5`), and digits of every script.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from tether_rt.errors import BadRequest

MAX_CHARS: Final = 64
"""More than any number with its separators; longer text is refused without being parsed."""
MAX_DIGITS: Final = 15
"""ITU-T E.164 section 6.2.1."""
CACHED_NUMBERS: Final = 65_536
"""About 10 MB. Reading a number takes phonenumbers 25 µs, and a calling system's own numbers come with every call."""

_EXAMPLE: Final = "such as +14155551234"
_NO_PLUS: Final = f"must start with + and the country code, {_EXAMPLE}"
_WRITTEN: Final = re.compile(r"\+[0-9 .()\[\]-]+", re.ASCII)
_SEPARATORS: Final = str.maketrans("", "", " .()[]-")
_REASONS: Final = {
    ValidationResult.TOO_SHORT: "has too few digits for its country code",
    ValidationResult.TOO_LONG: "has too many digits for its country code",
    ValidationResult.INVALID_LENGTH: "has the wrong number of digits for its country code",
    ValidationResult.INVALID_COUNTRY_CODE: f"must start with + and a country code that exists, {_EXAMPLE}",
}


def to_e164(raw: str, field: str) -> str:
    """Return a number in E.164, such as `+14155551234`.

    `raw` is E.164, or the same with spaces, dots, dashes or brackets after the `+`; a trunk zero (`+44 (0)20 …`) is dropped and
    a leading zero that belongs to the number (Italy) kept. Possible numbers pass (`phonenumbers.is_possible_number`), so that
    a vendor's test numbers do, too. Raises `BadRequest` with one sentence that names `field` and repeats nothing of `raw`.
    """
    number, reason = _read(raw) if len(raw) <= MAX_CHARS else ("", _too_long(raw))
    if reason:
        raise BadRequest(f"{field} {reason}", code="not_e164", field=field)
    return number


def _too_long(raw: str) -> str:
    return f"must have at most {MAX_CHARS} characters, {_EXAMPLE}" if raw.startswith("+") else _NO_PLUS


@lru_cache(CACHED_NUMBERS)
def _read(raw: str) -> tuple[str, str]:
    """Return (number in E.164, "") or ("", reason for the refusal)."""
    if not raw.startswith("+"):
        return "", _NO_PLUS
    if not _WRITTEN.fullmatch(raw):
        return "", f"must be digits after the +, without letters or an extension, {_EXAMPLE}"
    digits = raw.translate(_SEPARATORS)
    try:
        number = phonenumbers.parse(digits, None)
    except NumberParseException as error:
        return "", _parse_reason(error)
    if not phonenumbers.is_possible_number(number):
        return "", _REASONS[phonenumbers.is_possible_number_with_reason(number)]
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if len(written) > 1 + MAX_DIGITS:
        return "", _REASONS[ValidationResult.TOO_LONG]
    # Parsing drops one trunk zero at a time: +320020556320, +32020556320, +3220556320. A stored number must parse to itself,
    # or a contact's own number would later belong to another contact.
    return (written, "") if written == digits else _read(written)


def _parse_reason(error: NumberParseException) -> str:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return _REASONS[ValidationResult.INVALID_COUNTRY_CODE]
    if error.error_type == NumberParseException.TOO_LONG:
        return _REASONS[ValidationResult.TOO_LONG]
    return _REASONS[ValidationResult.TOO_SHORT]
