"""Tenants with zone and retention; and keys, links and sessions of one tenant or of operators."""

from __future__ import annotations

from typing import Any

from hubbub.dashboard import access_admin
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, data_table, parameter, zones
from hubbub.dashboard.person import Role
from hubbub.errors import BadInputError
from hubbub.model.plain import plain

PAGE_SIZE = 50
GRAINS = {"raw": "Texts", "hour": "Hourly", "day": "Daily", "week": "Weekly", "month": "Monthly", "facts": "Facts"}
FOR_EVER, NEVER = "for ever", "never"


def _tenants(ask: Ask) -> Shown:
    chosen = parameter(ask, "tenant")
    page = ask.engine.tenants.of(chosen, parameter(ask, "cursor"), PAGE_SIZE)
    rows = [
        {
            **plain(tenant), **{grain: days if days is not None else FOR_EVER for grain, days in plain(tenant.retention).items()},
            "tones": ", ".join(tenant.hotspot_tones) or None,
            "help_channels": ", ".join(tenant.threads.help_channels) or None,
            "answer_signs": ", ".join(tenant.threads.answer_signs) or None, "silence_days": tenant.threads.silence_days,
            "closes": tenant.threads.silence_days or NEVER,
        }
        for tenant in page.rows
    ]  # fmt: skip
    columns = [
        Column("tenant", "Tenant"), Column("name", "Name", "long"), Column("zone", "Time zone"),
        *(Column(grain, title, "count") for grain, title in GRAINS.items()), Column("tones", "Hotspot tones"),
        Column("help_channels", "Help channels"), Column("closes", "Closed after silent days", "count"),
    ]  # fmt: skip
    links = [{"tenant": ask.link(tenant=row["tenant"], cursor=None, keys=None)} for row in rows]
    return data_table(
        ask, columns, rows, links=links, choices=[Field("tenant", "Tenant", value=ask.param("tenant"), hint="all")],
        forms=[_change(rows[0]) if chosen else _ADD], following=page.next, nothing="There is no tenant yet.",
        note="Days to keep texts, snapshots (hourly to monthly) and facts.",
    )  # fmt: skip


_ADD = Act(
    "add", "Make", title="Create a tenant",
    fields=(
        Field("new", "Id (a-z, 0-9, hyphens)", required=True), Field("name", "Name"),
        Field("zone", "Time zone", hint="Europe/Rome", options=zones()),
    ),
)  # fmt: skip


def _change(row: dict[str, object]) -> Act:
    retention = tuple(
        Field(grain, f"{title}, days kept", value=str(row[grain]), hint=FOR_EVER) for grain, title in GRAINS.items()
    )
    named = (
        Field("name", "Name", value=str(row["name"])),
        Field("zone", "Time zone", value=str(row["zone"]), options=zones()),
    )
    tones = Field("tones", "Further tones that hotspots count", value=str(row["tones"] or ""), hint="negative, angry")
    threads = (
        Field("help_channels", "Help channels: ids", value=str(row["help_channels"] or ""), hint="C0123456789"),
        Field("answer_signs", "Reactions that answer a question", value=str(row["answer_signs"] or "")),
        Field("silence_days", "Days of silence that close, 0: never", value=str(row["silence_days"])),
    )
    saved = Field(
        "ai_minutes_saved", "Minutes a conversation by AI saves", value=str(row["ai_minutes_saved"] or ""), hint="6.5"
    )
    return Act(
        "change", "Change", {"tenant": str(row["tenant"])}, (*named, *retention, tones, *threads, saved),
        title=f"Change {row['tenant']}",
    )  # fmt: skip


def _keys(ask: Ask) -> Shown:
    return access_admin.keys(ask, parameter(ask, "tenant"))


def _sign_in_links(ask: Ask) -> Shown:
    return access_admin.sign_in_links(ask, parameter(ask, "tenant"))


def _sessions(ask: Ask) -> Shown:
    return access_admin.sessions(ask, parameter(ask, "tenant"))


def _shared_links(ask: Ask) -> Shown:
    if (tenant := parameter(ask, "tenant")) is None:
        return Shown(empty="Choose a tenant to see its shared links.")
    return access_admin.shared_links(ask, tenant, offers=False)


def _add(ask: Ask, form: Form) -> Done:
    row = ask.engine.tenants.add(form.get("new", ""), form.get("zone") or None, form.get("name", ""))
    return Done(f"The tenant {row.tenant} is made, in the zone {row.zone}.")


def _changed(ask: Ask, form: Form) -> Done:
    row = ask.engine.tenants.change(
        form.get("tenant", ""), name=form.get("name"), zone=form.get("zone") or None,
        retention={grain: _days(title, form[grain]) for grain, title in GRAINS.items() if grain in form},
        hotspot_tones=_listed(form["tones"]) if "tones" in form else None, threads=_threads(form),
        ai_minutes_saved=_minutes(form["ai_minutes_saved"]) if "ai_minutes_saved" in form else None,
    )  # fmt: skip
    return Done(
        f"{row.tenant} is changed. A new zone, other tones, and how questions and silence count, count at once."
    )


def _threads(form: Form) -> dict[str, Any]:
    """Return the settings of threads that a form names."""
    settings: dict[str, Any] = {name: _listed(form[name]) for name in ("help_channels", "answer_signs") if name in form}
    if "silence_days" in form:
        settings["silence_days"] = _days("Days of silence", form["silence_days"]) or 0
    return settings


def _listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name.strip()]


def _minutes(text: str) -> float:
    """Read minutes; empty: 0, no assumption."""
    try:
        return float(text.strip() or 0)
    except ValueError:
        raise BadInputError(f"Minutes a conversation by AI saves: {text[:40]!r} is not a number, like 6.5") from None


def _days(title: str, text: str) -> int | None:
    """Read a number of days; empty or the words for it: for ever (None)."""
    if text.strip() in ("", FOR_EVER):
        return None
    if not (text.strip().isascii() and text.strip().isdecimal()):
        raise BadInputError(f"{title}: {text[:40]!r} is not a number of days; empty keeps them {FOR_EVER}")
    return int(text[:9])


def _named(_: Ask, form: Form) -> str | None:
    return form.get("tenant") or None


PAGE = Page(
    "tenants", "Tenants and keys",
    (
        Widget("tenants", "Tenants", _tenants, size="list", wide=True),
        Widget("keys", "Keys", _keys, size="list", wide=True),
        Widget("sign-in", "Sign-in links", _sign_in_links, size="small", wide=True),
        Widget("sessions", "Signed in", _sessions, size="small", wide=True),
        Widget("shared", "Shared links", _shared_links, size="small", wide=True),
    ),
    role=Role.OPERATOR, tenant=False, header=False, acts=Role.OPERATOR,
    actions={"add": _add, "change": _changed, **access_admin.actions(_named)},
    group=Group.OPERATOR,
)  # fmt: skip
