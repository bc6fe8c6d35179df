"""The dashboard's small table of national number formats agrees with libphonenumber wherever it says anything."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

MODULE = (Path(__file__).parents[2] / "static/js/format/phone.js").as_uri()
CODES = (27, 30, 31, 32, 33, 34, 39, 40, 41, 44, 45, 46, 47, 48, 49, 52, 61, 64, 65, 81, 82, 86, 91, 351, 353, 358, 852, 972)
EACH = 30
ORDINARY = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
PROGRAM = """
const { phone } = await import(process.argv[1]);
const numbers = JSON.parse(process.argv[2]);
console.log(JSON.stringify(numbers.map((number) => [phone(number, number), phone(number)])));
"""


def _numbers(code: int, rng: random.Random) -> list[str]:
    found: list[str] = []
    for _ in range(20_000):
        text = f"+{code}" + "".join(rng.choices("0123456789", k=rng.choice((8, 9, 10))))
        number = phonenumbers.parse(text)
        if phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in ORDINARY:
            found.append(phonenumbers.format_number(number, PhoneNumberFormat.E164))
        if len(found) == EACH:
            break
    return found


def test_formats() -> None:
    rng = random.Random(7)
    numbers = [number for code in CODES for number in _numbers(code, rng)]
    run = subprocess.run(
        ["node", "--input-type=module", "-e", PROGRAM, MODULE, json.dumps(numbers)], capture_output=True, text=True, check=True
    )
    known = 0
    wrong: list[tuple[list[str], list[str]]] = []
    for text, (national, international) in zip(numbers, json.loads(run.stdout), strict=True):
        if national.startswith("+"):
            continue  # not in the table: shown internationally, in groups of three
        number = phonenumbers.parse(text)
        kinds = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL)
        expected = [phonenumbers.format_number(number, kind) for kind in kinds]
        known += 1
        if [national, international] != expected:
            wrong.append(([national, international], expected))
    assert wrong == []
    assert known > len(numbers) / 3
