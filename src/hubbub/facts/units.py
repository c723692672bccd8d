"""Units: the events that are folded together, like those of one conversation. An event may belong to several units.

Folding units reads the events of their keys, computes their facts, compares them with the stored rows, and writes the difference.
Units of one kind are folded several at once, with the same statements. Kinds are folded in the order of `UNITS`: conversations
leave out repeats of messages, and credit ratings of surveys. After a cut of retention, a fold begins at the unit's boundary, and
reads only later events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from hubbub.facts import boundary, conversation, message, person, state, stored, survey
from hubbub.facts.boundary import boundaries_of
from hubbub.facts.stored import Begins, Events
from hubbub.facts.turn import Turn
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
    known = _known(writing, sights)
    never = schema.FOREVER, schema.FOREVER
    for (tenant, contact), rows in sights.items():
        for row in rows:
            since, began = known.get((tenant, contact, row[channel], row[account]), never)
            if row[time] < since or (row[_TYPE] in _SEEN and row[time] < began):
                units.add(("contact", tenant, contact))
                break


def _known(
    reading: Transaction, contacts: Iterable[tuple[int, str]]
) -> dict[tuple[int, str, str | None, str | None], tuple[int, int]]:
    """Return when contacts were known, and when first seen, by tenant, contact, channel and account."""
    sql = (
        "SELECT id, channel, account_id, since, coalesce(began, ?) FROM state WHERE tenant = ? AND entity = 'contact' "
        f"AND id {reading.dialect.in_texts('?')} AND state = 'known'"
    )
    known = {}
    for tenant, of_tenant in groupby(sorted(contacts), key=itemgetter(0)):
        ids = json.dumps([contact for _, contact in of_tenant])
        for contact, channel, account, since, began in reading.each(sql, (schema.FOREVER, tenant, ids)):
            known[tenant, contact, channel, account] = since, began
    return known


def _in(types: Iterable[str]) -> str:
    return f"type IN ({', '.join(repr(type_) for type_ in types)})"


_PERSON = "contact_id IS NOT NULL AND coalesce(kind, 'person') = 'person'"
_REPORTS = Events(message.Report, "coalesce(message_id, id)", schema.OF_MESSAGES)
_TURNS = Events(
    Turn, "conversation_id", f"conversation_id IS NOT NULL AND repeats IS NULL AND {_in(conversation.TYPES)}"
)
_VOICES = Events(survey.Voice, "coalesce(survey_id, id)", schema.OF_SURVEYS)
_SIGHTS = Events(
    state.Sight, "contact_id", f"{_PERSON} AND {_in(CONTACT_TYPES)}",
    columns=f"channel, account_id, min(time), min(CASE WHEN {_in(_SEEN)} THEN time END)", grouped="channel, account_id",
)  # fmt: skip
_TRANSITIONS = {
    "contact": Events(state.Transition, "contact_id", f"{_PERSON} AND {_in(state.TYPES['contact'])}"),
    "task": Events(state.Transition, "task_id", schema.OF_TASKS),
    "campaign": Events(state.Transition, "campaign_id", schema.OF_CAMPAIGNS),
    "staff": Events(state.Transition, "staff_id", schema.OF_STAFF),
}
"""Entity -> the events that set its state."""
_LINKS = tuple(Events(person.Link, column, schema.OF_LINKS) for column in ("contact_id", "name"))


def fold_messages(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
    """Fold the reports and receipts of messages; returns the conversations and channels whose facts may change by it."""
    begins = boundaries_of(writing, tenant, "message", keys)
    again: Touched = set()
    changed, moments = [], []
    for key, reports in _REPORTS.of(writing, tenant, begins).items():
        fates = message.fold([*begins[key].rows(message.Report), *reports])
        for report in reports:
            if report.type not in _SPOKEN:
                continue
            fate = fates.get((report.time, report.ident), message.NOTHING)
            if fate == (report.repeats, report.delivered_at, report.receipts):
                continue
            changed.append((*fate, fate.repeats, tenant, report.time, report.ident))
            if fate.repeats != report.repeats:
                moments.append(report.time)
                if report.conversation_id is not None:
                    again.add(("conversation", tenant, report.conversation_id))
            if ((fate.receipts or 0) ^ (report.receipts or 0)) & message.RECEIPTED:
                again.add(("channel", tenant, report.channel or ""))
    published.mark(writing, tenant, moments)
    writing.many(
        "UPDATE event SET repeats = ?, delivered_at = ?, receipts = ?, "
        "answered_at = CASE WHEN ? = 1 THEN NULL ELSE answered_at END WHERE tenant = ? AND time = ? AND ident = ?", changed,
    )  # fmt: skip
    return again


GIVES = (
    "SELECT 1 FROM event WHERE tenant = ? AND type = 'message.sent' AND coalesce(channel, '') = ? "
    "AND (receipts & 1) > 0 LIMIT 1"
)


def fold_channels(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
    """Store which channels give receipts: whether any of their messages ever had one."""
    for key, begin in boundaries_of(writing, tenant, "channel", keys).items():
        gives = begin.until > 0 or bool(writing.rows(GIVES, (tenant, key)))
        known = bool(writing.rows("SELECT 1 FROM receipt_channel WHERE tenant = ? AND channel = ?", (tenant, key)))
        if gives and not known:
            writing.many("INSERT INTO receipt_channel VALUES (?, ?)", [(tenant, key)])
        elif known and not gives:
            writing.many("DELETE FROM receipt_channel WHERE tenant = ? AND channel = ?", [(tenant, key)])
    return set()


def fold_conversations(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
    """Fold conversations; returns the surveys whose rating is now credited to another staff member."""
    begins = boundaries_of(writing, tenant, "conversation", keys)
    turns = _TURNS.of(writing, tenant, begins)
    folded = {key: conversation.fold(key, turns[key], begin.carried, begin.until) for key, begin in begins.items()}
    stored.RESPONSES.replace(writing, tenant, keys, chain.from_iterable(one.responses for one in folded.values()))
    stored.EPISODES.replace(writing, tenant, keys, chain.from_iterable(one.episodes for one in folded.values()))
    stored.replace_states(writing, tenant, "conversation", begins, {key: one.states for key, one in folded.items()})
    changed, moments, credited = [], [], set()
    for key, one in folded.items():
        for turn in turns[key]:
            place = turn.time, turn.ident
            escalated = 1 if place in one.escalated else None
            new = one.answered.get(place), escalated, one.credited.get(place)
            if new != (turn.answered_at, turn.escalated, turn.credited_staff_id):
                changed.append((*new, tenant, *place))
                if escalated != turn.escalated:
                    moments.append(turn.time)
                if new[2] != turn.credited_staff_id:
                    credited.add(place)
    published.mark(writing, tenant, moments)
    writing.many(
        "UPDATE event SET answered_at = ?, escalated = ?, credited_staff_id = ? WHERE tenant = ? AND time = ? AND ident = ?",
        changed,
    )
    return _surveys_of(writing, tenant, keys, credited)


def _surveys_of(reading: Transaction, tenant: int, keys: Sequence[str], places: Collection[tuple[int, int]]) -> Touched:
    """Return the surveys of these conversations' ratings at (time, ident)."""
    if not places:
        return set()
    sql = (
        "SELECT coalesce(survey_id, id), time, ident FROM event WHERE tenant = ? AND conversation_id IS NOT NULL "
        f"AND conversation_id {reading.dialect.in_texts('?')} AND {schema.OF_SURVEYS}"
    )
    ratings = reading.each(sql, (tenant, json.dumps(keys)))
    return {("survey", tenant, key) for key, *place in ratings if tuple(place) in places}


def fold_surveys(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
    """Fold surveys; one without stored events has no row."""
    begins = boundaries_of(writing, tenant, "survey", keys)
    rows = [
        survey.fold(key, [*begins[key].rows(survey.Voice), *voices])
        for key, voices in _VOICES.of(writing, tenant, begins).items()
        if voices
    ]
    stored.SURVEYS.replace(writing, tenant, keys, rows)
    return set()


def _transitions(
    reading: Transaction, entity: str, tenant: int, begins: Begins, before: int = schema.FOREVER
) -> dict[str, list[state.Transition]]:
    """Return the transitions of an entity's keys, before a moment (microseconds), carried ones included."""
    return {
        key: [*begins[key].rows(state.Transition, "transitions"), *rows]
        for key, rows in _TRANSITIONS[entity].of(reading, tenant, begins, before).items()
    }


def _sights(
    reading: Transaction, tenant: int, begins: Begins, before: int = schema.FOREVER
) -> dict[str, list[state.Sight]]:
    """Return the sights of contacts, before a moment (microseconds), carried ones included."""
    return {
        key: state.merged([*begins[key].rows(state.Sight, "sights"), *rows])
        for key, rows in _SIGHTS.of(reading, tenant, begins, before).items()
    }


def fold_contacts(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
    """Fold contacts."""
    begins = boundaries_of(writing, tenant, "contact", keys)
    sights, statuses = _sights(writing, tenant, begins), _transitions(writing, "contact", tenant, begins)
    rows = {key: state.fold_contact(sights[key], statuses[key]) for key in begins}
    stored.replace_states(writing, tenant, "contact", begins, rows)
    return set()


def _stateful(entity: str) -> Fold:
    def fold(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
        begins = boundaries_of(writing, tenant, entity, keys)
        transitions = _transitions(writing, entity, tenant, begins)
        rows = {key: state.fold(entity, several) for key, several in transitions.items()}
        stored.replace_states(writing, tenant, entity, begins, rows)
        return set()

    return fold


def _links(
    reading: Transaction, tenant: int, begins: Begins, before: int = schema.FOREVER
) -> dict[str, list[person.Link]]:
    """Return the link events of contacts, before a moment (microseconds), carried ones included."""
    links = {key: begin.rows(person.Link) for key, begin in begins.items()}
    for events in _LINKS:
        for key, rows in events.of(reading, tenant, begins, before).items():
            links[key] += rows
    return links


def fold_persons(writing: Transaction, tenant: int, keys: Sequence[str]) -> Touched:
    """Find all contacts of these contacts' persons, and store the smallest id as their root.

    Returns these units, which need no further fold.
    """

    def linked(contact: str) -> set[str]:
        begins = boundaries_of(writing, tenant, "person", [contact])
        return person.linked(contact, _links(writing, tenant, begins)[contact])

    new: dict[str, str] = {}
    for key in keys:
        if key not in new:
            new |= person.roots(key, linked)
    several = {root for contact, root in new.items() if contact != root}
    stored.PERSONS.replace(writing, tenant, list(new), [pair for pair in new.items() if pair[1] in several])
    return {("person", tenant, contact) for contact in new}


Fold = Callable[[Transaction, int, Sequence[str]], Touched]
UNITS: Mapping[str, Fold] = {
    "message": fold_messages,
    "channel": fold_channels,
    "conversation": fold_conversations,
    "survey": fold_surveys,
    "contact": fold_contacts,
    "task": _stateful("task"),
    "campaign": _stateful("campaign"),
    "staff": _stateful("staff"),
    "person": fold_persons,
}
"""Unit -> the function that folds keys of a tenant, in the order of folding. It returns the units to fold next; for persons,
the units that are folded with them."""


def fold(writing: Transaction, unit: str, tenant: int, keys: Iterable[str], done: Touched) -> Touched:
    """Fold units of a kind that are not in `done`; returns units to fold next. Adds what it folded to `done`."""
    new = [key for key in keys if (unit, tenant, key) not in done]
    if not new:
        return set()
    done.update((unit, tenant, key) for key in new)
    more = UNITS[unit](writing, tenant, new)
    if unit != "person":
        return more
    done |= more
    return set()


AT_ONCE = 100
"""Units that are folded at once where their sizes are not known."""


def by_kind(units: Touched) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind and keys of one tenant's units, in the order of folding, at most AT_ONCE keys at a time.

    Units that are added meanwhile are included: a fold touches only later kinds.
    """
    for kind in UNITS:
        keys = sorted(key for unit, _, key in units if unit == kind)
        for at in range(0, len(keys), AT_ONCE):
            yield kind, keys[at : at + AT_ONCE]


# --- what is carried over a cut


def _carry_messages(reading: Transaction, tenant: int, begins: Begins, cut: int) -> Carries:
    for key, reports in _REPORTS.of(reading, tenant, begins, cut).items():
        yield key, boundary.plain(message.carry([*begins[key].rows(message.Report), *reports], cut))


def _carry_conversations(reading: Transaction, tenant: int, begins: Begins, cut: int) -> Carries:
    for key, turns in _TURNS.of(reading, tenant, begins, cut).items():
        yield key, conversation.carry(key, turns, begins[key].carried)


def _carry_surveys(reading: Transaction, tenant: int, begins: Begins, cut: int) -> Carries:
    for key, voices in _VOICES.of(reading, tenant, begins, cut).items():
        yield key, boundary.plain(survey.carry([*begins[key].rows(survey.Voice), *voices]))


def _carry_contacts(reading: Transaction, tenant: int, begins: Begins, cut: int) -> Carries:
    sights = _sights(reading, tenant, begins, cut)
    for key, several in _transitions(reading, "contact", tenant, begins, cut).items():
        last = state.setting(several)
        yield key, {"sights": boundary.plain(sights[key]), "transitions": boundary.plain([last] if last else [])}


def _carries(entity: str) -> Carry:
    def carry(reading: Transaction, tenant: int, begins: Begins, cut: int) -> Carries:
        for key, several in _transitions(reading, entity, tenant, begins, cut).items():
            rows = state.carry(several)
            yield key, {"transitions": boundary.plain(rows)} if rows else None

    return carry


def _carry_persons(reading: Transaction, tenant: int, begins: Begins, cut: int) -> Carries:
    for key, links in _links(reading, tenant, begins, cut).items():
        yield key, boundary.plain(person.carry(links))


Carries = Iterator[tuple[str, Any]]
"""Keys, with what each carries."""
Carry = Callable[[Transaction, int, Begins, int], Carries]
CARRIES: Mapping[str, Carry] = {
    "message": _carry_messages,
    "conversation": _carry_conversations,
    "survey": _carry_surveys,
    "contact": _carry_contacts,
    "task": _carries("task"),
    "campaign": _carries("campaign"),
    "staff": _carries("staff"),
    "person": _carry_persons,
}
"""Unit -> the function that returns what keys carry at a cut, from their boundaries and earlier events. `retention.py` writes the
boundaries of channels."""
