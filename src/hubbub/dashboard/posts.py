"""Posts: reactions to those of these days, the most engaging ones, and followers."""

from __future__ import annotations

from datetime import datetime

from hubbub.dashboard import charts
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.base_path import at
from hubbub.dashboard.components import Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.person import Role
from hubbub.dashboard.readings import readings
from hubbub.dashboard.widgets import filter_first
from hubbub.model.plain import plain
from hubbub.model.window import Grain, local_midnight, windows
from hubbub.query.posts import COUNTERS, LEVELS, Level, levels, posts
from hubbub.reports.formatting import moment, shown

OBSERVED = "observed_sum"
TOP = 20
MOST_LINES = 5
NO_POSTS = "There are no posts in these days and filters. They come from a connected page, which an operator adds, or an import."
NO_LEVELS = "There are no counts of followers in these days and filters."
LAST = "The service's latest counts: counters of posts are read again every night for 28 days."


def _none(ask: Ask) -> Shown:
    """Show that there are no posts, and to an operator where to connect a page."""
    sources = at(f"/operate/sources?tenant={ask.tenant.id}") if ask.person.may(Role.OPERATOR) else ""
    return Shown(empty=NO_POSTS, more=[("Connect a page", sources)])


def _over_time(ask: Ask) -> Shown:
    where = {"name": list(COUNTERS)}
    answer = ask.query([OBSERVED], grain=ask.grain, by=["name"], where=where)
    if answer.unfiltered:
        return filter_first(ask, OBSERVED, answer)
    if not any(row.value(OBSERVED) for row in answer.rows):
        return _none(ask)
    by_window: dict[str, dict[str | None, float | None]] = {}
    for row in answer.rows:
        by_window.setdefault(row.window, {})[row.dim("name")] = row.value(OBSERVED)
    rows = [
        {
            "window": window, "at": moment(window), **{name: counts.get(name) for name in COUNTERS},
            **{f"{name}_shown": shown(counts.get(name), "count") for name in COUNTERS},
        }
        for window, counts in by_window.items()
    ]  # fmt: skip
    columns = [Column("window", "From", "moment"), *(Column(name, title, "count") for name, title in COUNTERS.items())]
    spec = charts.over_time(rows, list(COUNTERS.items()), "count", mark="bar", stacked=True)
    totals = {name: sum(counts.get(name) or 0 for counts in by_window.values()) for name in COUNTERS}
    summary = ", ".join(f"{shown(totals[name], 'count')} {title.lower()}" for name, title in COUNTERS.items())
    data = {"spec": spec, "readings": plain(readings(ask, rows, COUNTERS, "count", ask.grain))}
    return Shown("chart", data, Table(columns, rows), f"About posts of these days: {summary}", LAST)


def _top(ask: Ask) -> Shown:
    answer = ask.query([OBSERVED])
    if answer.unfiltered:
        return filter_first(ask, OBSERVED, answer)
    start, end = _span(ask)
    top = posts(ask.engine.queries, ask.tenant, start, end, ask.view.where, TOP)
    if not top:
        return _none(ask)
    rows = [
        {
            "message_id": post.message_id, "account_id": post.account_id, "channel": post.channel,
            "published_at": post.published_at.astimezone(ask.tenant.tz).isoformat(timespec="seconds"),
            "engagement": post.engagement, **post.counters,
        }
        for post in top
    ]  # fmt: skip
    columns = [
        Column("message_id", "Post"), Column("published_at", "Published", "instant"), Column("account_id", "Account"),
        Column("channel", "Channel"), Column("engagement", "Together", "count"),
        *(Column(name, title, "count") for name, title in COUNTERS.items()),
    ]  # fmt: skip
    summary = f"{len(rows)} posts with the most engagement; the first has {shown(top[0].engagement, 'count')}"
    return Shown("table", {}, Table(columns, rows), summary)


def _levels(ask: Ask) -> Shown:
    answer = ask.query([OBSERVED])
    if answer.unfiltered:
        return filter_first(ask, OBSERVED, answer)
    start, end = _span(ask)
    lines = levels(ask.engine.queries, ask.tenant, start, end, ask.view.where)[:MOST_LINES]
    if not lines:
        return Shown(empty=NO_LEVELS)
    series = [(f"level_{number}", _title(ask, level)) for number, level in enumerate(lines)]
    rows = []
    for window in windows(start, min(end, ask.now), Grain(ask.grain), ask.tenant.tz):
        text = window.start.astimezone(ask.tenant.tz).isoformat()
        row: dict[str, str | float | None] = {"window": text, "at": moment(text)}
        for (name, _), level in zip(series, lines, strict=True):
            inside = [value for at, value in level.observed if window.start <= at < window.end]
            row |= {
                name: inside[-1] if inside else None,
                f"{name}_shown": shown(inside[-1] if inside else None, "count"),
            }
        rows.append(row)
    columns = [Column("window", "From", "moment"), *(Column(name, title, "count") for name, title in series)]
    summary = "; ".join(
        f"{title}: {shown(level.observed[-1][1], 'count')} at last"
        for (_, title), level in zip(series, lines, strict=True)
    )
    read = readings(ask, rows, dict(series), "count", ask.grain)
    data = {"spec": charts.over_time(rows, series, "count"), "readings": plain(read)}
    return Shown("chart", data, Table(columns, rows), summary)


def _title(ask: Ask, level: Level) -> str:
    account = ask.label("account_id", level.account_id) if level.account_id is not None else ""
    return f"{LEVELS[level.name]}{f' of {account}' if account else ''}"


def _span(ask: Ask) -> tuple[datetime, datetime]:
    return local_midnight(ask.view.first, ask.tenant.tz), local_midnight(ask.view.after, ask.tenant.tz)


PAGE = Page(
    "posts", "Posts",
    (
        Widget("chart", "Engagement by day of the post", _over_time, wide=True),
        Widget("top", "Top posts", _top, size="list", wide=True, lazy=True, about=LAST),
        Widget("levels", "Followers", _levels, wide=True, lazy=True,
               about="The last count of each day, week or month; one without a count stays empty."),
    ),
    group=Group.NUMBERS,
)  # fmt: skip
