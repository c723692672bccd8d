"""Topics: what people write about and in what tone, changes, hotspots, and their messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from hubbub.dashboard import charts
from hubbub.dashboard.answer_rows import PageAnswer
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import mentions
from hubbub.dashboard.conversations import local, raw_event
from hubbub.dashboard.labelled import GIVEN_BY, cells
from hubbub.dashboard.names import labels
from hubbub.dashboard.person import Role
from hubbub.dashboard.view import FILTERS
from hubbub.dashboard.widgets import NOTHING_HERE, breakdown, windows_of
from hubbub.errors import BadQuestionError
from hubbub.model.plain import plain as plain_values
from hubbub.model.question import NONE
from hubbub.model.window import local_midnight
from hubbub.query.classified import flagged
from hubbub.query.trends import HOTSPOT_MIN, HOTSPOT_RATIO, rule_text
from hubbub.reports.formatting import POINTS, moment, plain, shown

METRIC = "classifications"
MOST_SERIES, MOST_BARS = 7, 12
"""Most topics or tones, and bars, of a chart; its table has all."""
OTHERS = "all others"
NO_TOPICS = (
    "No message in these days and filters has a topic. Topics come from labels, or from the source of the messages."
)
NO_INTENTS = (
    "No message in these days and filters has an intent. Intents come from labels, or from the source of the messages."
)
TONES = ("positive", "neutral", "negative")
LONGEST_TEXT = 300
NO_CHANGE = {"change": "", "way": ""}


def _share(ask: Ask) -> Shown:
    grain = ask.grain
    answer, whole = ask.query([METRIC], grain=grain, by=["topic"]), ask.query([METRIC], grain=grain)
    if answer.unfiltered:
        return Shown(empty=_unknown("Topics", answer))
    counts: dict[str, Counter[str]] = {}
    for row in answer.rows:  # an unknown window has no counts
        counts.setdefault(row.window, Counter())[_name(row.dim("topic"))] += int(row.value(METRIC) or 0)
    most, others = _ranked(sum(counts.values(), Counter()))
    if not most:
        return Shown(empty=NO_TOPICS)
    names = [*most, OTHERS] if others else most
    series = [(f"s{number}", name) for number, name in enumerate(names)]
    named = _named(ask, series)
    rows = []
    for window in whole.rows:
        by_topic = counts.get(window.window, Counter())
        rows.append(
            {"window": window.window, "at": moment(window.window)} | _counted(series, by_topic, window.value(METRIC))
        )
    spans = windows_of([window.window for window in whole.rows], ask)
    links = [
        {key: ask.explained(METRIC, spans[i], {"topic": name}) for key, name in series if name != OTHERS}
        for i in range(len(rows))
    ]
    spec = charts.shares(rows, "at", named, windows=True)
    columns = [Column("window", "From", "moment"), *(Column(key, name, "count") for key, name in named)]
    summary = "Share of classified messages over all days: " + _shares(named, rows)
    return Shown("chart", {"spec": spec}, Table(columns, rows, links), summary, _coverage(ask, "topic"))


def _tones(ask: Ask) -> Shown:
    answer = ask.query([METRIC], by=["topic", "sentiment"])
    if answer.unfiltered:
        return Shown(empty=_unknown("Topics", answer))
    counts: dict[str, Counter[str]] = {}
    for row in answer.rows:
        if count := row.value(METRIC):
            counts.setdefault(_name(row.dim("topic")), Counter())[_name(row.dim("sentiment"))] += int(count)
    if not counts:
        return Shown(empty=NO_TOPICS)
    most, others = _ranked(sum(counts.values(), Counter()))
    tones = [*(tone for tone in TONES if tone in most), *(tone for tone in most if tone not in TONES)]
    series = [(f"s{number}", name) for number, name in enumerate([*tones, OTHERS] if others else tones)]
    ranked = sorted(counts, key=lambda topic: (-counts[topic].total(), topic))
    rows: list[dict[str, Any]] = [
        {"topic": topic, "n": counts[topic].total()} | _counted(series, counts[topic], counts[topic].total())
        for topic in ranked
    ]
    links = [
        {
            "topic": ask.link(view=ask.view.with_filter("topic", row["topic"])),
            "n": ask.explained(METRIC, where={"topic": row["topic"]}),
        }
        | {
            key: ask.explained(METRIC, where={"topic": row["topic"], "sentiment": name})
            for key, name in series
            if name != OTHERS
        }
        for row in rows
    ]
    columns = [Column("topic", "Topic"), Column("n", "Messages", "count"), *(Column(k, n, "count") for k, n in series)]
    note = f"The {MOST_BARS} topics with most messages; the table has all." if len(rows) > MOST_BARS else ""
    called = labels(ask, "topic", ranked)
    bars = [{**row, "topic": called[row["topic"]]} for row in rows[:MOST_BARS]]
    return Shown(
        "chart", {"spec": charts.shares(bars, "topic", series)}, Table(columns, rows, links),
        "Tone of classified messages: " + _shares(series, rows), " ".join(filter(None, (note, _coverage(ask, "tone")))),
    )  # fmt: skip


def _named(ask: Ask, series: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return series with their topics as people write them."""
    called = labels(ask, "topic", [name for _, name in series if name != OTHERS])
    return [(key, called.get(name, name)) for key, name in series]


def _topics(ask: Ask) -> Shown:
    table = breakdown(ask, "topic", [METRIC, "topic_confidence"])
    return Shown(empty=NO_TOPICS) if table.empty == NOTHING_HERE else _with_labellers(ask, table, "topic", METRIC)


def _intents(ask: Ask) -> Shown:
    table = breakdown(ask, "intent", ["intents", "intent_confidence"], only_ranked=True)
    if table.empty:
        return table if table.empty != NOTHING_HERE else Shown(empty=NO_INTENTS)
    note = " ".join(filter(None, (table.note, _covered(ask, "intent_coverage", "an intent"))))
    return replace(_with_labellers(ask, table, "intent", "intents"), note=note)


def _with_labellers(ask: Ask, shown_: Shown, dimension: str, metric: str) -> Shown:
    """Add a last column to a breakdown: who gave how many of each row's labels."""
    answer = ask.query([metric], by=[dimension, "labeller"])
    if shown_.table is None or answer.unfiltered:
        return shown_
    counts: dict[str, Counter[str | None]] = {}
    for row in answer.rows:
        counts.setdefault(_name(row.dim(dimension)), Counter())[row.dim("labeller")] += int(row.value(metric) or 0)
    rows = [
        {
            **row,
            "labelled_by": _in_words(counts.get(row["name"], Counter())),
            "changes": {**row["changes"], "labelled_by": NO_CHANGE},
        }
        for row in shown_.table.rows
    ]
    columns = [*shown_.table.columns, Column("labelled_by", "Labelled by")]
    links = [{**links, "labelled_by": ""} for links in shown_.table.links]
    return replace(shown_, table=Table(columns, rows, links))


def _in_words(labellers: Counter[str | None]) -> str:
    return ", ".join(f"{labeller} {n:,}" for labeller, n in labellers.most_common() if n)


def _coverage(ask: Ask, label: str) -> str:
    """Return how many of the examined messages have a topic or a tone, as a sentence; empty where it is not known."""
    return _covered(ask, f"{label}_coverage", f"a {label}")


def _covered(ask: Ask, metric: str, having: str) -> str:
    answer = ask.query([metric])
    share = None if answer.unfiltered else answer.number(metric).value
    return "" if share is None else f"Coverage: {share:.0%} of the examined messages have {having}."


def _name(value: str | None) -> str:
    return value if value is not None else NONE


def _ranked(counts: Counter[str]) -> tuple[list[str], bool]:
    """Return the names for a chart, most frequent first, and whether there are others."""
    ranked = sorted((name for name in counts if counts[name]), key=lambda name: (-counts[name], name))
    others = len(ranked) > MOST_SERIES + 1  # a single other is named
    return ranked[:MOST_SERIES] if others else ranked, others


def _counted(series: Sequence[tuple[str, str]], counts: Mapping[str, int], whole: float | None) -> dict[str, Any]:
    """Return a row's counts by series, and the tooltip texts; None where the row is unknown."""
    if whole is None:
        return {name: value for key, _ in series for name, value in ((key, None), (f"{key}_shown", "–"))}
    known = {key: counts.get(name, 0) for key, name in series if name != OTHERS}
    values = {key: known[key] if key in known else whole - sum(known.values()) for key, _ in series}
    texts = {f"{key}_shown": f"{n:,} of {whole:,} ({n / whole:.0%})" if whole else "0" for key, n in values.items()}
    return values | texts


def _shares(series: Sequence[tuple[str, str]], rows: Sequence[Cells]) -> str:
    counts = {name: sum(row[key] for row in rows if row[key] is not None) for key, name in series}
    whole = sum(counts.values()) or 1
    return ", ".join(f"{plain(name)} {count / whole:.0%}" for name, count in counts.items())


def _unknown(what: str, answer: PageAnswer) -> str:
    return f"{what} are not known by {next(iter(answer.unfiltered.values())).lower()}: remove that filter to see them."


# --- what moved, and where complaints gather: answers about the whole tenant


def _unfilterable(ask: Ask) -> str:
    """Return why an answer without filters is not shown under one; empty without a filter."""
    names = [ask.in_words(FILTERS[name]).lower() for name in ask.view.where]
    return f"This is computed over all messages, not by {', '.join(names)}: remove filters." if names else ""


def _span(ask: Ask) -> tuple[str, str]:
    return ask.view.first.isoformat(), ask.view.after.isoformat()


def _movers(ask: Ask) -> Shown:
    if why := _unfilterable(ask):
        return Shown(empty=why)
    answer = ask.kept(ask.engine.answers.trends, *_span(ask), grain="total")
    moved = answer.rows[0].movers if answer.rows else []
    if not moved:
        return Shown(empty="These days, or those before them, have no classified messages: nothing to compare.")
    columns = [
        Column("topic", "Topic"), Column("previous_share", "Share before", "share"), Column("share", "Share now", "share"),
        Column("moved", "Change", POINTS), Column("count", "Messages", "count"),
    ]  # fmt: skip
    rows = [{**plain_values(row), "moved": row.change} for row in moved]
    links = [
        {
            "topic": ask.link(view=ask.view.with_filter("topic", row["topic"])),
            "count": ask.explained(METRIC, where={"topic": row["topic"]}),
        }
        for row in rows
    ]
    called = labels(ask, "topic", [row["topic"] for row in rows])
    summary = "Topics whose share changed most: " + ", ".join(
        f"{plain(called[row['topic']])} {shown(row['moved'], POINTS)}" for row in rows
    )
    return Shown(
        "table",
        {},
        Table(columns, rows, links),
        summary,
        "Compared with the period before: the same number of whole months, or days.",
    )


def _hotspots(ask: Ask) -> Shown:
    if why := _unfilterable(ask):
        return Shown(empty=why)
    hotspots = ask.kept(ask.engine.answers.hotspots, *_span(ask)).rows
    if not hotspots:
        return Shown(empty=NO_TOPICS)
    columns = [
        Column("channel_id", "Room"), Column("flagged_count", _flagged_as(ask).capitalize(), "count"),
        Column("total_count", "Classified", "count"), Column("hotspot_ratio", "Share", "share"),
        Column("lower_bound", "At least (95 %)", "share"), Column("verdict", "Verdict"),
    ]  # fmt: skip
    rows = [
        {**plain_values(row), "verdict": "strong hotspot" if row.strong else "hotspot" if row.hotspot else None}
        for row in hotspots
    ]
    classified = sum(row["total_count"] for row in rows)
    links = [
        {"hotspot_ratio": ask.explained("hotspot_ratio", where={"channel_id": row["channel_id"]})}
        | (
            {"channel_id": f"{ask.link(room=row['channel_id'], cursor=None)}#messages"}
            if ask.person.may(Role.ANALYST)
            else {}
        )
        for row in rows
    ]
    if not any(row["flagged_count"] for row in rows):
        return Shown(
            empty=f"None of {classified:,} messages with a topic is one of {_flagged_as(ask)}: "
            f"{ask.in_words('no room is a hotspot')}. {rule_text(ask.tenant.hotspot_tones)}"
        )
    hot = sum(row["hotspot"] for row in rows)
    note = (
        f"A hotspot has {HOTSPOT_MIN} classified messages or more and a share above {HOTSPOT_RATIO:.0%}; a strong one's share lies "
        f"above the tenant's own ({shown(hotspots[0].tenant_ratio, 'share')}) even at its least (95 %). "
        f"{rule_text(ask.tenant.hotspot_tones)}"
    )
    worst = plain(ask.label("channel_id", rows[0]["channel_id"]))
    summary = f"{hot} hotspots among {len(rows)} {ask.in_words('rooms')}; the worst is {worst}"
    return Shown("table", {}, Table(columns, rows, links), summary, note)


def _flagged_as(ask: Ask) -> str:
    """Return the kinds of messages that hotspots count, in words."""
    *first, last = ("complaints", "escalations", *ask.tenant.hotspot_tones)
    return f"{', '.join(first)} and {last}"


def _where(ask: Ask) -> Mapping[str, Sequence[str]]:
    """Return the filter of the messages: the view's and the chosen room, or without either the worst room."""
    if ask.param("room"):
        return {**ask.view.where, "channel_id": (ask.param("room"),)}
    if ask.view.where:
        return ask.view.where
    worst = ask.kept(ask.engine.answers.hotspots, *_span(ask)).rows[:1]
    return {"channel_id": (worst[0].channel_id,)} if worst else {}


def _messages(ask: Ask) -> Shown:
    tz, cursor, where = ask.tenant.tz, ask.param("cursor") or None, _where(ask)
    span = local_midnight(ask.view.first, tz), local_midnight(ask.view.after, tz)
    try:
        page = flagged(ask.engine.queries, ask.tenant, *span, where, cursor=cursor)
    except BadQuestionError as error:
        return Shown(empty=f"{error.message[:1].upper()}{error.message[1:]}.")
    if not page.rows:
        return Shown(empty=f"No message in these days and filters is one of {_flagged_as(ask)}.")
    columns = [
        Column("time", "Time", "instant"), Column("text", "Message"), Column("channel_id", "Room"), Column("topic", "Topic"),
        Column("sentiment", "Tone"), Column("conversation_id", "Conversation"), Column("id", "Event"), *GIVEN_BY,
    ]  # fmt: skip
    named = mentions(ask, (row.text for row in page.rows))
    rows = [
        {
            **asdict(row), "time": local(ask, row.time), "text": _text(named(row.text)) if row.text else None,
            **cells(row.labels),
        }
        for row in page.rows
    ]  # fmt: skip
    links = [
        {"id": raw_event(ask, row.source, row.id)}
        | ({"conversation_id": ask.link("conversation", id=row.conversation_id)} if row.conversation_id else {})
        for row in page.rows
    ]
    filled = [column for column in columns if any(row[column.name] is not None for row in rows)]
    following = f"{ask.link(cursor=page.next)}#messages" if page.next else ""
    rooms = [ask.label("channel_id", room) for room in where.get("channel_id", ())] or [ask.in_words("all rooms")]
    summary = f"{len(rows)} messages of {plain(', '.join(rooms))} classified under {_flagged_as(ask)}, the newest first"
    return Shown("rows", {"next": following, "total": None}, Table(filled, rows, links), summary)


def _text(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _escalations(ask: Ask) -> Shown:
    table = breakdown(ask, "severity", ["escalation_alerts"])
    return (
        Shown(empty="No escalation alert was raised in these days and filters.")
        if table.empty == NOTHING_HERE
        else table
    )


PAGE = Page(
    "topics", "Topics",
    (
        Widget("share", "Share of topics", _share, wide=True, about="Of the classified messages, by topic."),
        Widget("topics", "Topics", _topics, size="list"),
        Widget("tones", "Tone by topic", _tones, lazy=True),
        Widget("intents", "Intents", _intents, size="list", lazy=True),
        Widget("movers", "Changes", _movers, size="list", lazy=True),
        Widget("escalations", "Escalations by severity", _escalations, size="list", lazy=True, wide=True),
        Widget("hotspots", "Complaints by room", _hotspots, size="small", lazy=True, wide=True),
        Widget(
            "messages", "Complaints and escalations", _messages, size="list", lazy=True, wide=True, role=Role.ANALYST
        ),
    ),
    group=Group.NUMBERS,
)  # fmt: skip
