"""Names of ids: search them, and set them by hand as an admin; names from sources come by themselves.

Ids without a name are listed by how much they are seen, each with the form that names it.
"""

from __future__ import annotations

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, choice, data_table, parameter
from hubbub.dashboard.person import Role
from hubbub.model.name import KINDS
from hubbub.model.plain import plain
from hubbub.model.question import NONE

TITLES = {"staff": "Staff", "contact": "Contact", "room": "Room", "account": "Account", "campaign": "Campaign"}
MOST, MOST_UNNAMED = 100, 30
SEEN = {"room": "messages", "staff": "responses", "account": "messages", "campaign": "campaign_messages_sent"}
"""The metric by which ids of a kind are seen. Contacts are too many to be named by hand."""


def _names(ask: Ask) -> Shown:
    page = ask.engine.names.of(
        ask.tenant.id, parameter(ask, "kind", KINDS), ask.param("find"), limit=MOST, cursor=ask.param("cursor") or None
    )
    rows = [
        {**plain(row), "kind": ask.in_words(TITLES[row.kind]), "from": "set by hand" if row.by_hand else "its source"}
        for row in page.rows
    ]
    columns = [
        Column("name", "Name"), Column("kind", "What"), Column("id", "Id"), Column("from", "From"),
        Column("valid_from", "Name since", "date"),
    ]  # fmt: skip
    may = ask.person.may(Role.ADMIN)
    titles = {kind: ask.in_words(title) for kind, title in TITLES.items()}
    acts = [
        [Act("forget", "Use the source's name", {"kind": row.kind, "id": row.id})] if may and row.by_hand else []
        for row in page.rows
    ]
    give = Act(
        "call", "Set", title="Set a name by hand",
        fields=(
            Field("kind", "What", "select", options=titles), Field("id", "Id, as in events", required=True),
            Field("name", "Name", required=True),
        ),
    )  # fmt: skip
    none = "There is no such name." if ask.param("find") or ask.param("kind") else "There is no name yet."
    return data_table(
        ask, columns, rows, acts=acts, forms=[give] if may else [], following=page.next,
        choices=[choice(ask, "kind", "What", titles), Field("find", "Name or id", value=ask.param("find"))],
        nothing=f"{none} Slack exports, mails and integrations bring names, and people can set them.",
    )  # fmt: skip


def _unnamed(ask: Ask) -> Shown:
    seen = {
        (kind, id_): (metric, int(row.value(metric) or 0))
        for kind, metric in SEEN.items()
        for row in ask.query([metric], by=[KINDS[kind]]).rows
        if (id_ := row.dim(KINDS[kind])) not in (None, NONE)
    }
    known = ask.called({kind: [id_ for of, id_ in seen if of == kind] for kind in SEEN})
    left = sorted((place for place in seen if place not in known), key=lambda place: (-seen[place][1], place))
    rows = [
        {"id": id_, "kind": ask.in_words(TITLES[kind]), "n": seen[kind, id_][1], "of": ask.title(seen[kind, id_][0])}
        for kind, id_ in left[:MOST_UNNAMED]
    ]
    columns = [Column("id", "Id"), Column("kind", "What"), Column("n", "Seen", "count"), Column("of", "Counted")]
    acts = [
        [Act("call", "Set", {"kind": kind, "id": id_}, (Field("name", "Name", required=True),), title="Give a name")]
        for kind, id_ in left[:MOST_UNNAMED]
    ]
    more = f"These are the {MOST_UNNAMED} most seen of {len(left)}. " if len(left) > MOST_UNNAMED else ""
    return data_table(
        ask, columns, rows, acts=acts if ask.person.may(Role.ADMIN) else (),
        nothing=ask.in_words(f"All staff, rooms, accounts and campaigns of {ask.view.dates} have a name."),
        note=f"{more}Of {ask.view.dates}." if rows else "",
    )  # fmt: skip


def _call(ask: Ask, form: Form) -> Done:
    name = {"kind": form.get("kind", ""), "id": form.get("id", ""), "name": form.get("name", "")}
    ask.engine.names.set(ask.tenant.id, [name])
    return Done(f"{name['id']} is called {name['name']} from now on; no source changes it.")


def _forget(ask: Ask, form: Form) -> Done:
    ask.engine.names.set(ask.tenant.id, [{"kind": form.get("kind", ""), "id": form.get("id", ""), "name": None}])
    return Done(f"{form.get('id', '')} gets the source's name when the source sends it again.")


PAGE = Page(
    "names", "Names",
    (Widget("names", "Names of ids", _names, size="tall", wide=True,
            about="A name is a label of an id. Changing it changes no number. “Name since” is when its source "
                  "last changed or first sent it: often later than the first message."),
     Widget("unnamed", "Ids without a name", _unnamed, size="list", wide=True),),
    role=Role.ANALYST, header=False, actions={"call": _call, "forget": _forget}, group=Group.SET_UP,
)  # fmt: skip
