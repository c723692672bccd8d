"""Facebook pages: posts, counters and insights of a day, and the meaning of Graph errors."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from hubbub.errors import HubbubError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.facebook import COUNTED_DAYS, METRICS, FacebookPage
from hubbub.model.coverage import Day
from hubbub.model.event import Event
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing
from tests.acceptance.conftest import DATA, needs
from tests.platforms import TOKEN, Graph, graph_error, insight, post
from tests.services import Call, Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, integration, of_day


def failed(out: Outgoing, reply: Reply) -> HubbubError:
    """Return the error of a fetch that gets this reply."""
    with service(in_turn(reply)) as there, pytest.raises(HubbubError) as caught:
        of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"))
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_post_is_content_and_counters(out: Outgoing) -> None:
    """A post gives its content, and one observation each for comments, shares and reactions, dated by the post."""
    with service(Graph([post("7_1", NOON, comments=4, reactions=9)])) as there:
        events = of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"))
    assert [(e.type, e.id, e.name, e.value) for e in events] == [
        ("content.published", "7_1", None, None), ("metric.observed", "7_1:num_comments", "num_comments", 4),
        ("metric.observed", "7_1:num_shares", "num_shares", 0), ("metric.observed", "7_1:num_reactions", "num_reactions", 9),
    ]  # fmt: skip
    assert {(e.source, e.channel, e.account_id, e.message_id, e.time) for e in events} == {
        ("facebook", "facebook", "7", "7_1", events[0].time)
    }
    assert json.loads(bytes(events[0].attributes)) == {"kind": "added_photos"}
    assert events[0].revision is None and events[1].revision


def test_all_pages_of_the_day_and_nothing_else(out: Outgoing) -> None:
    """Cursors are followed to the end on the configured address, the token is only in the header, and the day is half-open."""
    posts = [post(f"7_{n}", NOON + n) for n in range(5)]
    posts += [
        post("7_start", NOON - 12 * HOUR),
        post("7_end", NOON + 12 * HOUR),
        post("7_before", NOON - 12 * HOUR - 1),
    ]
    with service(Graph(posts)) as there:
        events = of_day(FacebookPage(out), integration("facebook_page", f"{there.url}/v24.0", page_id="7"))
    found = {e.id for e in events if e.type == "content.published"}
    assert found == {"7_0", "7_1", "7_2", "7_3", "7_4", "7_start"}
    assert len([c for c in there.calls if c.path == "/v24.0/7/published_posts"]) == 4
    assert all(TOKEN not in c.path + str(c.query) for c in there.calls)


def test_insights_of_the_day_that_ended(out: Outgoing) -> None:
    """Insights give the values whose day is the fetched one, dated noon in California the day before, each part as its
    own metric.
    """
    graph = Graph(insights=[
        insight("page_views_total", d2026_08_01=5, d2026_08_02=6, d2026_07_31=4),
        insight("page_video_views", d2026_08_01={"paid": 1, "unpaid": 2}), insight("page_follows", d2026_08_01=None),
        {**insight("page_post_engagements", d2026_08_01=3), "period": "week"},
    ])  # fmt: skip
    with service(graph) as there:
        events = of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"))
        of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7", metrics=["page_views_total"]))
    assert {(e.id, e.name, e.value) for e in events} == {
        ("7:2026-08-01:page_views_total", "page_views_total", 5),
        ("7:2026-08-01:page_video_views.paid", "page_video_views.paid", 1),
        ("7:2026-08-01:page_video_views.unpaid", "page_video_views.unpaid", 2),
    }  # fmt: skip
    assert {e.time.isoformat() for e in events} == {"2026-07-31T19:00:00+00:00"}
    assert there.calls[-1].query["metric"] == "page_views_total"


@pytest.mark.parametrize(
    ("code", "more", "action"),
    [
        (190, {"error_subcode": 463}, "expired"), (190, {"error_subcode": 460}, "Reconnect"), (102, {}, "Reconnect"),
        (10, {}, "grant"), (200, {}, "grant"), (299, {}, "grant"), (100, {}, "page id"), (803, {}, "page id"), (368, {}, "policy"),
        (99999, {}, "settings"), (0, {}, "settings"),
    ],
)  # fmt: skip
def test_permanent_errors_have_an_action(out: Outgoing, code: int, more: dict[str, Any], action: str) -> None:
    """Dead tokens, missing permissions, wrong settings and unknown refusals raise UpstreamRefusedError with an action."""
    for status in (400, 200):
        error = failed(out, graph_error(code, status, **more))
        assert isinstance(error, UpstreamRefusedError), error
        assert action in error.action
        assert str(code) in error.reason


@pytest.mark.parametrize(
    "reply",
    [
        graph_error(1, 500), graph_error(2, 500), graph_error(2, 400), graph_error(4, 403), graph_error(17), graph_error(32),
        graph_error(613), graph_error(80001), graph_error(99999, 400, is_transient=True), graph_error(99999, 500),
        Reply(b"<html>", 502), Reply(b"<html>"), Reply({"data": 1}), Reply({}), Reply(status=503),
    ],
)  # fmt: skip
def test_passing_errors_can_be_retried(out: Outgoing, reply: Reply) -> None:
    """Rate limits, transient errors, server errors and broken answers raise UpstreamUnavailableError."""
    assert isinstance(failed(out, reply), UpstreamUnavailableError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-business-use-case-usage": '{"7":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":5}]}'}, 300),
        ({"x-business-use-case-usage": '{"7":[{"estimated_time_to_regain_access":900}]}'}, 3600),
        ({"x-app-usage": '{"call_count":100,"total_time":25,"total_cputime":25}'}, 3600), ({"Retry-After": "40"}, 40),
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}, None),
        ({"x-business-use-case-usage": "[]", "x-app-usage": "null"}, None), ({"x-app-usage": "{"}, None),
    ],
)  # fmt: skip
def test_rate_limits_give_retry_after(out: Outgoing, headers: dict[str, str], seconds: float | None) -> None:
    """`retry_after` is Facebook's own estimate, then Retry-After, then an hour for a full app; odd headers are ignored."""
    error = failed(out, graph_error(4, 400, headers=headers))
    assert isinstance(error, UpstreamUnavailableError)
    assert error.retry_after == seconds


def test_a_repeated_cursor_ends_the_fetch(out: Outgoing) -> None:
    """A page whose cursor repeats ends the fetch with UpstreamUnavailableError."""
    page = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "same"}, "next": "https://x/?after=same"}}
    error = failed(out, Reply(page))
    assert isinstance(error, UpstreamUnavailableError)
    assert "twice" in str(error)


def test_pages_without_cursors_are_followed_by_their_parameters(out: Outgoing) -> None:
    """Without cursors the parameters of `next` are used, without its token and host."""
    first = {"data": [], "paging": {"next": f"https://evil.example/?access_token={TOKEN}&__paging_token=t1&until=5"}}
    with service(in_turn(Reply(first), Reply({"data": []}))) as there:
        of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"))
    assert (there.calls[1].query["__paging_token"], there.calls[1].query["until"]) == ("t1", "5")
    assert "access_token" not in there.calls[1].query


def test_unusable_posts_are_left_out_alone(out: Outgoing) -> None:
    """Posts without id or time, and counters that are no numbers, are left out; the others are events."""
    odd = [None, {}, {"id": 1}, {"id": "7_1", "created_time": "now"}, {"id": "7_2", "created_time": "2026-08-01T10:00:00+0000",
           "comments": "many", "shares": {"count": True}, "reactions": {"summary": {"total_count": 2}}}]  # fmt: skip
    with service(in_turn(Reply({"data": odd}), Reply({"data": [None, {"name": "x"}]}))) as there:
        events = of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"), day=DAY)
    assert [e.id for e in events] == ["7_2", "7_2:num_shares", "7_2:num_reactions"]


def test_counters_of_earlier_posts_are_read_again(out: Outgoing) -> None:
    """The look-back gives counters of posts of the four weeks before the day, and of no others."""
    old, older = NOON - (COUNTED_DAYS - 1) * 24 * HOUR, NOON - (COUNTED_DAYS + 1) * 24 * HOUR
    posts = [post("7_today", NOON), post("7_old", old, comments=3), post("7_older", older)]
    with service(Graph(posts)) as there:
        one = integration("facebook_page", there.url, page_id="7")
        found = FacebookPage(out).look_back(one, TOKEN, Window(DAY.start, DAY.end), Notes())
        values = {item.id: item.value for batch in found for item in batch if isinstance(item, Event)}
    assert values == {"7_old": None, "7_old:num_comments": 3, "7_old:num_shares": 0, "7_old:num_reactions": 0}


def test_a_removed_metric_is_named_and_the_others_are_read(out: Outgoing) -> None:
    """A metric that Facebook no longer knows is named with an action; the posts and the other metrics are fetched."""
    graph = Graph([post("7_1", NOON)], [insight(name, d2026_08_01=5) for name in METRICS])

    def without(call: Call) -> Reply:
        gone = "page_video_views" in call.query.get("metric", "").split(",")
        return graph_error(100) if gone else graph(call)

    notes = Notes()
    with service(without) as there:
        events = of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"), notes)
    assert len([e for e in events if e.message_id]) == 4
    assert {e.name for e in events if not e.message_id} == set(METRICS) - {"page_video_views"}
    assert (notes.whole, notes.missing) == (False, {})
    assert "page_video_views" in notes.reason and "metrics" in notes.action


def test_a_too_large_page_is_fetched_with_half_the_limit(out: Outgoing) -> None:
    """A page that Facebook refuses as too large is fetched again with half the limit, until it works."""
    graph = Graph([post(f"7_{n}", NOON + n) for n in range(60)], page=100)

    def small(call: Call) -> Reply:
        return graph_error(1, 500) if int(call.query.get("limit", 0)) > 25 else graph(call)

    with service(small) as there:
        events = of_day(FacebookPage(out), integration("facebook_page", there.url, page_id="7"))
        assert [int(c.query["limit"]) for c in there.calls if "limit" in c.query] == [100, 50, 25, 25, 25]
    assert len({e.id for e in events if e.type == "content.published"}) == 60


@needs("webhooks")
def test_insights_and_errors_that_facebook_sent(out: Outgoing) -> None:
    """Recorded insights give their values by day, and the recorded batch error is a refusal."""
    folder = DATA / "webhooks" / "facebook_graph"
    body = json.loads((folder / "page_insights.page_messages_new_conversations_unique.json").read_text())
    with service(in_turn(Reply({"data": []}), Reply(body))) as there:
        one = integration("facebook_page", there.url, page_id="7")
        events = of_day(FacebookPage(out), one, day=Day.of(date(2018, 3, 12), "UTC"))
    assert [(e.value, e.time.isoformat()) for e in events] == [(1, "2018-03-11T19:00:00+00:00")]
    told = json.loads((folder / "error.batch_response.json").read_text())
    error = failed(out, Reply(told["body"], told["code"]))
    assert isinstance(error, UpstreamRefusedError)
