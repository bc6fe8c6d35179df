"""Every route, in the notation of `schemas/openapi.yaml`, and the parts that answer it; a test holds the two together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tether_rt.api import (
    activity,
    audit,
    calls,
    contacts,
    deliveries,
    documents,
    erasing,
    export,
    feed,
    health,
    organization,
    passwords,
    recordings,
    sessions,
    sources,
    static_pages,
    tokens,
    users,
)
from tether_rt.auth.credentials import Keyring
from tether_rt.auth.read_token_admin import ReadTokenAdmin
from tether_rt.auth.read_tokens import ReadTokens
from tether_rt.auth.source_admin import SourceAdmin
from tether_rt.auth.user_admin import UserAdmin
from tether_rt.demo import samples
from tether_rt.domain.contract import Contract
from tether_rt.erasure.eraser import Eraser
from tether_rt.erasure.retention import Retention
from tether_rt.http.headers import NOTHING_MAY_RUN
from tether_rt.http.routing import Route
from tether_rt.http.static_files import StaticFile, StaticFiles, static_folder
from tether_rt.hub.hub import Hub
from tether_rt.hub.websocket_handler import DashboardSocket
from tether_rt.ingest.amending import Amending
from tether_rt.ingest.deliveries import DeliveryKeeper
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.ingest.endpoint import AmendEndpoint, IngestEndpoint
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.ingest.later_recordings import LaterRecordings
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.ingest.replay import Replays
from tether_rt.ingest.validate_endpoint import ValidateEndpoint
from tether_rt.ingest.webhook_endpoint import BearerWebhookEndpoint, DryRunEndpoint, WebhookEndpoint
from tether_rt.ingest.webhooks import Webhooks
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.call_figures import CallFigures
from tether_rt.mongo.call_history import CallHistory
from tether_rt.mongo.calls import Calls
from tether_rt.mongo.client import Database
from tether_rt.mongo.contacts import Contacts
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.organizations import Organizations
from tether_rt.mongo.read_tokens import ReadTokenChanges, ReadTokenQueries
from tether_rt.mongo.search_hits import SearchHits
from tether_rt.mongo.users import Users
from tether_rt.recordings.copies.service import PlayableCopies
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.store import RecordingStore
from tether_rt.recordings.waveform.service import WaveformService
from tether_rt.runtime.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What answers requests: a part of `app.App` each. `check_mongodb` raises when MongoDB takes no write."""

    amending: Amending
    audit: AuditLog
    base_path: str
    calls: Calls
    check_mongodb: Callable[[], Awaitable[None]]
    contacts: Contacts
    contract: Contract
    copies: PlayableCopies
    database: Database
    deliveries: Deliveries
    delivery_bodies: DeliveryBodies
    delivery_keeper: DeliveryKeeper
    eraser: Eraser
    group_commit: GroupCommit
    history: CallHistory
    hub: Hub
    keyring: Keyring
    later_recordings: LaterRecordings
    max_audio_bytes: int
    metrics: Metrics
    organizations: Organizations
    pipeline: Pipeline
    read_tokens: ReadTokens
    replays: Replays
    retention: Retention
    source_admin: SourceAdmin
    spool: Spool
    store: RecordingStore
    user_admin: UserAdmin
    users: Users
    waveforms: WaveformService
    webhooks: Webhooks


def routes(parts: Parts) -> list[Route]:
    """Return the routes, which the router looks through in this order where a path has variables."""
    calls_part = {"calls": parts.calls}
    links_part = {"links": recordings.RecordingLinks(parts.store, parts.keyring), "copies": parts.copies}
    history_part = {"history": parts.history}
    figures_part = {"figures": CallFigures(parts.database)}
    people_part = {"people": parts.contacts, "contract": parts.contract}
    sources_part = {"sources": parts.source_admin, "contract": parts.contract, "audit": parts.audit}
    queries = ReadTokenQueries(parts.database)
    changes = ReadTokenChanges(parts.database, parts.audit)
    admin = ReadTokenAdmin(queries, changes, parts.users, parts.contract, parts.read_tokens.forget)
    tokens_part = {"tokens": admin}
    users_part = {"people": parts.user_admin, "contract": parts.contract, "hub": parts.hub}
    join_part = {"people": parts.user_admin, "contract": parts.contract, "limits": passwords.link_limits()}
    eraser_part = {"eraser": parts.eraser}
    deliveries_part = {"deliveries": parts.deliveries}
    webhook_part = {"webhooks": parts.webhooks, "spool": parts.spool, "max_audio_bytes": parts.max_audio_bytes}
    assets = StaticFiles(static_folder())
    page = {"assets": assets, "policy": static_pages.page_policy(getattr(parts.store, "origin", ""))}
    docs = {"assets": assets, "policy": static_pages.DOCS_POLICY}
    file = {"assets": assets, "policy": NOTHING_MAY_RUN}

    def document(content: bytes) -> dict[str, Any]:
        return {"document": StaticFile(content, "application/json")}

    checks = {
        name: health.RememberedCheck(check, parts.metrics.ready.labels(name).set)
        for name, check in (("mongodb", parts.check_mongodb), ("store", parts.store.check), ("feed", parts.hub.check))
    }
    return [
        (
            "/api/calls/ingest",
            IngestEndpoint,
            {"pipeline": parts.pipeline, "amending": parts.amending, "deliveries": parts.delivery_keeper},
        ),
        (
            "/api/calls/ingest/{externalCallId}",
            AmendEndpoint,
            {"amending": parts.amending, "deliveries": parts.delivery_keeper},
        ),
        ("/api/calls/validate", ValidateEndpoint, {"pipeline": parts.pipeline, "deliveries": parts.delivery_keeper}),
        ("/api/webhook/elevenlabs", BearerWebhookEndpoint, webhook_part),
        ("/api/webhook/{vendor}/dry-run", DryRunEndpoint, {"webhooks": parts.webhooks, "deliveries": parts.delivery_keeper}),
        ("/api/webhook/{vendor}/{sourceId}", WebhookEndpoint, webhook_part),
        ("/api/auth/login", sessions.LoginHandler, {"contract": parts.contract}),
        ("/api/auth/verify-token", sessions.VerifyTokenHandler, {}),
        ("/api/auth/logout", sessions.LogoutHandler, {"hub": parts.hub}),
        ("/api/user/api-key", sessions.ApiKeyHandler, {}),
        ("/api/user/api-key/regenerate", sessions.RegenerateApiKeyHandler, {"audit": parts.audit}),
        ("/api/user", sessions.UserHandler, {}),
        ("/api/users", users.UsersHandler, users_part),
        ("/api/users/invite", users.InviteHandler, users_part),
        ("/api/users/{userId}", users.UserHandler, users_part),
        ("/api/users/{userId}/reset-password", users.ResetPasswordHandler, users_part),
        ("/api/users/{userId}/end-sessions", users.EndSessionsHandler, users_part),
        ("/api/auth/password", passwords.PasswordHandler, users_part),
        ("/api/auth/link", passwords.LinkHandler, {**join_part, "organizations": parts.organizations}),
        ("/api/auth/join", passwords.JoinHandler, join_part),
        (
            "/api/organization",
            organization.OrganizationHandler,
            {"organizations": parts.organizations, "contract": parts.contract, "audit": parts.audit},
        ),
        ("/api/sources", sources.SourcesHandler, sources_part),
        ("/api/sources/{sourceId}", sources.SourceHandler, {**sources_part, **deliveries_part, "users": parts.users}),
        ("/api/sources/{sourceId}/rotate", sources.RotateHandler, sources_part),
        ("/api/tokens", tokens.TokensHandler, tokens_part),
        ("/api/tokens/{tokenId}", tokens.TokenHandler, {**tokens_part, "hub": parts.hub}),
        ("/api/sample-call", documents.DocumentHandler, document(orjson.dumps(samples.new_call("appointment")))),
        ("/api/calls/history", calls.HistoryHandler, {**history_part, "hits": SearchHits(parts.database)}),
        ("/api/calls/statistics", calls.StatisticsHandler, figures_part),
        ("/api/calls/activity", activity.ActivityHandler, {**figures_part, "organizations": parts.organizations}),
        ("/api/calls/agents", calls.AgentsHandler, history_part),
        ("/api/calls/export", export.ExportHandler, history_part),
        ("/api/calls/{callId}", erasing.ErasableCallHandler, {**history_part, **eraser_part}),
        ("/api/calls/{callId}/history/{number}", calls.CallChangeHandler, history_part),
        ("/api/calls/{callId}/peaks", calls.PeaksHandler, {**calls_part, "waveforms": parts.waveforms}),
        (
            "/api/calls/{callId}/recording/retry",
            calls.RetryRecordingHandler,
            {**calls_part, "later": parts.later_recordings},
        ),
        (
            "/api/calls/{callId}/recording",
            calls.CallRecordingHandler,
            {**calls_part, **links_part},
        ),
        (
            "/api/recordings/{recordingId}",
            recordings.RecordingHandler,
            {**calls_part, "store": parts.store, "keyring": parts.keyring},
        ),
        ("/api/contacts", contacts.ContactsHandler, {"people": parts.contacts}),
        (
            "/api/contacts/{contactId}",
            erasing.ErasableContactHandler,
            {**people_part, **figures_part, "group_commit": parts.group_commit, **eraser_part},
        ),
        ("/api/erase", erasing.EraseHandler, {**eraser_part, "contract": parts.contract}),
        ("/api/organization/retention", erasing.RetentionHandler, {"retention": parts.retention}),
        ("/api/audit", audit.AuditHandler, {}),
        ("/api/audit/export", audit.AuditExportHandler, {}),
        ("/api/conversation/all", contacts.ConversationsHandler, people_part),
        ("/api/conversation/messages", contacts.MessagesHandler, people_part),
        ("/api/deliveries", deliveries.DeliveriesHandler, deliveries_part),
        ("/api/deliveries/reasons", deliveries.ReasonsHandler, deliveries_part),
        (
            "/api/deliveries/replay",
            deliveries.ReplayManyHandler,
            {**deliveries_part, "replays": parts.replays, "contract": parts.contract},
        ),
        ("/api/deliveries/{deliveryId}", deliveries.DeliveryHandler, deliveries_part),
        (
            "/api/deliveries/{deliveryId}/body",
            deliveries.DeliveryBodyHandler,
            {**deliveries_part, "bodies": parts.delivery_bodies},
        ),
        (
            "/api/deliveries/{deliveryId}/replay",
            deliveries.ReplayHandler,
            {**deliveries_part, "replays": parts.replays},
        ),
        ("/ws", DashboardSocket, {"hub": parts.hub}),
        ("/api/feed", feed.FeedHandler, {"hub": parts.hub}),
        ("/healthz", health.HealthHandler, {}),
        ("/readyz", health.ReadyHandler, {"checks": checks}),
        ("/metrics", health.MetricsHandler, {"metrics": parts.metrics, "checks": checks}),
        ("/openapi.json", documents.DocumentHandler, document(parts.contract.openapi_json(parts.base_path))),
        ("/asyncapi.json", documents.DocumentHandler, document(parts.contract.asyncapi_json(parts.base_path))),
        ("/docs", static_pages.PageHandler, {**docs, "page": "docs.html"}),
        ("/docs/vendor", static_pages.PageHandler, {**docs, "page": "vendor_guide.html"}),
        ("/", static_pages.PageHandler, {**page, "page": "index.html"}),
        ("/join", static_pages.PageHandler, {**page, "page": "join.html"}),
        ("/static/{file}", static_pages.AssetHandler, file),
        ("/static/{version}/{file}", static_pages.AssetHandler, file),
    ]
