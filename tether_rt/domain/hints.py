"""What a vendor probably meant: near misses of the names of fields and of values. Pure.

A hint repeats no text of the caller but a plain short name; a value that it proposes is computed from what was sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from tether_rt.domain.formats import is_date_time

MAX_HINT_CHARS: Final = 64
"""A longer name or value is not compared: it is no slip."""
_MOST_NAMES: Final = 200
"""How many names of an object are compared."""
_LIKENESS: Final = 0.85
_CACHED_NAMES: Final = 4_096
_NOT_ALNUM: Final = re.compile(r"[^a-z0-9]+")

_OTHER_NAMES: Final = {
    "fromNumber": "from caller callernumber callernum callerid callerphone source sourcenumber ani fromphone fromphonenumber",
    "toNumber": "to called callee callednumber calleenumber destination destinationnumber dnis tophone tophonenumber",
    "direction": "calldirection calltype",
    "duration": "callduration durationseconds durationsec durationsecs durations seconds length callduration billsec "
    "durationms durationmillis",
    "status": "callstatus state result outcome disposition",
    "transcript": "transcription transcripts transcriptobject turns messages utterances conversation dialogue",
    "summary": "callsummary synopsis",
    "recording": "recordingurl recordinguri audio audiourl recordinglink recordings callrecording",
    "externalCallId": "callid id externalid callsid calluuid conversationid externalcall",
    "agentName": "agent assistantname agentfullname botname",
    "metadata": "meta customdata customfields customvariables",
    "callerName": "customername contactname caller_name fromname customer callerfullname",
    "callStartTime": "starttime startedat startat callstart callstartedat startdate starttimestamp timestamp begintime",
    "role": "speaker author from sender participant",
    "message": "content text utterance transcript body words",
    "timestamp": "time start starttime offset seconds secondsfromstart at ts",
}
"""Other words for the contract's fields, in the form that `_plain` gives."""
_NAME_OF: Final = {(other, name) for name, others in _OTHER_NAMES.items() for other in others.replace("_", "").split()}

_OTHER_VALUES: Final = {
    "completed": "complete answered answer done finished ended success successful succeeded ok connected hangup",
    "no-answer": "noanswer unanswered notanswered missed noreply timeout ringing",
    "busy": "linebusy engaged userbusy",
    "failed": "fail failure error cancelled canceled rejected declined dropped",
    "inbound": "in incoming received",
    "outbound": "out outgoing outboundapi outbounddial placed",
    "agent": "assistant bot ai system model operator rep representative",
    "user": "customer human caller client contact callee guest",
}
_VALUE_OF: Final = {(other, value) for value, others in _OTHER_VALUES.items() for other in others.split()}

_CLOCK: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):([0-5]\d)(?:\.\d{1,6})?", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(?:s|sec|secs|seconds)?", re.ASCII | re.IGNORECASE)
_EPOCH: Final = re.compile(r"\d{9,16}(?:\.\d{1,6})?", re.ASCII)
_LOCAL_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|UTC|[+-]\d\d:?\d\d)?", re.ASCII)
_MILLISECONDS_FROM: Final = 100_000_000_000
"""As seconds, an epoch number from here lies past the year 5000; as milliseconds it is from 1973 on."""
_MICROSECONDS_FROM: Final = 100_000_000_000_000
_EPOCH_BELOW: Final = 10**18


def _plain(text: str) -> str:
    return _NOT_ALNUM.sub("", text.lower())


@lru_cache(_CACHED_NAMES)
def field_meant(sent: str, known: tuple[str, ...]) -> str | None:
    """Return the one of the known fields that a name probably means: another spelling, another word, or a slip."""
    if len(sent) > MAX_HINT_CHARS or not (plain := _plain(sent)):
        return None
    by_plain = {_plain(name): name for name in known}
    if plain in by_plain:
        return by_plain[plain]
    for name in known:
        if (plain, name) in _NAME_OF:
            return name
    close = difflib.get_close_matches(plain, by_plain, 1, _LIKENESS) if len(plain) > 3 else []
    return by_plain[close[0]] if close else None


def is_spelling_of(sent: str, name: str) -> bool:
    """Return True if a name differs from another one in case and separators alone: `caller_name`, `callername`."""
    return len(sent) <= MAX_HINT_CHARS and _plain(sent) == _plain(name)


def name_sent_for(name: str, known: Iterable[str], sent: Iterable[str]) -> str | None:
    """Return the name among those that were sent that probably means the known field `name`, which is missing."""
    fields = tuple(known)
    others = [each for each, _ in zip(sent, range(_MOST_NAMES), strict=False) if each not in fields]
    return next((each for each in others if field_meant(each, (name,)) == name), None)


def value_meant(sent: Any, options: Iterable[Any]) -> str | None:
    """Return the one of the options that a text probably means."""
    if not isinstance(sent, str) or len(sent) > MAX_HINT_CHARS:
        return None
    plain = _plain(sent)
    for option in options:
        if isinstance(option, str) and (plain == _plain(option) or (plain, option) in _VALUE_OF):
            return option
    return None


def seconds_meant(sent: Any) -> str | None:
    """Return the number of seconds that a text such as `154`, `2:34` or `154 s` means, as JSON has it."""
    if not isinstance(sent, str) or len(sent) > MAX_HINT_CHARS:
        return None
    text = sent.strip()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return str(hours * 3600 + minutes * 60 + seconds)
    number = _SECONDS.fullmatch(text)
    return f"{float(number[1]):.15g}" if number else None


def time_meant(sent: Any) -> str | None:
    """Return the RFC 3339 time that an epoch number, or a time in another form, means."""
    if isinstance(sent, (int, float)) and not isinstance(sent, bool):
        return _epoch(sent) if 0 <= sent < _EPOCH_BELOW else None  # not NaN; and no float is made of a huge integer
    if not isinstance(sent, str) or len(sent) > MAX_HINT_CHARS:
        return None
    text = sent.strip()
    if _EPOCH.fullmatch(text):
        return _epoch(float(text))
    if local := _LOCAL_TIME.fullmatch(text):
        date, clock, zone = local.groups()
        zone = "Z" if zone in (None, "Z", "UTC") else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
        meant = f"{date}T{clock if len(clock) > 5 else clock + ':00'}{zone}"
        return meant if is_date_time(meant) else None
    return None


def _epoch(number: float) -> str | None:
    for least, unit in ((_MICROSECONDS_FROM, 1e6), (_MILLISECONDS_FROM, 1e3), (100_000_000, 1.0)):
        if number >= least:
            try:
                moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number / unit)
            except OverflowError:
                return None
            return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
    return None
