"""What the log says of refused pages: once a minute, with what would mend it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from tether_rt.http.refused_pages import LOG_EVERY_S, RefusedPages, hint


@pytest.mark.parametrize(
    ("origin", "host", "forwarded", "is_proxy"),
    [
        ("https://calls.example.com", "tether", None, True),
        ("https://calls.example.com", "127.0.0.1:2212", None, True),
        ("https://calls.example.com", "localhost:2212", None, True),
        ("https://calls.example.com", "10.0.0.11:2212", None, True),
        ("https://calls.example.com", "[fd00::1]:2212", None, True),
        ("https://calls.example.com", "web.internal:2212", None, True),
        ("https://calls.example.com:8443", "calls.example.com", None, True),
        ("https://calls.example.com", "backend.example.com", "calls.example.com", True),
        ("https://calls.example.com", "backend.example.com", "CALLS.example.com:443, other.example", True),
        ("https://evil.example", "calls.example.com", None, False),
        ("https://evil.example", "calls.example.com", "calls.example.com", False),
        ("http://localhost:3000", "tether", None, False),
        ("null", "tether", None, False),
        ("http://[", "tether", "[", False),
        ("", "", None, False),
    ],
)
def test_a_host_that_a_proxy_has_changed_is_told_from_a_page_that_is_foreign(
    origin: str, host: str, forwarded: str | None, is_proxy: bool
) -> None:
    headers = {"Origin": origin, "Host": host, **({"X-Forwarded-Host": forwarded} if forwarded is not None else {})}
    assert ("proxy_set_header Host $http_host" in hint(headers)) is is_proxy
    assert ("TETHER_ALLOWED_ORIGINS" in hint(headers)) is not is_proxy


def test_behind_a_proxy_an_inner_name_is_not_the_pages_own() -> None:
    headers = {"Origin": "https://localhost:8443", "Host": "tether"}
    assert "http_host" not in hint(headers)
    assert "http_host" in hint({**headers, "X-Forwarded-For": "127.0.0.1"})


@given(st.dictionaries(st.sampled_from(["Origin", "Host", "X-Forwarded-Host"]), st.text()))
def test_whatever_a_client_sends_there_is_a_hint(headers: dict[str, str]) -> None:
    assert hint(headers).endswith(".")


def test_one_line_a_minute_says_how_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    pages = RefusedPages(lambda: now_s)
    headers = HTTPHeaders({"Host": "tether", "Origin": "https://" + "x" * 1000})
    request = HTTPServerRequest(start_line=RequestStartLine("GET", "/", "HTTP/1.1"), headers=headers)
    for seconds in (0, 1, LOG_EVERY_S - 1, LOG_EVERY_S, LOG_EVERY_S + 1):
        now_s = seconds
        pages.note(request)
    lines = [vars(record)["fields"] for record in caplog.records if record.message == "page_refused"]
    assert [line["refused"] for line in lines] == [1, 3]
    assert all(len(line["origin"]) == 200 for line in lines)
