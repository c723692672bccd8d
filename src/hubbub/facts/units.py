"""Units: the events that are folded together, like those of one conversation. An event may belong to several units.

Folding a unit reads the events of its key, computes its facts, compares them with the stored rows, and writes the difference. Kinds
of units are folded in the order of `UNITS`: conversations leave out repeats of messages, and credit ratings of surveys. After a cut
of retention, a fold begins at the unit's boundary, and reads only later events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.facts import boundary, conversation, message, person, state, survey
from hubbub.facts.boundary import Boundary, boundary_of
from hubbub.facts.turn import Episode, Response, Turn
from hubbub.storage import published, schema
from hubbub.storage.log import EVENT
from hubbub.storage.transaction import Transaction

Row = Sequence[Any]
Touched = set[tuple[str, int, str]]
"""Units to be folded: (unit, tenant, key)."""

_COLUMN = {name: EVENT.index(name) for name in EVENT}
_TENANT, _TYPE, _ID = _COLUMN["tenant"], _COLUMN["type"], _COLUMN["id"]
_KIND, _CONTACT, _CONVERSATION = _COLUMN["kind"], _COLUMN["contact_id"], _COLUMN["conversation_id"]
_MESSAGE, _SURVEY, _NAME = _COLUMN["message_id"], _COLUMN["survey_id"], _COLUMN["name"]

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


def touched(rows: Iterable[Row], units: Touched) -> dict[tuple[int, str], list[Row]]:
    """Add the units of events to `units`; returns, by tenant and contact, events that may be a contact's first.

    `new_sights` checks that cheaply; folding a contact for each of its messages would be costly.
    """
    sights: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        tenant, type_ = row[_TENANT], row[_TYPE]
        if type_ in _SPOKEN:
            units.add(("message", tenant, row[_MESSAGE] or row[_ID]))
        elif type_ in _RECEIPTS and row[_MESSAGE] is not None:
            units.add(("message", tenant, row[_MESSAGE]))
        if type_ in _OF_CONVERSATIONS and row[_CONVERSATION] is not None:
            units.add(("conversation", tenant, row[_CONVERSATION]))
        if type_ in _OF_SURVEYS:
            units.add(("survey", tenant, row[_SURVEY] or row[_ID]))
        if type_ in _OF_CONTACTS and row[_CONTACT] is not None and (row[_KIND] or "person") == "person":
            if type_ in _STATUSES:
                units.add(("contact", tenant, row[_CONTACT]))
            else:
                sights.setdefault((tenant, row[_CONTACT]), []).append(row)
        elif type_ in _STATEFUL:
            unit, column = _STATEFUL[type_]
            if row[column] is not None:
                units.add((unit, tenant, row[column]))
        elif type_ in person.TYPES and row[_CONTACT] is not None and row[_NAME] is not None:
            units.update((("person", tenant, row[_CONTACT]), ("person", tenant, row[_NAME])))
    return sights


def new_sights(writing: Transaction, sights: Mapping[tuple[int, str], Sequence[Row]], units: Touched) -> None:
    """Add to `units` the contacts with an event earlier than all known in its channel and account."""
    time, channel, account = _COLUMN["time"], _COLUMN["channel"], _COLUMN["account_id"]
    for (tenant, contact), rows in sights.items():
        known = {
            (where, account): (since, schema.FOREVER if began is None else began)
            for since, began, where, account in writing.each(
                "SELECT since, began, channel, account_id FROM state WHERE tenant = ? AND entity = 'contact' AND id = ? "
                "AND state = 'known'", (tenant, contact),
            )
        }  # fmt: skip
        never = schema.FOREVER, schema.FOREVER
        if any(
            row[time] < known.get((row[channel], row[account]), never)[row[_TYPE] in _SEEN]
            or row[time] < known.get((row[channel], row[account]), never)[0]
            for row in rows
        ):
            units.add(("contact", tenant, contact))


def _select(columns: Sequence[str], where: str) -> str:
    """Return SQL for the events of a key in `[since, before)`; the plus keeps the planner on the key's index."""
    return f"SELECT {', '.join(columns)} FROM event WHERE tenant = ? AND {where} AND +time >= ? AND +time < ?"


def _in(types: Iterable[str]) -> str:
    return f"type IN ({', '.join(repr(type_) for type_ in types)})"


_MESSAGES = _select(message.Report._fields, f"coalesce(message_id, id) = ? AND {schema.OF_MESSAGES}")


def reports(
    reading: Transaction, tenant: int, key: str, begin: Boundary, before: int = schema.FOREVER
) -> list[message.Report]:
    """Return the stored events of a message's key, before a moment (microseconds)."""
    return [message.Report._make(row) for row in reading.rows(_MESSAGES, (tenant, key, begin.until, before))]


def fold_message(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one message's reports and receipts; returns the conversation and channel to fold next, if their facts may change."""
    begin = boundary_of(writing, tenant, "message", key)
    stored = reports(writing, tenant, key, begin)
    fates = message.fold([*begin.rows(message.Report), *stored])
    again: Touched = set()
    changed = []
    for report in stored:
        if report.type not in _SPOKEN:
            continue
        fate = fates.get((report.time, report.ident), message.NOTHING)
        if fate == (report.repeats, report.delivered_at, report.receipts):
            continue
        changed.append((*fate, fate.repeats, tenant, report.time, report.ident))
        if fate.repeats != report.repeats:
            published.mark(writing, tenant, [report.time])
            if report.conversation_id is not None:
                again.add(("conversation", tenant, report.conversation_id))
        if ((fate.receipts or 0) ^ (report.receipts or 0)) & message.RECEIPTED:
            again.add(("channel", tenant, report.channel or ""))
    writing.many(
        "UPDATE event SET repeats = ?, delivered_at = ?, receipts = ?, "
        "answered_at = CASE WHEN ? = 1 THEN NULL ELSE answered_at END WHERE tenant = ? AND time = ? AND ident = ?", changed,
    )  # fmt: skip
    return again


GIVES = (
    "SELECT 1 FROM event WHERE tenant = ? AND type = 'message.sent' AND coalesce(channel, '') = ? "
    "AND (receipts & 1) > 0 LIMIT 1"
)


def fold_channel(writing: Transaction, tenant: int, key: str) -> Touched:
    """Store whether a channel gives receipts: whether any of its messages ever had one."""
    gives = boundary_of(writing, tenant, "channel", key).until > 0 or bool(writing.rows(GIVES, (tenant, key)))
    known = bool(writing.rows("SELECT 1 FROM receipt_channel WHERE tenant = ? AND channel = ?", (tenant, key)))
    if gives and not known:
        writing.many("INSERT INTO receipt_channel VALUES (?, ?)", [(tenant, key)])
    elif known and not gives:
        writing.many("DELETE FROM receipt_channel WHERE tenant = ? AND channel = ?", [(tenant, key)])
    return set()


_TURNS = _select(Turn._fields, f"conversation_id = ? AND repeats IS NULL AND {_in(conversation.TYPES)}")


def turns_of(reading: Transaction, tenant: int, key: str, begin: Boundary, before: int = schema.FOREVER) -> list[Turn]:
    """Return the stored events of a conversation, before a moment (microseconds)."""
    return conversation.turns_of(reading.rows(_TURNS, (tenant, key, begin.until, before)))


def fold_conversation(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one conversation; returns the surveys whose rating is now credited to another staff member."""
    begin = boundary_of(writing, tenant, "conversation", key)
    turns = turns_of(writing, tenant, key, begin)
    folded = conversation.fold(key, turns, begin.carried, begin.until)
    _replace(writing, _RESPONSES, tenant, key, folded.responses)
    _replace(writing, _EPISODES, tenant, key, folded.episodes)
    _replace_states(writing, tenant, "conversation", key, folded.states, begin.until)
    again: Touched = set()
    changed = []
    for turn in turns:
        place = turn.time, turn.ident
        answered, credited = folded.answered.get(place), folded.credited.get(place)
        escalated = 1 if place in folded.escalated else None
        if (answered, escalated, credited) != (turn.answered_at, turn.escalated, turn.credited_staff_id):
            changed.append((answered, escalated, credited, tenant, *place))
            if escalated != turn.escalated:
                published.mark(writing, tenant, [turn.time])
            if credited != turn.credited_staff_id:
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


def voices(
    reading: Transaction, tenant: int, key: str, begin: Boundary, before: int = schema.FOREVER
) -> list[survey.Voice]:
    """Return the stored events of a survey, before a moment (microseconds)."""
    return [survey.Voice._make(row) for row in reading.rows(_VOICES, (tenant, key, begin.until, before))]


def fold_survey(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one survey; without stored events it has no row."""
    begin = boundary_of(writing, tenant, "survey", key)
    stored = voices(writing, tenant, key, begin)
    rows = [survey.fold(key, [*begin.rows(survey.Voice), *stored])] if stored else []
    _replace(writing, _SURVEYS, tenant, key, rows)
    return set()


_SIGHTS = (
    "SELECT channel, account_id, min(time), min(CASE WHEN type IN ('message.received', 'contact.created') THEN time END) "
    f"FROM event WHERE tenant = ? AND contact_id = ? AND coalesce(kind, 'person') = 'person' AND {_in(CONTACT_TYPES)} "
    "AND +time >= ? AND +time < ? GROUP BY channel, account_id"
)
_TRANSITIONS = {
    "contact": _select(
        state.Transition._fields,
        f"contact_id = ? AND coalesce(kind, 'person') = 'person' AND {_in(state.TYPES['contact'])}",
    ),
    "task": _select(state.Transition._fields, f"task_id = ? AND {schema.OF_TASKS}"),
    "campaign": _select(state.Transition._fields, f"campaign_id = ? AND {schema.OF_CAMPAIGNS}"),
    "staff": _select(state.Transition._fields, f"staff_id = ? AND {schema.OF_STAFF}"),
}
"""Entity -> SQL for the events that set its state."""


def transitions(
    reading: Transaction, entity: str, tenant: int, key: str, begin: Boundary, before: int = schema.FOREVER
) -> list[state.Transition]:
    """Return the transitions of an entity, before a moment (microseconds), carried ones included."""
    rows = reading.rows(_TRANSITIONS[entity], (tenant, key, begin.until, before))
    carried = begin.rows(state.Transition, "transitions")
    return [*carried, *map(state.Transition._make, rows)]


def sights(
    reading: Transaction, tenant: int, key: str, begin: Boundary, before: int = schema.FOREVER
) -> list[state.Sight]:
    """Return a contact's sights, before a moment (microseconds), carried ones included."""
    rows = reading.rows(_SIGHTS, (tenant, key, begin.until, before))
    return state.merged([*begin.rows(state.Sight, "sights"), *map(state.Sight._make, rows)])


def fold_contact(writing: Transaction, tenant: int, key: str) -> Touched:
    """Fold one contact."""
    begin = boundary_of(writing, tenant, "contact", key)
    seen, status = sights(writing, tenant, key, begin), transitions(writing, "contact", tenant, key, begin)
    _replace_states(writing, tenant, "contact", key, state.fold_contact(seen, status), begin.until)
    return set()


def _stateful(entity: str) -> Callable[[Transaction, int, str], Touched]:
    def fold(writing: Transaction, tenant: int, key: str) -> Touched:
        begin = boundary_of(writing, tenant, entity, key)
        rows = state.fold(entity, transitions(writing, entity, tenant, key, begin))
        _replace_states(writing, tenant, entity, key, rows, begin.until)
        return set()

    return fold


_LINKS = {
    column: (
        f"SELECT time, type, contact_id, name FROM event WHERE tenant = ? AND {column} = ? AND {schema.OF_LINKS} "
        "AND +time >= ? AND +time < ?"
    )
    for column in ("contact_id", "name")
}


def links(
    reading: Transaction, tenant: int, key: str, begin: Boundary, before: int = schema.FOREVER
) -> list[person.Link]:
    """Return the link events of a contact, before a moment (microseconds), carried ones included."""
    rows = [row for sql in _LINKS.values() for row in reading.rows(sql, (tenant, key, begin.until, before))]
    return [*begin.rows(person.Link), *map(person.Link._make, rows)]


def fold_person(writing: Transaction, tenant: int, key: str) -> Touched:
    """Find all contacts of a contact's person, and store the smallest id as their root.

    Returns these units, which need no further fold.
    """

    def linked(contact: str) -> set[str]:
        return person.linked(contact, links(writing, tenant, contact, boundary_of(writing, tenant, "person", contact)))

    new = person.roots(key, linked)
    for contact, root in new.items():
        _replace(writing, _PERSONS, tenant, contact, [(contact, root)] if len(new) > 1 else [])
    return {("person", tenant, contact) for contact in new}


UNITS: Mapping[str, Callable[[Transaction, int, str], Touched]] = {
    "message": fold_message,
    "channel": fold_channel,
    "conversation": fold_conversation,
    "survey": fold_survey,
    "contact": fold_contact,
    "task": _stateful("task"),
    "campaign": _stateful("campaign"),
    "staff": _stateful("staff"),
    "person": fold_person,
}
"""Unit -> the function that folds one key of a tenant, in the order of folding. It returns the units to fold next; for a
person, the units that are folded with it."""


def fold(writing: Transaction, unit: str, tenant: int, key: str, done: Touched) -> Touched:
    """Fold one unit unless it is in `done`; returns units to fold next. Adds what it folded to `done`."""
    if (unit, tenant, key) in done:
        return set()
    done.add((unit, tenant, key))
    more = UNITS[unit](writing, tenant, key)
    if unit != "person":
        return more
    done |= more
    return set()


# --- what is carried over a cut


def _carry_message(reading: Transaction, tenant: int, key: str, begin: Boundary, cut: int) -> Any:
    known = [*begin.rows(message.Report), *reports(reading, tenant, key, begin, cut)]
    return boundary.plain(message.carry(known, cut))


def _carry_conversation(reading: Transaction, tenant: int, key: str, begin: Boundary, cut: int) -> Any:
    return conversation.carry(key, turns_of(reading, tenant, key, begin, cut), begin.carried)


def _carry_survey(reading: Transaction, tenant: int, key: str, begin: Boundary, cut: int) -> Any:
    return boundary.plain(survey.carry([*begin.rows(survey.Voice), *voices(reading, tenant, key, begin, cut)]))


def _carry_contact(reading: Transaction, tenant: int, key: str, begin: Boundary, cut: int) -> Any:
    last = state.setting(transitions(reading, "contact", tenant, key, begin, cut))
    return {
        "sights": boundary.plain(sights(reading, tenant, key, begin, cut)),
        "transitions": boundary.plain([last] if last else []),
    }


def _carries(entity: str) -> Carry:
    def carry(reading: Transaction, tenant: int, key: str, begin: Boundary, cut: int) -> Any:
        rows = state.carry(transitions(reading, entity, tenant, key, begin, cut))
        return {"transitions": boundary.plain(rows)} if rows else None

    return carry


def _carry_person(reading: Transaction, tenant: int, key: str, begin: Boundary, cut: int) -> Any:
    return boundary.plain(person.carry(links(reading, tenant, key, begin, cut)))


Carry = Callable[[Transaction, int, str, Boundary, int], Any]
CARRIES: Mapping[str, Carry] = {
    "message": _carry_message,
    "conversation": _carry_conversation,
    "survey": _carry_survey,
    "contact": _carry_contact,
    "task": _carries("task"),
    "campaign": _carries("campaign"),
    "staff": _carries("staff"),
    "person": _carry_person,
}
"""Unit -> the function that returns what a key carries at a cut, from its boundary and earlier events. `retention.py` writes the
boundaries of channels."""


# --- what is stored


@dataclass(frozen=True, slots=True)
class _Statements:
    """SQL to read, write and delete the rows of one key; a row's first `keys` columns identify it.

    `moments`: the places of the columns whose days become stale (see `storage/published.py`).
    """

    keys: int
    read: str
    write: str
    delete: str
    moments: tuple[int, ...]


def _statements(table: str, columns: Sequence[str], key: str, keys: Sequence[str]) -> _Statements:
    names = ", ".join(columns)
    return _Statements(
        len(keys),
        f"SELECT {names} FROM {table} WHERE tenant = ? AND {key} = ?",
        schema.upsert(table, ("tenant", *columns)),
        f"DELETE FROM {table} WHERE tenant = ? AND {' AND '.join(f'{name} = ?' for name in keys)}",
        tuple(columns.index(name) for name in published.MOMENTS.get(table, ())),
    )


_RESPONSES = _statements("response", Response._fields, "conversation_id", ("anchor", "ident"))
_EPISODES = _statements("episode", Episode._fields, "conversation_id", ("anchor", "conversation_id"))
_SURVEYS = _statements("survey", survey.Survey._fields, "survey", ("survey",))
_PERSONS = _statements("person", ("contact_id", "root"), "contact_id", ("contact_id",))


def _replace(writing: Transaction, to: _Statements, tenant: int, key: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Replace the stored rows of a key, writing only the difference."""
    old = {row[: to.keys]: row for row in writing.rows(to.read, (tenant, key))}
    new = {row[: to.keys]: row for row in rows}
    writing.many(to.delete, [(tenant, *place) for place in old if place not in new])
    changed = [row for place, row in new.items() if old.get(place) != row]
    writing.many(to.write, [(tenant, *row) for row in changed])
    replaced = [old[row[: to.keys]] for row in changed if row[: to.keys] in old]
    published.mark(writing, tenant, (row[place] for row in (*changed, *replaced) for place in to.moments))


_STRETCHES = f"SELECT {', '.join(state.Stretch._fields)} FROM state WHERE tenant = ? AND entity = ? AND id = ?"
_ADD_STRETCH = schema.insert("state", ("tenant", "entity", "id", *state.Stretch._fields))
END_STRETCH = (
    "DELETE FROM state WHERE tenant = ? AND entity = ? AND id = ? AND state = ? AND since = ? AND until = ? "
    "AND coalesce(channel, '') = ? AND coalesce(account_id, '') = ?"
)


def stretch_key(entity: str, key: str, row: state.Stretch) -> tuple[Any, ...]:
    """Return the parameters of `END_STRETCH` after the tenant."""
    return entity, key, row.state, row.since, row.until, row.channel or "", row.account_id or ""


def _replace_states(
    writing: Transaction, tenant: int, entity: str, key: str, rows: Sequence[state.Stretch], since: int
) -> None:
    """Replace the stored stretches of a key, without those that ended before its boundary."""
    old = set(map(state.Stretch._make, writing.rows(_STRETCHES, (tenant, entity, key))))
    new = {row for row in rows if row.until >= since}
    writing.many(END_STRETCH, [(tenant, *stretch_key(entity, key, row)) for row in old - new])
    writing.many(_ADD_STRETCH, [(tenant, entity, key, *row) for row in new - old])
