"""Telephone numbers: the forms that a vendor may send, E.164, in which they are stored, and the forms of one telephone. Pure.

A strict pattern comes before `phonenumbers`, which would also read letters (`+1800FLOWERS`), extensions (`ext. 5`, `;ext=5`,
`x5`), and digits of every script.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from tether_rt.errors import BadRequest, Code

MAX_CHARS: Final = 64
"""More than any number with its separators; longer text is refused without being parsed."""
MAX_DIGITS: Final = 15
"""ITU-T E.164 section 6.2.1."""
CACHED_NUMBERS: Final = 65_536
"""About 10 MB. Reading a number takes phonenumbers 25 µs, and a calling system's own numbers come with every call."""

WITHHELD_STAND_INS: Final = frozenset(("+7378742833", "+2562533", "+8656696", "+266696687", "+86282452253"))
"""RESTRICTED, BLOCKED, UNKNOWN, ANONYMOUS and UNAVAILABLE on a telephone's keys, which systems send for a withheld number."""

_EXAMPLE: Final = "such as +14155551234"
_NO_PLUS: Final = f"must start with + and the country code, {_EXAMPLE}"
_SEPARATORS: Final = str.maketrans("", "", " \t\n\r\v\f.()[]/-")
_TEL: Final = re.compile("tel:", re.IGNORECASE)
_E164: Final = re.compile(r"\+[0-9]*", re.ASCII)
_SHORT: Final = re.compile(r"[*#]*[0-9]{1,6}#?", re.ASCII)
_MEXICO: Final = re.compile(r"\+521?([2-9][0-9]{9})", re.ASCII)
_ARGENTINA: Final = re.compile(r"\+549?([1-3][0-9]{9})", re.ASCII)
_BRAZIL: Final = re.compile(r"\+55([1-9]{2})9?([6-9][0-9]{7})", re.ASCII)
_REASONS: Final = {
    ValidationResult.TOO_SHORT: "has too few digits for its country code",
    ValidationResult.TOO_LONG: "has too many digits for its country code",
    ValidationResult.INVALID_LENGTH: "has the wrong number of digits for its country code",
    ValidationResult.INVALID_COUNTRY_CODE: f"must start with + and a country code that exists, {_EXAMPLE}",
}


class NoNumber(NamedTuple):
    """Why a text is not a number in E.164, as the rest of a sentence that begins with the field's name."""

    reason: str
    code: Code = "not_e164"

    def for_field(self, field: str) -> BadRequest:
        """Return the refusal of a field."""
        return BadRequest(f"{field} {self.reason}", code=self.code, field=field)


def to_e164(raw: str, field: str) -> str:
    """Return a number in E.164, such as `+14155551234`.

    `raw` is E.164, perhaps with `tel:` in front, and with spaces, dots, dashes, slashes, brackets or invisible marks; a trunk
    zero (`+44 (0)20 …`) is dropped and a leading zero that belongs to the number (Italy) kept. Possible numbers pass
    (`phonenumbers.is_possible_number`), so that a vendor's test numbers do, too. Raises `BadRequest` with one sentence that
    names `field`, and repeats nothing of `raw` but one character that does not belong there.
    """
    number = read(raw)
    if isinstance(number, NoNumber):
        raise number.for_field(field)
    return number


def read(raw: str) -> str | NoNumber:
    """Return a number in E.164, as `to_e164` does, or why it is none."""
    if len(raw) <= MAX_CHARS:
        return _read(raw)
    return NoNumber(f"must have at most {MAX_CHARS} characters, {_EXAMPLE}" if raw.startswith("+") else _NO_PLUS)


def same_telephone(number: str) -> tuple[str, ...]:
    """Return every E.164 form of the telephone with this number, the one to call it by first.

    Mexico dropped the 1 of mobile numbers, Brazil gave them a ninth digit, and Argentina has a 9 in them that not everybody
    sends. What comes from there has either form.
    """
    if number.startswith("+52") and (match := _MEXICO.fullmatch(number)):
        return f"+52{match[1]}", f"+521{match[1]}"
    if number.startswith("+55") and (match := _BRAZIL.fullmatch(number)):
        return f"+55{match[1]}9{match[2]}", f"+55{match[1]}{match[2]}"
    if number.startswith("+54") and (match := _ARGENTINA.fullmatch(number)):
        # Nothing tells a fixed line from a mobile telephone whose 9 was left out.
        return number, *{f"+549{match[1]}", f"+54{match[1]}"} - {number}
    return (number,)


def probably_meant(raw: str, other: str) -> str | None:
    """Return the number in E.164 that a number without + probably means, None if nothing is likely.

    It is likely if the numbering plan of its country has it: as a number of the country of `other`, the other side's number,
    with the prefix for calls abroad, or with nothing missing but the +.
    """
    digits = _bare(raw) if len(raw) <= MAX_CHARS else ""
    if not digits.isascii() or not digits.isdigit():
        return None
    home = read(other)
    attempts: list[tuple[str, str | None]] = [(f"+{digits.removeprefix('00')}", None)]
    if isinstance(home, str):
        regions = phonenumbers.region_codes_for_country_code(phonenumbers.parse(home, None).country_code or 0)
        attempts[:0] = [(digits, region) for region in regions[:1]]
    for text, region in attempts:
        try:
            number = phonenumbers.parse(text, region)
        except NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return None


@lru_cache(CACHED_NUMBERS)
def _read(raw: str) -> str | NoNumber:
    digits = _bare(raw)
    if digits and not digits[0].isascii():
        return NoNumber(f"must start with + and the country code; it starts with {_named(digits[0])}")
    if not digits.startswith("+"):
        if _SHORT.fullmatch(digits):
            return NoNumber(
                "is a short or internal number: send it as a SIP address, such as sip:100@pbx.example.com", "short_number"
            )
        return NoNumber(_NO_PLUS, "national_number" if digits.isdigit() else "not_e164")
    if not _E164.fullmatch(digits):
        odd = next(one for one in digits[1:] if not "0" <= one <= "9")
        return NoNumber(f"must be digits after the +, without letters or an extension; it has {_named(odd)}")
    if digits == "+":
        return NoNumber("has too few digits: there must be digits after the +")
    if digits in WITHHELD_STAND_INS:
        return NoNumber("is a stand-in for a withheld number, which only the caller of an inbound call has", "withheld_number")
    if _MEXICO.fullmatch(digits):
        return digits  # phonenumbers does not know the old form any more
    try:
        number = phonenumbers.parse(digits, None)
    except NumberParseException as error:
        return _not_parsed(error)
    if not phonenumbers.is_possible_number(number):
        return NoNumber(_REASONS[phonenumbers.is_possible_number_with_reason(number)])
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if len(written) > 1 + MAX_DIGITS:
        return NoNumber(_REASONS[ValidationResult.TOO_LONG])
    # Parsing drops one trunk zero at a time: +320020556320, +32020556320, +3220556320. A stored number must parse to itself,
    # or a contact's own number would later belong to another contact.
    return written if written == digits else _read(written)


def _bare(raw: str) -> str:
    """Return a number without `tel:`, separators and invisible marks."""
    text = raw.translate(_SEPARATORS)
    if not text.isascii():
        text = "".join(one for one in text if not _is_separator(one))
    return _TEL.sub("", text, count=1) if _TEL.match(text) else text


def _is_separator(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Pd", "Zs", "Zl", "Zp") or character in "\x85\N{MINUS SIGN}"


def _named(character: str) -> str:
    code_point = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    return f"{code_point} ({name})" if name else code_point


def _not_parsed(error: NumberParseException) -> NoNumber:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return NoNumber(_REASONS[ValidationResult.INVALID_COUNTRY_CODE])
    if error.error_type == NumberParseException.TOO_LONG:
        return NoNumber(_REASONS[ValidationResult.TOO_LONG])
    return NoNumber(_REASONS[ValidationResult.TOO_SHORT])
