"""A checked mapping: the events of a row, and their values. `mapping.py` reads it from its file."""

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
    """The rules of an event for each matching row, by field."""

    when: Condition
    each: str | tuple[str, ...] | None
    fields: dict[str, Rule]
    attributes: dict[str, Rule]
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ConversationRule:
    """The columns that group rows into conversations; `conversations.py` uses it."""

    id: str
    author: str | None
    parents: tuple[str, ...]
    group: str | None
    order: str | None
    carry: dict[str, tuple[str, Condition]]

    @property
    def added(self) -> set[str]:
        """The columns added to rows."""
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
        """Whether a repeated event with new values replaces the stored one (`revision: changed`)."""
        return any(template.changed for template in self.templates)

    def fits(self, row: Row) -> bool:
        """Say whether any template matches a row, or an element of a list in it."""
        return any(t.when.fits(variant) for t in self.templates for variant in (row, *_variants(t, row)))

    @property
    def columns(self) -> set[str]:
        """The file's columns that the mapping reads, without those that it adds."""
        rules = [r for t in self.templates for r in (*t.fields.values(), *t.attributes.values())]
        rules += [self.tenant] if self.tenant else []
        conditions = [self.where, *(t.when for t in self.templates)]
        added = {"file", "row"}
        read: set[str] = set()
        for template in self.templates:
            if template.each is not None:
                added |= {"key", "item"}
                read |= {template.each} if isinstance(template.each, str) else set(template.each)
        if (rule := self.conversation) is not None:
            added |= rule.added
            read |= {rule.id, *rule.parents} | {name for name in (rule.author, rule.group, rule.order) if name}
            read |= {column for column, _ in rule.carry.values()}
            conditions += [when for _, when in rule.carry.values()]
        read |= {column for rule in rules for column in rule.columns}
        read |= {column for when in conditions for column in when.columns}
        return read - added

    def events(self, row: Row, number: int) -> Iterator[Event | Rejection]:
        """Yield the events of a row; `number` is its index in its file, for `row` and `step_seconds`."""
        for template in self.templates:
            for variant in _variants(template, row):
                if not template.when.fits(variant):
                    continue
                event = self._event(template, variant, number)
                if template.changed and isinstance(event, Event):
                    event.revision = next(self._order)
                yield event

    def tenant_of(self, row: Row, number: int) -> str | None:
        """Return the tenant id of the row, or None when the mapping gives none."""
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
            # A rejection keeps only mapped fields: the rest of the row may hold unwanted data.
            stored_fields = {**fields, "attributes": attributes}
            return event_from(stored_fields, number, as_json(stored_fields))


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
    """Return a revision: a number unchanged, a time as microseconds since 1970, so that the later one is higher."""
    content = value_of(rule, row, number)
    if rule.format == "rfc3339" and (not isinstance(content, str | datetime) or _WHOLE.fullmatch(plain(content))):
        return number_of(content, 1) if isinstance(content, str) else content
    moment = time_of(rule, row, number)
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def _refusal(index: int, name: str, message: str, fields: dict[str, Any]) -> Rejection:
    code = "invalid_time" if name == "time" else "invalid_field"
    return Rejection(index=index, code=code, field=name, message=message, raw=as_json(fields))
