"""Growth: changes of the catalogue or the tables between two openings lose no number."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import StoreDamagedError
from hubbub.facts.verify import verify
from hubbub.metrics import catalogue
from hubbub.metrics.definition import Count, Stored, Unit
from hubbub.metrics.messages import PEOPLE, TALK
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.model.window import Grain, local_midnight
from hubbub.storage import schema
from tests.laws.conftest import FACTS
from tests.laws.oracle import local_day
from tests.laws.strategies import World, worlds
from tests.laws.test_lasting import SCORES, LastingLab
from tests.laws.test_laws import EVERYTHING, examples

Patch = pytest.MonkeyPatch
NAMES = [name for name in EVERYTHING if name not in SCORES]


def _declared(patch: Patch, **changed: Any) -> None:
    """Change the declaration of the catalogue's messages."""
    known = catalogue.METRICS["messages"][1]
    rollup = replace(known, **changed)
    patch.setattr(catalogue, "ROLLUPS", tuple(rollup if one is known else one for one in catalogue.ROLLUPS))
    for name, metric in rollup.metrics.items():
        patch.setitem(catalogue.METRICS, name, (metric, rollup))


def _measure(patch: Patch) -> None:
    known = catalogue.METRICS["messages"][1]
    _declared(
        patch,
        measures={**known.measures, "again": Count("Received.", Unit.COUNT, "f.direction = 'in'")},
        metrics={**known.metrics, "received_again": Stored("Received.", Unit.COUNT, measure="again", where=PEOPLE)},
    )


def _dimension(patch: Patch) -> None:
    known = catalogue.METRICS["messages"][1]
    view = TALK.view.replace("account_id,", "account_id, conversation_id AS thread,", 1)
    _declared(patch, source=replace(TALK, view=view), dimensions=(*known.dimensions, "thread"))


def _metric(patch: Patch) -> None:
    known = catalogue.METRICS["messages"][1]
    all_of_them = Stored("Messages.", Unit.COUNT, measure="messages", where=PEOPLE)
    _declared(patch, metrics={**known.metrics, "messages_again": all_of_them})


def _column(patch: Patch) -> None:
    for table in FACTS:
        columns, key = schema.TABLES[table]
        patch.setitem(schema.TABLES, table, ({**columns, "mood": "TEXT"}, key))


def _table(patch: Patch) -> None:
    patch.setitem(schema.TABLES, "mood", ({"tenant": "INTEGER NOT NULL", "mood": "TEXT"}, "tenant"))


def _index(patch: Patch) -> None:
    patch.setitem(schema.INDEXES, "response_staff", "response (tenant, staff_id)")


CHANGES: dict[str, Callable[[Patch], None]] = {
    "measure": _measure, "dimension": _dimension, "metric": _metric, "column": _column, "table": _table, "index": _index,
}  # fmt: skip
SAME = {"received_again": "messages_received", "messages_again": "messages"}
"""New metrics, and the existing metric with the same value."""


@examples(0.5)
@given(
    world=worlds(corrected=True), data=st.data(),
    chosen=st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=6, unique=True),
)  # fmt: skip
def test_no_change_of_declarations_loses_a_number(world: World, data: st.DataObject, chosen: list[str]) -> None:
    """All numbers stay as they were; new metrics are right on kept days and null on deleted ones; new events still fold."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        lab = LastingLab(Path(folder))
        tenant = Tenant(1, "acme", world.zone, "", KEEP_EVERYTHING, world.calendar)
        here = data.draw(st.integers(1, len(world.everything)))
        lab.send(tenant, world.everything[:here])
        start = local_midnight(local_day(world.start, world.zone), tenant.tz)
        cut = start + timedelta(days=data.draw(st.integers(0, 9)))
        lab.cut(tenant, local_midnight(local_day(cut, world.zone), tenant.tz))
        before = lab.values(lab.ask(tenant, NAMES, start, world.end, Grain.DAY))
        rows = lab.stored(tenant)
        lab.store.close()

        for name in chosen:
            CHANGES[name](patch)
        lab = LastingLab(Path(folder))
        try:
            assert lab.values(lab.ask(tenant, NAMES, start, world.end, Grain.DAY)) == before
            new = [name for name in SAME if name in catalogue.METRICS]
            if new:
                found = lab.values(lab.ask(tenant, new, start, world.end, Grain.DAY))
                assert found == {key: {name: row[SAME[name]] for name in new} for key, row in before.items()}
            if "dimension" in chosen:
                split = lab.values(lab.ask(tenant, ["messages"], start, world.end, Grain.DAY, by=("thread",)))
                for (day, _), row in split.items():
                    assert (row["messages"] is None) == (before[day, ()]["messages"] is None)
                for (day, _), row in before.items():
                    parts = [one["messages"] for (at, _), one in split.items() if at == day]
                    assert not parts or row["messages"] is None or sum(parts) == row["messages"]
            if "column" not in chosen:
                assert lab.stored(tenant) == rows
            assert verify(lab.store, [tenant]).differences == {}
            lab.intake.accept(tenant, world.everything[here:])
            lab.refresh(tenant)
            assert verify(lab.store, [tenant]).differences == {}
        finally:
            lab.store.close()


@pytest.mark.parametrize(
    ("column", "type_", "said"),
    [
        ("asked_at", "TEXT NOT NULL", "column 'asked_at' of 'response' is INTEGER, expected TEXT"),
        ("mood", "TEXT NOT NULL", "table 'response' has no column 'mood', which cannot be added empty"),
    ],
)
def test_a_column_that_cannot_be_added_is_refused_by_name(tmp_path: Path, column: str, type_: str, said: str) -> None:
    """A column of another type, or a new one that is NOT NULL, is refused with advice, and the file is unchanged."""
    lab = LastingLab(tmp_path)
    lab.store.close()
    before = (tmp_path / "hubbub.db").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        columns, key = schema.TABLES["response"]
        patch.setitem(schema.TABLES, "response", ({**columns, column: type_}, key))
        with pytest.raises(StoreDamagedError, match=said) as caught:
            LastingLab(tmp_path)
        assert "hubbub export" in caught.value.message
    assert (tmp_path / "hubbub.db").read_bytes() == before
    LastingLab(tmp_path).store.close()
