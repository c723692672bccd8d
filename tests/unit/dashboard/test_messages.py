"""Messages: the delivery steps of sent messages, by channel and by campaign, equal the engine's."""

from __future__ import annotations

from html import unescape

from hubbub.dashboard.messages import CARDS, NO_RECEIPTS, NOT_SENT, STATES, STEPS
from tests.unit.dashboard.busy import CAMPAIGN, VIEW, agree, asked, numbers, read, report, rows
from tests.unit.dashboard.conftest import Pages

CHANNELS = ("messages_attempted", "delivery_rate", "read_rate", "reply_rate", "messages_failed", "failure_rate")
CAMPAIGNS = (
    "campaign_messages_sent", "campaign_recipients", "campaign_delivery_rate", "campaign_read_rate", "conversion_rate",
    "campaign_score",
)  # fmt: skip


def test_numbers_of_messages_are_the_engines(busy: Pages) -> None:
    """Cards, steps with their rates, and the table by channel equal the engine's answers."""
    http = busy.sign_in()
    answer = asked(busy.engine, *CARDS, *STEPS)[0]
    assert numbers(read(http, "/t/a/messages", **VIEW)) == {name: answer[name] for name in CARDS}
    found = rows(http, "/t/a/messages/funnel", **VIEW)
    assert [int(row["n"]) for row in found] == [answer[name] for name in STEPS] == [41, 36, 20, 0, 4]
    assert [float(row["rate"]) if row["rate"] else None for row in found] == [
        answer[rate] if rate else None for _, rate in STEPS.values()
    ]
    assert [row["of"] for row in found] == [
        "",
        "40",
        "36",
        "36",
        "40",
    ]  # of the 41, one went by a channel without receipts
    chart = unescape(read(http, "/t/a/messages/funnel", **VIEW))
    assert all(words in chart for words in ("36 (90.0% of 40)", "20 (55.6% of 36)", "4 (10.0% of 40)"))
    assert NO_RECEIPTS in read(http, "/t/a/messages/funnel", **VIEW, channel="sms")
    table = rows(http, "/t/a/messages/channels", **VIEW)
    agree(table, asked(busy.engine, *CHANNELS, by=["channel"]), "channel", *CHANNELS)
    assert sum(int(row["messages_failed"]) for row in rows(http, "/t/a/messages/failures", **VIEW)) == 4


def test_campaigns_are_the_engines(busy: Pages) -> None:
    """A campaign's numbers and score equal the engine's, and messages without a campaign have no row."""
    http = busy.sign_in()
    (found,) = rows(http, "/t/a/messages/campaigns", **VIEW)
    (answer,) = [row for row in asked(busy.engine, *CAMPAIGNS, by=["campaign_id"]) if row["campaign_id"] == CAMPAIGN]
    assert found["name"] == CAMPAIGN
    assert [float(found[name]) for name in CAMPAIGNS] == [answer[name] for name in CAMPAIGNS]
    assert "&lt;img" in read(http, "/t/a/messages/campaigns", **VIEW)
    states = asked(busy.engine, *STATES)[0]
    assert numbers(read(http, "/t/a/messages/states", **VIEW)) == {name: states[name] for name in STATES}
    assert states["campaigns_active"] == 1


def test_without_messages_each_part_says_so(pages: Pages) -> None:
    """Where nothing was sent, each part says so."""
    report(pages.engine, "b", "receipt", "campaign")
    http = pages.sign_in()
    for part in ("funnel", "channels"):
        assert NOT_SENT in read(http, f"/t/b/messages/{part}", **VIEW)
    assert "No campaign sent" in read(http, "/t/b/messages/campaigns", **VIEW)
    assert "No message failed" in read(http, "/t/b/messages/failures", **VIEW)
    assert "not known by staff" in read(http, "/t/b/messages/failures", **VIEW, staff_id="x")
