"""The composition root: every part is built, started and stopped here, in the order it is written."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tether_rt.auth.credentials import Keyring
from tether_rt.auth.erased_digests import ErasedDigests
from tether_rt.auth.identity import Identity
from tether_rt.auth.passwords import PasswordCheck
from tether_rt.auth.rate_limits import RateLimit
from tether_rt.auth.read_tokens import ReadTokens
from tether_rt.auth.source_admin import SourceAdmin
from tether_rt.auth.user_admin import UserAdmin
from tether_rt.domain.contract import load_contract
from tether_rt.domain.delivery import Kind
from tether_rt.erasure.eraser import Eraser
from tether_rt.erasure.retention import Retention
from tether_rt.errors import FetchFailed, Unavailable
from tether_rt.http.context import BodyBudget, HttpContext
from tether_rt.http.headers import networks, plain_origin
from tether_rt.http.routing import RouteTable
from tether_rt.http.server import BoundedServer
from tether_rt.http.sockets import fit_open_files
from tether_rt.hub.hub import Hub
from tether_rt.ingest.amending import Amending
from tether_rt.ingest.body_reader import BodyReader
from tether_rt.ingest.call_parts import CallParts
from tether_rt.ingest.deduplication import DuplicateCheck
from tether_rt.ingest.deliveries import DeliveryKeeper
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.ingest.later_recordings import LaterRecordings, Schedule
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.ingest.replay import Replays, Take, take_call, take_change, take_event
from tether_rt.ingest.webhooks import Webhooks
from tether_rt.mongo import client as store
from tether_rt.mongo.abandoned_transactions import AbandonedTransactions
from tether_rt.mongo.amendable_calls import AmendableCalls
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_history import CallHistory
from tether_rt.mongo.calls import Calls
from tether_rt.mongo.contacts import Contacts
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.digest_keys import DigestKeys
from tether_rt.mongo.erased_events import ErasedEvents
from tether_rt.mongo.erased_files import ErasedFiles
from tether_rt.mongo.erasing_transaction import ErasingTransaction
from tether_rt.mongo.erasures import Erasures
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.lookups import Lookups
from tether_rt.mongo.organizations import Organizations
from tether_rt.mongo.pending_recordings import PendingRecordings
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.mongo.read_tokens import ReadTokenQueries
from tether_rt.mongo.recording_copies import RecordingCopies
from tether_rt.mongo.recording_keys import RecordingKeys
from tether_rt.mongo.search_feeder import SearchFeeder
from tether_rt.mongo.search_index import SearchIndex
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.user_changes import UserChanges
from tether_rt.mongo.users import Users
from tether_rt.mongo.waveforms import Waveforms
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.recordings.chosen_store import recording_store
from tether_rt.recordings.copies.service import PlayableCopies
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import FEW_SLOTS, SLOTS, Limits
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.uploads import Uploads
from tether_rt.recordings.waveform.service import WaveformService
from tether_rt.routes import Parts, routes
from tether_rt.runtime.closing import Closers, close_all, cut_off
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled
from tether_rt.runtime.supervisor import Supervisor
from tether_rt.settings import Settings

_LOG: Final = logging.getLogger("tether.app")
_MEGABYTE: Final = 1 << 20
CLOSE_S: Final = 1.0
"""What one part's closing may take; each does no more than let go of what it holds."""
DOWNLOADS_SHARE: Final = 0.5
"""Of `TETHER_SHUTDOWN_S`: for requests that only read. Only a download whose client reads slowly, or not at all, takes so long,
and it can be asked for again."""
CHANGES_SHARE: Final = 0.8
"""Of `TETHER_SHUTDOWN_S`: for requests that may still commit something. Dashboards have the rest, and what is not used up."""
BURST_S: Final = 10
"""A key that was quiet for this long may send at once what it may send in this time."""


class App:
    """One process' parts. `start`, then serve `tornado`, then `drain`, then `close`."""

    def __init__(
        self,
        settings: Settings,
        *,
        passwords: PasswordCheck | None = None,
        clock: Callable[[], float] = time.monotonic,
        schedule: Schedule = Schedule(),  # noqa: B008 - immutable
    ) -> None:
        """`clock` decides how long keys and sessions are cached, `schedule` when recordings are fetched that come later."""
        self.settings = settings
        self.metrics = Metrics()
        self.supervisor = Supervisor()
        self.private_mongod = None if settings.mongodb_uri else PrivateMongod(settings.data_dir, settings.mongod)
        self._passwords = passwords
        self._clock = clock
        self._schedule = schedule
        self._closers: Closers = []
        self._database_closers: Closers = []
        """What the parts need until they are closed; the last one is closed first."""

    async def start(self) -> None:
        """Open everything; raises `ConfigError` with one sentence when something needed is missing."""
        settings = self.settings
        keyring = Keyring(settings.resolve_secret(), settings.secret_previous)
        contract = load_contract()
        files = fit_open_files(settings.max_connections, settings.max_dashboards)
        self.max_connections = files.connections

        if self.private_mongod is not None:
            self._database_closers.append(("mongod", self.private_mongod.stop))
            self.mongodb_uri = await self.private_mongod.start()
            self.supervisor.add("mongod", self.private_mongod.run)
        else:
            self.mongodb_uri = settings.mongodb_uri or ""
        await self._prepare_database()
        self.client = store.connect(self.mongodb_uri)
        self._database_closers.append(("client", self._close_client))
        self.database = database = store.database(self.client, settings.database)

        self.recordings = recording_store(settings)
        self._closers.append(("recordings", self.recordings.close))
        await self.recordings.start()

        self.calls = Calls(database)
        self.people = Contacts(database)
        self.users = Users(database)
        self.organizations = Organizations(database)
        self.audit = AuditLog(database)
        sources = Sources(database)
        erased = ErasedDigests(DigestKeys(database), keyring)
        await erased.load()
        self.passwords = self._passwords or PasswordCheck()
        self._closers.append(("passwords", self._close_passwords))
        self.identity = Identity(self.users, sources, Sessions(database), keyring, self.passwords, clock=self._clock)
        changes = UserChanges(database, self.audit)
        if promoted := await changes.ensure_admins():
            log(_LOG, logging.WARNING, "admins_made", users=promoted)
        self.user_admin = UserAdmin(self.users, changes, keyring, self.identity.forget_user)
        self.supervisor.add("people seen", self.identity.people_seen.run)
        self.read_tokens = ReadTokens(ReadTokenQueries(database), clock=self._clock)
        self.supervisor.add("tokens used", self.read_tokens.last_used.run)
        self.source_admin = SourceAdmin(sources, keyring, self.identity.forget, base_path=settings.base_path)
        self.supervisor.add("last seen", self.identity.last_seen.run)
        self.supervisor.add("refusal counts", self.identity.refusal_counts.run)

        self.hub = Hub(
            database,
            self.identity,
            self.read_tokens,
            self.metrics,
            max_dashboards=files.dashboards,
            max_dashboards_per_user=settings.max_dashboards_per_user,
        )
        self._closers.append(("hub", self.hub.close))

        abandoned = AbandonedTransactions(self.client)
        self.supervisor.add("search index", SearchFeeder(database, self.metrics, end_abandoned=abandoned.end).run)
        self.group_commit = GroupCommit(lambda: BatchWriter(database), self.metrics, end_abandoned=abandoned.end)
        self._closers.append(("group commit", self.group_commit.close))
        self.supervisor.add("hub", self.hub.run)
        self.supervisor.add("metrics", self.metrics.run)

        spool = Spool(settings.data_dir / "spool")
        self._closers.append(("spool", spool.close))
        await spool.start()
        limits = Limits(size_bytes=settings.max_recording_mb * _MEGABYTE)
        slots = SLOTS if files.many_fetches else FEW_SLOTS
        fetcher = RecordingFetcher(settings.private_recording_hosts, limits, self._observe_failed_fetch, slots=slots)
        self._closers.append(("fetcher", fetcher.close))
        self.metrics.fetches_active.set_function(lambda: fetcher.slots.held)
        self.metrics.fetches_waiting.set_function(lambda: fetcher.slots.waiting)
        uploads = Uploads(settings.data_dir / "uploads", self.recordings, RecordingKeys(database).named)
        self._closers.append(("uploads", uploads.close))
        await uploads.start()
        self.metrics.uploads_undecided.set_function(lambda: uploads.undecided)
        self.supervisor.add("uploads", uploads.run)
        intake = RecordingIntake(uploads, fetcher, spool, store.new_id, self._observe_recording)
        self.waveforms = WaveformService(Waveforms(database), self.recordings, spool)
        self.supervisor.add("waveforms", self.waveforms.run)
        self.copies = PlayableCopies(RecordingCopies(database), self.recordings, uploads, spool, self.metrics)
        self.supervisor.add("copies", self.copies.run)
        self.history = CallHistory(database)
        self.later_recordings = LaterRecordings(
            PendingRecordings(database),
            intake,
            uploads,
            self.group_commit,
            keyring,
            self.metrics,
            self.waveforms.announce,
            self.identity.source_by_id,
            self._schedule if files.many_fetches else replace(self._schedule, max_at_once=16, max_at_once_of_one=12),
        )
        self.supervisor.add("later recordings", self.later_recordings.run)
        duplicates = DuplicateCheck(Lookups(LoopConnection(database), erased.digests_of))
        self._closers.append(("duplicates", duplicates.close))
        bodies = BodyReader(contract)
        pipeline = Pipeline(
            bodies,
            duplicates,
            intake,
            uploads,
            self.later_recordings,
            self.group_commit,
            self.history.get,
            self.waveforms.announce,
        )
        self.web = HttpContext(
            identity=self.identity,
            metrics=self.metrics,
            budget=BodyBudget(settings.bodies_in_flight_mb * _MEGABYTE, self.metrics),
            max_body_bytes=settings.max_body_mb * _MEGABYTE,
            base_path=settings.base_path,
            allowed_origins=tuple(map(plain_origin, settings.allowed_origins)),
            trusted_proxies=networks(settings.trusted_proxies),
            key_rate=_key_rate(settings.rate_limit),
            read_tokens=self.read_tokens,
            audit=self.audit,
        )
        self.deliveries = Deliveries(database)
        self.delivery_bodies = DeliveryBodies(self.deliveries, keyring.body_seal(), self.recordings, spool)
        self.delivery_keeper = DeliveryKeeper(self.deliveries, self.delivery_bodies, keyring, self.metrics)
        self.supervisor.add("deliveries", self.delivery_keeper.run)
        amending = Amending(bodies, AmendableCalls(database), intake, uploads, self.group_commit, self.waveforms.announce)
        parts = CallParts(
            self.deliveries,
            self.delivery_bodies,
            AmendableCalls(database),
            self.later_recordings,
            self.group_commit,
            pipeline,
            lambda source, key: erased.has(source.id, key),
            self.recordings.remove,
            self.waveforms.announce,
        )
        self.webhooks = Webhooks(
            self.deliveries,
            self.delivery_bodies,
            intake,
            uploads,
            parts,
            pipeline,
            self.identity.source_by_id,
            self.metrics,
        )
        self._closers.append(("webhooks", self.webhooks.close))
        self.supervisor.add("webhooks", self.webhooks.run)
        takes: dict[Kind, Take] = {
            "ingest": take_call(pipeline, self.calls),
            "amend": take_change(amending),
            "webhook": take_event(self.webhooks),
        }
        self.replays = Replays(self.deliveries, self.delivery_bodies, takes, self.identity.source_by_id, self.web.budget)
        self._start_erasing(erased, abandoned)
        self.routes = routes(
            Parts(
                amending=amending,
                audit=self.audit,
                base_path=settings.base_path,
                calls=self.calls,
                check_mongodb=self._check_mongodb,
                contacts=self.people,
                contract=contract,
                copies=self.copies,
                database=database,
                deliveries=self.deliveries,
                delivery_bodies=self.delivery_bodies,
                delivery_keeper=self.delivery_keeper,
                eraser=self.eraser,
                group_commit=self.group_commit,
                history=self.history,
                hub=self.hub,
                keyring=keyring,
                later_recordings=self.later_recordings,
                max_audio_bytes=settings.max_recording_mb * _MEGABYTE,
                metrics=self.metrics,
                organizations=self.organizations,
                pipeline=pipeline,
                read_tokens=self.read_tokens,
                replays=self.replays,
                retention=self.retention,
                source_admin=self.source_admin,
                spool=spool,
                store=self.recordings,
                user_admin=self.user_admin,
                users=self.users,
                waveforms=self.waveforms,
                webhooks=self.webhooks,
            )
        )
        self.tornado = RouteTable(self.web, self.routes)

    def _start_erasing(self, erased: ErasedDigests, abandoned: AbandonedTransactions) -> None:
        erasures = Erasures(self.database)
        self.eraser = Eraser(
            erasures,
            ErasedEvents(self.database),
            ErasedFiles(self.database, erasures),
            ErasingTransaction(self.client, self.database, erased.digest_of, abandoned.end),
            self.recordings,
            self.metrics,
            SearchIndex(self.database),
        )
        self._closers.append(("eraser", self.eraser.close))
        self.supervisor.add("eraser", self.eraser.run)
        self.retention = Retention(self.database, erasures, self.eraser)
        self.supervisor.add("retention", self.retention.run)

    async def _prepare_database(self) -> None:
        """Check and index with a client that waits as long as building an index takes."""
        client = store.connect(self.mongodb_uri, patient=True)
        try:
            await store.require_replica_set(client)
            database = store.database(client, self.settings.database)
            await create_indexes(database, self.settings.feed_retention_days, self.settings.audit_retention_days)
        finally:
            client.close()

    def _observe_failed_fetch(self, failure: FetchFailed) -> None:
        labelled(self.metrics.fetches_failed, failure.code).inc()

    def _observe_recording(self, source: str, size_bytes: int, seconds: float) -> None:
        labelled(self.metrics.recording_bytes, source).inc(size_bytes)
        labelled(self.metrics.recording_s, source).observe(seconds)

    async def _check_mongodb(self) -> None:
        # A write, because a secondary or a frozen disk would still answer a ping.
        try:
            await self.database["counters"].update_one({"_id": "readyz"}, {"$set": {"at": time.time()}}, upsert=True)
        except Exception as error:
            raise store.unavailable(error) or Unavailable("MongoDB refuses to write.") from error

    async def _close_passwords(self) -> None:
        self.passwords.close()

    async def _close_client(self) -> None:
        self.client.close()

    # ------------------------------------------------------------------ the end

    async def drain(self, http: BoundedServer) -> None:
        """Finish what is in flight within `TETHER_SHUTDOWN_S`, which no part can use up for the others.

        Dashboards get their last events and 1001 once all calls are committed. Downloads end beside that.
        """
        within_s = self.settings.shutdown_s
        await asyncio.gather(
            cut_off(within_s * DOWNLOADS_SHARE, "downloads", http.answered(changes=False)),
            self._drain_changes(http, within_s),
        )

    async def _drain_changes(self, http: BoundedServer, within_s: float) -> None:
        began_s = time.monotonic()
        await cut_off(within_s * CHANGES_SHARE, "requests", self._commit_changes(http))
        await self.hub.drain(within_s - (time.monotonic() - began_s))

    async def _commit_changes(self, http: BoundedServer) -> None:
        await self.later_recordings.drain()
        await http.answered(changes=True)
        await self.group_commit.drain()
        await self.delivery_keeper.drain()

    async def close(self) -> None:
        """Stop everything: the parts side by side, then the connections to MongoDB that they use, then mongod.

        A part that fails to stop, or does not end, does not keep the others from it.
        """
        await self.supervisor.close()
        await close_all(self._closers, CLOSE_S)
        self._closers.clear()
        while self._database_closers:
            await close_all([self._database_closers.pop()], None)  # mongod has a deadline of its own, and is killed past it


def _key_rate(calls_a_second: float) -> RateLimit[str] | None:
    if not calls_a_second:
        return None
    return RateLimit(max(1.0, calls_a_second * BURST_S), 1 / calls_a_second)
