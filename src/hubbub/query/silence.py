"""The rows of `state` that an answer reads: as folded, except that conversations silent for too long are closed.

A tenant may count a conversation as closed after some days without a message (`model/threads.py`). This is computed on reading, so
that a changed setting folds nothing again. An open stretch ends that many days after its last message (`heard`); the rest of it
counts as closed by silence. Waiting and unassigned end with the open stretch. Without that setting, rows are read unchanged.
"""

from __future__ import annotations

from hubbub.facts.moments import DAY
from hubbub.model.tenant import Tenant

_WHILE_OPEN = ("waiting", "unassigned")


def states_after_silence(tenant: Tenant, entity: str, state: str, at: str) -> str:
    """Return SQL of an entity's stretches in a state that end at a moment (SQL of a parameter) or later.

    They have the columns of `state` that answers read. The statement binds `:tenant`, and filters by tenant, entity and state.
    """
    if entity != "conversation" or not tenant.threads.silence_days:
        return "state"
    if state == "open":
        return f"({_open(tenant, at)})"
    if state == "closed":
        return f"({_closed(at)} UNION ALL {_silent(tenant, 'closed', at)})"
    return f"({_while_open(tenant, state, at)})" if state in _WHILE_OPEN else "state"


def conversations_after_silence(tenant: Tenant, at: str) -> str:
    """Return SQL of conversations' stretches as `open`, `waiting`, `closed` or `silent` (by silence), with the same columns."""
    if not tenant.threads.silence_days:
        return "state"
    parts = [_open(tenant, at), _while_open(tenant, "waiting", at), _closed(at), _silent(tenant, "silent", at)]
    return f"({' UNION ALL '.join(parts)})"


def _stretches(state: str, since: str, until: str, name: str, at: str) -> str:
    """Return the SELECT of stretches of a conversation's state, with other ends, as those of a state `name`."""
    return (
        f"SELECT {_columns('t', since, until, name)} FROM state AS t WHERE t.tenant = :tenant AND t.entity = 'conversation' "
        f"AND t.state = '{state}' AND t.until >= {at}"
    )


def _columns(table: str, since: str, until: str, state: str) -> str:
    same = {
        name: f"{table}.{name}" for name in ("tenant", "entity", "id", "channel", "account_id", "began", "priority")
    }
    shown = same | {"state": f"'{state}'", "since": since, "until": until}
    return ", ".join(f"{sql} AS {name}" for name, sql in shown.items())


def _end(tenant: Tenant, table: str = "t") -> str:
    """Return SQL of the end of an open stretch; a stretch that began in silence has no length."""
    end = f"{table}.heard + {tenant.threads.silence_days * DAY}"
    return (
        f"CASE WHEN {table}.heard IS NULL OR {end} >= {table}.until THEN {table}.until "
        f"WHEN {end} > {table}.since THEN {end} ELSE {table}.since END"
    )


def _open(tenant: Tenant, at: str) -> str:
    return _stretches("open", "t.since", _end(tenant), "open", at)


def _closed(at: str) -> str:
    return _stretches("closed", "t.since", "t.until", "closed", at)


def _silent(tenant: Tenant, name: str, at: str) -> str:
    """Return the SELECT of the rest of open stretches, from where silence ended them, as those of a state `name`."""
    return f"{_stretches('open', _end(tenant), 't.until', name, at)} AND {_end(tenant)} < t.until"


def _while_open(tenant: Tenant, state: str, at: str) -> str:
    """Return the SELECT of the parts of a state's stretches during which the conversation is open."""
    end = _end(tenant, "o")
    since = "CASE WHEN t.since > o.since THEN t.since ELSE o.since END"
    until = f"CASE WHEN t.until < {end} THEN t.until ELSE {end} END"
    return (
        f"SELECT {_columns('t', since, until, state)} FROM state AS t "
        "JOIN state AS o ON o.tenant = t.tenant AND o.entity = t.entity AND o.id = t.id "
        f"WHERE t.tenant = :tenant AND t.entity = 'conversation' AND t.state = '{state}' AND t.until >= {at} "
        f"AND o.state = 'open' AND o.since < t.until AND o.until >= {at} AND {end} > t.since"
    )
