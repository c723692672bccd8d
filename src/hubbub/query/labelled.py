"""The labels of conversations and events, with who gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubbub.model.label import TYPES, GivenLabel, LabelSet, given_labels
from hubbub.model.tenant import Tenant
from hubbub.query.attributes import attributes_of
from hubbub.query.filters import listed
from hubbub.storage.transaction import Bound, Reading, Row, Transaction

_TYPES = tuple(dict.fromkeys(TYPES.values()))
_COLUMNS = "type, source, topic, sentiment, intent, severity, confidence, name, attributes"


def of_conversations(reading: Transaction, tenant: Tenant, ids: Sequence[str]) -> Mapping[str, Sequence[GivenLabel]]:
    """Return the newest label of each set, by conversation; conversations without labels are left out."""
    if not ids:
        return {}
    params: Bound = {"tenant": tenant.no}
    among, types = listed("conversation", ids, params), listed("type", _TYPES, params)
    rows = reading.dicts(
        f"""SELECT conversation_id, {_COLUMNS} FROM (
            SELECT conversation_id, {_COLUMNS}, time, seq, row_number() OVER (
                PARTITION BY conversation_id, type, topic IS NULL, sentiment IS NULL ORDER BY time DESC, seq DESC
            ) AS place FROM event AS e {reading.dialect.by_index("event_conversation")}
            WHERE tenant = :tenant AND conversation_id IN ({among}) AND type IN ({types})
        ) AS n WHERE place = 1 ORDER BY time, seq""",
        params,
    )
    newest: dict[str, dict[str, GivenLabel]] = {}
    for row in rows:
        newest.setdefault(row["conversation_id"], {}).update({label.set: label for label in labels_of(row)})
    return {id_: [by_set[name] for name in LabelSet if name in by_set] for id_, by_set in newest.items()}


def of_events(
    reading: Reading, tenant: Tenant, places: Sequence[tuple[int, int]]
) -> Mapping[tuple[int, int], Sequence[GivenLabel]]:
    """Return the labels that events give, by their time (microseconds) and ident."""
    if not places:
        return {}
    params: Bound = {"tenant": tenant.no}
    for number, (time, ident) in enumerate(places):
        params |= {f"time_{number}": time, f"ident_{number}": ident}
    pairs = ", ".join(f"(:time_{number}, :ident_{number})" for number in range(len(places)))
    rows = reading.dicts(
        f"SELECT time, ident, {_COLUMNS} FROM event WHERE tenant = :tenant AND (time, ident) IN ({pairs})", params
    )
    return {(row["time"], row["ident"]): labels_of(row) for row in rows}


def labels_of(row: Row) -> tuple[GivenLabel, ...]:
    """Return the labels that a stored event gives."""
    return given_labels(row | {"attributes": attributes_of(row)})
