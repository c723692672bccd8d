"""The mapping file: how rows of somebody else's table become events. It is data only; nothing in it is run as code.

    source: twitter                      # part of every event's identity
    conversation: {id: tweet_id, parent: in_response_to_tweet_id, author: author_id}
    where: {lang: en}                    # rows that do not fit are left out
    tenant_from: brand                   # optional: one file feeds several tenants
    events:                              # each row gives one event per template whose `when` fits
      - when: {inbound: "True"}          # equals; a list: one of; {not: ...}; {empty: true} or {empty: false}
        type: {const: message.received}
        id: {template: "tweet:{tweet_id}"}
        time: {column: created_at, format: "%a %b %d %H:%M:%S %z %Y"}
        contact_id: author_id            # a bare name is a column
        attributes: {lang: {column: lang, values: {en: english}, default: other}}

A rule is a column name or a mapping with one of `const`, `template`, `column` or `row: true` (the row's number in
its file, from 0; `file` and `row` are columns too). With `column` go `values` and `default` (a table), `before:
"_"` (the text up to a separator), `number: true` and `times` (a factor), `slug: true`, `hash: true` (a stable
pseudonym), and for `time` `format` (a strptime format, rfc3339, rfc2822, epoch_s, epoch_ms) and `zone` (for texts
that have none). A `const` time may have `step_seconds`, for data sets without times: row n is n steps later. `each:
intents` repeats a template for every element of a list, `each: [likes, shares]` for every filled column named, with
`key` and `item` as columns. `conversation` adds columns that other rows decide, see `conversations.py`.
`revision` says which of two reports of one event counts: a number or a time (`{column: updated_at}`), the higher one,
or `revision: changed`, the one that was imported last, where they differ. `format`, `encoding` and `delimiter` say how
to read the file; `records: conversations.messages` where its rows lie in JSON, each with what surrounds it as `parent`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import yaml

from hubbub.errors import BadInputError
from hubbub.ingest.sources.values import (
    ALL_ROWS,
    Condition,
    FieldError,
    Row,
    Rule,
    cell,
    number_of,
    plain,
    slug,
    time_of,
    value_of,
)
from hubbub.model.event import FIELDS, NOTHING, Event, Rejection, as_json, event_from, is_known_type, nearest
from hubbub.model.tenant import check_zone
from hubbub.yaml_file import read_yaml

FORMATS = frozenset({"csv", "jsonl", "json", "parquet", "pipermail"})

_TOP = {"source", "where", "tenant_from", "conversation", "events", "format", "encoding", "delimiter", "records"}
_RULE = {
    "const", "template", "column", "row", "values", "default", "number", "times", "slug", "hash", "format", "zone",
    "step_seconds", "before",
}  # fmt: skip
_CONVERSATION = {"id", "parent", "group", "order", "author", "carry"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"\d*(?:\.0+)?")
_NUMBERS = {"value", "scale", "duration_ms", "confidence", "revision"}
_TIMES = {"rfc3339", "rfc2822", "epoch_s", "epoch_ms"}


@dataclass(frozen=True, slots=True)
class Template:
    """One event per row that fits: a rule per field."""

    when: Condition
    each: str | tuple[str, ...] | None
    fields: dict[str, Rule]
    attributes: dict[str, Rule]
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ConversationRule:
    """The columns that say which rows belong together; `conversations.py` uses it."""

    id: str
    author: str | None
    parents: tuple[str, ...]
    group: str | None
    order: str | None
    carry: dict[str, tuple[str, Condition]]

    @property
    def made(self) -> set[str]:
        """The columns that rows gain."""
        return {"conversation", "opener", "is_opener", "answered", *self.carry}


@dataclass(frozen=True, slots=True)
class Mapping:
    """A checked mapping file."""

    path: Path
    templates: tuple[Template, ...]
    where: Condition = ALL_ROWS
    source: str | None = None
    tenant: Rule | None = None
    conversation: ConversationRule | None = None
    format: str | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    records: str | None = None
    _order: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns() // 1000), compare=False)
    """Revisions of `revision: changed`: microseconds since 1970, one more for each event."""

    @property
    def changed(self) -> bool:
        """Whether a repeat that says something new replaces what is stored (`revision: changed`)."""
        return any(template.changed for template in self.templates)

    def fits(self, row: Row) -> bool:
        """Say whether any template is meant for a row."""
        return any(template.when.fits(row) for template in self.templates)

    @property
    def columns(self) -> set[str]:
        """The columns of the file that the mapping reads: those it makes itself are not among them."""
        rules = [r for t in self.templates for r in (*t.fields.values(), *t.attributes.values())]
        rules += [self.tenant] if self.tenant else []
        conditions = [self.where, *(t.when for t in self.templates)]
        made = {"file", "row"}
        read: set[str] = set()
        for template in self.templates:
            if template.each is not None:
                made |= {"key", "item"}
                read |= {template.each} if isinstance(template.each, str) else set(template.each)
        if (of := self.conversation) is not None:
            made |= of.made
            read |= {of.id, *of.parents} | {name for name in (of.author, of.group, of.order) if name}
            read |= {column for column, _ in of.carry.values()}
            conditions += [when for _, when in of.carry.values()]
        read |= {column for rule in rules for column in rule.columns}
        read |= {column for when in conditions for column, _, _ in when.tests}
        return read - made

    def events(self, row: Row, number: int) -> Iterator[Event | Rejection]:
        """Make the events of one row; `number` is its place in its file, for `row` and `step_seconds`."""
        for template in self.templates:
            if not template.when.fits(row):
                continue
            for variant in _variants(template, row):
                event = self._event(template, variant, number)
                if template.changed and isinstance(event, Event):
                    event.revision = next(self._order)
                yield event

    def tenant_of(self, row: Row, number: int) -> str | None:
        """Return the tenant that the row belongs to, as a tenant id, or None when the mapping names none for it."""
        if self.tenant is None:
            return None
        try:
            content = value_of(self.tenant, row, number)
        except FieldError:
            return None
        return slug(plain(content)) or None

    def _event(self, template: Template, row: Row, number: int) -> Event | Rejection:
        fields: dict[str, Any] = {"source": self.source} if self.source else {}
        name = "attributes"
        try:
            for name, rule in template.fields.items():
                fields[name] = _field(name, rule, row, number)
            attributes = {}
            for key, rule in template.attributes.items():
                name = f"attributes.{key}"
                content = value_of(rule, row, number)
                if content is not None and content != "":
                    attributes[key] = content
        except FieldError as error:
            return _refusal(number, name, f"{name!r}: {error}", fields)
        fields = {name: content for name, content in fields.items() if content is not None and content != ""}
        try:
            event = msgspec.convert(fields, Event)
            event.attributes = msgspec.Raw(msgspec.json.encode(attributes)) if attributes else NOTHING
            return event
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
            # Only what the mapping takes is kept with a rejection: the rest of the row may hold what nobody wants.
            kept = {**fields, "attributes": attributes}
            return event_from(kept, number, as_json(kept))


def load(path: Path) -> Mapping:
    """Read and check a mapping file. Raises `BadInputError` naming the file, the key, and what to do."""
    try:
        content = read_yaml(path)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return _mapping(path, content)
    except _KeyError as error:
        raise BadInputError(f"{path}: {error}") from None


# --- reading the file ---


class _KeyError(ValueError):
    """What is wrong with a key of the mapping; `load` adds the file."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")


def _mapping(path: Path, content: Any) -> Mapping:
    top = _keys(content, "the file", _TOP)
    templates = top.get("events")
    if not isinstance(templates, list) or not templates:
        raise _KeyError("events", "give a list of one or more event templates, each with 'type' and 'time'")
    kind = top.get("format")
    if kind is not None and kind not in FORMATS:
        raise _KeyError("format", f"{kind!r} is not one of {', '.join(sorted(FORMATS))}")
    encoding = _text(top.get("encoding", "utf-8"), "encoding")
    try:
        "".encode(encoding)
    except LookupError:
        raise _KeyError("encoding", f"{encoding!r} is not known; use one like utf-8, latin-1 or cp1252") from None
    delimiter = top.get("delimiter")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise _KeyError("delimiter", 'give one character, like ";" or "\\t"')
    made = tuple(_template(t, f"events[{i}]") for i, t in enumerate(templates))
    if any(t.changed for t in made) and any("revision" in t.fields for t in made):
        raise _KeyError("events", "'revision: changed' and other revisions exclude each other in one mapping")
    return Mapping(
        path=path,
        templates=made,
        where=condition(top.get("where", {}), "where"),
        source=_text(top["source"], "source") if "source" in top else None,
        tenant=_rule(top["tenant_from"], "tenant_from") if "tenant_from" in top else None,
        conversation=_conversation(top["conversation"]) if "conversation" in top else None,
        format=kind,
        encoding=encoding,
        delimiter=delimiter,
        records=_text(top["records"], "records") if "records" in top else None,
    )


def _keys(content: Any, key: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise _KeyError(key, f"must be a mapping with keys from {', '.join(sorted(known))}")
    for name in content:
        if name not in known:
            hint = nearest(str(name), known) or f"; known are {', '.join(sorted(known))}"
            raise _KeyError(f"{key}.{name}" if key != "the file" else str(name), f"unknown key{hint}")
    return content


def _text(content: Any, key: str) -> str:
    if not isinstance(content, str) or not content:
        raise _KeyError(key, f"must be a text, not {content!r}")
    return content


def condition(content: Any, key: str) -> Condition:
    """Read a condition: column to value, list of values, `{not: ...}` or `{empty: true|false}`."""
    if not isinstance(content, dict):
        raise _KeyError(key, "must be a mapping from column to value")
    tests: list[tuple[str, frozenset[str] | None, bool]] = []
    for column, wanted in content.items():
        positive = True
        if isinstance(wanted, dict):
            wanted = _keys(wanted, f"{key}.{column}", {"not", "empty"})
            if len(wanted) != 1 or ("empty" in wanted and not isinstance(wanted["empty"], bool)):
                raise _KeyError(f"{key}.{column}", "give either 'not: value' or 'empty: true' or 'empty: false'")
            if "empty" in wanted:
                tests.append((str(column), None, wanted["empty"]))
                continue
            wanted, positive = wanted["not"], False
        values = wanted if isinstance(wanted, list) else [wanted]
        # YAML reads an unquoted True as a truth value, while the file says "True", "true" or TRUE.
        spellings = {
            s
            for v in values
            for s in ((str(v).lower(), str(v), str(v).upper()) if isinstance(v, bool) else (plain(v),))
        }
        tests.append((str(column), frozenset(spellings), positive))
    return Condition(tuple(tests))


def _template(content: Any, key: str) -> Template:
    if not isinstance(content, dict):
        raise _KeyError(key, "must be a mapping from event field to rule")
    fields: dict[str, Rule] = {}
    changed = content.get("revision") == "changed"
    for name in content:
        if name in ("when", "each", "attributes") or (name == "revision" and changed):
            continue
        if name not in FIELDS:
            raise _KeyError(f"{key}.{name}", f"no such event field{nearest(str(name), FIELDS)}")
        fields[name] = _rule(content[name], f"{key}.{name}", is_time=name in ("time", "revision"))
    for name in ("type", "time"):
        if name not in fields:
            raise _KeyError(key, f"{name!r} is missing: every event needs it")
    kind = fields["type"]
    for value in [kind.const, *(kind.values or {}).values()]:
        if value is not None and not is_known_type(str(value)):
            raise _KeyError(f"{key}.type", f"{value!r} is not an event type; use one of the contract or custom.<name>")
    attributes = content.get("attributes", {})
    if not isinstance(attributes, dict):
        raise _KeyError(f"{key}.attributes", "must be a mapping from name to rule")
    each = content.get("each")
    if (
        each is not None
        and not isinstance(each, str)
        and not (isinstance(each, list) and all(isinstance(e, str) for e in each))
    ):
        raise _KeyError(f"{key}.each", "give a column that holds a list, or a list of columns")
    return Template(
        when=condition(content.get("when", {}), f"{key}.when"),
        each=tuple(each) if isinstance(each, list) else each,
        fields=fields,
        attributes={str(n): _rule(r, f"{key}.attributes.{n}") for n, r in attributes.items()},
        changed=changed,
    )


def _rule(content: Any, key: str, *, is_time: bool = False) -> Rule:
    if isinstance(content, str):
        return Rule(column=content)
    known = _keys(content, key, _RULE)
    if sum(name in known for name in ("const", "template", "column", "row")) != 1:
        raise _KeyError(key, "give a column name, or exactly one of 'const', 'template', 'column', 'row'")
    for name in ("template", "column", "format", "before"):
        if name in known:
            _text(known[name], f"{key}.{name}")
    if not isinstance(known.get("values", {}), dict):
        raise _KeyError(f"{key}.values", "must be a table from the file's value to yours")
    for name in ("times", "step_seconds"):
        if not isinstance(known.get(name, 1), int | float) or isinstance(known.get(name), bool):
            raise _KeyError(f"{key}.{name}", "must be a number")
    form = known.get("format", "rfc3339")
    if not is_time and known.keys() & {"format", "zone", "step_seconds"}:
        raise _KeyError(key, "'format', 'zone' and 'step_seconds' are for 'time' and 'revision' only")
    if form not in _TIMES and "%" not in form:
        raise _KeyError(
            f"{key}.format", f"{form!r} is neither a strptime format nor one of {', '.join(sorted(_TIMES))}"
        )
    zone = None
    if "zone" in known:
        try:
            zone = ZoneInfo(check_zone(_text(known["zone"], f"{key}.zone")))
        except BadInputError as error:
            raise _KeyError(f"{key}.zone", error.message) from None
    values = known.get("values")
    rule = Rule(
        const=known.get("const"),
        template=known.get("template"),
        column=known.get("column"),
        row=bool(known.get("row")),
        values=None if values is None else {plain(k): v for k, v in values.items()},
        default=known.get("default"),
        has_default="default" in known,
        number=bool(known.get("number")) or "times" in known,
        times=known.get("times", 1),
        slug=bool(known.get("slug")),
        hash=bool(known.get("hash")),
        format=form,
        before=known.get("before"),
        zone=zone,
        step=timedelta(seconds=known["step_seconds"]) if "step_seconds" in known else None,
    )
    if key.endswith(".time") and "const" in known:
        try:
            time_of(rule, {}, 0)
        except FieldError as error:
            raise _KeyError(f"{key}.const", str(error)) from None
    return rule


def _conversation(content: Any) -> ConversationRule:
    known = _keys(content, "conversation", _CONVERSATION)
    parents = known.get("parent", [])
    parents = [parents] if isinstance(parents, str) else parents
    if "id" not in known or bool(parents) == ("group" in known):
        raise _KeyError("conversation", "give 'id' and either 'parent' (one column or several) or 'group'")
    if not isinstance(parents, list) or not all(isinstance(p, str) for p in parents):
        raise _KeyError("conversation.parent", "must be a column or a list of columns")
    texts = {
        name: _text(known[name], f"conversation.{name}") for name in ("id", "author", "group", "order") if name in known
    }
    carry = {}
    carried = known.get("carry", {})
    if not isinstance(carried, dict):
        raise _KeyError("conversation.carry", "must be a mapping from a new column's name to {column, when}")
    for name, what in carried.items():
        rule = _keys(what, f"conversation.carry.{name}", {"column", "when"})
        column = _text(rule.get("column"), f"conversation.carry.{name}.column")
        carry[str(name)] = (column, condition(rule.get("when", {}), f"conversation.carry.{name}.when"))
    return ConversationRule(
        id=texts["id"], author=texts.get("author"), parents=tuple(parents), group=texts.get("group"),
        order=texts.get("order"), carry=carry,
    )  # fmt: skip


# --- making events ---


def _variants(template: Template, row: Row) -> Iterator[Row]:
    if template.each is None:
        yield row
    elif isinstance(template.each, str):
        content = cell(row, template.each)
        for key, item in enumerate(content if isinstance(content, list) else []):
            yield {**row, "key": key, "item": item}
    else:
        for column in template.each:
            item = cell(row, column)
            if plain(item) != "":
                yield {**row, "key": column, "item": item}


def _field(name: str, rule: Rule, row: Row, number: int) -> Any:
    if name == "time":
        return time_of(rule, row, number)
    if name == "revision":
        return _revision(rule, row, number)
    content = value_of(rule, row, number)
    if name in _NUMBERS:
        return number_of(content, rule.times if rule.number else 1) if isinstance(content, str) else content
    if isinstance(content, dict | list):
        raise FieldError(f"a text is needed, not {type(content).__name__}")
    return None if content is None else plain(content)


def _revision(rule: Rule, row: Row, number: int) -> Any:
    """Return a revision: a number as it is, a time as its microseconds since 1970, so that the later one is the higher."""
    content = value_of(rule, row, number)
    if rule.format == "rfc3339" and (not isinstance(content, str | datetime) or _WHOLE.fullmatch(plain(content))):
        return number_of(content, 1) if isinstance(content, str) else content
    moment = time_of(rule, row, number)
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def _refusal(index: int, name: str, message: str, fields: dict[str, Any]) -> Rejection:
    code = "invalid_time" if name == "time" else "invalid_field"
    return Rejection(index=index, code=code, field=name, message=message, raw=as_json(fields))
