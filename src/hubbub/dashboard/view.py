"""The state of a page, all in its address: days, comparison, and filters.

A relative range (`range=28d`) follows the calendar; dates (`from`, `to`, `[from, to)`) stay. Every link on a page is a `View` as a
query string, so back, reload and a sent link show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from hubbub.errors import BadQuestionError
from hubbub.model.question import check_order, parse_date
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.reports.dates import short_days

PRESETS: dict[str, str] = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "Last 7 days",
    "28d": "Last 28 days",
    "90d": "Last 90 days",
    "week": "This week",
    "month": "This month",
    "last-month": "Last month",
    "year": "This year",
    "all": "All time",
}
"""Relative ranges by their name in addresses."""

COMPARED: dict[str, str] = {
    "previous": "Previous period",
    "weekdays": "Same weekdays before",
    "year": "Year before",
    "none": "No comparison",
}

FILTERS: dict[str, str] = {
    "channel": "Channel",
    "channel_id": "Room",
    "account_id": "Account",
    "staff_id": "Staff",
    "topic": "Topic",
}
"""Dimensions of filters, and their titles."""

MOST_VALUES, LONGEST = 20, 512
"""Most values of a filter, and most characters of a value, as in an event."""

Params = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class View:
    """The state of a page. `first` and `after`: local days `[first, after)`; `rest`: the page's own parameters."""

    range: str
    first: date
    after: date
    compare: str = "previous"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bots: bool = False
    business: bool = False
    rest: Mapping[str, str] = field(default_factory=dict)
    begins: bool = False
    """Whether the tenant's data begins in these days, so that there is nothing before them to compare with."""
    locked: frozenset[str] = frozenset()
    """Filters that a shared link fixes; `range` among them fixes the days."""

    @property
    def days(self) -> int:
        """The number of local days."""
        return (self.after - self.first).days

    @property
    def grain(self) -> str:
        """The grain of a chart over these days: neither coarse nor crowded."""
        if self.days <= 2:
            return "hour"
        return "day" if self.days <= 100 else "week" if self.days <= 730 else "month"

    @property
    def title(self) -> str:
        """The days in words."""
        if self.range in PRESETS:
            return PRESETS[self.range]
        return self.dates

    @property
    def dates(self) -> str:
        """The days as dates: 3 – 30 Nov 2026."""
        return short_days(self.first, self.after)

    @property
    def compared(self) -> str | None:
        """The comparison as in a question, or None."""
        return None if self.compare == "none" or self.range == "all" or self.begins else self.compare

    def query(self, **changes: str | None) -> str:
        """Return the view as a query string, with some of the page's own parameters changed (None leaves one out)."""
        pairs: list[tuple[str, str]] = []
        if self.range == "custom":
            pairs += [("from", self.first.isoformat()), ("to", self.after.isoformat())]
        else:
            pairs.append(("range", self.range))
        if self.compare != "previous":
            pairs.append(("compare", self.compare))
        pairs += [(_param(name), value) for name, values in self.where.items() for value in values]
        pairs += [(name, "1") for name, on in (("bots", self.bots), ("business", self.business)) if on]
        rest = {**self.rest, **changes}
        pairs += [(name, value) for name, value in rest.items() if value is not None]
        return urlencode(pairs)

    def on(self, **changes: Any) -> View:
        """Return the view with other values, and lists at their first page."""
        rest = {name: value for name, value in self.rest.items() if name not in ("cursor",)}
        return replace(self, **{"rest": rest, **changes})

    def fixed(self) -> View:
        """Return the view with its days as dates, for a link that keeps them."""
        return replace(self, range="custom")

    def moved(self, periods: int) -> View:
        """Return the view moved by periods: calendar months for a month, else as many days."""
        if self.first.day == 1 and self.after.day == 1 and self.range != "today":
            months = (self.after.year - self.first.year) * 12 + self.after.month - self.first.month
            first, after = (_months(day, months * periods) for day in (self.first, self.after))
        else:
            step = timedelta(days=self.days * periods)
            first, after = self.first + step, self.after + step
        return self.on(range="custom", first=first, after=after)

    def with_filter(self, name: str, value: str) -> View:
        """Return the view with one more filter value."""
        values = tuple(dict.fromkeys((*self.where.get(name, ()), value)))
        return self.on(where={**self.where, name: values})

    def without(self, name: str, value: str) -> View:
        """Return the view without one value of a filter."""
        left = tuple(other for other in self.where.get(name, ()) if other != value)
        where = {**self.where, name: left} if left else {k: v for k, v in self.where.items() if k != name}
        return self.on(where=where)


def _param(dimension: str) -> str:
    """Return the parameter of a dimension in addresses: only the filters of all pages have one of their own name."""
    return dimension if dimension in FILTERS else f"d.{dimension}"


def chooses_days(params: Params) -> bool:
    """Whether an address chooses days."""
    return any(name in ("range", "from", "to") for name, _ in params)


def last_days(view: View, oldest: date, last: date) -> View:
    """Return the view of as many days, up to and including `last`, without days before `oldest`."""
    after = last + timedelta(days=1)
    return view.on(range="custom", first=max(oldest, after - timedelta(days=view.days)), after=after)


def read_view(params: Params, tenant: Tenant, now: datetime, *, oldest: date | None = None) -> View:
    """Read an address. `oldest`: the local day of the tenant's first event, where "all" begins. Raises BadQuestionError."""
    multi: dict[str, list[str]] = {}
    for name, value in params:
        multi.setdefault(name, []).append(value)
    if any(len(values) > MOST_VALUES or len(v) > LONGEST for values in multi.values() for v in values):
        raise BadQuestionError(
            f"a filter takes up to {MOST_VALUES} values of up to {LONGEST} characters; this address has more"
        )
    params_ = {name: values[-1] for name, values in multi.items() if name not in FILTERS}
    where = {name: tuple(dict.fromkeys(multi[name])) for name in FILTERS if name in multi}
    today = day_of(now, tenant.tz)
    start, end = params_.pop("from", None), params_.pop("to", None)
    preset = params_.pop("range", "28d")
    if start is not None or end is not None:
        preset = "custom"
        first = parse_date(start or "")
        after = parse_date(end) if end else first + timedelta(days=1)
        check_order(first, after)
    elif preset not in PRESETS:
        raise BadQuestionError(f"range {preset[:40]!r} is not one of {', '.join(PRESETS)}")
    else:
        first, after = _preset(preset, today, oldest)
    compare = params_.pop("compare", "previous")
    if compare not in COMPARED:
        raise BadQuestionError(f"compare {compare[:40]!r} is not one of {', '.join(COMPARED)}")
    bots, business = params_.pop("bots", "") == "1", params_.pop("business", "") == "1"
    return View(preset, first, after, compare, where, bots, business, params_)


def _preset(name: str, today: date, oldest: date | None) -> tuple[date, date]:
    tomorrow = today + timedelta(days=1)
    if name.endswith("d"):
        return tomorrow - timedelta(days=int(name[:-1])), tomorrow
    month = today.replace(day=1)
    first = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "week": today - timedelta(days=today.weekday()),
        "month": month,
        "last-month": _months(month, -1),
        "year": today.replace(month=1, day=1),
        "all": min(oldest or today, today),
    }[name]
    return first, {"yesterday": today, "last-month": month}.get(name, tomorrow)


def _months(day: date, months: int) -> date:
    """Return the first day of the month `months` later."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)
