"""The two sides of a call: numbers, SIP addresses, and callers who withhold their number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.domain.party import MAX_SIP_CHARS, read_address, read_caller
from tether_rt.errors import BadRequest

OURS = "+14165550100"
WITHHELD = [
    *("anonymous", "Anonymous", "RESTRICTED", "private", "Unknown", "unavailable", "blocked", "withheld", " anonymous\n"),
    *(
        "anonymous@anonymous.invalid",
        "sip:anonymous@pbx.example.com",
        "SIPS:Restricted@x",
        "tel:anonymous",
        "\u2068Private\u2069",
    ),
    *("sip:4f2a@anonymous.invalid;user=phone", "sip:+266696687@carrier.example"),
    *("+7378742833", "+2562533", "+8656696", "+266696687", "+86282452253", "266696687", "+86 28 2452 253"),
]


@pytest.mark.parametrize("raw", WITHHELD)
def test_the_caller_of_an_inbound_call_may_be_withheld_and_nobody_else(raw: str) -> None:
    assert read_caller(raw, "fromNumber", other=OURS) is None
    with pytest.raises(BadRequest, match=r"^toNumber must be a number or a SIP address: only the caller") as refusal:
        read_address(raw, "toNumber", other=OURS)
    assert (refusal.value.code, refusal.value.field) == ("withheld_number", "toNumber")


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("sip:alice@example.com", "sip:alice@example.com"),
        ("SIP:Alice@EXAMPLE.com", "sip:Alice@example.com"),
        (" sips:911@[2001:DB8::1]:5061\n", "sips:911@[2001:db8::1]:5061"),
        ("sip:alice:secret@example.com;transport=tcp?subject=x", "sip:alice@example.com"),
        ("sip:+14165550100@gw-1.carrier.example:5060", "sip:+14165550100@gw-1.carrier.example:5060"),
    ],
)
def test_a_sip_address_is_taken_on_either_side(raw: str, stored: str) -> None:
    assert read_caller(raw, "fromNumber", other=OURS) == stored
    assert read_address(raw, "toNumber", other=OURS) == stored
    assert read_address(stored, "toNumber", other=OURS) == stored


@pytest.mark.parametrize(
    ("raw", "code", "why"),
    [
        ("", "not_e164", '"anonymous" if it is withheld'),
        ("\u2068\u2069", "not_e164", '"anonymous" if it is withheld'),
        ("nobody", "not_e164", '"anonymous" if it is withheld'),
        ("4165550123", "national_number", "did you mean +14165550123?"),
        ("0044 20 7946 0958", "national_number", "did you mean +442079460958?"),
        ("020 7946 0958", "national_number", "must start with + and the country code, such as"),
        ("911", "short_number", "send it as a SIP address, such as sip:100@pbx.example.com"),
        ("sip:example.com", "wrong_format", "must be sip:user@host"),
        ("sip:", "wrong_format", "must be sip:user@host"),
        ("sip:a b@example.com", "wrong_format", "must be sip:user@host"),
        ("alice@example.com", "wrong_format", "must start with sip:"),
        (f"sip:{'a' * MAX_SIP_CHARS}@example.com", "too_long", f"at most {MAX_SIP_CHARS} characters"),
        ("+1800FLOWERS", "not_e164", "LATIN CAPITAL LETTER F"),
    ],
)
def test_a_refusal_says_what_to_send_instead(raw: str, code: str, why: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_caller(raw, "fromNumber", other=OURS)
    assert (refusal.value.code, refusal.value.field) == (code, "fromNumber")
    assert str(refusal.value).startswith("fromNumber ")
    assert why in str(refusal.value)


ADDRESSES = st.from_regex(r"\A(sips?:)?[a-z0-9+]{1,9}(:[a-z]*)?@[A-Za-z0-9.-]{1,9}(:[0-9]{1,5})?(;[a-z=]*)?\Z")


@given(st.text(max_size=300) | st.sampled_from(WITHHELD) | ADDRESSES)
def test_any_text_is_an_address_that_reads_as_itself_or_withheld_or_refused(raw: str) -> None:
    try:
        stored = read_caller(raw, "fromNumber", other=OURS)
    except BadRequest as refusal:
        stored = f"{refusal.field}: {refusal}"
    if stored is not None and not re.match("fromNumber: fromNumber (must|has|is) ", stored):
        assert re.fullmatch(r"\+[1-9][0-9]{1,14}|sips?:[^@\s]+@[^@\s]+", stored)
        assert read_caller(stored, "fromNumber", other=OURS) == read_address(stored, "toNumber", other=OURS) == stored


@pytest.mark.parametrize("raw", ["sip:" + "a" * 10_000_000, "4" * 10_000_000, "\u2068" * 10_000_000, "sip:" + "a:" * 120 + "@"])
def test_a_very_long_text_is_refused_at_once(raw: str) -> None:
    with pytest.raises(BadRequest):
        read_caller(raw, "fromNumber", other=raw)
