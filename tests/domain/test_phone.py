"""Numbers: what is taken, what is refused, and that what is stored reads as itself."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tether_rt.domain.phone import MAX_CHARS, probably_meant, same_telephone, to_e164
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
        (" +14165550100", "+14165550100"),
        ("+14165550145\n", "+14165550145"),
        ("\u2068+14165550143\u2069", "+14165550143"),
        ("+1\u00a0416\u2011555\u202f0144\u200e", "+14165550144"),
        ("+1 416 \u2212 555 \u2013 0100", "+14165550100"),
        ("+49/30/123456", "+4930123456"),
        ("tel:+1-416-555-0100", "+14165550100"),
        ("TEL:+14165550100", "+14165550100"),
        ("(+1) 416 555 0100", "+14165550100"),
        ("+52 1 55 1234 5678", "+5215512345678"),
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
        ("tel:4165550100", "must start with +"),
        ("0014165550100", "must start with +"),
        ("anonymous", "must start with +"),
        ("＋14165550100", "it starts with U+FF0B (FULLWIDTH PLUS SIGN)"),
        ("+", "must be digits"),
        ("++14165550100", "must be digits"),
        ("+1800FLOWERS", "it has U+0046 (LATIN CAPITAL LETTER F)"),
        ("+1 416 555 0100 x5", "must be digits"),
        ("+1 416 555 0100 ext. 5", "must be digits"),
        ("+14165550100;ext=5", "must be digits"),
        ("+14165550100,5", "must be digits"),
        ("+14165550100//+14165550101", "it has U+002B (PLUS SIGN)"),
        ("+14165550100\0", "it has U+0000"),
        ("+１４１６５５５０１００", "it has U+FF11 (FULLWIDTH DIGIT ONE)"),
        ("+1416555010٠", "it has U+0660 (ARABIC-INDIC DIGIT ZERO)"),
        ("911", "short or internal number"),
        ("*611", "short or internal number"),
        ("+266696687", "withheld"),
        ("+86 28 2452253", "withheld"),
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
    assert any(phonenumbers.is_possible_number(phonenumbers.parse(form, None)) for form in same_telephone(stored))
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
    assert re.fullmatch(r"\+[1-9][0-9]{1,14}|fromNumber (must|has|is) .*", said)


@pytest.mark.parametrize(
    ("number", "forms"),
    [
        ("+14165550100", ["+14165550100"]),
        ("+5215512345678", ["+525512345678", "+5215512345678"]),
        ("+525512345678", ["+525512345678", "+5215512345678"]),
        ("+541123456789", ["+541123456789", "+5491123456789"]),
        ("+5491123456789", ["+5491123456789", "+541123456789"]),
        ("+551187654321", ["+5511987654321", "+551187654321"]),
        ("+5511987654321", ["+5511987654321", "+551187654321"]),
        ("+551198765432", ["+5511998765432", "+551198765432"]),
        ("+551132654321", ["+551132654321"]),
    ],
)
def test_the_forms_of_one_telephone(number: str, forms: list[str]) -> None:
    assert list(same_telephone(number)) == forms


@given(st.sampled_from(["52", "54", "55"]), st.text("0123456789", min_size=8, max_size=12))
def test_all_forms_of_a_telephone_agree_on_which_they_are(code: str, national: str) -> None:
    forms = same_telephone(f"+{code}{national}")
    assert f"+{code}{national}" in forms
    assert all(set(same_telephone(form)) == set(forms) for form in forms)


@pytest.mark.parametrize(
    ("raw", "other", "meant"),
    [
        ("(416) 555-0123", "+14165550100", "+14165550123"),
        ("020 7946 0958", "+442079460000", "+442079460958"),
        ("020 7946 0958", "+14165550100", None),
        ("0044 20 7946 0958", "+14165550100", "+442079460958"),
        ("0044 20 7946 0958", "anonymous", "+442079460958"),
        ("011 44 20 7946 0958", "+14165550100", "+442079460958"),
        ("14165550123", "sip:alice@example.com", "+14165550123"),
        ("0000000000", "+14165550100", None),
        ("four", "+14165550100", None),
        ("+4165550123", "+14165550100", None),
        ("1" * 1_000_000, "+14165550100", None),
    ],
)
def test_what_a_number_without_its_country_code_probably_means(raw: str, other: str, meant: str | None) -> None:
    assert probably_meant(raw, other) == meant
