"""The pages of conversations: list, search, timeline and files; for analysts of the tenant, with all texts escaped."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape

import pytest

from tests.unit.dashboard.visiting import XSS, Visitor

VIEW = "from=2026-08-18&to=2026-08-20"


@pytest.fixture
def talk(visitor: Visitor) -> Visitor:
    """Two conversations whose names and texts are markup: one answered, one waiting."""
    common = {
        "channel": "web",
        "channel_id": XSS,
        "contact_id": XSS,
        "source": "test",
        "attributes": {"text": XSS, XSS: XSS},
    }
    events = [
        {"type": "message.received", "id": f"{XSS}1", "time": "2026-08-19T08:00:00Z", "conversation_id": XSS},
        {"type": "message.sent", "id": "2", "time": "2026-08-19T08:04:02Z", "conversation_id": XSS, "staff_id": XSS},
        {"type": "conversation.escalated", "id": "3", "time": "2026-08-19T08:05:00Z", "conversation_id": XSS},
        {
            "type": "message.received",
            "id": "4",
            "time": "2026-08-19T09:00:00Z",
            "conversation_id": "waits",
            "contact_id": "bo",
        },
    ]
    visitor.engine.record("acme", [{**common, **one} for one in events], history=True)
    return visitor


def test_the_list_leads_to_the_timeline_and_its_raw_events(talk: Visitor) -> None:
    """A row leads to the timeline with response times; each event, and all of them, can be read as they are stored."""
    listed = talk.page(f"/t/acme/conversations/list?{VIEW}")
    one = unescape(next(a for a in re.findall(r'href="([^"]*/conversation\?[^"]*)"', listed) if "waits" not in a))
    text = talk.see(one)
    assert "after a wait of 4 min 2 s" in text and "Conversation escalated" in text and "Began" in text
    page = talk.page(one)
    assert XSS not in page and XSS not in listed and XSS in text
    raw = [unescape(a) for a in re.findall(r'class="raw" href="([^"]+)"', page)]
    first = talk.http.get(raw[0])
    assert (len(raw), first.json()["attributes"], first.json()["time"]) == (
        3,
        {"text": XSS, XSS: XSS},
        "2026-08-19T08:00:00Z",
    )
    assert first.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    (every,) = {unescape(a) for a in re.findall(r'href="([^"]*/files/conversation/events[^"]*)"', page)}
    whole = talk.http.get(every)
    assert [json.loads(line)["type"] for line in whole.text.splitlines()][1:] == [
        "message.sent",
        "conversation.escalated",
    ]
    assert whole.headers["content-disposition"].startswith("attachment")


def test_search_state_and_filters_are_in_the_address(talk: Visitor) -> None:
    """State, search and filters choose the rows; the form keeps them; an empty list names the criterion."""
    assert "waits" in talk.see(f"/t/acme/conversations/list?{VIEW}&state=waiting")
    assert "conversation?" not in talk.page(f"/t/acme/conversations/list?{VIEW}&state=resolved")
    assert "No conversation is resolved" in talk.see(f"/t/acme/conversations/list?{VIEW}&state=resolved")
    assert "matches" in talk.see(f"/t/acme/conversations/list?{VIEW}&find=nothing+like+it")
    assert "Nothing in these days" in talk.see(f"/t/acme/conversations/list?{VIEW}&channel=fax")
    assert talk.page(f"/t/acme/conversations/list?{VIEW}&find=bo").count("/conversation?") == 2  # contact and time
    form = talk.page(f"/t/acme/conversations?{VIEW}&find=bo&channel=web")
    assert 'name="from" value="2026-08-18"' in form and 'name="channel" value="web"' in form and 'value="bo"' in form
    csv = talk.http.get(f"/t/acme/conversations/list.csv?{VIEW}").content.decode("utf-8-sig").splitlines()
    assert len(csv) == 3 and any(",web,waits,2026-08-19T11:00:00+02:00," in line for line in csv)


def test_a_list_of_threads_begins_with_their_first_messages(visitor: Visitor) -> None:
    """A thread is listed by its first message, channel and author, and leads to it; its id is in the CSV alone.

    Its page names the people whom messages mention, as the list does.
    """
    root = {
        "type": "message.received", "id": "C01:1755590400.000100", "conversation_id": "C01:1755590400.000100",
        "time": "2026-08-19T08:00:00Z", "source": "slack", "channel": "slack", "channel_id": "C01", "contact_id": "U1",
        "attributes": {"text": "Who has\n<https://example.com/key|the key>, <@U2|ada> or <@U20>?"},
    }  # fmt: skip
    reply = {
        **root,
        "type": "message.sent",
        "id": "r",
        "time": "2026-08-19T09:00:00Z",
        "staff_id": "U2",
        "contact_id": None,
    }
    visitor.engine.record("acme", [root, reply | {"attributes": {"text": "I do"}}], history=True)
    visitor.engine.names.set(
        "acme",
        [
            {"kind": "room", "id": "C01", "name": "help"},
            {"kind": "contact", "id": "U1", "name": "Grace"},
            {"kind": "contact", "id": "U20", "name": "Jo <b>"},
        ],
    )
    listed = visitor.page(f"/t/acme/conversations/list?{VIEW}")
    assert re.search(
        r'<a href="/t/acme/conversation\?[^"]*">Who has the key, @ada or @Jo &lt;b&gt;\?</a><small class="below">',
        listed,
    )
    shown = visitor.see(f"/t/acme/conversations/list?{VIEW}")
    assert "1 thread, the newest first; none waits for an answer." in shown and "Channel help · Member Grace" in shown
    assert "I do" not in shown and "First message" in shown and ">C01:1755590400.000100<" not in listed
    assert "C01:1755590400.000100" in visitor.page(f"/t/acme/conversations/list.csv?{VIEW}")
    again = {**root, "id": "q", "time": "2026-08-19T09:30:00Z", "attributes": {"text": "Thanks, and the door?"}}
    visitor.engine.record("acme", again, history=True)
    assert "Who has the key" in visitor.see("/t/acme/live/waiting")
    timeline = visitor.see(f"/t/acme/conversation?id={root['id']}")
    assert "Who has the key, @ada or @Jo <b>?" in timeline and "<@" not in timeline


def test_the_list_says_what_closes_a_silent_conversation(talk: Visitor) -> None:
    """States are written in words, the CSV keeps their codes; with closing by silence the list says after how many days."""
    listed, code = f"/t/acme/conversations/list?{VIEW}", f"/t/acme/conversations/list.csv?{VIEW}"
    assert "2 conversations, the newest first; 1 waits for an answer." in talk.see(listed)
    assert ",waiting," in talk.page(code) and "silence" not in talk.see(listed)
    talk.engine.tenants.change("acme", threads={"silence_days": 1})
    shown = talk.see("/t/acme/conversations/list?from=2026-08-18&to=2026-08-21")
    assert "2 yes closed by silence" in shown and ",yes,silent" in talk.page(code.replace("08-20", "08-21"))
    assert "A conversation without a message for 1 day counts as closed by silence" in shown


def test_a_list_says_which_of_how_many_it_shows(talk: Visitor) -> None:
    """A first page says that it is the first 50 of all, and the next one where it goes on."""
    made = [
        {"type": "message.received", "id": f"m{n}", "conversation_id": f"n{n}", "time": f"2026-08-19T09:{n:02}:00Z"}
        for n in range(58)
    ]
    talk.engine.record("acme", made, history=True)
    listed = f"/t/acme/conversations/list?{VIEW}"
    total = len(talk.engine.conversations.of("acme", "2026-08-01", "2026-08-21", limit=1000).rows)
    assert total > 58 and f"1–50 of {total} conversations, the newest first; " in talk.see(listed)
    following = unescape(re.findall(r'href="([^"]*cursor=[^"]*)"[^>]*>Next page', talk.page(listed))[0])
    on = following.replace("/conversations?", "/conversations/list?")
    assert f"51–{total} of {total} conversations, the newest first; " in talk.see(on)


def test_labels_are_shown_with_their_labeller(talk: Visitor) -> None:
    """Lists and CSV have labeller and confidence of each label, the timeline marks them, and no name becomes markup."""
    label = {"type": "topic.classified", "id": "t1", "time": "2026-08-19T09:00:00Z", "conversation_id": "waits"}
    talk.engine.record("acme", {**label, "source": XSS, "topic": XSS, "confidence": 0.9}, history=True)
    talk.engine.labels.replace("acme", {"tone": {"cross": {"words": ["onerror"]}}})
    talk.engine.labels.run("acme")
    head, *rows = csv.reader(io.StringIO(talk.page(f"/t/acme/conversations/list.csv?{VIEW}").lstrip("\ufeff")))
    assert head[-3:] == ["labels", "labelled_by", "confidence"]
    by_id = {row[head.index("conversation_id")]: row[-3:] for row in rows}
    assert by_id["waits"] == [
        f"{XSS}, cross",
        f"topic: source {XSS}; tone: rules, version 1",
        "topic: 90% sure; tone: 100% sure",
    ]
    table = talk.page(f"/t/acme/conversations/list?{VIEW}")
    assert "Labelled by</th>" not in table and XSS not in table
    seen = " ".join(talk.see(f"/t/acme/conversations/list?{VIEW}").split())
    assert "tone: rules, version 1 · Confidence topic: 90% sure; tone: 100% sure" in seen
    address = f"/t/acme/conversation?id=waits&{VIEW}"
    page, text = talk.page(address), talk.see(address)
    assert XSS not in page and f"topic by source {XSS}" in text and "tone by rules, version 1" in text
    assert 'title="Tone cross: by rules, version 1, confidence 100%, labels of version 1"' in page
    explained = talk.page(f"/t/acme/explain/events?metric=classifications&part=all&{VIEW}")
    assert "Labelled by" in explained and XSS not in explained


def test_a_person_labels_a_message_of_the_conversation(talk: Visitor) -> None:
    """The form offers incoming messages and all labels; a label counts at once with the person's name; unknown ones are refused."""
    talk.engine.labels.replace("acme", {"topic": {"wifi": None, XSS[:60]: None}})
    on = f"/t/acme/conversation?id=waits&{VIEW}"
    page = talk.page(on)
    assert 'value="topic:wifi"' in page and 'value="tone:negative"' in page and XSS not in page
    answer = talk.act(f"/t/acme/conversation/label?id=waits&{VIEW}", on, message="4", label="topic:wifi")
    assert "Labelled: wifi." in answer.text
    text = talk.see(on)
    assert "wifi (by operator, 100% sure)" in text and "topic by operator" in text
    refused = talk.act(f"/t/acme/conversation/label?id=waits&{VIEW}", on, 400, message="4", label="topic:x")
    assert "has no label" in refused.text


def test_unknown_conversations_and_events_are_errors(talk: Visitor) -> None:
    """Unknown conversations and events, and addresses without an id, get an error, also with another tenant's ids."""
    talk.engine.add_tenant("other")
    assert "No event of a conversation with this id" in talk.see("/t/acme/conversation?id=none")
    assert "No event of a conversation with this id" in talk.see("/t/other/conversation?id=waits")
    assert "names no conversation" in talk.see("/t/acme/conversation")
    for tenant, path in (("acme", "event/json?source=test&id=9"), ("other", "event/json?source=test&id=4"),
                         ("other", "conversation/events?id=waits")):  # fmt: skip
        assert talk.http.get(f"/t/{tenant}/files/{path}").status_code == 404


def test_viewers_and_other_tenants_see_no_conversation(talk: Visitor) -> None:
    """A viewer gets neither pages nor files; an analyst of another tenant gets 404."""
    paths = ("/t/acme/files/event/json?source=test&id=4", "/t/acme/files/conversation/events?id=waits")
    talk.engine.add_tenant("other")
    for tenant, role, pages, files in (
        ("acme", "viewer", 404, 403), ("other", "analyst", 404, 404), ("acme", "analyst", 200, 200),
    ):  # fmt: skip
        talk.enter(tenant, role)
        for path in ("/t/acme/conversations", f"/t/acme/conversations/list?{VIEW}", "/t/acme/conversation?id=waits"):
            assert talk.http.get(path, follow_redirects=False).status_code == pages
        assert {talk.http.get(path, follow_redirects=False).status_code for path in paths} == {files}
    talk.http.cookies.clear()
    assert {talk.http.get(path, follow_redirects=False).status_code for path in paths} == {303}
