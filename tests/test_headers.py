"""What a request's headers say, odd ones foremost."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from tether_rt.headers import arrived_over_tls, bearer_token, origin_allowed


def request_with(**headers: str) -> HTTPServerRequest:
    fields = HTTPHeaders({"Host": "Calls.example:2212", **headers})
    return HTTPServerRequest(start_line=RequestStartLine("GET", "/", "HTTP/1.1"), headers=fields)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://calls.example:2212", True),
        ("http://CALLS.example:2212", True),
        ("https://desk.example", True),
        ("https://calls.example", False),
        ("https://evil.example", False),
        ("https://evil.example/calls.example:2212", False),
        ("https://calls.example:2212@evil.example", False),
        ("https://desk.example.evil.example", False),
        ("null", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_the_own_and_the_allowed_origins_pass(origin: str | None, allowed: bool) -> None:
    request = request_with(**({} if origin is None else {"Origin": origin}))
    assert origin_allowed(request, ("https://desk.example",)) is allowed


def test_an_origin_is_not_the_own_one_of_a_request_without_a_host() -> None:
    request = request_with(Origin="null")
    request.headers["Host"] = ""
    assert not origin_allowed(request, ())


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc ", "abc"),
        ("BEARER  abc", "abc"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
    ],
)
def test_a_bearer_token_is_found_in_whatever_case_its_scheme_is(header: str, token: str | None) -> None:
    assert bearer_token(request_with(Authorization=header)) == token


@pytest.mark.parametrize(
    ("headers", "over_tls"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"X-Forwarded-Proto": "http"}, False),
        ({"Origin": "https://calls.example"}, True),
    ],
)
def test_https_is_known_behind_a_proxy_that_ends_it(headers: dict[str, str], over_tls: bool) -> None:
    assert arrived_over_tls(request_with(**headers)) is over_tls
