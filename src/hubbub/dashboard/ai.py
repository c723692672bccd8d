"""AI: what AI resolved, how long that lasted, who took over and why, and what it used."""

from __future__ import annotations

from datetime import timedelta

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.components import Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.widgets import breakdown, chosen, chosen_over_time, filter_first, over_time
from hubbub.metrics.conversations import LASTING
from hubbub.model.window import day_of

CARDS = (
    "ai_resolution_rate",
    "ai_assumed_resolution_rate",
    "ai_containment_rate",
    "ai_reopen_rate",
    "ai_hours_saved",
    "ai_cost",
)
NO_AI = "AI replied in no conversation that began in these days and filters."
NO_HAND_OFFS = "AI handed no conversation to people in these days and filters."
NO_REPLIES = "No reply by AI was reported in these days and filters."


def _without(ask: Ask) -> str:
    """Return that AI did nothing in these days; empty where it did something."""

    def look() -> str:
        answer = ask.query(["ai_involved", "ai_replies"])
        did = any(row.value(name) for row in answer.rows for name in ("ai_involved", "ai_replies"))
        return "" if did or answer.unfiltered else NO_AI

    return ask.in_words(ask.once("without AI", look))


def _cards(ask: Ask) -> Shown:
    if nothing := _without(ask):
        return Shown(empty=nothing)
    return cards(ask, CARDS, driving=_chosen(ask))


def _chosen(ask: Ask) -> str:
    return chosen(ask, CARDS)


def _chart(ask: Ask) -> Shown:
    if nothing := _without(ask):
        return Shown(empty=nothing)
    return over_time(ask, [_chosen(ask)], compare=True)


def _lasting(ask: Ask) -> Shown:
    """Show confirmed and assumed resolutions by how long they lasted."""
    kinds = {"ai_handled": "confirmed", "ai_assumed": "assumed", "ai_assumed_resolution_rate": "share"}
    answer = ask.query([f"{name}{ending}" for ending in LASTING for name in kinds] + ["ai_involved"])
    if answer.unfiltered:
        return filter_first(ask, "ai_involved", answer)
    involved = answer.number("ai_involved").value
    if not involved:
        return Shown(empty=ask.in_words(NO_AI))
    rows = [
        {"lasting": text, **{column: answer.number(f"{name}{ending}").value for name, column in kinds.items()}}
        for ending, (text, _) in LASTING.items()
    ]
    links = [{column: ask.explained(f"{name}{ending}") for name, column in kinds.items()} for ending in LASTING]
    columns = [
        Column("lasting", "Lasted for"), Column("confirmed", "Resolved", "count"),
        Column("assumed", "Assumed from silence", "count"), Column("share", "Both, of all with AI", "share"),
    ]  # fmt: skip
    summary = f"{involved:,} {ask.in_words('conversations with AI')}; " + ", ".join(
        f"{row['share']:.1%} resolved for {row['lasting']}" for row in rows
    )
    note = "Resolved: a resolve ended it, and nobody came in. Assumed: nobody wrote again after AI's reply, and no resolve came."
    if day_of(ask.now, ask.tenant.tz) - timedelta(days=7) < ask.view.after:
        note += " Of the last 7 days, a conversation counts as lasting as long as nobody comes back to it."
    return Shown("table", {}, Table(columns, rows, links), summary, note)


def _hand_offs(ask: Ask) -> Shown:
    return breakdown(
        ask,
        "handed_off_by",
        ["ai_hand_offs"],
        title="Handed off by",
        nothing=_without(ask) or ask.in_words(NO_HAND_OFFS),
    )


def _reasons(ask: Ask) -> Shown:
    return breakdown(
        ask, "reason", ["ai_hand_offs"], title="Reason", nothing=_without(ask) or ask.in_words(NO_HAND_OFFS)
    )


def _usage(ask: Ask) -> Shown:
    names = ["ai_replies", "ai_input_tokens", "ai_output_tokens", "ai_cost"]
    return breakdown(ask, "model", names, title="Model", compare=False, nothing=_without(ask) or NO_REPLIES)


def _channels(ask: Ask) -> Shown:
    return breakdown(
        ask,
        "channel",
        ["ai_involved", "ai_resolution_rate", "ai_containment_rate", "ai_reopen_rate"],
        nothing=ask.in_words(NO_AI),
    )


PAGE = Page(
    "ai", "AI",
    (
        Widget("cards", "What AI did", _cards, size="cards", wide=True),
        Widget("chart", "Over time", _chart, wide=True, fact=chosen_over_time(CARDS)),
        Widget("lasting", "Resolved by AI alone, and for how long", _lasting, size="list", wide=True),
        Widget("hand-offs", "Handed to people, by whom", _hand_offs, size="list"),
        Widget("reasons", "Handed to people, why", _reasons, size="list"),
        Widget("channels", "By channel", _channels, size="list", lazy=True),
        Widget("usage", "Replies, tokens and cost", _usage, size="list", lazy=True,
               about="Cost is in the currency that your source reports."),
    ),
    group=Group.NUMBERS,
)  # fmt: skip
