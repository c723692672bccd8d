"""Speed: waits for the first response, for responses and for the resolution, and their distribution."""

from __future__ import annotations

from collections.abc import Callable

from hubbub.dashboard import charts
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.components import Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.widgets import NOTHING_HERE, breakdown, chosen, filter_first, over_time
from hubbub.metrics.definition import WITHIN
from hubbub.reports.formatting import shown

WAITS = ("first_response_ms", "response_ms", "resolution_ms")
CARDS = tuple(f"{wait}.{statistic}" for statistic in ("p50", "p90") for wait in WAITS)
BANDS = {"p50": "Half are faster", "p90": "9 in 10 are faster", "p95": "19 in 20 are faster"}
STEPS = ("up to 1 min", "1 to 5 min", "5 to 15 min", "15 min to 1 h", "1 to 4 h", "4 h to 1 d", "over 1 d")
"""Ranges between the limits of `WITHIN`."""
NO_HOURS = "This tenant has no business hours yet: choose all hours, or set business hours."


def _wait(ask: Ask) -> str:
    """Return the chosen wait, in the view's time."""
    return chosen(ask, CARDS).partition(".")[0]


def _of_wait(what: str) -> Callable[[Ask], str]:
    """Return what titles a part about the chosen wait: "First response by channel"."""
    return lambda ask: f"{ask.title(_wait(ask))}{ask.in_words(what)}"


def _no_hours(ask: Ask) -> Shown | None:
    return Shown(empty=NO_HOURS) if ask.view.business and not ask.tenant.calendar.versions else None


def _cards(ask: Ask) -> Shown:
    return _no_hours(ask) or cards(ask, [ask.timed(name) for name in CARDS], driving=chosen(ask, CARDS))


def _bands(ask: Ask) -> Shown:
    names = [f"{_wait(ask)}.{statistic}" for statistic in BANDS]
    return _no_hours(ask) or over_time(ask, names, titles=list(BANDS.values()), mark="bands")


def _spread(ask: Ask) -> Shown:
    if nothing := _no_hours(ask):
        return nothing
    wait = _wait(ask)
    limits = [f"{wait}.{name}" for name in WITHIN]
    answer = ask.query([*limits, f"{wait}.count"])
    if answer.unfiltered:
        return filter_first(ask, limits[0], answer)
    cells = [answer.number(name) for name in limits]
    whole = answer.number(f"{wait}.count").value
    if not whole:
        return Shown(empty=NOTHING_HERE)
    upto = [*(cell.numerator or 0 for cell in cells), whole]
    rows = [
        {
            "step": step, "n": n - before, "n_shown": f"{n - before:,} ({(n - before) / whole:.1%})",
            "share": (n - before) / whole, "upto": n / whole,
        }
        for step, n, before in zip(STEPS, upto, [0, *upto], strict=False)
    ]  # fmt: skip
    columns = [
        Column("step", "Wait"), Column("n", "Waits", "count"), Column("share", "Share", "share"),
        Column("upto", "Up to here", "share"),
    ]  # fmt: skip
    links = [{"upto": ask.explained(name)} for name in (*limits, f"{wait}.count")]
    summary = f"{ask.title(wait)}: {whole:,} waits; " + ", ".join(
        f"{row['step']} {shown(row['share'], 'share')}" for row in rows
    )
    note = "A wait of exactly 5 minutes counts as 1 to 5 min."
    spec = charts.bars(rows, "step", "n", "Waits", order=STEPS)
    return Shown("chart", {"spec": spec}, Table(columns, rows, links), summary, note)


def _by(ask: Ask, dimension: str) -> Shown:
    wait = _wait(ask)
    titles = {"count": "Waits", "p50": "Median", "p90": "9 in 10 within", "within_1h": "Within 1 h"}
    named = {f"{wait}.{statistic}": title for statistic, title in titles.items()}
    return _no_hours(ask) or breakdown(ask, dimension, list(named), titles=named)


def _channels(ask: Ask) -> Shown:
    return _by(ask, "channel")


def _staff(ask: Ask) -> Shown:
    return _by(ask, "staff_id")


PAGE = Page(
    "speed", "Speed",
    (
        Widget("cards", "Waits", _cards, size="cards", wide=True),
        Widget("bands", "Over time", _bands, wide=True, fact=_of_wait(" over time"),
               about="Half of the waits were shorter than the line."),
        Widget("spread", "Distribution", _spread, wide=True, lazy=True, fact=_of_wait(", distribution")),
        Widget("channels", "By channel", _channels, size="list", lazy=True, fact=_of_wait(" by channel")),
        Widget("staff", "By staff", _staff, size="list", lazy=True, about="By who replied.", fact=_of_wait(" by staff")),
    ),
    group=Group.NUMBERS, subject="conversation",
)  # fmt: skip
