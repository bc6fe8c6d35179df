"""Who sends a request: a signed-in person, a program with a read token, or the source of an API key, which has a rate limit."""

from __future__ import annotations

from tether_rt.auth import permissions
from tether_rt.auth.credentials import looks_like_read_token
from tether_rt.auth.identity import Session
from tether_rt.auth.rate_limits import retry_after_s
from tether_rt.auth.read_tokens import Reader
from tether_rt.domain.source import Source
from tether_rt.errors import Forbidden, TooManyRequests, Unauthorized
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import bearer_token, from_foreign_page, session_cookie


async def require_reader(exchange: Exchange) -> Reader:
    """Return the session or the read token of a request.

    Raises `Unauthorized` without either, and `Forbidden` for a cookie with the request of another site's page, and for a role
    or a token that may not do this.
    """
    headers = exchange.request.headers
    token = bearer_token(headers)
    if token is not None:
        return await permitted_bearer(exchange, token)
    cookie = session_cookie(headers)
    if cookie is not None:
        refuse_foreign_page(exchange)
    return await permitted_session(exchange, cookie)


async def permitted_bearer(exchange: Exchange, token: str) -> Reader:
    """Return the read token or the session that a bearer token is; a read token counts nowhere else. Raises as above."""
    if not looks_like_read_token(token):
        return await permitted_session(exchange, token)
    found = await exchange.context.read_tokens.get(token, exchange.deadline)
    if found is None:
        raise Unauthorized("The read token does not hold: it was revoked, has expired, or a part of it is missing.")
    exchange.organization_id = found.organization_id
    permissions.require_scope(found.scopes, exchange.request.method or "", exchange.route)
    return found


async def require_session(exchange: Exchange) -> Session:
    """Return the session of a request to a route that no read token opens; raises as `require_reader`."""
    reader = await require_reader(exchange)
    assert isinstance(reader, Session), "the route has no scope"
    return reader


def refuse_foreign_page(exchange: Exchange) -> None:
    """Raise `Forbidden` for a request that a page of another site has sent, and say so in the log."""
    context = exchange.context
    if from_foreign_page(exchange.request, context.allowed_origins):
        context.refused_pages.note(exchange.request)
        raise Forbidden("Requests from pages of another site are not taken.")


async def permitted_session(exchange: Exchange, token: str | None) -> Session:
    """Return the session of a token: the one place that checks what roles may do (`permissions`); raises as above."""
    session = await exchange.context.identity.session(token, exchange.deadline) if token else None
    if session is None:
        raise Unauthorized("Sign in first: the session is missing, expired or ended.")
    exchange.organization_id = session.organization_id
    permissions.require(session.role, exchange.request.method or "", exchange.route)
    return session


def admit(exchange: Exchange, source: Source) -> Source:
    """Note whose request it is and return the source; raises `TooManyRequests` past its rate limit."""
    exchange.organization_id = source.organization_id
    key_rate = exchange.context.key_rate
    wait_s = key_rate.take(source.id) if key_rate is not None else 0.0
    if wait_s:
        sentence = "This API key calls too often; send the request again later."
        raise TooManyRequests(sentence, retry_after_s(wait_s), limit="key_rate")
    return source
