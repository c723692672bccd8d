"""Sentences of the news: numbers beside points, and quiet ranges with numbers slightly beyond usual."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubbub.metrics.catalogue import find
from hubbub.metrics.wording import COMMON, SLACK, WORDINGS
from hubbub.news import sentences
from hubbub.news.causes import Cause
from hubbub.news.judge import Held, Judged, Verdict
from hubbub.news.number import NewsNumber, Number
from hubbub.news.point import Point
from hubbub.query.result import Cell, State
from hubbub.query.usual import Usual

PLAIN = WORDINGS[COMMON]
USUAL = Usual(1.0, 0.1, 8, 0.5, 1.5)


def number(metric: str, verdict: Verdict) -> Number:
    """Return a number with a verdict."""
    held = Held.LITTLE if verdict is Verdict.BEYOND else Held.NONE
    return Number(metric, "", "", find(metric).unit, Cell(2.0), None, USUAL, Judged(verdict, held=held))


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({"csat": Verdict.USUAL}, "Nothing unusual. The only number is within its usual range."),
        (
            {"csat": Verdict.USUAL, "messages": Verdict.USUAL},
            "Nothing unusual. Both numbers are within their usual range.",
        ),
        (
            {"csat": Verdict.BEYOND, "messages": Verdict.USUAL},
            "Nothing unusual. Outside the usual range, but not clearly: satisfaction 200.0% (usual 50 – 150%, by little).",
        ),
        (
            {"csat": Verdict.BEYOND, "messages": Verdict.BEYOND},
            "Nothing unusual. Outside the usual range, but not clearly: satisfaction 200.0% (usual 50 – 150%, by little)"
            " and messages 2 (usual 0 – 2, by little).",
        ),
    ],
)
def test_an_unusual_number_that_is_no_news_is_named_with_its_reason(verdicts: dict[str, Verdict], said: str) -> None:
    """A number outside its usual range that is no news is named after the first sentence, with the range and the reason."""
    known = [number(metric, verdict) for metric, verdict in verdicts.items()]
    first, rest = sentences.lead((), known, PLAIN), sentences.rest((), known, PLAIN)
    assert f"{first} {rest}".strip() == said
    assert (first == "Nothing unusual.") == bool(rest)


def test_a_sentence_on_incomplete_days_names_their_number() -> None:
    """With incomplete numbers the sentence says so far, and how many are incomplete."""
    whole = number("csat", Verdict.USUAL)
    cut = replace(whole, metric="messages", cell=Cell(2.0, state=State.INCOMPLETE))
    assert sentences.lead((), [whole, cut], PLAIN) == "Nothing unusual so far: 1 of 2 numbers is not complete."


@pytest.mark.parametrize(
    ("previous", "said"),
    [(None, "2 messages."), (2.0, "2 messages."), (1.0, "2 messages, 1 more than before.")],
)
def test_where_nothing_is_usual_yet_the_lead_says_how_much_there_was(previous: float | None, said: str) -> None:
    """Without any usual range the lead has the amounts and their change, and the rest says why there is no range."""
    there = [replace(number("messages", Verdict.UNKNOWN), previous=previous), number("csat", Verdict.UNKNOWN)]
    assert sentences.lead((), there, PLAIN) == said
    assert sentences.rest((), there, PLAIN) == sentences.unknown(too_long=False)
    assert sentences.rest((), there, PLAIN, too_long=True) == sentences.unknown(too_long=True)
    assert sentences.lead((), there[1:], PLAIN) == sentences.unknown(too_long=False)
    assert not sentences.rest((), there[1:], PLAIN)


def test_an_unusual_number_without_a_sentence_is_named() -> None:
    """An unusual number without its own sentence is named in the first line."""
    known = [number("ratings", Verdict.NEWS), number("csat", Verdict.USUAL)]
    assert sentences.lead((), known, PLAIN) == "Ratings: 2, where 0 – 2 is usual."
    both = [*known, number("questions", Verdict.NEWS)]
    assert (
        sentences.lead((), both, PLAIN) == "Ratings: 2, where 0 – 2 is usual. Also unusual: questions 2 (usual 0 – 2)."
    )


def test_unusual_numbers_beside_the_points_are_named_once() -> None:
    """Unusual numbers beside the points are named once, without other statistics of a point; then the usual ones."""
    first = number("first_response_ms.p50", Verdict.NEWS)
    known = [
        first, number("first_response_ms.p90", Verdict.NEWS), number("messages", Verdict.NEWS), number("csat", Verdict.USUAL),
        number("escalation_rate", Verdict.BEYOND),
    ]  # fmt: skip
    point = Point(first, "", "", "", "", None, {})
    assert sentences.rest((point,), known, PLAIN) == (
        "Also unusual: messages 2 (usual 0 – 2). Outside the usual range, but not clearly:"
        " escalations 200.0% (usual 50 – 150%, by little). Satisfaction is within the usual range."
    )
    beyond = "Outside the usual range, but not clearly: escalations 200.0% (usual 50 – 150%, by little)."
    assert sentences.rest((), known, PLAIN) == beyond


def test_slack_has_its_own_words() -> None:
    """For a tenant with Slack alone the sentences say threads, members and channels; names from outside stay unchanged."""
    known = [number("conversations_started", Verdict.USUAL), number("active_contacts", Verdict.USUAL)]
    point = Point(number("csat", Verdict.NEWS), "", "", "", "", None, {})
    assert sentences.rest((point,), known, WORDINGS[SLACK]) == "Threads and active members are within the usual range."
    cause = Cause("channel_id", "C1", 1.0, 2.0, 3, 1.0, 0.5)
    assert sentences.because(cause, "contact room", "", WORDINGS[SLACK]) == "mostly in the channel contact room"
    assert sentences.because(cause, "contact room", "", PLAIN) == "mostly in the room contact room"


@pytest.mark.parametrize(
    ("share", "words"), [(1.2, "all"), (1.0, "all"), (0.97, "almost all"), (0.6, "mostly"), (0.31, "in part")]
)
def test_the_share_of_a_cause_is_a_word(share: float, words: str) -> None:
    """The share of a cause is a word: all, almost all, mostly or in part."""
    cause = Cause("channel", "web", 1.0, 2.0, 3, 1.0, share)
    assert sentences.because(cause, "web", "", PLAIN) == f"{words} in the channel web"


def test_a_cause_in_another_measure_has_both_of_its_figures() -> None:
    """A percentile's cause has the share within the limit in that place, now and before."""
    cause = Cause("channel_id", "C-API", 0.84, 0.343, 253, -0.13, 0.9)
    there = sentences.there(cause, "first_response_ms.within_15min", None)
    assert there == "34% answered within 15 min, before 84%"
    assert sentences.there(cause, "first_response_within_target", None) == "34% answered within the target, before 84%"
    words = "almost all in the room C-API (34% answered within 15 min, before 84%)"
    assert sentences.because(cause, "C-API", there, PLAIN) == words
    new = replace(cause, before=None)
    assert sentences.there(new, "first_response_ms.within_15min", 28) == "34% answered within 15 min over all 28 days"


def test_the_topic_of_a_story_is_said_to_come_at_the_same_time() -> None:
    """A story's topic is said to come at the same time, without a claim of cause, in people's spelling, with its room
    if needed.
    """
    assert (
        sentences.at_the_same_time(1206, "recall_brakes", "")
        == "at the same time, 1,206 messages were about “recall brakes”"
    )
    assert (
        sentences.at_the_same_time(30, "SSO login", "desk")
        == "at the same time, 30 messages in desk were about “SSO login”"
    )


@pytest.mark.parametrize(
    ("metric", "before", "now", "verdict", "title"),
    [
        ("csat", 0.652, 0.543, Verdict.NEWS, "Why satisfaction fell 10.9 points"),
        ("messages", 100, 272, Verdict.NEWS, "Why messages rose by 172"),
        ("first_response_ms.p50", 60_000.0, 112_000.0, Verdict.BEYOND, "Why median first response rose by 52 s"),
        ("messages", 100, 119, Verdict.USUAL, "Messages rose by 19, within the usual range"),
        ("messages", 100, 100, Verdict.USUAL, "No change in messages"),
        ("csat", None, 0.5, Verdict.NEWS, ""),
    ],
)
def test_a_change_is_a_title(metric: str, before: float | None, now: float, verdict: Verdict, title: str) -> None:
    """The title of a change says what the causes explain; a usual change needs no reason."""
    changed = NewsNumber(
        metric=metric, dimension=None, slice=None, unit=find(metric).unit, value=now, n=None, state="settled", previous=before,
        usual=USUAL, verdict=verdict, held=None, way=None, size=1.0,
    )  # fmt: skip
    assert sentences.moved(changed, PLAIN) == title
