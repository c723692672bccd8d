"""Suggested topics: what unlabelled messages are about. Yes makes a label with a rule and examples; no is remembered."""

from __future__ import annotations

from hubbub.dashboard import label_review
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.conversation_rows import mentions
from hubbub.dashboard.forms import Act, Field, data_table
from hubbub.dashboard.label_review import labelled_by
from hubbub.dashboard.person import Role
from hubbub.services.topic_suggestion_views import SuggestedTopic, TopicTurn

SHOWN_EXAMPLES, LONGEST = 3, 160
NOTHING = (
    "No topic is suggested. A topic is suggested once enough messages are alike that have a stored text and no topic. The search "
    "runs each Monday."
)
NEXT = {
    False: " Ask an operator to store texts, or to search now.",
    True: " Next: store texts, label them, and search now if Monday is far.",
}
"""The next step, by whether it is the person's own."""
COMMANDS = f"{label_review.COMMANDS}\nhubbub labels suggest --tenant {{tenant}}    # needs the extra 'labels'"
ABOUT = "Opportunity: messages × unresolved × handling time."


def _topics(ask: Ask) -> Shown:
    answer = ask.engine.labels.suggestions.of(ask.tenant.id)
    columns = [
        Column("words", "Words"), Column("messages", "Messages", "count"), Column("people", "People", "count"),
        Column("unresolved", "Unresolved", "share"), Column("handling_ms", "Handling time", "ms"),
        Column("opportunity_ms", "Opportunity", "ms"), Column("examples", "Examples", "long"),
    ]  # fmt: skip
    acts = [[_accept(row), Act("dismiss", "Dismiss", {"number": str(row.number)}, danger=True)] for row in answer.rows]
    below = f" {answer.below} more have too few messages or people." if answer.below else ""
    if not answer.rows:
        operates = ask.person.may(Role.OPERATOR)
        data = {"commands": COMMANDS.format(tenant=ask.tenant.id) if operates else ""}
        return Shown(data=data, empty=NOTHING + below + NEXT[operates])
    note = f"{ABOUT} They are of {answer.read:,} unlabelled messages.{below}"
    return data_table(ask, columns, [_row(ask, row) for row in answer.rows], acts=acts, note=note)


def _row(ask: Ask, row: SuggestedTopic) -> dict[str, object]:
    examples = [example.text for example in row.examples[:SHOWN_EXAMPLES]]
    named = mentions(ask, examples)
    return {
        "words": ", ".join(row.words), "messages": row.messages, "people": row.people, "unresolved": row.unresolved,
        "handling_ms": row.handling_ms, "opportunity_ms": row.opportunity_ms,
        "examples": " · ".join(_cut(named(text)) for text in examples),
    }  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _accept(row: SuggestedTopic) -> Act:
    fields = (
        Field("label", "Label", value=row.words[0], required=True, hint="a new one, or one of the topics"),
        Field("words", "Rule words", value=", ".join(row.rule), hint="with commas between; empty: examples only"),
    )
    return Act("accept", "Accept", {"number": str(row.number)}, fields, title="Accept")


def _history(ask: Ask) -> Shown:
    turns = ask.engine.labels.suggestions.of(ask.tenant.id).history
    rows = [
        {"at": turn.at, "number": turn.number, "fate": _fate(turn), "by": turn.by or "weekly run"} for turn in turns
    ]
    columns = [Column("at", "When (UTC)", "utc"), Column("number", "Topic"), Column("fate", "What"), Column("by", "By")]
    return data_table(ask, columns, rows, nothing="No topic was suggested, accepted or dismissed yet.")


def _fate(turn: TopicTurn) -> str:
    join = {"split": "split from", "merged": "merged into"}.get(turn.fate)
    return f"{join} {turn.other}" if join else turn.fate


def _do_accept(ask: Ask, form: Form) -> Done:
    words = [word.strip() for word in form.get("words", "").split(",") if word.strip()]
    number = _number(form)
    done = ask.engine.labels.suggestions.accept(
        ask.tenant.id, number, form.get("label", "").strip(), words, labelled_by(ask)
    )
    return Done(
        f"“{done.label}” is a topic now, with {done.examples} examples. Stored messages get it within the hour."
    )


def _do_dismiss(ask: Ask, form: Form) -> Done:
    ask.engine.labels.suggestions.dismiss(ask.tenant.id, _number(form), labelled_by(ask))
    return Done("Dismissed: nothing of its kind is suggested again.")


def _number(form: Form) -> int:
    number = form.get("number", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0


PAGE = Page(
    "suggestions", "Suggested topics",
    (
        Widget(
            "topics", "Suggested topics", _topics, size="list", wide=True, still=True,
            about="Groups of unlabelled messages that are alike. Accept one as a topic, or dismiss it.",
        ),
        Widget("history", "Changes of topics", _history, size="list"),
    ),
    role=Role.ANALYST, acts=Role.ANALYST, header=False, dated=False, group=Group.ROWS,
    actions={"accept": _do_accept, "dismiss": _do_dismiss},
)  # fmt: skip
