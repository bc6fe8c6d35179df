"""Sessions and keys that are forged, stolen, stale or somebody else's."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import settings_on
from tests.support.doors import SIGNED_IN, UPGRADE
from tests.support.service import PASSWORD, SECRET, Answer, Service, Tenant, missed, running, sample
from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring, SessionClaims
from tether_rt.mongo.client import new_id

KEYRING = Keyring(SECRET)
RSA_KEY = rsa.generate_private_key(65537, 2048)
RSA_PUBLIC = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def encoded(part: Any) -> str:
    """Return a part of a JWT."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(token: str, **changes: Any) -> dict[str, Any]:
    """Return what a token says, with changes; None removes."""
    claims = {**jwt.decode(token, options={"verify_signature": False}), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def unsigned(token: str, algorithm: str, **changes: Any) -> str:
    return f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims_of(token, **changes))}."


def signed(token: str, key: Any, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return the token's claims, changed, signed with another key."""
    raw = key.encode() if isinstance(key, str) else key
    if isinstance(raw, bytes) and algorithm.startswith("HS"):  # by hand: the library refuses short keys and PEM files
        first = encoded({"alg": algorithm, "typ": "JWT", **(headers or {})}) + "." + encoded(claims_of(token, **changes))
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
        return f"{first}.{encoded(hmac.digest(raw, first.encode(), digest))}"
    return jwt.encode(claims_of(token, **changes), key, algorithm, headers)


def flipped(token: str, part: int) -> str:
    """Change one bit in the middle of one part."""
    parts = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = encoded(bytes(raw))
    return ".".join(parts)


JWK = {"kty": "oct", "k": encoded(b"attacker")}
FORGERIES: dict[str, Callable[[str], str]] = {
    "a bit of the header": lambda token: flipped(token, 0),
    "a bit of the payload": lambda token: flipped(token, 1),
    "a bit of the signature": lambda token: flipped(token, 2),
    "without the signature": lambda token: token.rpartition(".")[0] + ".",
    "without the last part": lambda token: token.rpartition(".")[0],
    "half a signature": lambda token: token[:-20],
    "more behind it": lambda token: token + "AAAA",
    "a fourth part": lambda token: token + ".AAAA",
    "alg none": lambda token: unsigned(token, "none"),
    "alg None": lambda token: unsigned(token, "None"),
    "alg NONE with a signature": lambda token: unsigned(token, "NONE") + token.rpartition(".")[2],
    "alg empty": lambda token: unsigned(token, ""),
    "alg null": lambda token: f"{encoded({'alg': None})}.{encoded(claims_of(token))}.",
    "alg a list": lambda token: f"{encoded({'alg': ['none']})}.{encoded(claims_of(token))}.",
    "no alg": lambda token: f"{encoded({'typ': 'JWT'})}.{encoded(claims_of(token))}." + token.rpartition(".")[2],
    "another key": lambda token: signed(token, "another key that is long enough to be one"),
    "an empty key": lambda token: signed(token, ""),
    "the secret itself, not what is derived from it": lambda token: signed(token, SECRET),
    "the key of recording links": lambda token: signed(token, KEYRING._link_key),
    "the right key with HS384": lambda token: signed(token, KEYRING._session_key, "HS384"),
    "the right key with HS512": lambda token: signed(token, KEYRING._session_key, "HS512"),
    "RS256": lambda token: signed(token, RSA_KEY, "RS256"),
    "a public key as HS256's": lambda token: signed(token, RSA_PUBLIC),
    "its own key in jwk": lambda token: signed(token, "attacker", headers={"jwk": JWK}),
    "a key file in kid": lambda token: signed(token, "", headers={"kid": "../../../../dev/null"}),
    "a query in kid": lambda token: signed(token, "attacker", headers={"kid": "x' UNION SELECT 'attacker"}),
    "a key to fetch in jku": lambda token: signed(token, "attacker", headers={"jku": "http://127.0.0.1:1/keys"}),
    "a certificate to fetch in x5u": lambda token: signed(token, "attacker", headers={"x5u": "http://127.0.0.1:1/x"}),
    "something critical that nobody knows": lambda token: signed(token, KEYRING._session_key, headers={"crit": ["exp", "x"]}),
    "no expiry": lambda token: signed(token, KEYRING._session_key, exp=None),
    "an expiry that is no number": lambda token: signed(token, KEYRING._session_key, exp="never"),
    "an expiry a second ago": lambda token: signed(token, KEYRING._session_key, exp=int(datetime.now(UTC).timestamp()) - 1),
    "no session": lambda token: signed(token, KEYRING._session_key, sid=None),
    "no user": lambda token: signed(token, KEYRING._session_key, sub=None),
    "no organization": lambda token: signed(token, KEYRING._session_key, org=None),
    "a session that is an operator": lambda token: signed(token, KEYRING._session_key, sid={"$ne": None}),
    "a session that nobody began": lambda token: signed(token, KEYRING._session_key, sid=new_id()),
    "not before tomorrow": lambda token: signed(token, KEYRING._session_key, nbf=int(datetime.now(UTC).timestamp()) + 86_400),
    "a list for claims": lambda token: f"{token.split('.')[0]}.{encoded([1])}.{token.split('.')[2]}",
    "no JSON": lambda token: f"{encoded(b'no')}.{encoded(b'json')}.{encoded(b'here')}",
    "no base64": lambda token: "***.***.***",
    "nothing": lambda token: ".",
    "a lot": lambda token: "A" * 15_000,
}


async def ways_in(tenant: Tenant, token: str) -> dict[str, int]:
    """Return the status that a token gets in each way in which one can be given."""
    cookie = {"Cookie": f"tether_session={token}"}
    own = {"Origin": tenant.base_url}
    asked = {
        "bearer": ("/api/calls/history", {"Authorization": f"Bearer {token}"}),
        "cookie": ("/api/calls/history", cookie),
        "cookie and origin": ("/api/user/api-key", {**cookie, **own}),
        "websocket, bearer": ("/ws", {**UPGRADE, "Authorization": f"Bearer {token}"}),
        "websocket, cookie": ("/ws", {**UPGRADE, **cookie, **own}),
        "websocket, subprotocol": ("/ws", {**UPGRADE, "Sec-WebSocket-Protocol": f"tether.v1, bearer.{token}"}),
    }
    return {name: (await tenant.request("GET", path, headers=headers)).status for name, (path, headers) in asked.items()}


# ---------------------------------------------------------------------- forged


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_token_that_is_not_exactly_ours_opens_nothing(tenant: Tenant, forgery: str) -> None:
    token = FORGERIES[forgery](tenant.token)
    assert token != tenant.token
    assert set((await ways_in(tenant, token)).values()) == {401}
    assert (await tenant.get(SIGNED_IN)).status == 200, "the one it was made from still does"


async def test_an_expired_token_opens_nothing_though_its_session_is_still_stored(service: Service, tenant: Tenant) -> None:
    past = SessionClaims(new_id(), tenant.user_id, tenant.organization_id, datetime.now(UTC) - timedelta(seconds=1))
    await service.database["sessions"].insert_one(
        {"_id": past.session_id, "userId": tenant.user_id, "expiresAt": datetime.now(UTC) + timedelta(days=1)}
    )
    assert set((await ways_in(tenant, KEYRING.session_token(past))).values()) == {401}


async def test_a_token_whose_maker_s_clock_is_ahead_is_good(service: Service, tenant: Tenant) -> None:
    """Processes on several machines: when a token was issued decides nothing, its end does."""
    ahead = signed(tenant.token, KEYRING._session_key, iat=int(datetime.now(UTC).timestamp()) + 300)
    assert (await tenant.request("GET", SIGNED_IN, token=ahead)).status == 200


async def test_one_kind_of_secret_never_passes_as_another(tenant: Tenant) -> None:
    assert (await tenant.request("POST", "/api/calls/ingest", token=tenant.token, json=missed())).status == 401
    assert set((await ways_in(tenant, tenant.api_key)).values()) == {401}
    signature = KEYRING.link_signature(tenant.user_id, 99_999_999_999)
    assert set((await ways_in(tenant, signature)).values()) == {401}


# ---------------------------------------------------------------------- stale


async def test_after_signing_out_nothing_of_the_session_is_left(service: Service) -> None:
    tenant = await service.tenant()
    again = await tenant.request("POST", "/api/auth/login", json={"email": tenant.email, "password": PASSWORD})
    dashboard, other_dashboard = await tenant.dashboard(), await tenant.dashboard()
    stolen, tenant.token = tenant.token, again.body["token"]
    kept = await tenant.dashboard()

    out = await tenant.request("POST", "/api/auth/logout", token=stolen)
    assert out.status == 200
    assert "tether_session=;" in out.headers["Set-Cookie"].replace('""', "")
    assert set((await ways_in(tenant, stolen)).values()) == {401}
    for ended in (dashboard, other_dashboard):
        await ended.socket.receive(20)
        assert ended.socket.close_code == 4401
    assert (await tenant.get(SIGNED_IN)).status == 200, "the other session of the same user goes on"
    await tenant.post_call(missed())
    assert (await kept.next())["event"] == "call_initiated"
    await kept.close()


async def test_a_session_that_was_ended_elsewhere_ends_here_within_seconds(mongodb_uri: str, tmp_path: Path) -> None:
    """As when a user is removed, or signs out through another process; `tests/hub/test_life.py` has the open sockets."""
    passed_s = 0.0
    async with running(settings_on(mongodb_uri, tmp_path), clock=lambda: time.monotonic() + passed_s) as service:
        tenant = await service.tenant()
        assert set((await ways_in(tenant, tenant.token)).values()) == {200, 101}
        await service.database["sessions"].delete_many({"userId": tenant.user_id})
        passed_s = 4.0
        assert set((await ways_in(tenant, tenant.token)).values()) == {401}


async def test_a_replaced_key_is_dead_at_once_and_a_session_lives_on(service: Service) -> None:
    tenant = await service.tenant()
    old = tenant.api_key
    assert (await tenant.post_call(missed())).status == 201
    new = (await tenant.post("/api/user/api-key/regenerate")).body["data"]["apiKey"]
    assert (await tenant.request("POST", "/api/calls/ingest", token=old, json=missed())).status == 401
    assert (await tenant.request("POST", "/api/calls/ingest", token=new, json=missed())).status == 201
    assert (await tenant.get(SIGNED_IN)).status == 200


async def test_a_sign_in_makes_a_session_of_its_own_whatever_the_caller_brings(tenant: Tenant) -> None:
    """No fixation: a session that somebody planted in the browser is not the one that is opened."""
    body = {"email": tenant.email, "password": PASSWORD}
    cookie = {"Cookie": f"tether_session={tenant.token}"}
    answers = [await tenant.request("POST", "/api/auth/login", json=body, headers=cookie) for _ in range(2)]
    sessions = {claims_of(token)["sid"] for token in (tenant.token, *(answer.body["token"] for answer in answers))}
    assert len(sessions) == 3


@pytest.mark.parametrize("over_tls", [False, True])
async def test_the_cookie_is_for_this_site_and_no_script(tenant: Tenant, over_tls: bool) -> None:
    headers = {"X-Forwarded-Proto": "https"} if over_tls else {}
    body = {"email": tenant.email, "password": PASSWORD}
    answer = await tenant.request("POST", "/api/auth/login", json=body, headers=headers)
    parts = {part.strip().partition("=")[0].lower() for part in answer.headers["Set-Cookie"].split(";")}
    assert {"tether_session", "httponly", "samesite", "path"} <= parts
    assert ("secure" in parts) is over_tls
    assert "domain" not in parts
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]


# ---------------------------------------------------------------------- somebody else's


async def test_nobody_sees_what_belongs_to_another_organization(tenant: Tenant, other: Tenant) -> None:
    posted = await other.post_call(sample())
    ids = posted.body
    recording = (await other.get(f"/api/calls/{ids['callId']}")).body["call"]["recordings"][0]["recordingId"]
    nobody = new_id()

    async def both(method: str, path: str, there: str, **options: Any) -> tuple[Answer, Answer]:
        def filled(value: Any, one: str) -> Any:
            return json.loads(json.dumps(value).replace("ID", one))

        asked = [{name: filled(value, one) for name, value in options.items()} for one in (there, nobody)]
        return (
            await tenant.request(method, path.replace("ID", there), token=tenant.token, **asked[0]),
            await tenant.request(method, path.replace("ID", nobody), token=tenant.token, **asked[1]),
        )

    for method, path, there, options in (
        ("GET", "/api/calls/ID", ids["callId"], {}),
        ("GET", "/api/calls/ID/recording", ids["callId"], {}),
        ("GET", "/api/calls/ID/peaks", ids["callId"], {}),
        ("POST", "/api/conversation/all", ids["contactId"], {"json": {"contactId": "ID"}}),
        ("POST", "/api/conversation/messages", ids["conversationId"], {"json": {"conversationId": "ID"}}),
        ("GET", "/api/calls/history?contactId=ID", ids["contactId"], {}),
        ("GET", "/api/calls/history?userId=ID", other.user_id, {}),
        ("GET", "/api/recordings/ID?expires=99999999999&signature=x", recording, {}),
    ):
        theirs, nobodys = await both(method, path, there, **options)
        for answer in (theirs, nobodys):
            answer.body.pop("requestId", None)
        assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body), path
        assert theirs.status in (403, 404) or theirs.body["total"] == 0, path
    for path in ("/api/calls/history", "/api/contacts", "/api/calls/statistics"):
        assert ids["callId"] not in str((await tenant.get(path)).body)
        assert ids["contactId"] not in str((await tenant.get(path)).body)


async def test_nobody_hears_what_belongs_to_another_organization(tenant: Tenant, other: Tenant) -> None:
    own = await tenant.dashboard()
    await other.post_call(missed(callerName="somebody else"))
    mine = (await tenant.post_call(missed())).body["callId"]
    event = await own.next()
    assert event["data"]["callId"] == mine
    await own.close()
    from_the_start = await tenant.dashboard(after=0)
    seen = await from_the_start.events(3)
    assert "somebody else" not in str(seen)
    await from_the_start.close()


async def test_a_vendors_key_can_only_write(tenant: Tenant) -> None:
    for method, path in (
        ("GET", "/api/calls/history"),
        ("GET", "/api/calls/statistics"),
        ("GET", "/api/contacts"),
        ("GET", "/api/user/api-key"),
        ("POST", "/api/user/api-key/regenerate"),
        ("POST", "/api/conversation/all"),
        ("GET", "/api/deliveries/reasons"),
        ("POST", "/api/deliveries/replay"),
        ("GET", "/ws"),
    ):
        assert (await tenant.request(method, path, token=tenant.api_key)).status == 401, path


# ---------------------------------------------------------------------- told by time


async def test_secrets_are_compared_in_constant_time(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures of tokens and links go through `hmac.compare_digest`; keys are found by their SHA-256, which tells nothing."""
    compared: list[tuple[bytes, bytes]] = []
    genuine = hmac.compare_digest

    def noted(one: Any, two: Any) -> bool:
        compared.append((one, two))
        return genuine(one, two)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    for token in (tenant.token, flipped(tenant.token, 2)):
        compared.clear()
        KEYRING.session_claims(token)
        assert len(compared) == 1
        assert len(compared[0][0]) == len(compared[0][1]) == 32
    for signature in (KEYRING.link_signature("x", 9), "forged"):
        compared.clear()
        KEYRING.link_holds("x", 9, signature, 0)
        assert len(compared) == 1


async def test_what_is_stored_gives_no_secret_away(service: Service, tenant: Tenant) -> None:
    user = await service.database["users"].find_one({"_id": tenant.user_id})
    assert user is not None
    text = str(user)
    assert tenant.api_key not in text
    assert tenant.api_key.removeprefix(credentials.API_KEY_PREFIX) not in text
    assert PASSWORD not in text
    assert user["apiKeyDigest"] == credentials.api_key_digest(tenant.api_key)
    assert user["passwordHash"].startswith("$argon2id$")
    assert KEYRING.unseal(user["apiKeySealed"]) == tenant.api_key
    assert Keyring("another secret that is long enough").unseal(user["apiKeySealed"]) is None
    session = await service.database["sessions"].find_one({"userId": tenant.user_id})
    assert tenant.token not in str(session)


async def test_the_log_holds_no_secret(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    tenant = await service.tenant(role="admin")
    added = await tenant.post("/api/sources", {"name": "Bot", "settings": {"fetchUser": "u", "fetchPassword": "fetch-me"}})
    await replace(tenant, api_key=added.body["apiKey"]).post_call(missed())
    await tenant.post_call(sample(callerName="Somebody Known"))
    await tenant.get("/api/calls/history?search=Somebody")
    await tenant.request("GET", SIGNED_IN, headers={"Cookie": f"tether_session={tenant.token}"})
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await tenant.http.ws_connect(f"{tenant.base_url}/ws?after=x&token={tenant.token}")
    lines = [json.dumps(record.__dict__, default=str) for record in caplog.records if record.name.startswith("tether")]
    assert len(lines) >= 5
    for line in lines:
        for secret in (
            tenant.api_key,
            added.body["apiKey"],
            "fetch-me",
            tenant.token,
            PASSWORD,
            SECRET,
            "Somebody",
            tenant.email,
            "+1416",
        ):
            assert secret not in line
