"""Check events beyond their shape. Each refused event gets a stable code, the field and what to do."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hubbub.control.erasures import Erased
from hubbub.facts.survey import valid
from hubbub.ingest.genai import MOST_TOKENS, fill_usage
from hubbub.model.event import (
    FIELDS,
    KINDS,
    NOTHING,
    TEXT_FIELDS,
    TYPES,
    Event,
    Item,
    Rejection,
    as_json,
    is_known_type,
    nearest,
    too_deep,
)
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import utc_naive
from hubbub.precedence import step_aside

EARLIEST, LATEST = (utc_naive(datetime(year, 1, 1, tzinfo=UTC)) for year in (2000, 2100))
FUTURE = timedelta(hours=24)
MAX_TEXT = 512
MAX_ATTRIBUTES = 16_384
MAX_DURATION_MS = 10 * 366 * 86_400_000
MAX_REVISION = 2**62
DEFAULT_SOURCE = "api"
AT_ONCE = 20
"""Number of events that are checked before other threads may run."""
UNKEPT = frozenset({"contact_erased"})
"""Codes of refused records that are not quarantined."""


@dataclass
class Outcome:
    """The result of a batch: counts, a verdict for each refused record, and notes on stored ones."""

    stored: int = 0
    duplicates: int = 0
    corrected: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    notes: list[Rejection] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Records of the batch."""
        return self.stored + self.duplicates + self.corrected + len(self.rejected)

    @property
    def accepted(self) -> int:
        """Events stored from this batch."""
        return self.stored + self.corrected

    def answer(self) -> dict[str, object]:
        """Return the public form: accepted, duplicates, rejected with index, code, field and message; notes if any."""
        counts: dict[str, object] = {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "corrected": self.corrected,
            "rejected": _as_json(self.rejected),
        }
        return {**counts, "notes": _as_json(self.notes)} if self.notes else counts


def _as_json(verdicts: Iterable[Rejection]) -> list[dict[str, object]]:
    return [{"index": r.index, "code": r.code, "field": r.field, "message": r.message} for r in verdicts]


@dataclass(frozen=True)
class Bounds:
    """The time range (UTC without zone) of acceptable events of a tenant. Events before `frozen` are refused for good.

    Events of contacts in `erased` are refused.
    """

    oldest: datetime
    newest: datetime
    frozen: datetime = EARLIEST
    erased: Erased | None = None


def bounds(
    tenant: Tenant, now: datetime, gone_until: datetime | None, history: bool, erased: Erased | None = None
) -> Bounds:
    """Return the time bounds for events of a tenant; `history` accepts events older than the raw retention.

    The oldest time is the local midnight that retention cuts at.
    """
    oldest = EARLIEST if history else utc_naive(kept_from(tenant, tenant.retention.raw, now))
    return Bounds(max(EARLIEST, oldest), min(utc_naive(now) + FUTURE, LATEST), gone_until or EARLIEST, erased)


_TIMES = {
    "out_of_range": "'time' must be between 2000 and 2100",
    "in_future": "'time' is more than 24 hours in the future; check the sender's clock",
    "too_old": "'time' is older than the tenant's raw retention; import the event as history instead",
    "too_late": "'time' is before the tenant's kept range: its facts are deleted, so the event cannot count any more",
}


def _fault(event: Event, when: datetime, limits: Bounds, texts: Sequence[str]) -> tuple[str, str, str] | None:
    """Return (code, field, message) of the first fault of a well-formed event, or None; `texts` are the fields to check."""
    if event.type not in TYPES and not is_known_type(event.type):
        return (
            "unknown_type",
            "type",
            f"type {event.type[:100]!r} is unknown{nearest(event.type, TYPES, in_bulk=True)}",
        )
    if not EARLIEST <= when < LATEST:
        return "out_of_range", "time", _TIMES["out_of_range"]
    for code, outside in (
        ("in_future", when >= limits.newest), ("too_late", when < limits.frozen), ("too_old", when < limits.oldest),
    ):  # fmt: skip
        if outside:
            return code, "time", _TIMES[code]
    if limits.erased is not None and limits.erased.holds(event, when, event.source or DEFAULT_SOURCE):
        return (
            "contact_erased",
            "contact_id",
            "the contact of this event was erased; events from before the erasure are refused",
        )
    for name in texts:
        text = getattr(event, name)
        if text is not None and (len(text) > MAX_TEXT or not text.isprintable()):
            if len(text) > MAX_TEXT:
                return "too_long", name, f"'{name}' has {len(text)} characters, {MAX_TEXT} are allowed"
            if "\0" in text:
                return "invalid_text", name, f"'{name}' holds a NUL character"
            if any("\ud800" <= c <= "\udfff" for c in text):
                return "invalid_text", name, f"'{name}' holds half a character (a lone surrogate)"
    return _number_fault(event)


def _number_fault(event: Event) -> tuple[str, str, str] | None:
    if event.kind and event.kind not in KINDS:
        return "invalid_field", "kind", f"'kind' must be one of {', '.join(sorted(KINDS))}"
    if event.confidence is not None and not 0 <= event.confidence <= 1:
        return "out_of_range", "confidence", "'confidence' must be between 0 and 1"
    if event.duration_ms is not None and not 0 <= event.duration_ms <= MAX_DURATION_MS:
        return "out_of_range", "duration_ms", "'duration_ms' must be 0 or more, and less than ten years"
    for name in ("input_tokens", "output_tokens"):
        tokens = getattr(event, name)
        if tokens is not None and not 0 <= tokens <= MOST_TOKENS:
            return "out_of_range", name, f"'{name}' must be a whole number from 0 to {MOST_TOKENS}"
    if event.value is not None and not (math.isfinite(event.value) and abs(event.value) <= 1e18):
        return "out_of_range", "value", "'value' must be a finite number between -1e18 and 1e18"
    if event.revision is not None and not 0 <= event.revision <= MAX_REVISION:
        return "out_of_range", "revision", "'revision' must be a whole number from 0 to 2^62"
    if event.scale is not None and event.scale not in (5, 10):
        return "out_of_range", "scale", "'scale' is 5 (ratings 1 to 5) or 10 (answers 0 to 10)"
    attributes = b"" if event.attributes is NOTHING else bytes(event.attributes)
    if attributes:
        if attributes[:1] != b"{":
            return "invalid_field", "attributes", "'attributes' must be a JSON object"
        if len(attributes) > MAX_ATTRIBUTES:
            return "too_long", "attributes", f"'attributes' has {len(attributes)} bytes, {MAX_ATTRIBUTES} are allowed"
        if too_deep(attributes):
            return "too_deep", "attributes", "'attributes' nests too deeply"
        try:
            attributes.decode()
        except UnicodeDecodeError:
            return "invalid_text", "attributes", "'attributes' holds bytes that are not UTF-8"
    return None


def notes(items: Sequence[Item]) -> list[Rejection]:
    """Return a note on each stored event that no metric counts: a rating outside its scale."""
    return [
        Rejection(
            index=index, code="counts_nowhere", field="value",
            message=f"a rating of {_number(item.value)} is stored, but never counted: ratings are 1 to 5, or 0 to 10 with scale 10",
        )
        for index, item in enumerate(items)
        if isinstance(item, Event) and item.type == "satisfaction.rating_received" and not valid(item)
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"


def check(items: Iterable[Item], limits: Bounds) -> tuple[list[Event], list[datetime], list[Rejection]]:
    """Return the good events, their times (UTC without zone), and a rejection for each other item."""
    good: list[Event] = []
    times: list[datetime] = []
    rejected: list[Rejection] = []
    items = list(items)
    for item in items:
        if isinstance(item, Event):
            fill_usage(item)
    odd = _odd_texts([item for item in items if isinstance(item, Event)])
    for index, item in enumerate(items):
        if index % AT_ONCE == 0:
            step_aside()
        if isinstance(item, Rejection):
            rejected.append(item)
            continue
        when, fault = _when(item)
        fault = fault or _fault(item, when, limits, odd)
        if fault is None:
            good.append(item)
            times.append(when)
        else:
            code, name, message = fault
            rejected.append(Rejection(index=index, code=code, field=name, message=message, raw=_raw(item)))
    return good, times, rejected


def _by_field(events: Sequence[Event]) -> dict[str, tuple[Any, ...]]:
    """Return the values of events by field. All events are transposed at once, because a loop over each event is slow."""
    if not events:
        return dict.fromkeys(Event.__struct_fields__, ())
    rows = [msgspec.structs.astuple(event) for event in events]
    return dict(zip(Event.__struct_fields__, zip(*rows, strict=True), strict=True))


def _odd_texts(events: Sequence[Event]) -> list[str]:
    """Return the text fields in which any event has a long or unprintable text; only these are checked event by event."""
    columns = _by_field(events)
    return [
        name for name in TEXT_FIELDS
        if any(text is not None and (len(text) > MAX_TEXT or not text.isprintable()) for text in set(columns[name]))
    ]  # fmt: skip


def _when(event: Event) -> tuple[datetime, tuple[str, str, str] | None]:
    if event.time.tzinfo is None:
        return EARLIEST, ("invalid_time", "time", "'time' has no offset: write it like 2026-08-01T09:30:00+02:00")
    if event.time.tzinfo is UTC:
        return event.time.replace(tzinfo=None), None
    try:
        return event.time.astimezone(UTC).replace(tzinfo=None), None
    except OverflowError:  # the first or last representable day, with an offset
        return EARLIEST, ("out_of_range", "time", _TIMES["out_of_range"])


def _raw(event: Event) -> str:
    """Return an event as JSON: the same text for every source."""
    try:
        text = msgspec.json.encode(event)
        with suppress(msgspec.DecodeError):  # attributes may hold bytes that are not UTF-8
            text = msgspec.json.format(text, indent=-1)
        return text.decode("utf-8", "replace")
    except UnicodeEncodeError:  # a lone surrogate: JSON can write it as an escape
        values = {
            name: value for name in FIELDS if (value := getattr(event, name)) is not None and value is not NOTHING
        }
        if "attributes" in values:
            values["attributes"] = json.loads(bytes(event.attributes))
        return as_json(values)
