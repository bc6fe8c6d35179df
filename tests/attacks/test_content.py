"""What the server says to browsers: headers on every answer, and recordings that are nothing but audio."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.attacks.conftest import answers_to
from tests.support import audio
from tests.support.service import Answer, Service, Tenant, missed, sample
from tether_rt.http.headers import NOTHING_MAY_RUN

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PAGES = ("/", "/docs", "/docs/vendor", "/join")
FOR_EVER = "public, max-age=31536000, immutable"
AUDIO_TYPES = {"audio/mpeg", "audio/wav", "audio/ogg", "audio/mp4", "audio/flac", "audio/webm"}


def policy_of(headers: Any) -> dict[str, set[str]]:
    """Return a Content-Security-Policy by directive."""
    directives = [part.split() for part in headers["Content-Security-Policy"].split(";") if part.strip()]
    return {name: set(sources) for name, *sources in directives}


def require_guarded(answer: Answer, what: str) -> None:
    """Check what every answer must carry."""
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff", what
    assert headers["X-Frame-Options"] == "DENY", what
    assert headers["Referrer-Policy"] == "no-referrer", what
    is_linked = " /api/recordings/" in what and answer.status in (200, 206)
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if is_linked else "same-origin"), what
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", what
    assert headers["Cache-Control"] in ("no-store", "no-cache", "private, max-age=600, immutable", FOR_EVER), what
    assert headers["Cache-Control"] != FOR_EVER or re.search(r" /static/[0-9a-f]{20}/", what), what
    assert re.fullmatch(r"[A-Za-z0-9._-]+", headers["X-Request-Id"]), what
    assert not {"Server", "X-Powered-By", "Via"} & set(headers), what
    policy = policy_of(headers)
    assert policy["default-src"] == policy["frame-ancestors"] == {"'none'"}, what
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "data:", "https:", "http:"} & policy.get("script-src", set()), what
    kind = headers.get("Content-Type", "")
    path = what.partition(" ")[2]
    if headers["Content-Security-Policy"] == NOTHING_MAY_RUN:
        assert not kind.startswith("text/html"), what
    else:
        assert path in PAGES or path.startswith("/static/"), what
        assert policy["script-src"] == {"'self'"}, what
        assert policy["base-uri"] == {"'none'"}, what
        assert policy["form-action"] == {"'self'"}, what
    if answer.status >= 400:
        assert kind == "application/json", what


def addresses(service: Service) -> list[str]:
    """Return an address for each route of the server, filled in."""
    files = {"{file}": "js/main.js"}
    return [re.sub(r"\{\w+\}", lambda part: files.get(part[0], "0" * 24), path) for path, _, _ in service.server.app.routes]


async def test_every_answer_of_every_route_is_guarded(service: Service, tenant: Tenant) -> None:
    seen: dict[int, int] = {}
    paths = [*addresses(service), "/nowhere", "/static/js/nothing.js", "/static/", "/api", "/favicon.ico", "/openapi.json/"]
    strangers: list[dict[str, str]] = [{}, {"Authorization": f"Bearer {tenant.token}"}, {"Origin": "https://evil.example"}]
    for path in paths:
        for method in METHODS:
            for headers in strangers:
                if path in ("/api/auth/logout", "/api/user/api-key/regenerate") and "Authorization" in headers:
                    continue
                answer = await tenant.request(method, path, headers=headers)
                require_guarded(answer, f"{method} {path}")
                seen[answer.status] = seen.get(answer.status, 0) + 1
    assert {200, 400, 401, 403, 404, 405, 426} <= set(seen), seen
    assert 500 not in seen
    assert len(paths) > 25


async def test_answers_to_odd_requests_are_guarded_too(tenant: Tenant) -> None:
    key = {"Authorization": f"Bearer {tenant.api_key}"}
    asked: list[tuple[int, str, str, dict[str, Any]]] = [
        (400, "POST", "/api/calls/ingest", {"headers": key, "data": b"{"}),
        (413, "POST", "/api/conversation/all", {"token": tenant.token, "data": b" " * 70_000}),
        (415, "POST", "/api/calls/ingest", {"headers": {**key, "Content-Type": "text/plain"}, "data": b"{}"}),
        (415, "POST", "/api/calls/ingest", {"headers": {**key, "Content-Encoding": "gzip"}, "data": b"{}", "json": None}),
        (201, "POST", "/api/calls/ingest", {"headers": key, "json": missed()}),
        (403, "GET", "/api/recordings/x?expires=1&signature=x", {}),
        (400, "GET", "/api/calls/%ff", {}),
        (404, "GET", "/static/css/%2e%2e/package.json", {}),
    ]
    for status, method, path, options in asked:
        answer = await tenant.request(method, path, **options)
        assert answer.status in (status, 415), (path, answer)
        require_guarded(answer, f"{method} {path}")
    page = await tenant.request("GET", "/")
    again = await tenant.request("GET", "/", headers={"If-None-Match": page.headers["Etag"]})
    assert again.status == 304
    require_guarded(again, "GET /")
    part = await tenant.request("GET", "/static/js/main.js", headers={"Range": "bytes=0-9"})
    assert part.status == 200, "a file of some kilobytes is sent whole (RFC 9110 section 14.2)"
    require_guarded(part, "GET /static/js/main.js")


async def test_what_is_no_http_is_guarded_too(service: Service) -> None:
    for data in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n"):
        (answer,) = await answers_to(service, data)
        named = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in answer.headers.items()}
        require_guarded(Answer(answer.status, named, answer.body), "the start")


async def test_the_dashboard_s_page_lets_nothing_in_but_its_own_files(tenant: Tenant) -> None:
    page = await tenant.request("GET", "/")
    policy = policy_of(page.headers)
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["font-src"] == {"'self'"}
    assert policy["img-src"] <= {"'self'", "data:"}
    assert policy["require-trusted-types-for"] == {"'script'"}
    assert policy["trusted-types"] == {"'none'"}
    assert "object-src" not in policy, "default-src says it"
    html = page.body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html), "no script in the page itself"
    assert not re.search(r"\son\w+=|javascript:|<style|\sstyle=", html)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", html), "nothing from elsewhere"


# ---------------------------------------------------------------------- recordings


HTML = b"<!doctype html><html><body><script>document.title = 'ran'</script></body></html>"
POLYGLOTS = {
    "a page in an ID3 tag": (audio.id3(audio.mp3(), 400).replace(bytes(300), HTML.ljust(300, b" "), 1), "audio/mpeg"),
    "a page in the first frame": (audio.mp3(salt=HTML), "audio/mpeg"),
    "a page behind the sound": (audio.mp3() + HTML, "audio/mpeg"),
    "a page in a WAV's data": (audio.wav().replace(b"\x80" * 300, HTML.ljust(300), 1), "audio/wav"),
    "a page as a brand": (audio.m4a() + HTML, "audio/mp4"),
    "a page in Ogg": (audio.ogg() + HTML, "audio/ogg"),
    "a page in FLAC": (audio.flac() + HTML, "audio/flac"),
    "a page in WebM": (audio.webm() + HTML, "audio/webm"),
}
NO_AUDIO = {
    "a page": HTML,
    "a page behind a byte order mark": b"\xef\xbb\xbf" + HTML,
    "a page in UTF-16": "\ufeff<html><script>alert(1)</script>".encode("utf-16-le"),
    "a page behind zeros": bytes(50) + HTML,
    "a page behind an ID3 tag": audio.id3(HTML, 20),
    "a picture that is a page": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a script": b"alert(document.domain)//" + b" " * 200,
    "a stylesheet": b"body { background: url(//evil.example) }",
    "an XML style sheet": b"<?xml version='1.0'?><?xml-stylesheet href='x'?><a/>",
    "a PDF": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a picture in audio's box": audio.m4a(brand=b"avif"),
    "a film's container": audio.webm(b"matroska"),
    "an archive": b"PK\x03\x04" + bytes(100),
    "a program": b"\x7fELF" + bytes(100),
    "a Windows program": b"MZ" + bytes(100),
    "a shell script": b"#!/bin/sh\nid\n",
    "a manifest": b"CACHE MANIFEST\n",
    "WebAssembly": b"\x00asm\x01\x00\x00\x00",
    "JSON": b'{"a": 1}',
    "nothing but zeros": bytes(1000),
}


@pytest.mark.parametrize("kind", POLYGLOTS)
async def test_a_page_hidden_in_a_recording_is_served_as_sound(tenant: Tenant, kind: str) -> None:
    content, content_type = POLYGLOTS[kind]
    assert HTML[:40] in content
    posted = await tenant.post_call(sample(recording=base64.b64encode(content).decode()))
    assert posted.status == 201, posted.body
    url = (await tenant.get(f"/api/calls/{posted.body['callId']}/recording")).body["audioUrl"]
    for headers in ({}, {"Accept": "text/html"}, {"Range": "bytes=10-"}, {"Sec-Fetch-Dest": "document"}):
        played = await tenant.request("GET", url.removeprefix(tenant.base_url), headers=headers)
        assert played.status in (200, 206)
        require_guarded(played, f"GET {url.removeprefix(tenant.base_url)}")
        assert played.headers["Content-Type"] == content_type
        assert content_type in AUDIO_TYPES
        assert re.fullmatch(r'inline; filename="[0-9a-f]{24}\.[a-z0-9]{3,4}"', played.headers["Content-Disposition"])


@pytest.mark.parametrize("kind", NO_AUDIO)
@pytest.mark.parametrize("prefix", ["", "data:audio/mpeg;base64,"])
async def test_what_is_no_sound_is_not_taken_for_it(tenant: Tenant, kind: str, prefix: str) -> None:
    call = sample(recording=prefix + base64.b64encode(NO_AUDIO[kind]).decode())
    answer = await tenant.post_call(call)
    assert answer.status == 400, answer.body
    assert answer.body["error"] == "recording is not audio: MP3, WAV, OGG, M4A, FLAC or WebM is expected"


@pytest.mark.parametrize(
    "claim",
    [
        "audio/html",
        "audio/mpeg\r\nX-Injected: 1",
        'audio/mpeg"><script>',
        "audio/x-shockwave-flash",
        "audio/svg+xml",
        "AUDIO/MPEG",
    ],
)
async def test_the_type_that_a_vendor_claims_is_never_repeated(tenant: Tenant, claim: str) -> None:
    recording = f"data:{claim};base64,{base64.b64encode(audio.mp3(salt=claim.encode())).decode()}"
    posted = await tenant.post_call(sample(recording=recording))
    if posted.status == 400:
        assert posted.body["error"].startswith("recording is ")
        return
    call = (await tenant.get(f"/api/calls/{posted.body['callId']}")).body["call"]
    assert call["recordings"][0]["contentType"] == "audio/mpeg"


async def test_answers_with_hostile_text_are_json_and_nothing_else(tenant: Tenant) -> None:
    """Should a browser ever show one as a page: the type is fixed, and it may not be guessed."""
    hostile = "</script><script>alert(1)</script><!--"
    posted = await tenant.post_call(
        missed(callerName=hostile, agentName=hostile, summary=hostile, externalCallId=hostile, metadata={hostile: hostile})
    )
    assert posted.status == 201
    for path in (f"/api/calls/{posted.body['callId']}", "/api/calls/history", "/api/contacts", "/api/calls/agents"):
        answer = await tenant.get(path)
        assert answer.headers["Content-Type"] == "application/json"
        assert hostile in json.dumps(answer.body)
        require_guarded(answer, f"GET {path}")
    refused = await tenant.post_call(missed(direction=hostile, status=hostile, **{hostile: 1}))
    assert refused.status == 400
    assert refused.headers["Content-Type"] == "application/json"
