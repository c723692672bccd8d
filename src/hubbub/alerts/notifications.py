"""Who is notified, and when: destinations, quiet hours, a daily limit. The incident notes why somebody is not notified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from hubbub.alerts.evaluate import Evaluation
from hubbub.alerts.notice import Notice, closed, opened
from hubbub.alerts.rules import quiet_hours
from hubbub.control.alerts import Entry, StoredRule
from hubbub.control.database import new_id
from hubbub.control.outbox import Destination, Draft
from hubbub.model.alert import Rule
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of, local_midnight

Count = Callable[[str, str, datetime], int]
"""Returns how many messages of a rule (its id) went to a destination (its id) since a moment, or will go."""


def after_quiet(rule: Rule, tenant: Tenant, now: datetime) -> datetime:
    """Return when a message of a rule may go out: now, or at the end of the present quiet hours."""
    hours = quiet_hours(rule.quiet)
    if hours is None or rule.urgent:
        return now
    local = now.astimezone(tenant.tz)
    first, last = hours
    over_midnight = first > last
    inside = local.time() >= first or local.time() < last if over_midnight else first <= local.time() < last
    if not inside:
        return now
    day = local.date() + timedelta(days=1) if over_midnight and local.time() >= first else local.date()
    return datetime.combine(day, last, tenant.tz).astimezone(now.tzinfo)


def notify(
    rule: Rule,
    stored: StoredRule,
    tenant: Tenant,
    done: Evaluation,
    destinations: Sequence[Destination],
    count: Count,
    now: datetime,
) -> tuple[list[Draft], list[Entry]]:
    """Return the messages of an evaluation, and the entries about them for its incidents.

    `destinations` are the tenant's; a removed one that the rule still names is noted in the incident.
    """
    notices = [(incidents, notice) for incidents, notice in (
        (done.opened, opened(rule, tenant, done.opened) if done.opened else None),
        (done.closed, closed(rule, tenant, done.closed) if done.closed else None),
    ) if notice is not None]  # fmt: skip
    drafts: list[Draft] = []
    entries: list[Entry] = []
    for incidents, notice in notices:
        new, notes = _to_all(rule, stored, tenant, notice, incidents[0][0].id, destinations, count, len(drafts), now)
        drafts += new
        entries += [Entry(incident.id, now, what, text) for incident, _ in incidents for what, text in notes]
    return drafts, entries


def _to_all(
    rule: Rule, stored: StoredRule, tenant: Tenant, notice: Notice, about: str, destinations: Sequence[Destination], count: Count,
    before: int, now: datetime,
) -> tuple[list[Draft], list[tuple[str, str]]]:  # fmt: skip
    """Return a notice's messages, and notes (kind, text) on who is notified. `before`: messages drafted in this evaluation."""
    known = {destination.id: destination for destination in destinations}
    drafts: list[Draft] = []
    notes: list[tuple[str, str]] = []
    if not rule.destinations:
        notes.append(("not_notified", "Nobody was notified: the rule names no destination."))
    at = after_quiet(rule, tenant, now)
    midnight = local_midnight(day_of(at, tenant.tz), tenant.tz)  # of the day on which people get it
    for id_ in rule.destinations:
        if id_ not in known:
            notes.append(("not_notified", f"The destination {id_} of the rule was removed: nobody was notified there."))
            continue
        name, held = known[id_].name, ""
        if count(stored.id, id_, midnight) + before // max(len(rule.destinations), 1) >= rule.most:
            held = f"more than {rule.most} messages of this rule that day; the rest is in a summary"
            notes.append(("not_notified", f"{name} was not notified: {held}."))
        elif at > now:
            notes.append(
                ("notified", f"{name} is notified when its quiet hours end, {at.astimezone(tenant.tz):%a %H:%M}.")
            )
        else:
            notes.append(("notified", f"{name} is notified."))
        drafts.append(Draft(
            new_id("msg"), tenant.id, id_, notice.type, notice.document(), now, at, cause=stored.id, about=about, held=held
        ))  # fmt: skip
    return drafts, notes


def summary(rule_name: str, tenant: Tenant, titles: Sequence[str]) -> Notice:
    """Return the notice that sums up held messages."""
    more = f"{len(titles)} more message{'' if len(titles) == 1 else 's'}"
    return Notice(
        "incident.summary", f"{rule_name}: {more}", tuple(titles), f"/t/{tenant.id}/incidents",
        {"tenant": tenant.id, "rule": rule_name, "titles": list(titles)},
    )  # fmt: skip
