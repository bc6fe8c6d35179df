"""What a request's headers say, odd ones foremost."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from tether_rt.http.headers import (
    arrived_over_tls,
    bearer_token,
    from_foreign_page,
    networks,
    origin_allowed,
    origin_form,
    remote_address,
)


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
        ("https://desk.example:443", True),
        ("http://desk.example:443", False),
    ],
)
def test_only_the_own_and_the_allowed_origins_pass(origin: str | None, allowed: bool) -> None:
    request = request_with(**({} if origin is None else {"Origin": origin}))
    assert origin_allowed(request, ("https://desk.example",)) is allowed


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("calls.example:443", "https://calls.example", True),
        ("calls.example", "https://calls.example:443", True),
        ("calls.example:80", "http://calls.example", True),
        ("Calls.Example:443", "https://calls.example", True),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", True),
        ("calls.example:80", "https://calls.example", False),
        ("calls.example:443", "http://calls.example", False),
        ("calls.example:8443", "https://calls.example", False),
        (":443", "https://", False),
    ],
)
def test_the_default_port_is_no_port(host: str, origin: str, allowed: bool) -> None:
    request = request_with(Origin=origin)
    request.headers["Host"] = host
    assert origin_allowed(request, ()) is allowed


@pytest.mark.parametrize(
    ("target", "host", "form"),
    [
        ("http://calls.example/api/calls/ingest", "calls.example", "/api/calls/ingest"),
        ("HTTP://Calls.Example:80/a?b=c?d", "calls.example", "/a?b=c?d"),
        ("https://calls.example", "calls.example:443", "/"),
        ("https://calls.example?x", "calls.example", "/?x"),
        ("http://evil.example/a", "calls.example", None),
        ("http://calls.example@evil.example/a", "calls.example", None),
        ("ftp://calls.example/a", "calls.example", None),
        ("http://[", "calls.example", None),
        ("calls.example:80", "calls.example", None),
        ("*", "calls.example", None),
    ],
)
def test_a_target_in_absolute_form_is_reduced_to_its_path(target: str, host: str, form: str | None) -> None:
    assert origin_form(target, host) == form


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
    assert bearer_token({"Authorization": header}) == token


@pytest.mark.parametrize(
    ("headers", "over_tls"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"X-Forwarded-Proto": "http"}, False),
        ({"X-Forwarded-Proto": "https, https"}, True),
        ({"X-Forwarded-Proto": "HTTPS ,http"}, True),
        ({"X-Forwarded-Proto": "http, https"}, False),
        ({"Origin": "https://calls.example"}, True),
    ],
)
def test_https_is_known_behind_a_proxy_that_ends_it(headers: dict[str, str], over_tls: bool) -> None:
    assert arrived_over_tls(request_with(**headers)) is over_tls


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Origin": "http://calls.example:2212"}, False),
        ({"Origin": "https://calls.example:2212"}, True),
        ({"Origin": "ftp://calls.example:2212"}, False),
        ({"Origin": "//calls.example:2212"}, False),
    ],
)
def test_a_page_that_came_over_plain_http_is_not_ours_where_we_are_https(headers: dict[str, str], allowed: bool) -> None:
    request = request_with(**headers, **{"X-Forwarded-Proto": "https"})
    assert origin_allowed(request, ()) is allowed


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "https://calls.example:2212", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "websocket"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),
        ({"Origin": "https://desk.example", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_a_foreign_page_is_known_by_what_the_browser_tells(headers: dict[str, str], foreign: bool) -> None:
    assert from_foreign_page(request_with(**headers), ("https://desk.example",)) is foreign


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "192.0.2.1", "198.51.100.7"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.5, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, ,", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:5::1", "192.0.2.1", "192.0.2.1"),
        ("", "192.0.2.1", ""),
    ],
)
def test_a_callers_address_is_believed_of_our_proxies_alone(peer: str, forwarded: str | None, address: str) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert remote_address(headers, peer, networks(["10.0.0.0/24", "2001:db8:5::1"])) == address
