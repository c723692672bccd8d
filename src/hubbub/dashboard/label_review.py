"""Label review: is this label right? One key for each label; the next message comes at once, and nothing is final."""

from __future__ import annotations

from typing import Any

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import mentions
from hubbub.dashboard.conversations import local
from hubbub.dashboard.forms import Act, Field, data_table, parameter
from hubbub.dashboard.person import Role
from hubbub.model.label import Labeller, LabelSet
from hubbub.reports.formatting import plain, shown
from hubbub.services.label_review_views import ReviewOrder, ToReview

LISTED, LONGEST = 8, 100
"""Labelled messages in the list, and characters of each."""
KEYS = "123456789"
"""Keys of labels, in a fixed order; further labels are clicked."""
ORDERS = {
    ReviewOrder.UNSURE: "Least certain first", ReviewOrder.NEWEST: "Newest first", ReviewOrder.LABEL: "By suggested label",
}  # fmt: skip
WHO = {
    Labeller.PERSON: "a person", Labeller.SOURCE: "its source", Labeller.RULES: "the rules", Labeller.CLASSIFIER: "the classifier",
    Labeller.ENDPOINT: "the model",
}  # fmt: skip
REVIEWED = "No label waits for review: all messages of this set are reviewed."
NOTHING = (
    "No label waits for review. Here people check the labels of messages, one by one; a message comes here once its text is stored "
    "and it was labelled. "
)
NEXT = {
    False: "Ask an operator to store texts and to label them.",
    True: "Next: store the texts of new messages, or import again with texts, and label them.",
}
"""The next step, by whether it is the person's own."""
NO_LABELS = "There are no labels of the set {} yet. Add the first with “Another label” below."
COMMANDS = "hubbub import PATH --tenant {tenant} --keep-text\nhubbub labels run --tenant {tenant}"


def _set(ask: Ask) -> LabelSet:
    return LabelSet(parameter(ask, "set", list(LabelSet)) or LabelSet.TOPIC)


def _next(ask: Ask) -> Shown:
    chosen, order = _set(ask), ReviewOrder(parameter(ask, "order", list(ReviewOrder)) or ReviewOrder.UNSURE)
    operates = ask.person.may(Role.OPERATOR)
    queue = ask.engine.labels.review.queue(ask.tenant.id, chosen, 1, order)
    sets = Field("set", "Label set", "select", chosen.value, {name.value: name.value.capitalize() for name in LabelSet})
    orders = Field("order", "Order", "select", order.value, {name.value: title for name, title in ORDERS.items()})
    data: dict[str, Any] = {
        "choices": [sets, orders], "stays": [], "set": chosen.value, "left": queue.left, "done": queue.done, "message": None,
        "labels": [], "nothing": REVIEWED if queue.done else NOTHING + NEXT[operates] if queue.labels else NO_LABELS.format(chosen),
        "commands": COMMANDS.format(tenant=ask.tenant.id) if operates and queue.labels and not queue.done else "",
    }  # fmt: skip
    if queue.rows:
        row = queue.rows[0]
        at = local(ask, row.time)
        room = ask.label("channel_id", row.channel_id) if row.channel_id else ""
        place = [part for part in (room, "" if ask.wording.only_channel else row.channel) if part]
        link = ask.link("conversation", id=row.conversation_id) if row.conversation_id else ""
        data |= {
            "message": row, "at": at, "place": place, "conversation": link, "parts": _divided(ask, row),
            "labels": [(KEYS[n] if n < len(KEYS) else "", label) for n, label in enumerate(queue.labels)],
            "likely": _percentages(row), "why": _why(row),
        }  # fmt: skip
    summary = f"{queue.left:,} to review, {queue.done:,} done"
    return Shown("label_review", data, Table([], []), summary)


def _divided(ask: Ask, row: ToReview) -> list[tuple[str, bool]]:
    """Return a message's text in parts, each with whether it led to the suggested label."""
    parts, end, named = [], 0, mentions(ask, [row.text])
    for span in row.spans:
        parts += [(row.text[end : span.start], False), (row.text[span.start : span.end], True)]
        end = span.end
    return [(named(part), marked) for part, marked in (*parts, (row.text[end:], False))]


def _percentages(row: ToReview) -> dict[str, str]:
    """Return the probability of each label that has one: the classifier's now, else that of the stored guess."""
    known = {likely.label: likely.confidence for likely in row.likely}
    if row.suggested is not None and row.confidence is not None and row.by != Labeller.RULES:
        known.setdefault(row.suggested, row.confidence)
    return {label: f"{confidence:.0%}" for label, confidence in known.items()}


def _why(row: ToReview) -> str:
    """Return who suggests the label, by which rule, and what the marks in the text are."""
    if row.suggested is None:
        return "Nobody suggests a label."
    by = Labeller(row.by or Labeller.RULES)
    who = plain(row.rule.in_words()) if by is Labeller.RULES and row.rule is not None else WHO[by]
    return f"Suggested by {who}; the marked words led to it." if row.spans else f"Suggested by {who}."


def _done(ask: Ask) -> Shown:
    page = ask.engine.labels.review.done(ask.tenant.id, _set(ask), LISTED)
    named = mentions(ask, (row.text for row in page.rows))
    rows = [
        {
            "text": _cut(named(row.text)),
            "label": row.label,
            "suggestion": _suggestion(row.was, row.label),
            "by": row.by,
        }
        for row in page.rows
    ]
    columns = [
        Column("text", "Message", "long"),
        Column("label", "Label"),
        Column("suggestion", "Suggestion"),
        Column("by", "By"),
    ]
    another = Act(
        "add", "Add", {"set": _set(ask).value}, (Field("label", "Label", required=True),), title="Another label"
    )
    return data_table(
        ask,
        columns,
        rows,
        forms=[another],
        nothing="People have labelled nothing yet. Labels given above appear here.",
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _suggestion(was: str | None, label: str) -> str:
    return "accepted" if was == label else f"was {was or 'unlabelled'}"


def _right(ask: Ask) -> Shown:
    chosen = _set(ask)
    results = ask.engine.labels.review.done(ask.tenant.id, chosen, 1).right
    labels = ask.engine.labels.of(ask.tenant.id)
    number = labels.in_use.get(chosen.value)
    trained_labels = {
        label.label: label
        for trained in labels.classifiers if trained.classifier == number for label in trained.labels
    }  # fmt: skip
    rows = [
        {
            "label": row.label,
            "checked": row.checked,
            "right": row.right,
            "range": f"{shown(row.low, 'share')} – {shown(row.high, 'share')}",
            "used_from": trained_labels[row.label].used_from if row.label in trained_labels else None,
            "abstains": trained_labels[row.label].abstains if row.label in trained_labels else None,
        }
        for row in results
    ]
    columns = [
        Column("label", "Label"), Column("checked", "Checked", "count"), Column("right", "Right", "share"),
        Column("range", "95 % range"), Column("used_from", "Used from", "number"),
    ]  # fmt: skip
    if any(row["abstains"] for row in rows):
        columns.append(Column("abstains", "Abstains because", "long"))
    return data_table(
        ask, columns, rows, nothing="No suggestion was checked yet. Each label that you accept or change counts here.",
        note="Below “used from”, no number counts a classifier's suggestion; it appears here.",
    )  # fmt: skip


def labelled_by(ask: Ask) -> str:
    """Return the name under which a person at a page gives labels."""
    return ask.person.label or ask.person.role.name.lower()


def _say(ask: Ask, form: Form) -> Done:
    label = form.get("label") or None
    ask.engine.labels.review.say(ask.tenant.id, form.get("set", ""), form.get("message", ""), label, labelled_by(ask))
    return Done(f"Labelled: {label}." if label else "Skipped.")


def _add(ask: Ask, form: Form) -> Done:
    label = form.get("label", "").strip()
    ask.engine.labels.add(ask.tenant.id, form.get("set", ""), label, labelled_by(ask))
    return Done(f"“{label}” is a label now.")


def _undo(ask: Ask, form: Form) -> Done:
    undone = ask.engine.labels.review.undo(ask.tenant.id, form.get("set", ""), labelled_by(ask))
    return Done(f"Undone: {undone.label or 'skipped'}; {undone.left} more can be.")


PAGE = Page(
    "labels", "Label review",
    (
        Widget("next", "Is this label right?", _next, size="list", wide=True, still=True),
        Widget("done", "Just labelled", _done, size="list"),
        Widget("right", "How often suggestions are right", _right, size="list"),
    ),
    role=Role.ANALYST, acts=Role.ANALYST, header=False, dated=False, group=Group.ROWS,
    actions={"say": _say, "undo": _undo, "add": _add},
)  # fmt: skip
