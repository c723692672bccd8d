"""Write docs/reference from the code: metrics, events, settings, command line, HTTP, errors, published tables.

Run by `make docs`. Nothing in there is written by hand, so nothing in there can be out of date.
"""

from __future__ import annotations

import ast
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import msgspec
import typer
from pydantic import BaseModel

from hubbub import errors, settings
from hubbub.api.app import create_app
from hubbub.app import open_engine
from hubbub.cli.main import app as command_line
from hubbub.ingest import accept
from hubbub.jobs.policies import QUEUES
from hubbub.jobs.schedule import SCHEDULES
from hubbub.metrics import catalogue
from hubbub.metrics.definition import Rollup
from hubbub.metrics.examples import Example, examples
from hubbub.model import event
from hubbub.model.target import Target
from hubbub.publishing.tables import TABLES
from hubbub.storage.published import ROWS, VIEWS
from hubbub.storage.store import Store

TARGET = Path(__file__).parent / "reference"

TYPE_NOTES: dict[str, str] = {
    "message": "A message, its receipts and reactions.",
    "conversation": "What happens to a conversation as a whole.",
    "response": "An answer whose wait the source measured itself.",
    "task": "Work that somebody has to do.",
    "intent": "What a classifier thinks somebody wants.",
    "satisfaction": "Surveys and what people said.",
    "staff": "Presence of staff.",
    "topic": "What a classifier thinks a message is about; `unlabelled`: it was looked at, and nobody is sure.",
    "label": "`retracted`: a label holds no longer, and there is none in its place; it counts nowhere.",
    "escalation": "A warning that somebody should look.",
    "link": "Clicks.",
    "campaign": "Steps of a campaign.",
    "contact": "What becomes of a contact.",
    "content": "What was published, like a post.",
    "metric": "A number that was measured elsewhere: `name`, `value`.",
}

FIELD_NOTES: dict[str, str] = {
    "type": "What happened; required.",
    "time": "When, RFC 3339 with offset; required. From 2000 on, at most 24 hours ahead.",
    "id": "Makes the event idempotent together with `source`; one is made if absent.",
    "source": "The system that says so; `api` if absent.",
    "channel": "whatsapp, sms, mail, slack …",
    "channel_id": "The room, page or number inside the channel.",
    "account_id": "Which of the tenant's accounts.",
    "conversation_id": "Ties messages, steps and ratings of one conversation together.",
    "message_id": "The message that a receipt, reaction or classification is about.",
    "contact_id": "The person outside.",
    "staff_id": "The person inside.",
    "task_id": "Ties the steps of a task together.",
    "campaign_id": "The campaign that a message or click belongs to.",
    "survey_id": "Ties an answer to its survey.",
    "name": "Of an observed metric or a campaign; the model of response.ai_generated.",
    "kind": f"Who is behind a message, or hands a conversation off: {', '.join(sorted(event.KINDS))}.",
    "topic": "Of topic.classified.",
    "sentiment": "Tone, of topic.classified.",
    "intent": "Of intent events.",
    "severity": "Of escalation.raised; of other events of a conversation its priority (low, normal, high, urgent …).",
    "status": "Of staff.status_changed and others.",
    "reason": "Why a conversation was escalated or assigned.",
    "value": "A rating, an amount, an observation, the cost of response.ai_generated; finite, at most 1e18 either way.",
    "scale": "Of a rating: 5 (1 to 5) or 10 (0 to 10).",
    "duration_ms": "A wait or a length in whole milliseconds; 0 or more, less than ten years.",
    "input_tokens": "Of response.ai_generated; without it `gen_ai.usage.input_tokens` of its attributes.",
    "output_tokens": "Of response.ai_generated; without it `gen_ai.usage.output_tokens` of its attributes.",
    "confidence": "Of a classifier, 0 to 1.",
    "revision": "A higher one replaces the event with the same source and id, in any order of arrival.",
    "asks": "Whether a message's text asks something. Importers and receivers of chats say so of a question mark, in any script, "
    "in its author's own words: not in an address, code or a quote.",
    "signs": "Names of reactions, by commas: of a message those that others than its author gave, of message.reacted its own.",
    "attributes": "Whatever else is worth keeping, a JSON object.",
}

REJECTION_NOTES: dict[str, str] = {
    "invalid_json": "The record is not JSON.",
    "invalid_event": "The record is no JSON object.",
    "missing_field": "A required field is absent.",
    "unknown_field": "A field that events do not have; what is yours alone goes into `attributes`.",
    "unknown_type": "A type that is neither in the list nor a well-formed `custom.*`.",
    "invalid_field": "A value of the wrong kind.",
    "invalid_text": "NUL, half a character, or bytes that are no UTF-8.",
    "invalid_time": "Not RFC 3339, or without an offset.",
    "too_long": "A text or the attributes are longer than allowed.",
    "too_deep": "Attributes nest too deeply.",
    "out_of_range": "A number or time outside its bounds.",
    "in_future": "More than 24 hours ahead: check the sender's clock.",
    "too_old": "Older than the tenant keeps raw events; import it as history.",
    "contact_erased": "The contact was erased, and this is from before; it is not kept in quarantine either.",
    "too_late": "From before what is kept of the tenant: kept in quarantine, and counted nowhere.",
    "other_tenant": "It names another tenant (`property_id`, `organization_id`, `team_id`) than the key's.",
    "no_tenant": "Of an import: `tenant_from` of the mapping names no tenant for the row.",
    "no_records": "Of an import: the path `records` of the mapping leads nowhere.",
    "invalid_csv": "Of an import: a row that is not CSV, or has another number of cells than the header.",
    "unreadable_file": "Of an import: the file breaks off, is damaged, or is in another encoding.",
    "contradicts": "A note of an import: stored with other values and the same revision; the stored one stays.",
    "counts_nowhere": "A note: stored, and no metric counts it, like a rating of 4.5.",
}


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return " ".join(text.replace("|", "\\|").split())


def _examples(worked: Iterable[Example], rollup: Rollup) -> Iterator[str]:
    """Yield the examples that have a metric of a rollup, with those of its metrics alone."""
    for one in worked:
        if gives := {name: given for name, given in one.gives.items() if name.partition(".")[0] in rollup.metrics}:
            yield _example(one, gives)


def _example(one: Example, gives: Mapping[str, tuple[Fraction, str]]) -> str:
    """An example: what happened, what comes out of it, and why."""
    settings_ = [f"zone {one.zone}"] if one.zone != "UTC" else []
    settings_ += [
        f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in one.threads.items()
    ]
    settings_ += [f"hotspot_tones {', '.join(one.hotspot_tones)}"] if one.hotspot_tones else []
    settings_ += [_target(target) for target in one.targets]
    settings_ += [f"ai_minutes_saved {one.ai_minutes_saved:g}"] if one.ai_minutes_saved is not None else []
    days = f"{one.first} to before {one.after}" + "".join(f", {setting}" for setting in settings_)
    rows = (
        (f"`{name}`", f"{float(value):.10g}" + (f" ({value})" if 1 < value.denominator < 1000 else ""), why)
        for name, (value, why) in gives.items()
    )
    lines = "\n".join(one.events)
    return f"**Example** ({days}). {one.story}\n\n```text\n{lines}\n```\n\n{table(('metric', 'value', 'why'), rows)}\n"


def _target(target: Target) -> str:
    """A target of an example, in words."""
    scope = " and ".join(text for text in (target.channel, target.priority) if text) or "all"
    hours = " of business hours" if target.business else ""
    return f"{target.aim} of {scope} within {target.minutes} min{hours} from {target.valid_from}"


def metrics() -> str:
    """Every metric, by the rollup that it is read from, with its dimensions, grains, and an example worked out by hand."""
    worked = examples()
    parts = [
        "A distribution is asked for as `<name>."
        + "|".join(catalogue.STATISTICS)
        + "`. A missing dimension value is written "
        "`(none)` in filters.\n"
    ]
    entries = catalogue.entries()
    for rollup in catalogue.ROLLUPS:
        own = [entry for entry in entries if entry.rollup == rollup.name]
        if own:
            grains, dimensions = own[0].grains, own[0].dimensions
            parts.append(f"## {rollup.name}\n\n{rollup.doc} {rollup.source.doc}\n")
            parts.append(
                f"Asked for by {', '.join(grains)}, or in total. Dimensions: {', '.join(f'`{d}`' for d in dimensions) or 'none'}.\n"
            )
            rows = (
                (f"`{entry.name}`", entry.unit, "distribution" if entry.statistics else entry.kind, entry.definition)
                for entry in own
            )
            parts.append(table(("metric", "unit", "kind", "definition"), rows) + "\n")
            parts.extend(_examples(worked, rollup))
    return "\n".join(parts)


def events() -> str:
    """Types, fields, other spellings, limits and the codes of refusal."""
    by_subject: dict[str, list[str]] = {}
    for name in sorted(event.TYPES):
        by_subject.setdefault(name.partition(".")[0], []).append(f"`{name}`")
    types = ((TYPE_NOTES[subject], names) for subject, names in by_subject.items())
    fields = ((f"`{f.name}`", _kind(f.type), FIELD_NOTES[f.name]) for f in msgspec.structs.fields(event.Event))
    spellings = ((f"`{alias}`", f"`{name}`") for alias, name in event.ALIASES.items())
    codes = ((f"`{code}`", REJECTION_NOTES[code]) for code in rejection_codes())
    return "\n".join([
        "## Types\n", table(("what", "types"), types), "\nAnd `custom.<name>` for whatever is yours alone.\n",
        "## Fields\n", table(("field", "kind", "meaning"), fields),
        "\n## Other spellings\n\nThose of the replaced systems, and the camelCase form of every name; `sentiment: {tone}` too. "
        "`property_id`, `organization_id` and `team_id` have to name the key's tenant.\n",
        table(("spelling", "means"), spellings),
        f"\n## Limits\n\nTexts: {accept.MAX_TEXT} characters. Attributes: {accept.MAX_ATTRIBUTES} bytes. Times: from "
        f"{accept.EARLIEST.year} to {accept.FUTURE.total_seconds() / 3600:g} hours ahead. Batch and body: the settings "
        "`max_batch` and `max_body_mb`.\n",
        "## Codes of refused records and of notes\n", table(("code", "meaning"), codes),
    ])  # fmt: skip


def _kind(annotation: Any) -> str:
    if annotation is msgspec.Raw:
        return "object"
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    names = {"str": "text", "float": "number", "int": "whole number", "datetime": "time"}
    return names.get(text.removesuffix(" | None"), text)


def rejection_codes() -> list[str]:
    """Return every code with which the sources refuse a record, found in the code itself."""
    folder = Path(inspect.getfile(event)).parents[1]
    found: set[str] = set()
    for path in [folder / "model" / "event.py", *(folder / "ingest").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            found.update(_codes_in(node))
    return sorted(found)


def _codes_in(node: ast.AST) -> Iterator[str]:
    """Codes stand as `code="..."`, as the first argument of a refusal or fault, in tuples and in assignments to `code`."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        refusal = name in ("Fault", "_RefusedError") or ("refuse" in name.lower() and not name.endswith("Error"))
        refused = node.args[:1] if refusal else []
        yield from _words([k.value for k in node.keywords if k.arg == "code"] + refused)
    elif isinstance(node, ast.Assign) and "code" in [getattr(t, "id", "") for t in node.targets]:
        yield from _words([node.value])
    elif isinstance(node, ast.Tuple):
        yield from (word for word in _words(node.elts) if word in REJECTION_NOTES)


def _words(nodes: Sequence[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.IfExp):
            yield from _words([node.body, node.orelse])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def settings_() -> str:
    """Every setting with its variable, default and meaning."""
    rows: list[Sequence[Any]] = []
    for name, field in settings.Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            for inner, part in type(default).model_fields.items():
                variable = f"`HUBBUB_{name.upper()}__{inner.upper()}`"
                meaning = f"{field.description} {part.description}"
                if isinstance(default, settings.RetentionDays):
                    meaning += " Empty in YAML (null) keeps for ever."
                rows.append((f"`{name}.{inner}`", variable, part.default, meaning))
        else:
            rows.append(
                (f"`{name}`", f"`HUBBUB_{name.upper()}`", f"`{default}`" if str(default) else "", field.description)
            )
    return (
        "Flags win over `HUBBUB_*` variables, those over `hubbub.yaml` in the data folder, that over `hubbub.yaml` in the current "
        "folder. `hubbub config show` prints what holds.\n\n"
        + table(("setting", "variable", "default", "meaning"), iter(rows))
    )


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command under its full name."""

    def below(group: Any, name: str) -> Iterator[tuple[str, click.Command]]:
        for word, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, f"{name} {word}")
            else:
                yield f"{name} {word}", command

    return below(typer.main.get_command(command_line), "hubbub")


def cli() -> str:
    """Every command with its arguments and options."""
    parts = [
        "Every command takes `--data DIR` (or `HUBBUB_DATA`), works whether or not a server runs on the folder, writes messages to "
        "stderr, and ends with 0 on success, 2 on bad usage, 1 otherwise.\n"
    ]
    for name, command in commands():
        rows = (
            (_names(p), "required" if p.required else _default(p), getattr(p, "help", "") or "") for p in command.params
        )
        parts.append(f"## {name}\n\n{command.help}\n\n" + table(("option", "default", "meaning"), rows) + "\n")
    return "\n".join(parts)


def _names(parameter: click.Parameter) -> str:
    is_option = parameter.opts[0].startswith("-")
    return f"`{', '.join(parameter.opts)}`" if is_option else f"`{(parameter.name or '').upper()}`"


def _default(parameter: click.Parameter) -> str:
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return f"`{shown}`"
    return (
        f"`{parameter.default}`"
        if isinstance(parameter.default, str | int | float) and parameter.default not in (False, "")
        else ""
    )


def description() -> dict[str, Any]:
    """Return the OpenAPI document of the application."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_engine(folder, free_floor_mb=0) as engine,
    ):
        return create_app(engine, refresh=False).openapi()


def http() -> str:
    """Every route with its parameters."""
    parts = [
        "`Authorization: Bearer <key>`; the tenant comes from the key. Errors are RFC 9457 problem documents, see "
        "[errors](errors.md). The same as OpenAPI: `/openapi.json`.\n"
    ]
    for path, methods in description()["paths"].items():
        for method, route in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{route['summary']}. {route['description']}\n")
            if scopes := [scope for needed in route.get("security", []) for scope in needed["key"]]:
                parts.append(
                    f"Needs a key with the scope `{scopes[0]}`{' and no tenant' if 'operator' in scopes else ''}.\n"
                )
            if wanted := route.get("parameters", []):
                rows = (
                    (
                        f"`{p['name']}`",
                        "yes" if p.get("required") else "",
                        p["schema"].get("default", ""),
                        p.get("description", ""),
                    )
                    for p in wanted
                )
                parts.append(table(("parameter", "required", "default", "meaning"), rows) + "\n")
            if "description" in route.get("requestBody", {}):
                parts.append(f"Body: {route['requestBody']['description']}\n")
            elif "requestBody" in route:
                parts.append("Body: " + ", ".join(f"`{kind}`" for kind in route["requestBody"]["content"]) + "\n")
    return "\n".join(parts)


def every_error() -> list[type[errors.HubbubError]]:
    """Return every error, in the order of their declaration."""
    return [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.HubbubError)]


def errors_() -> str:
    """Every error with its code, status and whether trying again can help, and the reasons of the delivery log."""
    rows = (
        (f"`{e.code}`", e.status, "yes, after `Retry-After`" if e.retry else "no", inspect.getdoc(e))
        for e in every_error()
    )
    return (
        "Codes are stable; texts may change. A route that has no such method answers 405 `method_not_allowed`.\n\n"
        + table(("code", "HTTP status", "try again", "meaning"), rows)
        + "\n## Reasons\n\nWhat the delivery log says beyond a code; of events it names the codes of refused records.\n\n"
        + table(("reason", "meaning"), ((f"`{reason}`", meaning) for reason, meaning in errors.REASONS.items()))
    )


def relations() -> str:
    """The published tables and views, with their columns and what each is."""
    parts = ["Tables and views of `hubbub.db` for other programs: [read from SQL](../howto/read-from-sql.md).\n"]
    made_of = {
        one.name: {
            **{c: f"`{m}`" + (f" / {one.over[c]:,}" if c in one.over else "") for c, m in one.numbers.items()},
            **{c: f"`{', '.join(spread.metrics)}` by `{spread.by}`" for c, spread in one.spreads.items()},
            **{c: f"dimension `{d}`" for c, d in one.by.items()},
        }
        for one in TABLES
    }
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        with store.facts.read() as reading:
            for name in (*ROWS, *VIEWS):
                columns = reading.rows(f"SELECT name, type FROM pragma_table_info('{name}')")
                rows = [(f"`{column}`", type_, made_of.get(name, {}).get(column, "")) for column, type_ in columns]
                parts.append(f"## {name}\n\n" + table(("column", "type", "what it is"), rows) + "\n")
        store.close()
    return "\n".join(parts)


def jobs() -> str:
    """Every queue with its policy, every schedule with its cron."""
    queues = (
        (
            f"`{q.name}`", q.doc, q.attempts, f"{q.pause:g} s" + (f" ×{q.factor:g}" if q.factor != 1 else ", fixed"), q.at_once,
            q.everywhere or "", q.per_tenant or "", f"{q.tenant_rate} a second" if q.tenant_rate else "", q.completed, q.failed,
        )
        for q in QUEUES.values()
    )  # fmt: skip
    named = ("queue", "for", "attempts", "pause", "at once in a process", "everywhere", "of one tenant", "starts of one tenant",
             "completed kept", "failed kept")  # fmt: skip
    times = ((f"`{s.name}`", f"`{s.cron}`", f"`{s.queue}`", s.doc) for s in SCHEDULES)
    return (
        "How to use them: [jobs and schedules](../howto/jobs.md).\n\n## Queues\n\n" + table(named, queues)
        + "\n\n## Schedules\n\nCrons are UTC; the setting `schedules` changes them.\n\n"
        + table(("schedule", "cron", "queue", "for"), times)
    )  # fmt: skip


PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "metrics": ("Metrics", metrics),
    "events": ("Events", events),
    "settings": ("Settings", settings_),
    "cli": ("Command line", cli),
    "http": ("HTTP", http),
    "jobs": ("Jobs", jobs),
    "errors": ("Errors", errors_),
    "relations": ("Published tables", relations),
}


def write(target: Path) -> list[Path]:
    """Write all pages into a folder and return them."""
    target.mkdir(parents=True, exist_ok=True)
    pages = []
    for name, (title, body) in PAGES.items():
        page = target / f"{name}.md"
        page.write_text(
            f"# {title}\n\n<!-- Made by docs/make_reference.py; do not edit. -->\n\n{body().strip()}\n",
            encoding="utf-8",
        )
        pages.append(page)
    return pages


if __name__ == "__main__":
    for written in write(TARGET):
        sys.stdout.write(f"{written.relative_to(TARGET.parents[1])}\n")
