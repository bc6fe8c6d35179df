"""Which recording store the settings name."""

from __future__ import annotations

from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.store import RecordingStore
from tether_rt.settings import Settings


def recording_store(settings: Settings) -> RecordingStore:
    """Return the store of the bucket in R2, or of the data directory where none is named; `start` it before use."""
    if settings.r2_endpoint is None:
        return DiskStore(settings.data_dir)
    # Here, because its libraries are a third of what a server imports, in time and in memory.
    from tether_rt.recordings.r2 import R2Store

    return R2Store(
        endpoint_url=settings.r2_endpoint,
        access_key_id=settings.r2_access_key_id or "",
        secret_access_key=settings.r2_secret_access_key or "",
        bucket=settings.r2_bucket or "",
    )
