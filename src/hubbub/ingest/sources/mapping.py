"""The mapping file: how rows of another system's table become events. It is data; nothing in it is run as code.

    source: twitter                      # part of every event's identity
    conversation: {id: tweet_id, parent: in_response_to_tweet_id, author: author_id}
    where: {lang: en}                    # rows that do not fit are left out
    tenant_from: brand                   # optional: one file feeds several tenants
    events:                              # each row gives one event per template whose `when` fits
      - when: {inbound: "True"}          # equals; a list: one of; {not: ...}; {empty: true}; {same: column}; {differs: column}
        type: {const: message.received}
        id: {template: "tweet:{tweet_id}"}
        time: {column: created_at, format: "%a %b %d %H:%M:%S %z %Y"}
        contact_id: author_id            # a bare name is a column
        attributes: {lang: {column: lang, values: {en: english}, default: other}}

A column may be a path into its value, `author.id`, `contacts.0.id`, and name a fallback when empty, `solved_at|updated_at`.
A rule is a column name or a mapping with one of `const`, `template`, `column` or `row: true` (the row's number in
its file, from 0; `file` and `row` are columns too). With `column` go `values` and `default` (a table), `before:
"_"` (the text up to a separator), `number: true`, `times` (a factor) and `decimal: ","`, `slug: true`, `hash: true`
(a stable pseudonym), and for `time` `format` (a strptime format, rfc3339, rfc2822, epoch_s, epoch_ms) and `zone` (for texts
without one). A `const` time may have `step_seconds`, for data sets without times: row n is n steps later. `each:
intents` repeats a template for every element of a list, `each: [likes, shares]` for every filled column named, with
`key` and `item` as columns, also for `when`. `conversation` adds columns that depend on other rows, see `conversations.py`.
`revision` says which of two reports of an event counts: the higher number or time (`{column: updated_at}`),
or with `revision: changed` the one that was imported last, where they differ. `format`, `encoding` and `delimiter` say how
to read the file; `records: conversations.messages` where its rows are in JSON, each with its enclosing object as `parent`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from hubbub.errors import BadInputError
from hubbub.ingest.sources.templates import ConversationRule, Mapping, Template
from hubbub.ingest.sources.values import Condition, FieldError, Rule, plain, time_of
from hubbub.model.event import FIELDS, is_known_type, nearest
from hubbub.model.tenant import check_zone
from hubbub.yaml_file import read_yaml

__all__ = ["FORMATS", "SHIPPED", "ConversationRule", "Mapping", "Template", "condition", "load", "named"]

FORMATS = frozenset({"csv", "jsonl", "json", "parquet", "pipermail"})

SHIPPED: dict[str, Path] = {path.stem: path for path in sorted((Path(__file__).parent / "mappings").glob("*.yaml"))}
"""Mappings in the package, by name."""
_TOP = {"source", "where", "tenant_from", "conversation", "events", "format", "encoding", "delimiter", "records"}
_RULE = {
    "const", "template", "column", "row", "values", "default", "number", "times", "slug", "hash", "format", "zone",
    "step_seconds", "before", "decimal",
}  # fmt: skip
_CONVERSATION = {"id", "parent", "group", "order", "author", "carry"}
_TIMES = {"rfc3339", "rfc2822", "epoch_s", "epoch_ms"}


def named(word: Path) -> Mapping:
    """Return the mapping of a file, or one of SHIPPED by name. Raises `BadInputError`."""
    if str(word) in SHIPPED and not word.exists():
        return load(SHIPPED[str(word)])
    if not word.exists() and not word.suffix:
        raise BadInputError(f"{word}: the file does not exist, and the mappings by name are {', '.join(SHIPPED)}")
    return load(word)


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


class _KeyError(ValueError):
    """A fault of a key of the mapping; `load` adds the file."""

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
        raise _KeyError("encoding", f"{encoding!r} is unknown; use one like utf-8, latin-1 or cp1252") from None
    delimiter = top.get("delimiter")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise _KeyError("delimiter", 'give one character, like ";" or "\\t"')
    events = tuple(_template(t, f"events[{i}]") for i, t in enumerate(templates))
    if any(t.changed for t in events) and any("revision" in t.fields for t in events):
        raise _KeyError("events", "'revision: changed' and other revisions exclude each other in one mapping")
    return Mapping(
        path=path,
        templates=events,
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
    """Read a condition: column to value, list of values, or one of `not`, `empty`, `same`, `differs`."""
    if not isinstance(content, dict):
        raise _KeyError(key, "must be a mapping from column to value")
    tests: list[tuple[str, frozenset[str] | None, bool]] = []
    pairs: list[tuple[str, str, bool]] = []
    for column, expected in content.items():
        positive = True
        if isinstance(expected, dict):
            expected = _keys(expected, f"{key}.{column}", {"not", "empty", "same", "differs"})
            if len(expected) != 1 or ("empty" in expected and not isinstance(expected["empty"], bool)):
                raise _KeyError(
                    f"{key}.{column}",
                    "give one of 'not: value', 'empty: true', 'empty: false', 'same: column', 'differs: column'",
                )
            if "same" in expected or "differs" in expected:
                ((comparison, column_name),) = expected.items()
                pairs.append((str(column), _text(column_name, f"{key}.{column}.{comparison}"), comparison == "same"))
                continue
            if "empty" in expected:
                tests.append((str(column), None, expected["empty"]))
                continue
            expected, positive = expected["not"], False
        values = expected if isinstance(expected, list) else [expected]
        # YAML reads an unquoted True as a boolean, while the file has "True", "true" or TRUE.
        spellings = {
            s
            for v in values
            for s in ((str(v).lower(), str(v), str(v).upper()) if isinstance(v, bool) else (plain(v),))
        }
        tests.append((str(column), frozenset(spellings), positive))
    return Condition(tuple(tests), tuple(pairs))


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
    type_rule = fields["type"]
    for value in [type_rule.const, *(type_rule.values or {}).values()]:
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
    keys = _keys(content, key, _RULE)
    if sum(name in keys for name in ("const", "template", "column", "row")) != 1:
        raise _KeyError(key, "give a column name, or exactly one of 'const', 'template', 'column', 'row'")
    for name in ("template", "column", "format", "before"):
        if name in keys:
            _text(keys[name], f"{key}.{name}")
    if not isinstance(keys.get("values", {}), dict):
        raise _KeyError(f"{key}.values", "must be a table from the file's value to yours")
    for name in ("times", "step_seconds"):
        if not isinstance(keys.get(name, 1), int | float) or isinstance(keys.get(name), bool):
            raise _KeyError(f"{key}.{name}", "must be a number")
    if keys.get("decimal", ",") not in (",", "."):
        raise _KeyError(f"{key}.decimal", 'give "," or "."')
    form = keys.get("format", "rfc3339")
    if not is_time and keys.keys() & {"format", "zone", "step_seconds"}:
        raise _KeyError(key, "'format', 'zone' and 'step_seconds' are for 'time' and 'revision' only")
    if form not in _TIMES and "%" not in form:
        raise _KeyError(
            f"{key}.format", f"{form!r} is neither a strptime format nor one of {', '.join(sorted(_TIMES))}"
        )
    zone = None
    if "zone" in keys:
        try:
            zone = ZoneInfo(check_zone(_text(keys["zone"], f"{key}.zone")))
        except BadInputError as error:
            raise _KeyError(f"{key}.zone", error.message) from None
    values = keys.get("values")
    rule = Rule(
        const=keys.get("const"),
        template=keys.get("template"),
        column=keys.get("column"),
        row=bool(keys.get("row")),
        values=None if values is None else {plain(k): v for k, v in values.items()},
        default=keys.get("default"),
        has_default="default" in keys,
        number=bool(keys.get("number")) or bool(keys.keys() & {"times", "decimal"}),
        times=keys.get("times", 1),
        comma=keys.get("decimal") == ",",
        slug=bool(keys.get("slug")),
        hash=bool(keys.get("hash")),
        format=form,
        before=keys.get("before"),
        zone=zone,
        step=timedelta(seconds=keys["step_seconds"]) if "step_seconds" in keys else None,
    )
    if key.endswith(".time") and "const" in keys:
        try:
            time_of(rule, {}, 0)
        except FieldError as error:
            raise _KeyError(f"{key}.const", str(error)) from None
    return rule


def _conversation(content: Any) -> ConversationRule:
    keys = _keys(content, "conversation", _CONVERSATION)
    parents = keys.get("parent", [])
    parents = [parents] if isinstance(parents, str) else parents
    if "id" not in keys or bool(parents) == ("group" in keys):
        raise _KeyError("conversation", "give 'id' and either 'parent' (one column or several) or 'group'")
    if not isinstance(parents, list) or not all(isinstance(p, str) for p in parents):
        raise _KeyError("conversation.parent", "must be a column or a list of columns")
    texts = {
        name: _text(keys[name], f"conversation.{name}") for name in ("id", "author", "group", "order") if name in keys
    }
    carry = {}
    carried = keys.get("carry", {})
    if not isinstance(carried, dict):
        raise _KeyError("conversation.carry", "must be a mapping from a new column's name to {column, when}")
    for name, source in carried.items():
        rule = _keys(source, f"conversation.carry.{name}", {"column", "when"})
        column = _text(rule.get("column"), f"conversation.carry.{name}.column")
        carry[str(name)] = (column, condition(rule.get("when", {}), f"conversation.carry.{name}.when"))
    return ConversationRule(
        id=texts["id"], author=texts.get("author"), parents=tuple(parents), group=texts.get("group"),
        order=texts.get("order"), carry=carry,
    )  # fmt: skip
