"""The law of erasure: numbers are those of a store that never had the contact's events."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.event import Event
from hubbub.model.tenant import Tenant
from hubbub.rollups import erasure
from hubbub.rollups.verify import verify
from tests.laws.conftest import Lab
from tests.laws.strategies import World, worlds
from tests.laws.test_laws import examples

CONTACT = "k1"


def erase(lab: Lab, tenant: Tenant) -> None:
    """Erase the contact as the engine does, from a store that may not have folded its last events yet."""
    who = erasure.find(lab.store, tenant, CONTACT, "digest")
    erasure.withdraw(lab.store, who)
    lab.refresh(tenant)
    erasure.clear(lab.store, who)
    erasure.finish(lab.store, who)


def others(events: Sequence[Event]) -> list[Event]:
    """Return what is not the contact's."""
    return [event for event in events if event.contact_id != CONTACT]


@examples(0.3)
@given(
    several=st.lists(worlds(least=3, most=25), min_size=2, max_size=3),
    folded=st.booleans(),
    later=st.booleans(),
)
def test_an_erased_contact_was_never_there(lab: Lab, several: list[World], folded: bool, later: bool) -> None:
    """Rows after an erasure, folded before it or not, also with more events after it, are those without the contact's events."""
    lab.empty()
    erased = [lab.tenant(w.zone, w.calendar) for w in several]
    never = [lab.tenant(w.zone, w.calendar) for w in several]
    halves = [(w.everything[::2], w.everything[1::2]) if later else (w.everything, []) for w in several]
    for tenant, (first, _) in zip(erased, halves, strict=True):
        lab.send(tenant, first)
    if folded:
        lab.refresh()
    for tenant in erased:
        erase(lab, tenant)
    for one, other, (first, second) in zip(erased, never, halves, strict=True):
        lab.send(one, others(second))
        lab.send(other, others([*first, *second]))
    lab.refresh()
    for one, other in zip(erased, never, strict=True):
        assert lab.stored(one) == lab.stored(other)
    assert verify(lab.store, erased, lab.now).clean
    for table, where in erasure.conditions().items():
        who = erasure.find(lab.store, erased[0], CONTACT, "digest")
        assert lab.store.query(f"SELECT count(*) FROM {table} WHERE {where}", who.params).rows == [(0,)]
