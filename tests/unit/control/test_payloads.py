"""Payloads: written once, read by their tenant only, and deleted for good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.control.encryption import Encryption
from hubbub.control.payloads import Payloads
from hubbub.errors import NotFoundError

CANARY = "canary of a message"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Payloads]:
    """Open payloads of the tenants acme and beta."""
    database = Database(f"sqlite:///{tmp_path / 'control.db'}")
    control = Control(database, tmp_path)
    control.add_tenant("acme")
    control.add_tenant("beta")
    yield Payloads(database, Encryption(tmp_path))
    database.close()


def test_a_payload_comes_back_to_its_tenant_and_kind(kept: Payloads) -> None:
    """A payload is read by reference; another tenant, another kind and an unknown reference get the same error."""
    reference = kept.put("acme", "request", {"text": f"{CANARY} é \ud800"})
    assert reference.startswith("pay_")
    assert kept.get("acme", reference, "request") == {"text": f"{CANARY} é \ud800"}
    assert kept.find("beta", reference, "request") is None
    told = set()
    for tenant, id_, kind in (("beta", reference, "request"), ("acme", "pay_none", "request")):
        with pytest.raises(NotFoundError) as caught:
            kept.get(tenant, id_, kind)
        told.add(caught.value.message.replace(id_, "ID"))
    assert len(told) == 1
    with pytest.raises(NotFoundError):
        kept.get("acme", reference, "suggestion")


def test_the_first_payload_of_an_id_stays(kept: Payloads) -> None:
    """Writing an id again changes nothing; writing another tenant's id is refused."""
    for text in ("first", "second"):
        assert kept.put("acme", "suggestion", {"text": text}, "sug_1") == "sug_1"
    assert kept.get("acme", "sug_1", "suggestion") == {"text": "first"}
    with pytest.raises(NotFoundError):
        kept.put("beta", "suggestion", {"text": "mine"}, "sug_1")


def test_payloads_are_deleted_by_reference_or_age(kept: Payloads) -> None:
    """Payloads are deleted by reference or by age, many at once; the result is the number of deleted ones."""
    references = [kept.put("acme", "request", {"n": n}) for n in range(1203)]
    assert kept.delete([*references[:1201], "pay_none"]) == 1201
    assert kept.find("acme", references[0], "request") is None
    assert kept.delete_older(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert kept.delete_older(datetime.now(UTC) + timedelta(hours=1)) == 2


def test_no_file_holds_a_text(kept: Payloads, tmp_path: Path) -> None:
    """No file of the folder holds a payload's text in the clear."""
    kept.put("acme", "request", {"text": CANARY})
    for path in tmp_path.rglob("*"):
        assert CANARY.encode() not in path.read_bytes(), path.name


def test_payloads_are_found_by_their_text(kept: Payloads) -> None:
    """`naming` finds a tenant's own payloads by the text of their JSON."""
    mine = kept.put("acme", "request", {"text": CANARY})
    kept.put("acme", "request", {"text": "plain"})
    kept.put("beta", "request", {"text": CANARY})
    assert kept.naming("acme", lambda text: CANARY in text) == [mine]
