"""The numbers of a tenant with targets: the share within them in cards and tables, and how far that is from the share wanted."""

from __future__ import annotations

from dataclasses import replace

from hubbub.calculations import wilson_lower
from hubbub.dashboard.answer_rows import PageNumber
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Shown
from hubbub.model.target import Aim


def share_within(ask: Ask) -> str | None:
    """Return the metric of first responses within their target, else of each response; None without such a target."""
    aims = {target.aim for target in ask.tenant.targets}
    return next((f"{aim}_within_target" for aim in (Aim.FIRST_RESPONSE, Aim.NEXT_RESPONSE) if aim in aims), None)


def share_in_time(ask: Ask, fallback: str) -> tuple[str, str]:
    """Return the metric of a table's column of waits in time, and its title: within the target, else the fallback."""
    within = share_within(ask)
    return (within, "Within target") if within else (ask.timed(fallback), "")


def misses(number: PageNumber) -> bool:
    """Return whether a share is below what its targets want, and chance does not explain it (95 %)."""
    if number.value is None or number.goal is None or not number.n:
        return False
    late = number.n - round(number.value * number.n)
    return (wilson_lower(late, number.n) or 0.0) > 1 - number.goal


def with_distance(ask: Ask, cards: Shown) -> Shown:
    """Return cards where that of the share within the target says first how far it is from the share wanted; red: missed."""
    name = share_within(ask)
    if name is None or "cards" not in cards.data:
        return cards
    number = ask.query([name]).number(name)
    if number.goal is None or number.value is None:
        return cards
    points = 100 * (number.value - number.goal)
    aim = f"{abs(points):.1f} points {'above' if points >= 0 else 'below'} the {100 * number.goal:g}% wanted"
    missed = "worse" if misses(number) else ""
    drawn = [replace(card, aim=aim, aim_way=missed) if card.name == name else card for card in cards.data["cards"]]
    return replace(cards, data={**cards.data, "cards": drawn})
