"""Messages and campaigns: delivery of sent messages, failures by channel, results of each campaign."""

from __future__ import annotations

from dataclasses import replace

from hubbub.dashboard import charts
from hubbub.dashboard.answer_rows import UNASKED
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.chosen_chart import chosen_chart
from hubbub.dashboard.components import Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.widgets import NOTHING_HERE, breakdown, chosen, filter_first, over_time
from hubbub.reports.formatting import shown

CARDS = ("messages_attempted", "delivery_rate", "read_rate", "reply_rate", "failure_rate", "engagement_rate")
BARE_CARDS = ("messages", "messages_received", "messages_sent")
"""The cards where no channel ever gave a receipt."""
STEPS = {
    "messages_attempted": ("Sent", ""), "messages_delivered": ("Delivered", "delivery_rate"),
    "messages_read": ("Read", "read_rate"), "messages_replied": ("Replied", "reply_rate"),
    "messages_failed": ("Failed", "failure_rate"),
}  # fmt: skip
"""Steps of a sent message by metric: title and rate."""
STATES = ("campaigns_total", "campaigns_active", "campaigns_completed", "campaigns_failed")
RECEIPTS = (
    "Delivered and failed are shares of messages sent on channels with receipts; read and replied, of delivered ones. "
    "The last 72 hours may still change."
)
NO_RECEIPTS = "No channel of these days gives receipts: what was delivered, read, replied to or failed is not known."
NOT_SENT = "No message was sent in these days and filters."


def _metrics(ask: Ask) -> tuple[str, ...]:
    return BARE_CARDS if ask.never("receipt") else CARDS


def _cards(ask: Ask) -> Shown:
    return cards(ask, _metrics(ask), driving=_chosen(ask))


def _chosen(ask: Ask) -> str:
    return chosen(ask, _metrics(ask))


def _chart(ask: Ask) -> Shown:
    return chosen_chart(ask, _chosen(ask))


def _over_time(ask: Ask) -> str:
    return f"{ask.title(_chosen(ask))} over time"


def _funnel(ask: Ask) -> Shown:
    if missing := ask.never("receipt"):
        return Shown(empty=missing)
    rates = [rate for _, rate in STEPS.values() if rate]
    answer = ask.query([*STEPS, *rates])
    if answer.unfiltered:
        return filter_first(ask, "messages_attempted", answer)
    if not answer.number("messages_attempted").value:
        return Shown(empty=NOT_SENT)
    rows, links = [], []
    for name, (title, rate) in STEPS.items():
        n, of = answer.number(name).value, answer.number(rate) if rate else UNASKED
        share = of.value
        if rate and share is None:  # without receipts nothing is known of this step
            continue
        label = f"{n:,}" if share is None else f"{n:,} ({shown(share, 'share')} of {shown(of.n, 'count')})"
        rows.append({"step": title, "n": n, "n_shown": label, "rate": share, "of": of.n})
        links.append({"n": ask.explained(name), **({"rate": ask.explained(rate)} if rate else {})})
    columns = [
        Column("step", "Step"),
        Column("n", "Messages", "count"),
        Column("rate", "Rate", "share"),
        Column("of", "Of", "count"),
    ]
    if len(rows) == 1:  # a single bar says no more than its number
        return Shown(table=Table(columns, rows, links), empty=f"{rows[0]['n_shown']} messages were sent. {NO_RECEIPTS}")
    summary = ", ".join(f"{str(row['step']).lower()} {row['n_shown']}" for row in rows)
    spec = charts.bars(rows, "step", "n", "Messages", order=[title for title, _ in STEPS.values()])
    note = RECEIPTS if answer.number("delivery_rate").value is not None else NO_RECEIPTS
    return Shown("chart", {"spec": spec}, Table(columns, rows, links), f"Messages {summary}", note)


def _channels(ask: Ask) -> Shown:
    if ask.never("receipt"):
        return breakdown(ask, "channel", BARE_CARDS)
    names = ["messages_attempted", "delivery_rate", "read_rate", "reply_rate", "messages_failed", "failure_rate"]
    return breakdown(ask, "channel", names, titles={"messages_attempted": "Sent"}, nothing=NOT_SENT)


def _failures(ask: Ask) -> Shown:
    if missing := ask.never("receipt"):
        return Shown(empty=missing)
    chart = over_time(ask, ["messages_failed"], mark="bar")
    return (
        replace(chart, empty="No message failed in these days and filters.") if chart.empty == NOTHING_HERE else chart
    )


def _states(ask: Ask) -> Shown:
    drawn = cards(ask, STATES)
    any_ = drawn.empty or any(card.value or card.previous for card in drawn.data["cards"])
    return drawn if any_ else Shown(empty="There is no campaign.")


def _campaigns(ask: Ask) -> Shown:
    titles = {
        "campaign_messages_sent": "Sent", "campaign_recipients": "Recipients", "campaign_delivery_rate": "Delivered",
        "campaign_read_rate": "Read", "reply_rate": "Replied", "conversion_rate": "Converted", "campaign_score": "Score",
    }  # fmt: skip
    nothing = ask.never("campaign") or "No campaign sent a message in these days and filters."
    return breakdown(
        ask, "campaign_id", list(titles), title="Campaign", titles=titles, most=30, compare=False, only_ranked=True,
        nothing=nothing,
    )  # fmt: skip


PAGE = Page(
    "messages", "Messages",
    (
        Widget("cards", "Sent messages", _cards, size="cards", wide=True),
        Widget("chart", "Over time", _chart, wide=True, fact=_over_time),
        Widget("funnel", "Outcomes", _funnel),
        Widget("failures", "Failed", _failures, lazy=True),
        Widget("channels", "By channel", _channels, size="list", wide=True, lazy=True),
        Widget("states", "Campaigns at the end of these days", _states, size="small", wide=True, lazy=True),
        Widget("campaigns", "Campaigns with messages", _campaigns, size="list", wide=True, lazy=True,
               about="The score, 0 to 100, weighs delivery, reading, engagement, conversion and blocks; from 30 messages on."),
    ),
    group=Group.NUMBERS,
)  # fmt: skip
