"""Whether a body is a call that can be stored, and everything that is wrong with it if not. No I/O but the clock.

The ingest and the dry run take the same steps, so that a dry run tells what the ingest would do. A body that is right is judged
by a compiled validator and once by each rule; everything that is wrong is collected only where something is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tether_rt.domain.amendment import judged_faults, merged_body
from tether_rt.domain.call import CompletedCall, completed_call, rule_faults
from tether_rt.domain.contract import Contract
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, Fault
from tether_rt.ingest.storable import require_storable, storable_faults

REQUEST_SCHEMA: Final = "CallsIngestExternalCallRequest"
AMEND_SCHEMA: Final = "CallsIngestAmendRequest"


Rules = Callable[[dict[str, Any]], Iterable[Fault]]
"""Finds everything that breaks the rules behind a schema; the body need not satisfy the schema."""


def rules_of_calls(body: dict[str, Any]) -> Iterable[Fault]:
    """Return everything that breaks the rules of calls, at this moment."""
    return rule_faults(body, now=datetime.now(UTC))


def require_valid(contract: Contract, schema: str, body: Any, text: bytes | bytearray, rules: Rules) -> None:
    """Return when a body satisfies a schema; raises `BadRequest` with everything that is wrong with it.

    `text` is what was parsed. The `rules` are asked as well where the schema is not satisfied.
    """
    if contract.is_valid(schema, body):
        return
    known = contract.faults(schema, body)
    raise BadRequest.of(_all_faults(contract, schema, body, text, rules, known) if isinstance(body, dict) else known)


def judge(
    contract: Contract, body: dict[str, Any], text: bytes | bytearray, fingerprint: str, source: Source, now: datetime
) -> CompletedCall:
    """Return the call that a body makes which satisfies the schema; raises `BadRequest` with every rule that it breaks."""
    try:
        require_storable(body, text)
        return completed_call(body, source, now=now, fingerprint=fingerprint)
    except BadRequest as refusal:
        faults = _all_faults(contract, REQUEST_SCHEMA, body, text, rules_of_calls, refusal.faults)
        raise BadRequest.of(faults) from refusal


def judge_amendment(
    contract: Contract, patch: dict[str, Any], text: bytes | bytearray, stored: dict[str, Any], source: Source, now: datetime
) -> CompletedCall:
    """Return what a stored call, given as its body, would be with a change; raises `BadRequest` with every rule it breaks."""
    merged = merged_body(stored, patch)
    try:
        require_storable(patch, text)
        return completed_call(merged, source, now=now, fingerprint="")
    except BadRequest as refusal:
        broken = judged_faults([*refusal.faults, *rules_of_calls(merged)], patch)
        raise BadRequest.of(_all_faults(contract, AMEND_SCHEMA, patch, text, lambda body: broken, ())) from refusal


def _all_faults(
    contract: Contract, schema: str, body: dict[str, Any], text: bytes | bytearray, rules: Rules, known: Sequence[Fault]
) -> list[Fault]:
    """Return the faults that are known with those of the rules, in the order of the contract."""
    return contract.in_order(schema, [*known, *rules(body), *storable_faults(body, text)])
