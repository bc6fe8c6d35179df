"""Numbers: what is taken, what is refused, and that what is stored reads as itself."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tether_rt.domain.phone import MAX_CHARS, to_e164
from tether_rt.errors import BadRequest


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("+14165550100", "+14165550100"),
        ("+1 (416) 555-0100", "+14165550100"),
        ("+1.416.555.0100", "+14165550100"),
        ("+1-416-555-0100", "+14165550100"),
        ("+1 [416] 555 0100 ", "+14165550100"),
        ("+442079460958", "+442079460958"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+33 6 12 34 56 78", "+33612345678"),
        ("+39 06 1234567", "+39061234567"),
        ("+800 1234 5678", "+80012345678"),
    ],
)
def test_taken_in_e164_with_separators_and_stored_without(raw: str, stored: str) -> None:
    assert to_e164(raw, "fromNumber") == stored


@pytest.mark.parametrize("last", range(100, 200))
def test_numbers_reserved_for_tests_pass(last: int) -> None:
    assert to_e164(f"+1416555{last:04}", "toNumber") == f"+1416555{last:04}"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "must start with +"),
        ("14165550100", "must start with +"),
        (" +14165550100", "must start with +"),
        ("tel:+14165550100", "must start with +"),
        ("0014165550100", "must start with +"),
        ("anonymous", "must start with +"),
        ("＋14165550100", "must start with +"),
        ("+", "must be digits"),
        ("++14165550100", "must be digits"),
        ("+1800FLOWERS", "must be digits"),
        ("+1 416 555 0100 x5", "must be digits"),
        ("+1 416 555 0100 ext. 5", "must be digits"),
        ("+14165550100;ext=5", "must be digits"),
        ("+14165550100,5", "must be digits"),
        ("+14165550100//+14165550101", "must be digits"),
        ("+14165550100\n", "must be digits"),
        ("+14165550100\0", "must be digits"),
        ("+１４１６５５５０１００", "must be digits"),
        ("+1416555010٠", "must be digits"),
        ("+ ()", "too few digits"),
        ("+1", "too few digits"),
        ("+1416555", "too few digits"),
        ("+141655501000", "too many digits"),
        ("+999123456789", "country code that exists"),
        ("+014165550100", "country code that exists"),
        pytest.param("+1" + " " * MAX_CHARS, f"at most {MAX_CHARS} characters", id="long"),
        pytest.param("+" + "4" * 10_000_000, f"at most {MAX_CHARS} characters", id="very long"),
    ],
)
def test_refused_with_a_sentence_that_names_the_field_and_repeats_nothing(raw: str, why: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        to_e164(raw, "toNumber")
    sentence = str(refusal.value)
    assert sentence.startswith("toNumber ")
    assert why in sentence
    assert len(sentence) < 120
    assert len(raw) < 3 or raw not in sentence


NATIONAL = st.text("0123456789", min_size=1, max_size=15)
COUNTRY_CODE = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@settings(deadline=None)
@given(code=COUNTRY_CODE, national=NATIONAL)
def test_what_is_stored_is_e164_possible_and_reads_as_itself(code: int, national: str) -> None:
    try:
        stored = to_e164(f"+{code}{national}", "fromNumber")
    except BadRequest:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{1,14}", stored)
    assert phonenumbers.is_possible_number(phonenumbers.parse(stored, None))
    assert to_e164(stored, "fromNumber") == stored


@pytest.mark.parametrize("raw", ["+320020556320", "+375006116903", "+610097831", "+35800140044"])
def test_several_trunk_zeros_are_dropped_at_once(raw: str) -> None:
    stored = to_e164(raw, "fromNumber")
    assert to_e164(stored, "fromNumber") == stored


@settings(deadline=None)
@given(st.text(max_size=80) | st.text("+0123456789 .-()[]x", max_size=20).map("+".__add__))
def test_any_text_is_e164_or_refused(raw: str) -> None:
    try:
        said = to_e164(raw, "fromNumber")
    except BadRequest as refusal:
        said = str(refusal)
    assert re.fullmatch(r"\+[1-9][0-9]{1,14}|fromNumber (must|has) .*", said)
