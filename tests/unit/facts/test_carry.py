"""State carried from one fold to the next: small, plain, and sufficient."""

from __future__ import annotations

import json

from hubbub.facts import person, state, survey
from hubbub.facts.boundary import Boundary, plain
from hubbub.facts.conversation import carry, fold
from hubbub.facts.moments import DAY, HOUR
from hubbub.facts.person import Link
from hubbub.facts.state import Transition
from hubbub.facts.survey import Voice
from hubbub.facts.turn import Turn


def turn(hours: float, type_: str, **fields: str) -> Turn:
    """Return an event of a conversation, `hours` after its beginning."""
    at = 1000 * DAY + int(hours * HOUR)
    rest = dict.fromkeys(Turn._fields[4:]) | {"channel": "sms"} | fields
    return Turn(at, at, type_, f"e{hours}", **rest)  # type: ignore[arg-type]


STORY = (
    turn(0, "message.received"), turn(1, "response.ai_generated", kind="ai"), turn(2, "conversation.assigned", staff_id="anna"),
    turn(3, "message.received"), turn(5, "message.sent", staff_id="anna"), turn(6, "conversation.resolved"),
    turn(20, "conversation.reopened"), turn(21, "message.received"), turn(40, "message.sent", staff_id="ben"),
    turn(41, "conversation.closed"), turn(90, "message.received"), turn(91, "satisfaction.rating_received"),
)  # fmt: skip


def test_a_conversation_folds_the_same_from_any_cut() -> None:
    """A fold that goes on from the state carried at any moment, stored as JSON, gives the later rows of the whole conversation."""
    whole = fold("c", STORY)
    for number, first in enumerate(STORY):
        at = first.time
        carried = json.loads(json.dumps(carry("c", STORY[:number])))
        assert len(json.dumps(carried)) < 1200
        rest = fold("c", STORY[number:], carried, at)
        assert rest.responses == [one for one in whole.responses if one.anchor >= at]
        assert set(rest.states) == {one for one in whole.states if one.until >= at}
        assert rest.credited == whole.credited
        assert set(rest.episodes) <= set(whole.episodes)
        assert {e for e in whole.episodes if e.anchor >= at or (e.resolved_at or 0) >= at} <= set(rest.episodes)


def test_a_cut_twice_is_a_cut_once() -> None:
    """State carried at a later cut is the same with and without an earlier cut."""
    for number in range(len(STORY)):
        once = carry("c", STORY[:9])
        assert number > 9 or carry("c", STORY[number:9], carry("c", STORY[:number])) == once


def test_a_survey_and_a_task_carry_two_events_at_most() -> None:
    """A survey and a task carry two events at most, and a later fold from them gives the same rows."""
    voices = [Voice(n, n, "satisfaction.rating_received", None, f"a{n}", None, None, n % 6, 5) for n in range(1, 30)]
    sent = Voice(5, 99, "satisfaction.survey_sent", "sms", None, "anna", None, None, None)
    carried = survey.carry([*voices, sent])
    assert len(carried) == 2
    assert survey.fold("y", carried) == survey.fold("y", [*voices, sent])
    lives = [Transition(n, n, n, "task.assigned" if n % 3 else "task.completed", None, None, None) for n in range(20)]
    assert len(state.carry(lives)) == 2
    later = Transition(50, 1, 1, "task.completed", None, "sms", None)
    after = {one for one in state.fold("task", [*lives, later]) if one.until >= 50}
    assert {one for one in state.fold("task", [*state.carry(lives), later]) if one.until >= 50} == after


def test_a_boundary_is_read_back_complete() -> None:
    """Rows written without their empty fields come back complete; before the first cut a boundary has no rows."""
    voice = Voice(5, 99, "satisfaction.survey_sent", "sms", None, "anna", None, None, None)
    assert Boundary(1, plain([voice])).rows(Voice) == [voice]
    assert Boundary().rows(Voice) == Boundary().rows(Voice, "part") == []


def test_the_latest_of_two_ids_says_whether_they_are_linked() -> None:
    """The latest event of two ids decides, in either direction, also if unlinked at the same moment; the root over several steps is
    the smallest id."""
    links = [
        Link(1, "contact.linked", "b", "a"), Link(2, "contact.unlinked", "a", "b"), Link(2, "contact.linked", "a", "b"),
        Link(3, "contact.linked", "b", "c"), Link(3, "contact.linked", "d", "c"),
    ]  # fmt: skip

    def linked(contact: str) -> set[str]:
        return person.linked(contact, [one for one in links if contact in one[2:]])

    assert person.roots("d", linked) == {"b": "b", "c": "b", "d": "b"}
    assert person.roots("a", linked) == {"a": "a"}
