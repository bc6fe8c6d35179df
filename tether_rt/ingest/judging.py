"""What is thought of a call before anything is done about it. Pure.

The ingest and the dry run take the same steps, so that a dry run tells what the ingest would do. A body that is right is judged
by a compiled validator and once by each rule; everything that is wrong is collected only where something is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from tether_rt.domain.call import CompletedCall, completed_call, rule_faults
from tether_rt.domain.contract import Contract
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, Fault
from tether_rt.ingest.storable import require_storable, storable_faults

REQUEST_SCHEMA: Final = "CallsIngestExternalCallRequest"


def require_valid(contract: Contract, schema: str, body: Any, text: bytes | bytearray, now: datetime) -> None:
    """Return when a body satisfies a schema; raises `BadRequest` with everything that is wrong with it.

    `text` is what was parsed, `now` the time for the rules of calls, which are asked as well.
    """
    if contract.is_valid(schema, body):
        return
    known = contract.faults(schema, body)
    raise BadRequest.of(_all_faults(contract, schema, body, text, now, known) if isinstance(body, dict) else known)


def judge(
    contract: Contract, body: dict[str, Any], text: bytes | bytearray, fingerprint: str, source: Source, now: datetime
) -> CompletedCall:
    """Return the call that a body makes which satisfies the schema; raises `BadRequest` with every rule that it breaks."""
    try:
        require_storable(body, text)
        return completed_call(body, source, now=now, fingerprint=fingerprint)
    except BadRequest as refusal:
        raise BadRequest.of(_all_faults(contract, REQUEST_SCHEMA, body, text, now, refusal.faults)) from refusal


def _all_faults(
    contract: Contract, schema: str, body: dict[str, Any], text: bytes | bytearray, now: datetime, known: Sequence[Fault]
) -> list[Fault]:
    """Return the faults that are known with those of the rules, in the order of the contract."""
    rules = rule_faults(body, now=now) if schema == REQUEST_SCHEMA else ()
    return contract.in_order(schema, [*known, *rules, *storable_faults(body, text)])
