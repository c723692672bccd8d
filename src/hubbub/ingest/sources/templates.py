"""A mapping, checked: which events a row gives, and of which values. `mapping.py` reads it from its file."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

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
from hubbub.model.event import NOTHING, Event, Rejection, as_json, event_from

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"\d*(?:\.0+)?")
_NUMBERS = {"value", "scale", "duration_ms", "confidence", "revision"}


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
        """Say whether any template is meant for a row, or for an element of a list in it."""
        return any(t.when.fits(one) for t in self.templates for one in (row, *_variants(t, row)))

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
        read |= {column for when in conditions for column in when.columns}
        return read - made

    def events(self, row: Row, number: int) -> Iterator[Event | Rejection]:
        """Make the events of one row; `number` is its place in its file, for `row` and `step_seconds`."""
        for template in self.templates:
            for variant in _variants(template, row):
                if not template.when.fits(variant):
                    continue
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
