"""Units: the keys whose events a fact is folded from. What is new names its units; each knows how to fold one key.

A unit reads the events of its key, folds them, compares with what is stored, and writes what differs. Units are folded in the order
of `UNITS`: a message's repeats are left out of its conversation, and a rating may be credited by its conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.facts import conversation, message, state, survey
from hubbub.storage import schema
from hubbub.storage.log import EVENT
from hubbub.storage.sqlite import Transaction

Row = Sequence[Any]
Touched = set[tuple[str, int, str]]
"""Units to be folded: (unit, tenant, key)."""

_COLUMN = {name: EVENT.index(name) for name in EVENT}
_TENANT, _TYPE, _ID = _COLUMN["tenant"], _COLUMN["type"], _COLUMN["id"]
_KIND, _CONTACT, _CONVERSATION = _COLUMN["kind"], _COLUMN["contact_id"], _COLUMN["conversation_id"]
_MESSAGE, _SURVEY = _COLUMN["message_id"], _COLUMN["survey_id"]

_OF_CONVERSATIONS = frozenset(conversation.TYPES)
_SPOKEN = ("message.received", "message.sent")
_RECEIPTS = frozenset(message.TYPES) - set(_SPOKEN)
_OF_SURVEYS = frozenset(("satisfaction.survey_sent", "satisfaction.rating_received"))
_STATEFUL = {
    type_: (unit, _COLUMN[f"{unit}_id"]) for unit in ("task", "campaign", "staff") for type_ in state.TYPES[unit]
}
_STATUSES = frozenset(state.TYPES["contact"])
CONTACT_TYPES = (
    "message.received", "message.read", "message.reacted", "link.clicked", "satisfaction.rating_received", "contact.created",
    "contact.updated", "contact.blocked", "contact.unblocked", "contact.converted",
)  # fmt: skip
_OF_CONTACTS = frozenset(CONTACT_TYPES)
_SEEN = ("message.received", "contact.created")


def touched(rows: Iterable[Row], found: Touched) -> dict[tuple[int, str], list[Row]]:
    """Add the units that events belong to; returns, by tenant and contact, events that may be a contact's first.

    Whether they are is cheap to see (`new_sights`), and folding a contact for each of its messages would not be.
    """
    sights: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        tenant, type_ = row[_TENANT], row[_TYPE]
        if type_ in _SPOKEN:
            found.add(("message", tenant, row[_MESSAGE] or row[_ID]))
        elif type_ in _RECEIPTS and row[_MESSAGE] is not None:
            found.add(("message", tenant, row[_MESSAGE]))
        if type_ in _OF_CONVERSATIONS and row[_CONVERSATION] is not None:
            found.add(("conversation", tenant, row[_CONVERSATION]))
        if type_ in _OF_SURVEYS:
            found.add(("survey", tenant, row[_SURVEY] or row[_ID]))
        if type_ in _OF_CONTACTS and row[_CONTACT] is not None and (row[_KIND] or "person") == "person":
            if type_ in _STATUSES:
                found.add(("contact", tenant, row[_CONTACT]))
            else:
                sights.setdefault((tenant, row[_CONTACT]), []).append(row)
        elif type_ in _STATEFUL:
            unit, column = _STATEFUL[type_]
            if row[column] is not None:
                found.add((unit, tenant, row[column]))
    return sights


def new_sights(writing: Transaction, sights: Mapping[tuple[int, str], Sequence[Row]], found: Touched) -> None:
    """Add the contacts of which an event is the first, anywhere or by its channel and account."""
    time, channel, account = _COLUMN["time"], _COLUMN["channel"], _COLUMN["account_id"]
    for (tenant, contact), rows in sights.items():
        known: dict[tuple[str | None, str | None], int] = {}
        seen = schema.FOREVER
        for what, since, *where in writing.each(
            "SELECT state, since, channel, account_id FROM state WHERE tenant = ? AND entity = 'contact' AND id = ? "
            "AND state IN ('known', 'seen')", (tenant, contact),
        ):  # fmt: skip
            if what == "seen":
                seen = since
            else:
                known[where[0], where[1]] = since
        if any(
            row[time] < known.get((row[channel], row[account]), schema.FOREVER)
            or (row[_TYPE] in _SEEN and row[time] <= seen)
            for row in rows
        ):
            found.add(("contact", tenant, contact))


def _select(columns: Sequence[str], where: str) -> str:
    return f"SELECT {', '.join(columns)} FROM event WHERE tenant = ? AND {where}"


def _in(types: Iterable[str]) -> str:
    return f"type IN ({', '.join(repr(one) for one in types)})"


_MESSAGES = _select(message.Report._fields, f"coalesce(message_id, id) = ? AND {schema.OF_MESSAGES}")


def fold_message(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one message's reports and receipts; its conversation follows where another report counts now."""
    reports = [message.Report._make(row) for row in writing.rows(_MESSAGES, (tenant, key))]
    fates = message.fold(reports)
    again: Touched = set()
    changed = []
    for one in reports:
        if one.type not in _SPOKEN:
            continue
        fate = fates.get((one.time, one.ident), message.NOTHING)
        if fate == (one.repeats, one.delivered_at, one.receipts):
            continue
        changed.append((*fate, fate.repeats, tenant, one.time, one.ident))
        if fate.repeats != one.repeats and one.conversation_id is not None:
            again.add(("conversation", tenant, one.conversation_id))
        if ((fate.receipts or 0) ^ (one.receipts or 0)) & message.RECEIPTED:
            again.add(("channel", tenant, one.channel or ""))
    writing.many(
        "UPDATE event SET repeats = ?, delivered_at = ?, receipts = ?, answered_at = CASE WHEN ? THEN NULL ELSE answered_at END "
        "WHERE tenant = ? AND time = ? AND ident = ?", changed,
    )  # fmt: skip
    return again


def fold_channel(writing: Transaction, tenant: int, key: str) -> Touched:
    """Say whether a channel gives receipts: whether any of its messages ever had one."""
    gives = writing.value(
        "SELECT 1 FROM event WHERE tenant = ? AND type = 'message.sent' AND coalesce(channel, '') = ? AND receipts & 1 LIMIT 1",
        (tenant, key),
    )
    statement = "INSERT OR IGNORE INTO receipt_channel VALUES (?, ?)"
    if gives is None:
        statement = "DELETE FROM receipt_channel WHERE tenant = ? AND channel = ?"
    writing.run(statement, (tenant, key))
    return set()


_TURNS = _select(conversation.Turn._fields, f"conversation_id = ? AND repeats IS NULL AND {_in(conversation.TYPES)}")


def fold_conversation(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one conversation; surveys follow whose rating is credited to somebody else now."""
    turns = conversation.turns_of(writing.rows(_TURNS, (tenant, key)))
    folded = conversation.fold(key, turns)
    _replace(writing, _RESPONSES, tenant, key, folded.responses)
    _replace(writing, _EPISODES, tenant, key, folded.episodes)
    _replace_states(writing, tenant, "conversation", key, folded.states)
    again: Touched = set()
    changed = []
    for one in turns:
        place = one.time, one.ident
        answered, credited = folded.answered.get(place), folded.credited.get(place)
        escalated = 1 if place in folded.escalated else None
        if (answered, escalated, credited) != (one.answered_at, one.escalated, one.credited_staff_id):
            changed.append((answered, escalated, credited, tenant, *place))
            if credited != one.credited_staff_id:
                (survey_key,) = writing.rows(
                    "SELECT coalesce(survey_id, id) FROM event WHERE tenant = ? AND time = ? AND ident = ?",
                    (tenant, *place),
                )[0]
                again.add(("survey", tenant, survey_key))
    writing.many(
        "UPDATE event SET answered_at = ?, escalated = ?, credited_staff_id = ? WHERE tenant = ? AND time = ? AND ident = ?",
        changed,
    )
    return again


_VOICES = _select(survey.Voice._fields, f"coalesce(survey_id, id) = ? AND {schema.OF_SURVEYS}")


def fold_survey(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one survey."""
    voices = [survey.Voice._make(row) for row in writing.rows(_VOICES, (tenant, key))]
    _replace(writing, _SURVEYS, tenant, key, [survey.fold(key, voices)] if voices else [])
    return set()


_SIGHTS = (
    "SELECT channel, account_id, min(time), min(CASE WHEN type IN ('message.received', 'contact.created') THEN time END) "
    f"FROM event WHERE tenant = ? AND contact_id = ? AND coalesce(kind, 'person') = 'person' AND {_in(CONTACT_TYPES)} "
    "GROUP BY channel, account_id"
)
_CONTACT_TRANSITIONS = _select(
    state.Transition._fields,
    f"contact_id = ? AND coalesce(kind, 'person') = 'person' AND {_in(state.TYPES['contact'])}",
)


def fold_contact(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one contact."""
    sights = [state.Sight._make(row) for row in writing.rows(_SIGHTS, (tenant, key))]
    transitions = map(state.Transition._make, writing.rows(_CONTACT_TRANSITIONS, (tenant, key)))
    _replace_states(writing, tenant, "contact", key, state.fold_contact(sights, transitions))
    return set()


def _stateful(entity: str, where: str) -> Callable[[Transaction, int, str], Touched]:
    statement = _select(state.Transition._fields, f"{entity}_id = ? AND {where}")

    def fold(writing: Transaction, tenant: int, key: str) -> Touched:
        transitions = map(state.Transition._make, writing.rows(statement, (tenant, key)))
        _replace_states(writing, tenant, entity, key, state.fold(entity, transitions))
        return set()

    return fold


UNITS: Mapping[str, Callable[[Transaction, int, str], Touched]] = {
    "message": fold_message,
    "channel": fold_channel,
    "conversation": fold_conversation,
    "survey": fold_survey,
    "contact": fold_contact,
    "task": _stateful("task", schema.OF_TASKS),
    "campaign": _stateful("campaign", schema.OF_CAMPAIGNS),
    "staff": _stateful("staff", schema.OF_STAFF),
}
"""Unit -> what folds one key of a tenant; returns units that must follow. In the order in which they are folded."""


# --- what is stored


@dataclass(frozen=True, slots=True)
class _Statements:
    """How the rows of a fact of one key are read, written and taken out: rows are told apart by their first `keys` columns."""

    keys: int
    read: str
    write: str
    delete: str


def _statements(table: str, columns: Sequence[str], key: str, keys: Sequence[str]) -> _Statements:
    names = ", ".join(columns)
    return _Statements(
        len(keys),
        f"SELECT {names} FROM {table} WHERE tenant = ? AND {key} = ?",
        f"INSERT OR REPLACE INTO {table} (tenant, {names}) VALUES ({', '.join('?' * (len(columns) + 1))})",
        f"DELETE FROM {table} WHERE tenant = ? AND {' AND '.join(f'{one} = ?' for one in keys)}",
    )


_RESPONSES = _statements("response", conversation.Response._fields, "conversation_id", ("anchor", "ident"))
_EPISODES = _statements("episode", conversation.Episode._fields, "conversation_id", ("anchor", "conversation_id"))
_SURVEYS = _statements("survey", survey.Survey._fields, "survey", ("survey",))


def _replace(writing: Transaction, to: _Statements, tenant: int, key: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Make the stored rows of a key these, writing only what differs."""
    old = {row[: to.keys]: row for row in writing.rows(to.read, (tenant, key))}
    new = {row[: to.keys]: row for row in rows}
    writing.many(to.delete, [(tenant, *place) for place in old if place not in new])
    writing.many(to.write, [(tenant, *row) for place, row in new.items() if old.get(place) != row])


_STRETCHES = f"SELECT {', '.join(state.Stretch._fields)} FROM state WHERE tenant = ? AND entity = ? AND id = ?"
_ADD_STRETCH = (
    f"INSERT INTO state (tenant, entity, id, {', '.join(state.Stretch._fields)}) VALUES ({', '.join('?' * 9)})"
)
_END_STRETCH = (
    "DELETE FROM state WHERE tenant = ? AND entity = ? AND id = ? AND state = ? AND since = ? AND coalesce(channel, '') = ? "
    "AND coalesce(account_id, '') = ?"
)


def _replace_states(writing: Transaction, tenant: int, entity: str, key: str, rows: Sequence[state.Stretch]) -> None:
    old = set(writing.rows(_STRETCHES, (tenant, entity, key)))
    new = set(rows)
    writing.many(_END_STRETCH, [(tenant, entity, key, one[0], one[1], one[3] or "", one[4] or "") for one in old - new])
    writing.many(_ADD_STRETCH, [(tenant, entity, key, *one) for one in new - old])
