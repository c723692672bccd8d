"""The relations of `store/relations.py` as views of a ClickHouse, which a BI tool reads with a plain SELECT.

Such a reader does not know what counts (`store/positions.py`), so every change says it in the table `counted` when it is
committed, and the views ask that: by one subquery, which ClickHouse answers once for a whole statement, so that a reader sees
all of a change or nothing of it. What a process that died could not say any more is said by the next change, or the next start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from clickhouse_connect.driver.client import Client

from hubbub.store.clickhouse_schema import COUNTED
from hubbub.store.clickhouse_sql import SETTINGS, Statement
from hubbub.store.positions import Standing
from hubbub.store.relations import RELATIONS

_NOW = f"(SELECT max((changed, appended, lost_changes, lost_appends)) FROM {COUNTED})"
_PLACES = {"changed": 1, "appended": 2, "lost_changes": 3, "lost_appends": 4}
_BOUND = re.compile(r"\{(\w+):[^}]*\}")
_APART = frozenset({"session_timezone"})
"""What a view cannot set. Its moments say themselves that they are UTC."""


def views(cluster: str = "") -> Iterator[str]:
    """Yield the statements that make all views, whatever was there of that name; `cluster` as in `clickhouse_schema.create`."""
    told = ", ".join(f"{name} = {value!r}" for name, value in SETTINGS.items() if name not in _APART)
    on = f" ON CLUSTER '{cluster}'" if cluster else ""
    for name, select in RELATIONS.items():
        counting = _BOUND.sub(lambda found: _said(found[1]), Statement.of(select, {}).sql)
        yield f"CREATE OR REPLACE VIEW {name}{on} AS {counting} SETTINGS {told}"


def _said(name: str) -> str:
    """Return SQL of one of a snapshot's parameters, as `counted` has it; a plain reader has no change of its own."""
    return f"tupleElement({_NOW}, {_PLACES[name]})" if name in _PLACES else "0"


def fingerprint() -> str:
    """Return a digest of all views, which a store remembers to know whether it has them."""
    return hashlib.sha256("".join(views()).encode()).hexdigest()


def tell(client: Client, standing: Standing) -> None:
    """Let the views count what counts now. Raises what clickhouse-connect raises."""
    append, change = standing.append, standing.change
    client.command(
        f"INSERT INTO {COUNTED} (changed, appended, lost_changes, lost_appends) SELECT {{changed:UInt64}}, {{appended:UInt64}}, "
        "{lost_changes:Array(UInt64)}, {lost_appends:Array(UInt64)}",
        parameters={
            "changed": change.done, "appended": append.done,
            "lost_changes": list(change.lost), "lost_appends": list(append.lost),
        },
    )  # fmt: skip
