"""Outcomes of conversations: whether each is unresolved now, and how long its handling took."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hubbub.facts.moments import micros
from hubbub.model.tenant import Tenant
from hubbub.query.silence import conversations_after_silence
from hubbub.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a conversation."""

    unresolved: bool
    """It is open, or was closed by silence without a reply."""
    handling_ms: float | None
    """Milliseconds from opening to last resolve, the mean of its resolved episodes; None if none is resolved."""


def outcomes(reading: Transaction, tenant: Tenant, conversations: Iterable[str], now: datetime) -> dict[str, Outcome]:
    """Return the outcomes of conversations at `now`, by id; those without a known state are absent."""
    params = {"tenant": tenant.no, "at": micros(now), "ids": json.dumps(sorted(set(conversations)))}
    of = reading.dialect.in_texts(":ids")
    states = reading.rows(
        "SELECT id, max(CASE WHEN state IN ('open', 'waiting') THEN 1 ELSE 0 END), "
        "max(CASE WHEN state = 'silent' THEN 1 ELSE 0 END) "
        f"FROM {conversations_after_silence(tenant, ':at')} AS s WHERE tenant = :tenant AND entity = 'conversation' "
        f"AND state IN ('open', 'waiting', 'closed', 'silent') AND since < :at AND until >= :at AND id {of} GROUP BY id",
        params,
    )
    handled = {
        id_: (replied, took)
        for id_, replied, took in reading.rows(
            "SELECT conversation_id, count(first_reply_at), avg(resolved_at - anchor) FROM episode "
            f"WHERE tenant = :tenant AND anchor < :at AND conversation_id {of} GROUP BY conversation_id",
            params,
        )
    }
    result = {}
    for id_, is_open, silent in states:
        replied, took = handled.get(id_, (0, None))
        result[id_] = Outcome(bool(is_open or (silent and not replied)), None if took is None else float(took) / 1000)
    return result
