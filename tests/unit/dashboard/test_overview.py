"""The Overview: news and their cause, numbers beside their usual range, channels and rooms, and the last days with data."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from fastapi.testclient import TestClient

from hubbub.dashboard.why import LEAST
from tests.unit.dashboard.busy import asked, read, report, rows
from tests.unit.dashboard.conftest import NOW, Pages


def _heat(pages: Pages, **view: str) -> tuple[int, str]:
    """Return the number of messages in tenant b's heatmap, and the part's text."""
    http = pages.sign_in()
    text = read(http, "/t/b/overview/heat", **view)
    if "as-table" not in text:
        return 0, text
    found = rows(http, "/t/b/overview/heat", **view)
    return sum(int(n) for row in found for name, n in row.items() if name != "day"), text


def test_the_heatmap_shows_the_chosen_days(pages: Pages) -> None:
    """The heatmap shows old messages in their range; of a range beyond a year a note names the days shown."""
    at = ["2021-03-01T09:00:00Z", "2022-05-01T09:00:00Z", "2022-05-30T09:00:00Z"]
    old = [{"type": "message.received", "time": time, "id": f"old{n}"} for n, time in enumerate(at)]
    pages.engine.record("b", old, history=True)
    assert _heat(pages, **{"from": "2022-04-01", "to": "2022-07-01"})[0] == 2
    assert _heat(pages, **{"from": "2021-03-01", "to": "2021-03-02"})[0] == 1
    shown, text = _heat(pages, **{"from": "2021-01-01", "to": "2026-01-01"})
    assert (shown, "31 May 2021 – 31 May 2022: a year" in text) == (2, True)
    shown, text = _heat(pages, range="all")
    assert (shown, "20 Aug 2025 – 20 Aug 2026: a year" in text) == (1, True)
    assert "Nothing" in _heat(pages, **{"from": "2023-01-01", "to": "2025-12-31"})[1]


def test_the_heatmap_is_shaded_by_the_average_hour(pages: Pages) -> None:
    """Two Tuesdays with 2 messages each are lighter than one Wednesday with 3; the table has the sums."""
    hours = [
        "2022-05-03T09:1",
        "2022-05-03T09:2",
        "2022-05-10T09:1",
        "2022-05-10T09:2",
        "2022-05-04T09:1",
        "2022-05-04T09:2",
        "2022-05-04T09:3",
    ]
    old = [{"type": "message.received", "time": f"{hour}0:00Z", "id": f"old{n}"} for n, hour in enumerate(hours)]
    pages.engine.record("b", old, history=True)
    shown, text = _heat(pages, **{"from": "2022-05-03", "to": "2022-05-11"})
    assert shown == 7 and "Busiest: Wed at 11:00 with 3 messages received on average." in text
    assert 'class="h5" title="Wed 11:00: 3"' in text and 'class="h4" title="Tue 11:00: 4"' in text


def _weeks(pages: Pages, bad: int, days: int = 28) -> None:
    """Give tenant b twelve weeks of ratings by two channels; in the last `days` days `bad` of five by web are bad."""
    made = []
    for back in range(84, 0, -1):
        for channel in ("web", "mail"):
            for number in range(5):
                at, id_ = NOW - timedelta(days=back), f"{channel}-{back}-{number}"
                low = number < (bad if channel == "web" and back <= days else 1)
                made.append({
                    "type": "satisfaction.rating_received", "time": at, "id": id_, "survey_id": id_, "channel": channel,
                    "value": 1.0 if low else 5.0,
                })  # fmt: skip
                made.append(
                    {"type": "message.received", "time": at, "id": f"m{id_}", "channel": channel, "channel_id": channel}
                )
    pages.engine.record("b", made, history=True)


def _plain(http: TestClient, path: str, **view: str) -> str:
    return (
        " ".join(unescape(re.sub(r"<[^>]*>", " ", read(http, path, **view))).split())
        .replace(" ,", ",")
        .replace(" .", ".")
        .replace(" ;", ";")
    )


def test_the_news_are_the_apis_and_choose_the_card(pages: Pages) -> None:
    """The news' sentence is the API's; its number is red and linked, and its card is the chosen one."""
    _weeks(pages, 4)
    http = pages.sign_in()
    told = pages.engine.news("b", start="2026-07-24", end="2026-08-21")
    assert told["lead"].startswith("Satisfaction fell to") and told["points"][0]["cause"]["value"] == "web"
    text, html = _plain(http, "/t/b/overview"), http.get("/t/b/overview").text
    assert told["lead"].replace("Satisfaction fell to ", "") in text
    assert '<em class="worse">' in html and "channel=web" in html
    chosen = re.findall(r'class="card chosen">.*?data-number="([^"]+)"', html, re.S)
    assert chosen == ["csat"]
    assert re.search(r'change worse falls">−3\d\.\d points', html)


def test_a_quiet_day_is_one_line(pages: Pages) -> None:
    """Without a change beyond noise, there is no list and no card has color."""
    _weeks(pages, 1)
    html = pages.sign_in().get("/t/b/overview").text
    assert "Nothing unusual" in html and 'class="points"' not in html
    assert "change worse" not in html and "change better" not in html


def test_the_cause_of_a_change_is_named_once(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why names the channel with its share and n; all rows add up to the change, and equal the answer of `changes`."""
    _weeks(pages, 4)
    http = pages.sign_in()
    monkeypatch.setitem(LEAST, "share", 0.0)  # the last row is shown, however small
    found = rows(http, "/t/b/overview/why", metric="csat")
    answer = pages.engine.changes("b", metrics="csat", start="2026-07-24", end="2026-08-21")
    told = answer["dimensions"]["channel"]["rows"][0]
    web = found[0]
    assert (web["what"], float(web["moved"]), int(web["n"])) == ("web", told["contribution"], told["n"])
    assert found[-1]["what"] == "all others together"
    assert sum(float(row["moved"]) for row in found) == pytest.approx(answer["difference"], abs=1e-9)
    text = _plain(http, "/t/b/overview/why", metric="csat")
    assert "The change of the other channel is not clear by itself." in text
    assert "is within its usual range" in _plain(http, "/t/b/overview/why", metric="messages")


def test_channels_and_rooms_are_one_table(pages: Pages) -> None:
    """Rooms stand below their channel; a channel with one room has one row."""
    _weeks(pages, 4)
    more = {
        "type": "message.received",
        "time": NOW - timedelta(days=1),
        "channel": "mail",
        "channel_id": "second",
        "id": "r2",
    }
    pages.engine.record("b", more, history=True)
    http = pages.sign_in()
    found = [(row["channel"], row["room"]) for row in rows(http, "/t/b/overview/places")]
    assert found == [("mail", ""), ("mail", "mail"), ("mail", "second"), ("web", "web"), ("only-b", "")]
    assert re.search(r'change worse falls">−\d+\.\d points', read(http, "/t/b/overview/places"))


def test_the_overview_opens_on_days_with_data(pages: Pages) -> None:
    """A tenant with old data only opens on its last days with data, at most 28, and says so; a range in the address stays."""
    pages.engine.add_tenant("old", zone="Europe/Rome")
    old = [{"type": "message.received", "time": f"2021-03-{day:02}T09:00:00Z", "id": f"o{day}"} for day in range(1, 20)]
    pages.engine.record("old", old, history=True)
    http = pages.sign_in()
    text = _plain(http, "/t/old/overview")
    assert "The data of old ends on 19 March 2021. You see its last 19 days. Go to today" in text
    assert re.search(r'data-number="messages" data-value="19"', http.get("/t/old/overview").text)
    assert "ends on" not in _plain(http, "/t/old/overview", range="28d") and "ends on" not in _plain(
        http, "/t/b/overview"
    )


def test_days_without_conversations_do_not_say_that_none_waits(pages: Pages) -> None:
    """Where no conversation began the page says so, and not that none waits for a reply."""
    pages.engine.add_tenant("old", zone="Europe/Rome")
    alone = {"type": "message.received", "time": "2026-08-18T09:00:00Z", "id": "alone", "channel": "web"}
    pages.engine.record("old", alone, history=True)
    report(pages.engine, "old", "conversation")
    http = pages.sign_in()
    text = _plain(http, "/t/old/overview/unanswered")
    assert "No conversation began in these days." in text and "waits for a reply" not in text
    talk = [{**alone, "id": "q", "conversation_id": "c"}, {**alone, "type": "message.sent", "id": "a", "conversation_id": "c",
            "time": "2026-08-18T09:05:00Z"}]  # fmt: skip
    pages.engine.record("old", talk, history=True)
    assert "No conversation of these days waits for a reply." in _plain(http, "/t/old/overview/unanswered")


def test_a_filter_without_rows_offers_the_way_back(pages: Pages) -> None:
    """A filter without rows is named, with a button that removes it."""
    http = pages.sign_in()
    html = http.get("/t/b/overview?range=28d&channel=pigeon").text
    assert "Nothing of channel pigeon in" in html and "Remove “Channel: pigeon”" in html


def test_a_tenant_with_slack_alone_reads_of_threads(chat: Pages) -> None:
    """A tenant with Slack only reads of threads, replies and members, and of channels without `slack`."""
    http = chat.sign_in()
    text = _plain(http, "/t/chat/overview")
    assert "Active members" in text and "Threads waiting" in text and "Satisfied" not in text
    assert (
        "nobody has replied since its author last wrote. Questions are counted one by one, in a thread or not." in text
    )
    chat.engine.tenants.change("chat", threads={"silence_days": 14})
    assert "its author last wrote; after 14 days of silence it counts as closed." in _plain(http, "/t/chat/overview")
    assert "How “Threads waiting” is counted" in text
    assert "metric=waiting_conversations" in http.get("/t/chat/overview").text
    assert [row["room"] for row in rows(http, "/t/chat/overview/places")] == ["C0", "C1"]
    assert "slack" not in _plain(http, "/t/chat/overview/places").partition("Table")[0]
    waiting = rows(http, "/t/chat/overview/unanswered")
    assert [row["id"] for row in waiting] == [f"k{day}" for day in range(6)]


def test_a_chart_without_earlier_weeks_has_no_usual_range(pages: Pages) -> None:
    """Without earlier weeks, a chart has neither a usual range nor its legend."""
    html = pages.sign_in().get("/t/b/overview").text
    assert '"style": "usual"' not in html and "mark wash" not in html
    _weeks(pages, 1)
    html = pages.sign_in().get("/t/b/overview").text
    assert '"style": "usual"' in html and "mark wash" in html


def test_news_before_four_weeks_give_the_number_of_messages(pages: Pages) -> None:
    """Before four weeks of data the news say how many messages there were, and that nothing is usual yet."""
    text = _plain(pages.sign_in(), "/t/b/overview")
    messages = asked(pages.engine, "messages", tenant="b", start="2026-07-24", end="2026-08-21")[0]["messages"]
    assert messages == 1, "the number of the sentence"
    assert " 1 message and 1 conversation started. " in text
    assert "Too early to say what is usual: that takes four weeks of data before these days." in text


def test_news_compare_yesterday_and_link_waiting_conversations(pages: Pages) -> None:
    """A day of twenty messages after weeks of four is in the news with its usual value, and waiting conversations link to Live."""
    days = [(NOW - timedelta(days=ago), 20 if ago == 1 else 4) for ago in range(1, 80)]
    made = [
        {
            "type": "message.received", "time": (day - timedelta(minutes=number)).isoformat(), "id": f"{day:%j}-{number}",
            "channel": "web", "contact_id": f"p{number}", "conversation_id": f"{day:%j}-{number}",
        }
        for day, count in days for number in range(count)
    ]  # fmt: skip
    pages.engine.record("b", made, history=True)
    http = pages.sign_in()
    text = re.sub(r"<[^>]*>", "", read(http, "/t/b/overview/news"))
    assert re.search(r"Yesterday\. .*essages: 2[01] \(usual 4\)", text), text
    waiting = asked(pages.engine, "waiting_conversations", tenant="b", start="2026-08-20", end="2026-08-21")[0]
    assert (
        f"{waiting['waiting_conversations']:,} conversations wait for a reply, almost all in the channel web, the longest for"
        in text
    )
    assert "Show who waits" in text and "/t/b/overview?range=yesterday" in read(http, "/t/b/overview/news")
    days_before = {"from": "2026-07-01", "to": "2026-08-01", "compare": "none"}
    assert "Show who waits" not in read(http, "/t/b/overview/news", **days_before)


def test_the_news_say_first_who_waits_or_that_nobody_does(pages: Pages) -> None:
    """Who waits stands above yesterday; a single one has its own wait, and after an answer the news say that nobody waits."""
    _weeks(pages, 4)
    text = re.sub(r"<[^>]*>", "", read(pages.sign_in(), "/t/b/overview/news"))
    assert re.search(r"Now\. 1 conversation waits for a reply, for \d+[^.]*\.\s*Show who waits", text), text
    assert text.index("Now.") < text.index("Yesterday.")
    waits = pages.engine.conversations.live("b").rows[0].conversation_id
    answered = {
        "type": "message.sent",
        "time": NOW - timedelta(hours=1),
        "id": "x1",
        "channel": "web",
        "kind": "person",
    }
    pages.engine.record("b", [{**answered, "conversation_id": waits}])
    quiet = re.sub(r"<[^>]*>", "", read(pages.sign_in(), "/t/b/overview/news"))
    assert re.search(r"Now\. Nobody waits for a reply\.\s*Open Live", quiet), quiet


def test_days_before_anything_is_usual_name_the_day_with_most_messages(pages: Pages) -> None:
    """Without any usual range the news name the day with most messages and link to it."""
    made = [
        {"type": "message.received", "time": NOW - timedelta(days=3 if n else 2), "id": f"p{n}", "channel": "web"}
        for n in range(9)
    ]
    pages.engine.record("b", made, history=True)
    html = read(pages.sign_in(), "/t/b/overview/news")
    assert "Monday 17 August had most: 8 messages." in html
    assert "from=2026-08-17&amp;to=2026-08-18" in html


def test_a_number_of_yesterday_that_is_outside_by_little_is_not_called_usual(pages: Pages) -> None:
    """Yesterday's number outside its usual range, but of too few to be news, is named and not called usual."""
    made = []
    for ago in range(1, 80):
        for number in range(20 if ago == 1 else 4):
            name, begun = f"{ago}-{number}", NOW - timedelta(days=ago, minutes=2 * number)
            minutes = 180 if ago == 1 else 4 + number + ago % 3
            same = {"channel": "web", "contact_id": f"p{number}", "conversation_id": name}
            made += [
                {**same, "type": "message.received", "time": begun.isoformat(), "id": f"q-{name}"},
                {**same, "type": "message.sent", "time": (begun + timedelta(minutes=minutes)).isoformat(), "id": f"a-{name}"},
            ]  # fmt: skip
    pages.engine.record("b", made, history=True)
    text = re.sub(r"<[^>]*>", "", read(pages.sign_in(), "/t/b/overview/news"))
    assert re.search(
        r"Outside the usual range, but not clearly: 1 in 10 waited longer than 3\xa0h for a first response"
        r" \(usual [^)]*, too few to tell\)",
        text,
    ), text
    assert "All" not in text.partition("Yesterday.")[2]


def test_a_cause_in_the_news_links_to_its_filtered_page(pages: Pages) -> None:
    """The cause of fallen ratings links to Satisfaction filtered by that channel."""
    made = [
        {
            "type": "satisfaction.rating_received", "time": (NOW - timedelta(days=ago, minutes=number)).isoformat(),
            "id": f"{ago}-{number}", "channel": "web" if number % 2 else "sms", "survey_id": f"{ago}-{number}", "scale": 5,
            "value": 1 if ago <= 28 and number % 2 else 5, "contact_id": f"p{number}",
        }
        for ago in range(1, 100) for number in range(6)
    ]  # fmt: skip
    assert not pages.engine.record("b", made, history=True)["rejected"]
    http = pages.sign_in()
    html = read(http, "/t/b/overview/news")
    link = re.search(r'<a href="(/t/b/satisfaction\?[^"]*channel=web[^"]*)">all in the channel web<', html)
    assert link is not None, html
    assert http.get(unescape(link[1])).status_code == 200


def test_a_day_in_progress_that_is_far_above_usual_says_so(pages: Pages) -> None:
    """Messages of today beyond the usual range of a whole day are said on the card, in the legend and in the reading of today."""
    _weeks(pages, 1)
    http = pages.sign_in()
    quiet = http.get("/t/b/overview", params={"metric": "messages"}).text
    assert "usual so far" not in quiet and "Not over yet" in quiet
    now = [
        {"type": "message.received", "time": NOW - timedelta(minutes=n), "id": f"now{n}", "channel": "web"}
        for n in range(60)
    ]
    pages.engine.record("b", now)
    html = http.get("/t/b/overview", params={"metric": "messages"}).text
    legend = re.search(r'<p class="legend">.*?</p>', html)
    assert legend and "today above usual so far" in legend.group()
    assert "Not over yet, above usual so far" in html
    foot = re.search(r'data-number="messages" .*?<p class="n">(.*?)</p>', html, re.S)
    assert foot and "today above usual so far" in foot.group(1)


def test_half_a_year_has_no_usual_range(pages: Pages) -> None:
    """Of more days than eight weeks, cards and news say that no range is known, and the lead says how much there was."""
    _weeks(pages, 4)
    http = pages.sign_in()
    long = _plain(http, "/t/b/overview", **{"from": "2026-06-24", "to": "2026-08-20"})
    assert "So many days have no usual range: the longest is that of eight weeks." in long
    assert (
        " 571 messages, 301 more than before, and 1 conversation started. " in long
    )  # 27 of the days before have data
    assert "usual range not known for 57 days" in long
    known = _plain(http, "/t/b/overview", **{"from": "2026-06-25", "to": "2026-08-20"})
    assert "So many days have no usual range" not in known and "usual range not known" not in known.replace(
        "not known for 56", "?"
    )


def test_the_unusual_day_or_week_of_a_long_stretch_is_named_with_the_way_to_it(pages: Pages) -> None:
    """A stretch without a usual range names its most unusual day or week, with its range and the page of its days."""
    _weeks(pages, 1)
    loud = datetime(2026, 8, 5, 12, tzinfo=NOW.tzinfo)
    made = [
        {"type": "message.received", "time": loud + timedelta(minutes=n), "id": f"loud{n}", "channel": "web"}
        for n in range(200)
    ]
    pages.engine.record("b", made, history=True)
    html = read(pages.sign_in(), "/t/b/overview/news", **{"from": "2026-06-24", "to": "2026-08-20"})
    line = re.search(r"<span>(Wednesday 5 August stood out.*?)</span>.*?href=\"([^\"]*)\">Open it<", html, re.S)
    assert line, html
    assert line[1] == "Wednesday 5 August stood out: 210 messages (usual 10)."
    assert "from=2026-08-05" in line[2] and "to=2026-08-06" in line[2]
    by_week = read(pages.sign_in(), "/t/b/overview/news", **{"from": "2026-05-01", "to": "2026-08-20"})
    assert "The week of 3 August stood out: 270 messages (usual 70)." in by_week
