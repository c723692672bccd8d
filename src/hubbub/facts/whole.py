"""Fold a whole tenant at once: all facts of all its events, in memory, with the same functions as unit by unit.

For bulk work (an import, a backfill) this is several times cheaper than unit by unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from hubbub.facts import conversation, message, state, survey
from hubbub.facts.stored import END_STRETCH, stretch_key
from hubbub.facts.turn import Episode, Response, Turn
from hubbub.facts.units import CONTACT_TYPES
from hubbub.storage import published, schema
from hubbub.storage.schema import FOLDED
from hubbub.storage.transaction import Transaction

_OF_KEYS = ("id", "conversation_id", "message_id", "survey_id", "contact_id", "task_id", "campaign_id", "staff_id")
_READ = (message.Report, Turn, survey.Voice, state.Transition)
COLUMNS = tuple(dict.fromkeys((*chain.from_iterable(row._fields for row in _READ), *_OF_KEYS, *FOLDED)))
"""The columns of an event that `fold` takes: all that folds read."""
AT_MOST = 250_000
"""The most events of a tenant that is folded at once: each takes about 1 kB of memory."""

_PLACE = {name: COLUMNS.index(name) for name in COLUMNS}
_TYPE, _ID, _CONVERSATION, _MESSAGE, _SURVEY, _CONTACT, _KIND = (
    _PLACE[name] for name in ("type", "id", "conversation_id", "message_id", "survey_id", "contact_id", "kind")
)
_TIME, _IDENT, _CHANNEL, _ACCOUNT = (_PLACE[name] for name in ("time", "ident", "channel", "account_id"))


def _getter(row: type[Any]) -> itemgetter[tuple[Any, ...]]:
    return itemgetter(*(_PLACE[name] for name in row._fields))


_REPORT, _TURN = _getter(message.Report), _getter(Turn)
_VOICE, _TRANSITION = _getter(survey.Voice), _getter(state.Transition)
_FOLDED = itemgetter(*(_PLACE[name] for name in FOLDED))
_MESSAGES, _TURNS = frozenset(message.TYPES), frozenset(conversation.TYPES)
_SURVEYS = frozenset(("satisfaction.survey_sent", "satisfaction.rating_received"))
_SPOKEN = frozenset(("message.received", "message.sent"))
_CONTACTS, _SEEN = frozenset(CONTACT_TYPES), frozenset(("message.received", "contact.created"))
_STATEFUL = {
    type_: (unit, _PLACE[f"{unit}_id"]) for unit in ("task", "campaign", "staff") for type_ in state.TYPES[unit]
}
_STATUSES = frozenset(state.TYPES["contact"])

Place = tuple[int, int]
Folded = tuple[Any, ...]
"""The folded columns of an event, in the order of `schema.FOLDED`."""
_NOTHING: Folded = (None,) * len(FOLDED)
_PUBLISHED = itemgetter(*(tuple(FOLDED).index(name) for name in ("repeats", "escalated")))
"""The folded columns of an event that published tables use."""
_IN_ORDER = itemgetter(slice(4))
"""The first columns of every fact: never null, and nearly the order of the rows in the file."""


@dataclass(slots=True)
class Whole:
    """All facts of a tenant, as rows of their tables without the tenant."""

    events: dict[Place, tuple[Folded, Folded]] = field(default_factory=dict)
    """(time, ident) of an event -> its folded columns as stored and as they should be, where these differ."""
    responses: list[tuple[Any, ...]] = field(default_factory=list)
    episodes: list[tuple[Any, ...]] = field(default_factory=list)
    surveys: list[tuple[Any, ...]] = field(default_factory=list)
    states: list[tuple[Any, ...]] = field(default_factory=list)
    channels: list[tuple[Any, ...]] = field(default_factory=list)
    count: int = 0


def read(transaction: Transaction, tenant: int) -> Iterable[tuple[Any, ...]]:
    """Yield a tenant's events as rows of `COLUMNS`, in any order."""
    return transaction.scan(f"SELECT {', '.join(COLUMNS)} FROM event WHERE tenant = ?", (tenant,))


def fold(rows: Iterable[tuple[Any, ...]]) -> Whole:
    """Fold all events of a tenant: rows of `COLUMNS`, in any order."""
    whole = Whole()
    reports: dict[str, list[tuple[Any, ...]]] = {}
    turns: dict[str, list[tuple[Any, ...]]] = {}
    voices: dict[str, list[tuple[Any, ...]]] = {}
    transitions: dict[tuple[str, str], list[state.Transition]] = {}
    sights: dict[str, dict[tuple[str | None, str | None], list[int | None]]] = {}
    folded: dict[Place, Folded] = {}
    for row in rows:
        whole.count += 1
        type_ = row[_TYPE]
        stored = _FOLDED(row)
        if stored != _NOTHING:
            folded[row[_TIME], row[_IDENT]] = stored
        if type_ in _MESSAGES and (row[_MESSAGE] is not None or type_ in _SPOKEN):
            reports.setdefault(row[_MESSAGE] or row[_ID], []).append(row)
        if type_ in _TURNS and row[_CONVERSATION] is not None:
            turns.setdefault(row[_CONVERSATION], []).append(row)
        if type_ in _SURVEYS:
            voices.setdefault(row[_SURVEY] or row[_ID], []).append(row)
        if type_ in _CONTACTS and row[_CONTACT] is not None and (row[_KIND] or "person") == "person":
            _see(sights, row, type_)
            if type_ in _STATUSES:
                transitions.setdefault(("contact", row[_CONTACT]), []).append(state.Transition._make(_TRANSITION(row)))
        elif type_ in _STATEFUL:
            unit, column = _STATEFUL[type_]
            if row[column] is not None:
                transitions.setdefault((unit, row[column]), []).append(state.Transition._make(_TRANSITION(row)))
    fates = _messages(whole, reports)
    credited = _conversations(whole, turns, fates)
    _surveys(whole, voices, credited)
    _entities(whole, sights, transitions)
    for place in {*folded, *fates}:
        was, now = folded.get(place, _NOTHING), tuple(fates.get(place, _NOTHING))
        if was != now:
            whole.events[place] = was, now
    return whole


def _see(
    sights: dict[str, dict[tuple[str | None, str | None], list[int | None]]], row: Sequence[Any], type_: str
) -> None:
    times = sights.setdefault(row[_CONTACT], {}).setdefault((row[_CHANNEL], row[_ACCOUNT]), [None, None])
    time = row[_TIME]
    if times[0] is None or time < times[0]:
        times[0] = time
    if type_ in _SEEN and (times[1] is None or time < times[1]):
        times[1] = time


def _messages(whole: Whole, reports: Mapping[str, Sequence[tuple[Any, ...]]]) -> dict[Place, list[Any]]:
    """Fold messages; returns the folded columns of events, without empty ones."""
    fates: dict[Place, list[Any]] = {}
    channels = set()
    for rows in reports.values():
        if len(rows) == 1:
            continue  # a message without receipts and other reports
        several = [message.Report._make(_REPORT(row)) for row in rows]
        by_place = {(report.time, report.ident): report for report in several}
        for place, fate in message.fold(several).items():
            if fate != message.NOTHING:
                fates[place] = [*fate, None, None, None]
                if (fate.receipts or 0) & message.RECEIPTED:
                    channels.add((by_place[place].channel or "",))
    whole.channels = sorted(channels)
    return fates


def _conversations(
    whole: Whole, turns: Mapping[str, Sequence[tuple[Any, ...]]], fates: dict[Place, list[Any]]
) -> dict[Place, str]:
    """Fold conversations, without repeats of messages; returns (time, ident) of each rating -> the credited staff id."""
    credited: dict[Place, str] = {}
    for name, rows in turns.items():
        counted = [
            Turn._make(_TURN(row))
            for row in rows
            if (fate := fates.get((row[_TIME], row[_IDENT]))) is None or fate[0] is None
        ]
        done = conversation.fold(name, counted)
        whole.responses += done.responses
        whole.episodes += done.episodes
        whole.states += [("conversation", name, *row) for row in done.states]
        credited |= done.credited
        for place, at in done.answered.items():
            fates.setdefault(place, [None] * 6)[3] = at
        for place in done.escalated:
            fates.setdefault(place, [None] * 6)[4] = 1
    for place, staff in credited.items():
        fates.setdefault(place, [None] * 6)[5] = staff
    return credited


def _surveys(whole: Whole, voices: Mapping[str, Sequence[tuple[Any, ...]]], credited: Mapping[Place, str]) -> None:
    for name, rows in voices.items():
        events = [survey.Voice._make(_VOICE(row)) for row in rows]
        whole.surveys.append(
            survey.fold(
                name, [voice._replace(credited_staff_id=credited.get((voice.time, voice.ident))) for voice in events]
            )
        )


def _entities(
    whole: Whole,
    sights: Mapping[str, Mapping[tuple[str | None, str | None], Sequence[int | None]]],
    transitions: Mapping[tuple[str, str], Sequence[state.Transition]],
) -> None:
    for contact, places in sights.items():
        seen_in = [state.Sight(*where, known or 0, seen) for where, (known, seen) in places.items()]
        rows = state.fold_contact(seen_in, transitions.get(("contact", contact), ()))
        whole.states += [("contact", contact, *row) for row in rows]
    for (entity, name), several in transitions.items():
        if entity != "contact":
            whole.states += [(entity, name, *row) for row in state.fold(entity, several)]


# --- what is stored


FACTS: Mapping[str, tuple[str, ...]] = {
    "response": Response._fields,
    "episode": Episode._fields,
    "survey": survey.Survey._fields,
    "state": ("entity", "id", *state.Stretch._fields),
    "receipt_channel": ("channel",),
}
"""Tables of facts, with their columns after the tenant."""


def rows_of(whole: Whole) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    """Return all facts by table."""
    return {
        "response": whole.responses, "episode": whole.episodes, "survey": whole.surveys, "state": whole.states,
        "receipt_channel": whole.channels,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """A table's stored rows that no fold gives, and the rows that are missing."""

    table: str
    wrong: set[tuple[Any, ...]]
    missing: set[tuple[Any, ...]]


def differences(transaction: Transaction, tenant: int, whole: Whole) -> list[Difference]:
    """Compare all facts with the stored rows, table by table."""
    tables = []
    for table, rows in rows_of(whole).items():
        stored = set(transaction.each(f"SELECT {', '.join(FACTS[table])} FROM {table} WHERE tenant = ?", (tenant,)))
        new = set(rows)
        tables.append(Difference(table, stored - new, new - stored))
    return tables


def write(writing: Transaction, tenant: int, whole: Whole) -> int:
    """Replace a tenant's stored facts, writing only the difference; returns how many rows changed."""
    changed = len(whole.events)
    columns = ", ".join(f"{name} = ?" for name in FOLDED)
    writing.many(
        f"UPDATE event SET {columns} WHERE tenant = ? AND time = ? AND ident = ?",
        [(*now, tenant, *place) for place, (_, now) in sorted(whole.events.items(), key=itemgetter(0))],
    )
    published.mark(
        writing, tenant, (place[0] for place, (was, now) in whole.events.items() if _PUBLISHED(was) != _PUBLISHED(now))
    )
    for difference in differences(writing, tenant, whole):
        names = FACTS[difference.table]
        _delete(writing, tenant, difference.table, difference.wrong)
        writing.many(
            schema.insert(difference.table, ("tenant", *names)),
            [(tenant, *row) for row in sorted(difference.missing, key=_IN_ORDER)],
        )
        rows = difference.missing | difference.wrong
        published.mark(writing, tenant, published.moments_of(difference.table, names, rows))
        changed += len(difference.wrong) + len(difference.missing)
    return changed


def _delete(writing: Transaction, tenant: int, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Delete rows of a fact table by their keys; states have no key, and are deleted by entity, state and times."""
    columns = FACTS[table]
    key = [name for name in schema.key_columns(table) if name != "tenant"]
    if table == "state":
        writing.many(
            END_STRETCH, [(tenant, *stretch_key(row[0], row[1], state.Stretch._make(row[2:]))) for row in rows]
        )
        return
    places = [columns.index(name) for name in key]
    writing.many(
        f"DELETE FROM {table} WHERE tenant = ? AND {' AND '.join(f'{name} = ?' for name in key)}",
        [(tenant, *(row[place] for place in places)) for row in rows],
    )
