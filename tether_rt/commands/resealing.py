"""The command that changes the secret: what the previous one encrypted is encrypted with the one of now.

It may be killed and repeated: what is encrypted with the secret already is left alone. Servers with both secrets may run.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tether_rt import accounts
from tether_rt.auth.credentials import Keyring
from tether_rt.auth.sealed_bodies import SealBroken
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.digest_keys import DigestKeys
from tether_rt.mongo.documents import Collections
from tether_rt.recordings.chosen_store import recording_store
from tether_rt.recordings.spool import Spool
from tether_rt.settings import Settings


class Resealed(NamedTuple):
    """How many of one kind were encrypted anew, and how many neither secret opens."""

    resealed: int = 0
    unreadable: int = 0


@dataclass(slots=True)
class _Counts:
    of: dict[str, Resealed] = field(default_factory=lambda: defaultdict(Resealed))

    def add(self, kind: str, *, resealed: int = 0, unreadable: int = 0) -> None:
        was = self.of[kind]
        self.of[kind] = Resealed(was.resealed + resealed, was.unreadable + unreadable)


async def reseal(settings: Settings) -> dict[str, Resealed]:
    """Encrypt everything with the secret of now; return the counts by kind."""
    keyring = Keyring(settings.resolve_secret(), settings.secret_previous)
    counts = _Counts()
    async with accounts.opened(settings) as database:
        await _texts(database, keyring, counts)
        await _sources(database, keyring, counts)
        keys = DigestKeys(database)
        for key in await keys.every():
            if (text := _anew(keyring, key["sealed"], "digest keys", counts)) is not None:
                await keys.reseal(key["_id"], key["sealed"], text)
        await _bodies(settings, database, keyring, counts)
    return dict(counts.of)


def _anew(keyring: Keyring, sealed: str, kind: str, counts: _Counts) -> str | None:
    """Return a text as it is encrypted now, or None if nothing is to be done or can be."""
    if keyring.is_current(sealed):
        counts.add(kind)
        return None
    text = keyring.unseal(sealed)
    if text is None:
        counts.add(kind, unreadable=1)
        return None
    counts.add(kind, resealed=1)
    return keyring.seal(text)


async def _texts(database: Database, keyring: Keyring, counts: _Counts) -> None:
    for kind, name, path in (("API keys", "users", "apiKeySealed"), ("recording addresses", "pending_recordings", "url")):
        counts.add(kind)
        async for one in database[name].find({path: {"$exists": True}}, {path: 1}):
            if (text := _anew(keyring, one[path], kind, counts)) is not None:
                await database[name].update_one({"_id": one["_id"], path: one[path]}, {"$set": {path: text}})


async def _sources(database: Database, keyring: Keyring, counts: _Counts) -> None:
    counts.add("sources' secrets")
    async for source in Collections(database).sources.find({}):
        changed: Document = {}
        secrets: list[Any] = []
        for secret in source.get("secrets", []):
            text = _anew(keyring, secret["sealed"], "sources' secrets", counts)
            clear = keyring.unseal(text) if text is not None else None
            # The digest by which it is found is keyed, too.
            secrets.append({**secret, "sealed": text, "digest": keyring.secret_digest(clear)} if clear is not None else secret)
        if secrets != source.get("secrets", []):
            changed["secrets"] = secrets
        password = source["settings"].get("fetchPassword")
        if password is not None and (text := _anew(keyring, password, "sources' secrets", counts)) is not None:
            changed["settings.fetchPassword"] = text
        if changed:
            as_read: Document = {"_id": source["_id"], "settings": source["settings"]}
            if "secrets" in source:
                as_read["secrets"] = source["secrets"]
            await database["sources"].update_one(as_read, {"$set": changed})


async def _bodies(settings: Settings, database: Database, keyring: Keyring, counts: _Counts) -> None:
    counts.add("bodies")
    store = recording_store(settings)
    spool = Spool(settings.data_dir / "spool")
    deliveries = Deliveries(database)
    bodies = DeliveryBodies(deliveries, keyring.body_seal(), store, spool)
    try:
        await store.start()
        async for body in deliveries.every_body():
            try:
                counts.add("bodies", resealed=int(await bodies.reseal(body)))
            except SealBroken:
                counts.add("bodies", unreadable=1)
    finally:
        await store.close()
