"""Lasting history: retention at any moment, links, erasure, and imports of old events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.facts import erase
from hubbub.facts.moments import micros
from hubbub.facts.rebuild import rebuild
from hubbub.facts.retention import cut_at, gone_until, retention
from hubbub.facts.verify import verify
from hubbub.ingest.accept import Outcome
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event, read_events
from hubbub.model.tenant import KEEP_EVERYTHING, Retention, Tenant
from hubbub.model.window import Grain, local_midnight
from tests.laws.conftest import Lab
from tests.laws.oracle import Oracle, local_day, utc
from tests.laws.strategies import World, worlds
from tests.laws.test_laws import BY_ROLLUP, EVERYTHING, examples, names_of, same

subjects = st.lists(st.sampled_from(sorted(BY_ROLLUP)), min_size=5, max_size=7, unique=True)
SCORES = ("contact_engagement_score",)
"""Numbers over all actions of a contact, of which only kept ones count."""


class LastingLab(Lab):
    """A laboratory that rejects events before the cut; the test sets the time of arrival."""

    def __init__(self, folder: Path) -> None:
        """Open a store in a folder."""
        super().__init__(folder)
        self.arrival = utc(2026, 12, 31)
        self.intake = Intake(self.store, lambda: self.arrival, lambda tenant: gone_until(self.store, tenant.no))

    def empty(self) -> None:
        """Begin with new tenants, at the end of the year."""
        super().empty()
        self.arrival = utc(2026, 12, 31)

    def send(self, tenant: Tenant, events: Iterable[Event], *, history: bool = False) -> Outcome:
        """Accept events; none may be rejected."""
        outcome = self.intake.accept(tenant, events, history=history)
        assert outcome.rejected == []
        return outcome

    def cut(self, tenant: Tenant, at: datetime) -> None:
        """Fold waiting events, and delete all facts that lie wholly before a moment."""
        self.refresh(tenant)
        cut_at(self.store, tenant, micros(at))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LastingLab]:
    """A laboratory for all examples of this module; each begins with `lab.empty()`."""
    made = LastingLab(tmp_path_factory.mktemp("lasting"))
    yield made
    made.store.close()


def _check(
    lab: Lab, tenant: Tenant, world: World, told: Iterable[Event], names: list[str], since: datetime, end: datetime
) -> None:
    """Compare the numbers of two ranges after a cut with the oracle over all events ever sent."""
    oracle = Oracle(told, world.zone, world.calendar)
    for start in (since, since + (end - since) / 2):
        numbers = oracle.numbers(start, end, lab.now)
        (row,) = lab.ask(tenant, names, start, end).rows
        got = {name: cell.value for name, cell in row.cells.items() if name in numbers}
        wrong = {name: (value, numbers[name]) for name, value in got.items() if not same(value, numbers[name])}
        assert wrong == {}, (start, end)


def later(first: Iterable[Event], rest: Iterable[Event], cut: datetime) -> list[Event]:
    """Return the events that are accepted after a cut: none from before it, and no revision of one."""
    sent = [*first, *rest]
    early = {(e.source, e.id) for e in sent if e.time < cut}
    return [e for e in rest if (e.source, e.id) not in early]


@examples(2)
@given(world=worlds(corrected=True), rollups=subjects, data=st.data())
def test_events_after_a_cut_count_as_without_it(
    lab: LastingLab, world: World, rollups: list[str], data: st.DataObject
) -> None:
    """After one or two cuts in the middle of conversations, numbers of later ranges are the oracle's over all events,
    new ones included.
    """
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    order = data.draw(st.permutations(world.everything))
    here = data.draw(st.integers(0, len(order)))
    sent, rest = order[:here], order[here:]
    lab.send(tenant, sent)
    days = sorted(data.draw(st.lists(st.integers(1, 10), min_size=1, max_size=2)))
    for day in days:
        cut = local_midnight(local_day(world.start, world.zone) + timedelta(days=day), tenant.tz)
        lab.cut(tenant, cut)
        rest = later(sent, rest, cut)
        _check(lab, tenant, world, sent, names_of(rollups), cut, world.end)
        part = data.draw(st.integers(0, len(rest)))
        lab.send(tenant, rest[:part])
        sent, rest = [*sent, *rest[:part]], rest[part:]
        _check(lab, tenant, world, sent, names_of(rollups), cut, world.end)
    rows = lab.stored(tenant)
    rebuild(lab.store, tenant.no)
    assert lab.stored(tenant) == rows


@examples(1)
@given(world=worlds(corrected=True), data=st.data())
def test_a_cut_changes_no_number_of_a_later_window(lab: LastingLab, world: World, data: st.DataObject) -> None:
    """After a cut all metrics of later windows are unchanged, earlier ones are null, and verify finds no difference."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    day = data.draw(st.integers(1, 10))
    cut = local_midnight(local_day(world.start, world.zone) + timedelta(days=day), tenant.tz)
    names = [name for name in EVERYTHING if name not in SCORES]
    grain = data.draw(st.sampled_from((Grain.TOTAL, Grain.DAY, Grain.HOUR)))
    before = lab.values(lab.ask(tenant, names, cut, world.end, grain))
    lab.cut(tenant, cut)
    assert lab.values(lab.ask(tenant, names, cut, world.end, grain)) == before
    if any(event.time < cut for event in Oracle(world.everything, world.zone).events):
        first = min(e.time for e in Oracle(world.everything, world.zone).events)
        (row,) = lab.ask(tenant, ["messages", "events"], first, cut).rows
        assert {cell.value for cell in row.cells.values()} == {None}
        assert gone_until(lab.store, tenant.no) == cut
    assert verify(lab.store, [tenant]).differences == {}


@examples(1)
@given(world=worlds(corrected=True), data=st.data())
def test_an_erased_contact_was_never_there(lab: LastingLab, world: World, data: st.DataObject) -> None:
    """Rows after an erasure are those of a tenant that never got the contact's events, folded before or not."""
    lab.empty()
    had, never = lab.tenant(world.zone), lab.tenant(world.zone)
    name = data.draw(st.sampled_from(("k1", "k2")))
    lab.send(had, world.everything)
    if data.draw(st.booleans()):
        lab.refresh()
    who = erase.find(lab.store, had, name, "digest")
    erase.erase(lab.store, who)
    lab.send(never, [e for e in Oracle(world.everything, world.zone).events if e.contact_id != name])
    lab.refresh()
    assert lab.stored(had) == lab.stored(never)
    assert sum(erase.count(lab.store, who).values()) == 0
    assert verify(lab.store, [had]).clean


@examples(0.5)
@given(world=worlds(corrected=True), data=st.data())
def test_an_erasure_after_a_cut_reaches_the_boundaries(lab: LastingLab, world: World, data: st.DataObject) -> None:
    """After an erasure, boundaries of the cut do not name the contact either, and folding again gives the stored rows."""
    lab.empty()
    tenant = lab.tenant(world.zone)
    lab.send(tenant, world.everything)
    lab.cut(tenant, local_midnight(local_day(world.start, world.zone) + timedelta(days=4), tenant.tz))
    who = erase.find(lab.store, tenant, data.draw(st.sampled_from(("k1", "k2", "s1"))), "digest")
    erase.erase(lab.store, who)
    assert sum(erase.count(lab.store, who).values()) == 0
    assert verify(lab.store, [tenant]).differences == {}


def test_conversations_carried_over_a_cut_lose_an_erased_assignee(lab: LastingLab) -> None:
    """A conversation that was assigned before a cut to an erased person is unassigned, and verify finds no difference."""
    lab.empty()
    tenant, day = lab.tenant(), timedelta(days=1)
    at = utc(2026, 9, 1)
    told: dict[str, Any] = {"conversation_id": "c1", "channel": "email"}
    lab.send(tenant, [
        Event(type="message.received", time=at, id="e1", **told),
        Event(type="conversation.assigned", time=at, id="e2", staff_id="staff-9", **told),
        Event(type="message.received", time=at + 6 * day, id="e3", **told),
    ])  # fmt: skip
    lab.cut(tenant, at + 4 * day)
    erase.erase(lab.store, erase.find(lab.store, tenant, "staff-9", "digest"))
    assert verify(lab.store, [tenant]).differences == {}
    (row,) = lab.ask(tenant, ["unassigned_conversations"], at + 6 * day, at + 7 * day).rows
    assert row.cells["unassigned_conversations"].value == 1


# --- persons

PEOPLE = ("a", "b", "c", "d", "e")
pairs = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.booleans(), st.integers(0, 9))


def _roots(links: Iterable[Event]) -> dict[str, str]:
    """Return the root of each linked contact, by joining sets."""
    last: dict[frozenset[str], Event] = {}
    for one in sorted(links, key=lambda e: (e.time, e.type)):
        last[frozenset((one.contact_id or "", one.name or ""))] = one
    sets = {name: {name} for name in PEOPLE}
    for pair, one in last.items():
        if one.type == "contact.linked" and len(pair) == 2:
            joined = set().union(*(sets[name] for name in pair))
            sets |= dict.fromkeys(joined, joined)
    return {name: min(same) for name, same in sets.items() if len(same) > 1}


@examples(3)
@given(drawn=st.lists(pairs, max_size=12), data=st.data())
def test_a_link_or_unlink_at_any_time_joins_and_parts(
    lab: LastingLab, drawn: list[tuple[str, str, bool, int]], data: st.DataObject
) -> None:
    """In any order and with a cut in between, the root of each contact is the smallest id of those joined by the latest links."""
    lab.empty()
    tenant = lab.tenant()
    start = utc(2026, 3, 1)
    events = [
        Event(
            type="contact.linked" if joins else "contact.unlinked", id=f"l{n}", time=start + timedelta(days=day),
            contact_id=one, name=other,
        )
        for n, (one, other, joins, day) in enumerate(drawn)
    ]  # fmt: skip
    cut = start + timedelta(days=data.draw(st.integers(1, 9)))
    order = data.draw(st.permutations(events))
    here = data.draw(st.integers(0, len(order)))
    sent, rest = order[:here], order[here:]
    lab.send(tenant, sent)
    lab.cut(tenant, cut)
    rest = later(sent, rest, cut)
    lab.send(tenant, rest)
    lab.refresh()
    with lab.store.facts.read() as reading:
        got = dict(reading.rows("SELECT contact_id, root FROM person WHERE tenant = ?", (tenant.no,)))
    assert got == _roots([*sent, *rest])
    assert verify(lab.store, [tenant]).clean


# --- exact cases


def _message(number: int, at: datetime) -> Event:
    return Event(
        type="message.received", id=f"m{number}", time=at, conversation_id=f"c{number}", contact_id=f"k{number}"
    )


def _keeping(tenant: Tenant, **days: int | None) -> Tenant:
    return replace(tenant, retention=Retention(**days))


def test_messages_of_last_year_that_are_imported_count_at_every_grain(lab: LastingLab) -> None:
    """H1: twenty messages of March 2025, imported in November 2026, are 20 at every grain, before and after retention."""
    lab.empty()
    tenant = _keeping(lab.tenant("Europe/Rome"))
    lab.arrival = lab.now = utc(2026, 11, 20)
    lab.send(tenant, [_message(n, utc(2025, 3, 3 + n, 12)) for n in range(20)], history=True)
    for _ in range(2):
        for grain in (Grain.TOTAL, Grain.MONTH, Grain.WEEK, Grain.DAY, Grain.HOUR):
            answer = lab.ask(tenant, ["messages"], utc(2025, 3, 1), utc(2025, 4, 1), grain)
            assert sum(row.cells["messages"].value or 0 for row in answer.rows) == 20
        (gone,) = retention(lab.store, [tenant], lab.now)
        assert gone.rows["event"] == 0
    assert verify(lab.store, [tenant]).clean


def test_five_imported_years_survive_nightly_retention(lab: LastingLab) -> None:
    """H2: nightly retention deletes nothing of an import for three years after it; then whole days go, and are null."""
    lab.empty()
    tenant = _keeping(lab.tenant("Europe/Rome"))
    lab.arrival = utc(2026, 11, 20)
    lab.send(tenant, [_message(n, utc(2021, 1, 5) + timedelta(days=40 * n)) for n in range(50)], history=True)
    for days in (1, 30, 400, 1094):
        (gone,) = retention(lab.store, [tenant], lab.arrival + timedelta(days=days))
        assert (gone.rows["event"], gone.gone_until) == (0, None)
    lab.now = lab.arrival + timedelta(days=1097)
    (would,) = retention(lab.store, [tenant], lab.now, dry_run=True)
    assert (would.rows["event"], would.answer()["note"] != "", would.gone_until) == (50, True, None)
    (gone,) = retention(lab.store, [tenant], lab.now)
    assert gone.rows == would.rows
    (row,) = lab.ask(tenant, ["messages", "total_conversations", "new_contacts"], utc(2021, 1, 1), utc(2022, 1, 1)).rows
    assert row.cells["messages"].value is None
    lab.arrival = lab.now
    late = lab.intake.accept(tenant, [_message(99, utc(2022, 1, 1))], history=True)
    assert [one.code for one in late.rejected] == ["too_late"]
    lab.refresh()
    with lab.store.facts.read() as reading:
        assert reading.rows("SELECT code FROM quarantine WHERE tenant = ?", (tenant.no,)) == [("too_late",)]
    assert lab.send(tenant, [_message(3, lab.now)]).duplicates == 1


def test_states_and_first_contacts_survive_retention(lab: LastingLab) -> None:
    """H3: a contact blocked and a campaign completed before retention remain so, and a contact that returns is not new."""
    lab.empty()
    tenant = _keeping(lab.tenant(), facts=30)
    lab.arrival = at = utc(2026, 1, 5, 9)
    named: dict[str, Any] = {"contact_id": "k1", "conversation_id": "c1", "channel": "sms"}
    lab.send(tenant, [
        _message(1, at),
        Event(type="conversation.resolved", id="r", time=at, **named),
        Event(type="contact.blocked", id="b", time=at, **named),
        Event(type="campaign.completed", id="p", time=at, campaign_id="p1"),
    ])  # fmt: skip
    lab.arrival = lab.now = utc(2026, 6, 1)
    (gone,) = retention(lab.store, [tenant], lab.now)
    assert gone.rows["event"] == 4
    lab.send(tenant, [Event(type="message.received", id="again", time=utc(2026, 5, 31), **named)])
    names = [
        "blocked_contacts",
        "campaigns_completed",
        "campaigns_total",
        "total_conversations",
        "new_contacts",
        "messages",
    ]
    (row,) = lab.ask(tenant, names, utc(2026, 5, 31), utc(2026, 6, 1)).rows
    assert [row.cells[name].value for name in names] == [1, 1, 1, 1, 0, 1]


def test_a_rating_after_a_cut_belongs_to_its_survey_from_before(lab: LastingLab) -> None:
    """A rating after a cut has its survey's channel and the last person who answered, both carried over; an older valid
    rating stays.
    """
    lab.empty()
    tenant = lab.tenant()
    sent, rated = "satisfaction.survey_sent", "satisfaction.rating_received"
    about: dict[str, Any] = {"conversation_id": "c1"}
    lab.send(tenant, [
        Event(type="message.sent", id="answer", time=utc(2026, 3, 1), staff_id="anna", **about),
        *(Event(type=sent, id=f"s{n}", time=utc(2026, 3, 1), survey_id=f"y{n}", channel="sms") for n in (1, 2)),
        Event(type=rated, id="old", time=utc(2026, 3, 2), survey_id="y2", value=5.0, **about),
    ])  # fmt: skip
    lab.cut(tenant, utc(2026, 3, 5))
    lab.send(tenant, [
        Event(type=rated, id="new", time=utc(2026, 3, 6), survey_id="y1", value=4.0, **about),
        Event(type=rated, id="bad", time=utc(2026, 3, 6), survey_id="y2", value=9.0, **about),
    ])  # fmt: skip
    rows = lab.values(lab.ask(tenant, ["ratings"], utc(2026, 3, 5), utc(2026, 3, 9), by=("channel", "staff_id")))
    assert {dims: row["ratings"] for (_, dims), row in rows.items()} == {("sms", "anna"): 1}
    with lab.store.facts.read() as reading:
        kept = reading.rows("SELECT rated_at, rating FROM survey WHERE tenant = ? AND survey = 'y2'", (tenant.no,))
    assert kept == [(micros(utc(2026, 3, 2)), 5.0)]


def test_attributes_are_deleted_by_arrival(lab: LastingLab) -> None:
    """Attributes are deleted `raw` days after arrival, and events stay."""
    lab.empty()
    tenant = _keeping(lab.tenant(), raw=10)
    text = msgspec.Raw(b'{"text":"hello"}')
    lab.arrival = utc(2026, 5, 1)
    lab.send(
        tenant, [msgspec.structs.replace(_message(n, utc(2026, 1, 1)), attributes=text) for n in range(3)], history=True
    )
    for days, went in ((10, 0), (11, 3), (12, 0)):
        (gone,) = retention(lab.store, [tenant], lab.arrival + timedelta(days=days))
        assert (gone.attributes, gone.rows["event"]) == (went, 0)
    with lab.store.facts.read() as reading:
        rows = reading.rows("SELECT attributes FROM event WHERE tenant = ?", (tenant.no,))
    assert rows == [(None,)] * 3


def test_an_event_that_was_on_its_way_during_a_cut_is_too_late(lab: LastingLab) -> None:
    """An event accepted before a cut and stored after it is in quarantine as too late, replayable, and counts nowhere."""
    lab.empty()
    tenant = lab.tenant()
    lab.send(tenant, [_message(1, utc(2026, 3, 1)), _message(2, utc(2026, 3, 9))])
    lab.refresh()
    lab.send(tenant, [msgspec.structs.replace(_message(3, utc(2026, 3, 2)), attributes=msgspec.Raw(b'{"a":1}'))])
    cut_at(lab.store, tenant, micros(utc(2026, 3, 5)))
    lab.refresh()
    with lab.store.facts.read() as reading:
        (refused,) = reading.rows("SELECT code, raw FROM quarantine WHERE tenant = ?", (tenant.no,))
        assert reading.value("SELECT count(*) FROM event WHERE tenant = ?", (tenant.no,)) == 1
    (item,) = read_events(refused[1].encode())
    assert (refused[0], isinstance(item, Event)) == ("too_late", True)


def test_no_byte_of_an_erased_contact_is_left(tmp_path: Path) -> None:
    """After an erasure no file of the folder holds the contact's ids or texts: events, boundaries and the log included."""
    lab = LastingLab(tmp_path / "canary")
    tenant = Tenant(1, "acme", retention=KEEP_EVERYTHING)
    canary, text = "canary-7f3a91", "sparrow-0c55e2"
    for number in range(400):
        mine = number % 2 == 0
        lab.send(tenant, [Event(
            type=("message.received", "message.sent")[number % 3 == 0], id=f"{canary if mine else 'guest'}-{number}",
            time=utc(2026, 3, 1) + timedelta(hours=number), message_id=f"w{number}", channel="sms",
            conversation_id=f"sms:{canary}" if mine else f"sms:guest-{number % 7}", contact_id=canary if mine else None,
            attributes=msgspec.Raw(f'{{"text":"{text if mine else "hello"} {"x" * (number * 9)}"}}'.encode()),
        )])  # fmt: skip
        if number % 50 == 0:
            lab.refresh()
    lab.cut(tenant, utc(2026, 3, 8))
    lab.send(tenant, [Event(type="contact.linked", id="l", time=utc(2026, 4, 1), contact_id="guest-1", name=canary)])
    who = erase.find(lab.store, tenant, canary, "digest")
    assert _holding(tmp_path, canary) != []
    erase.erase(lab.store, who)
    assert erase.pending(lab.store, who)
    erase.finish(lab.store, who)
    assert not erase.pending(lab.store, who)
    assert _holding(tmp_path, canary, text) == []
    assert verify(lab.store, [tenant]).clean
    lab.store.close()
    assert _holding(tmp_path, canary, text) == []


def _holding(folder: Path, *texts: str) -> list[str]:
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(t.encode() in path.read_bytes() for t in texts)
    )
