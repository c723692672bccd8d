"""Integrations: states, pages, and a secret that no output shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.control.encryption import Encryption
from hubbub.control.integrations import MAX_SECRET, Integration, Integrations
from hubbub.errors import BadInputError, NotFoundError

CANARY = "canary-secret-5b1e"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Integrations]:
    """Open integrations of the tenants acme and beta."""
    database = Database(f"sqlite:///{tmp_path / 'control.db'}")
    control = Control(database, tmp_path)
    control.add_tenant("acme")
    control.add_tenant("beta")
    yield Integrations(database, Encryption(tmp_path))
    database.close()


def add(kept: Integrations, tenant: str = "acme", **fields: str) -> Integration:
    """Add an integration."""
    return kept.add(tenant, fields.get("provider", "slack"), "n", {"page_id": "1"}, fields.get("secret", CANARY))


def test_an_integration_is_read_back_unchanged(kept: Integrations) -> None:
    """A new integration comes back with all fields; only `secret` returns its secret, and no text form shows it."""
    made = add(kept)
    assert kept.get("acme", made.id) == made
    assert (made.state, made.reason, made.last_ok, made.settings) == ("active", "", None, {"page_id": "1"})
    assert kept.secret(made) == CANARY
    assert CANARY not in repr(made) + str(kept.page())


def test_another_tenants_integration_is_answered_as_unknown(kept: Integrations) -> None:
    """Another tenant's id fails in every operation with the error of an unknown id, and nothing changes."""
    made = add(kept)
    for call in (kept.get, kept.pause, kept.resume, kept.remove, lambda t, i: kept.rotate(t, i, "new")):
        told = set()
        for id_ in (made.id, "int_none"):
            with pytest.raises(NotFoundError) as caught:
                call("beta", id_)
            told.add(caught.value.message.replace(id_, "ID"))
        assert len(told) == 1
    assert kept.get("acme", made.id) == made
    assert kept.page("beta") == []


def test_pages_hold_every_integration_once(kept: Integrations) -> None:
    """Pages return every integration once, in the order of making; one added while reading comes last."""
    made = [add(kept, "acme" if n % 3 else "beta").id for n in range(25)]
    seen: list[str] = []
    while page := kept.page(after=seen[-1] if seen else "", limit=10):
        seen += [one.id for one in page]
        if len(seen) == 10:
            made.append(add(kept).id)
    assert sorted(seen) == sorted(made) and len(seen) == 26
    assert seen[-1] == made[-1]
    assert {one.tenant for one in kept.page("beta")} == {"beta"}
    assert len(kept.page("beta")) == 9
    assert kept.page(provider="facebook_page") == []


def test_states_change_as_people_and_failures_want(kept: Integrations) -> None:
    """A broken integration has a reason and an action until it is resumed or gets a new secret; a late failure does not break a
    paused one."""
    made = add(kept)
    kept.broken(made, "token expired", "reconnect")
    broken = kept.get("acme", made.id)
    assert (broken.state, broken.reason, broken.action) == ("broken", "token expired", "reconnect")
    assert [one.id for one in kept.page(state="broken")] == [made.id]
    assert kept.page(state="active") == []
    assert (kept.resume("acme", made.id).state, kept.get("acme", made.id).reason) == ("active", "")
    kept.broken(made, "again", "reconnect")
    assert kept.rotate("acme", made.id, "new").state == "active"
    assert kept.pause("acme", made.id).state == "paused"
    kept.broken(kept.get("acme", made.id), "late", "x")
    assert kept.get("acme", made.id).state == "paused"
    assert kept.rotate("acme", made.id, "newer").state == "paused"


def test_a_failure_with_a_replaced_secret_breaks_nothing(kept: Integrations) -> None:
    """A fetch that fails with a secret replaced meanwhile does not break the integration."""
    before = add(kept)
    after = kept.rotate("acme", before.id, "new-secret")
    kept.broken(before, "expired", "reconnect")
    assert kept.get("acme", before.id).state == "active"
    assert kept.secret(after) == "new-secret"


def test_the_last_day_only_moves_on(kept: Integrations) -> None:
    """Fetching an older day does not set `last_ok` back."""
    made = add(kept)
    for day in (date(2026, 8, 2), date(2026, 8, 5), date(2026, 8, 1)):
        kept.fetched(made, day)
    assert kept.get("acme", made.id).last_ok == date(2026, 8, 5)


@pytest.mark.parametrize("secret", ["", " ", "a b", "a\nb", "a\r\nX-Header: 1", "ä", "x" * (MAX_SECRET + 1), "a\0"])
def test_secrets_that_could_not_be_sent_are_refused(kept: Integrations, secret: str) -> None:
    """A secret that cannot stand in a header is refused and not repeated in the error."""
    with pytest.raises(BadInputError) as caught:
        add(kept, secret=secret)
    assert len(secret) < 3 or secret not in caught.value.message
    with pytest.raises(BadInputError):
        kept.add("acme", "slack", "n", {"x": "y" * 20_000}, "s")
    assert kept.page() == []


def test_no_file_holds_the_secret(kept: Integrations, tmp_path: Path) -> None:
    """No file in the folder holds a secret in the clear, old or new; a removed integration is gone."""
    made = add(kept)
    kept.rotate("acme", made.id, CANARY + "-new")
    other = add(kept)
    for path in tmp_path.rglob("*"):
        assert CANARY.encode() not in path.read_bytes(), path.name
    kept.remove("acme", other.id)
    assert [one.id for one in kept.page()] == [made.id]
