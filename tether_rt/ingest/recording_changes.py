"""What becomes of a call when its later recording is there, is given up, or is to be fetched once more. Pure."""

from __future__ import annotations

from typing import Any

from tether_rt.domain.call import Recording
from tether_rt.domain.events import call_updated, fetch_messages, recording_failed, recording_ready
from tether_rt.domain.warnings import recording_warnings
from tether_rt.errors import FetchFailed
from tether_rt.mongo.amendments import Change, Decide, ids_of
from tether_rt.mongo.calls import recording_document
from tether_rt.mongo.documents import CallDocument, RecordingErrorDocument


def recording_is_there(recording: Recording) -> Decide:
    """Return the change by which a call gets its recording; None for a call that has one."""

    def change(call: CallDocument) -> Change | None:
        if call["recordings"]:
            return None
        ids = ids_of(call)
        values: dict[str, Any] = {
            "recordings": [recording_document(recording)],
            "recordingStatus": "stored",
            "recordingError": None,
        }
        odd = recording_warnings(call["duration"], recording.duration_s, recording.kind, recording.is_playable)
        if odd:
            values["warnings"] = [*call.get("warnings", []), *(warning._asdict() for warning in odd)]
        return Change(values, (recording_ready(ids, recording), fetch_messages(ids)), ("recording",))

    return change


def recording_failed_for_good(failure: FetchFailed) -> Decide:
    """Return the change by which a call says that its recording was given up; None for one that has it, or says so."""
    error: RecordingErrorDocument = {"code": failure.code, "error": str(failure)}

    def change(call: CallDocument) -> Change | None:
        if call["recordings"] or call.get("recordingError") == error:
            return None
        values = {"recordingStatus": "failed", "recordingError": error}
        return Change(values, (recording_failed(ids_of(call), failure.code, str(failure)),), ("recordingStatus",))

    return change


def recording_is_wanted_again(call: CallDocument) -> Change | None:
    """Return the change of a call whose recording is fetched once more; None for one that has it."""
    if call["recordings"]:
        return None
    values = {"recordingStatus": "pending", "recordingError": None}
    return Change(values, (call_updated(ids_of(call), ["recordingStatus"], call),), ("recordingStatus",))
