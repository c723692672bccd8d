"""Answers under an Idempotency-Key: computed once, on SQLite and PostgreSQL, bounded, pruned, and taken over from dead requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hubbub.control import idempotency as stored
from hubbub.control.database import Database, now
from hubbub.control.encryption import Encryption
from hubbub.control.idempotency import Idempotency
from hubbub.errors import KeyReusedError, RateLimitedError, RequestRunningError


@pytest.fixture
def kept(jobs_url: str, tmp_path: Path) -> Iterator[Idempotency]:
    """Open an empty table of answers."""
    database = Database(jobs_url)
    yield Idempotency(database, Encryption(tmp_path))
    database.close()


class Work:
    """Work that counts how often it was done."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer, self.done = answer, 0

    def __call__(self) -> dict[str, Any]:
        """Do the work."""
        self.done += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {**self.answer, "n": self.done}


def test_a_repeated_request_is_done_once(kept: Idempotency) -> None:
    """The second request gets the first answer without its hidden fields, and does no work; a key of another request is refused."""
    work = Work({"id": "é", "secret": "s"})
    assert kept.once("acme", "k", "f", work, hide=["secret"]) == ({"id": "é", "secret": "s", "n": 1}, False)
    assert kept.once("acme", "k", "f", work, hide=["secret"]) == ({"id": "é", "secret": None, "n": 1}, True)
    assert kept.once("other", "k", "f", work)[1] is False
    assert work.done == 2
    with pytest.raises(KeyReusedError):
        kept.once("acme", "k", "g", work)


def test_a_failed_request_releases_its_key(kept: Idempotency) -> None:
    """An error is raised and not stored; the next request with the key is done, even another one."""
    with pytest.raises(ValueError):
        kept.once("acme", "k", "f", Work(ValueError("no")))
    assert kept.once("acme", "k", "g", Work({}))[1] is False


def test_of_concurrent_requests_one_does_the_work(kept: Idempotency) -> None:
    """Of ten concurrent requests one does the work; those during it get an error, and later ones its answer."""
    work, begun, go = Work({}), threading.Event(), threading.Event()

    def slow() -> dict[str, Any]:
        begun.set()
        assert go.wait(30)
        return work()

    def attempt(_: int) -> bool:
        try:
            return not kept.once("acme", "k", "f", slow)[1]
        except RequestRunningError:
            return False

    with ThreadPoolExecutor(10) as pool:
        doing = [pool.submit(attempt, n) for n in range(10)]
        assert begun.wait(30)
        with pytest.raises(RequestRunningError):
            kept.once("acme", "k", "f", slow)
        go.set()
        assert sum(one.result() for one in doing) == 1
    assert work.done == 1
    assert kept.once("acme", "k", "f", work) == ({"n": 1}, True)


def test_a_claim_of_a_dead_process_is_taken_over(kept: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim without an answer blocks for five minutes; then a request takes it over, and the first answer is not stored."""

    def slow() -> dict[str, Any]:
        with pytest.raises(RequestRunningError):
            kept.once("acme", "k", "f", Work({}))
        with monkeypatch.context() as later:
            later.setattr(stored, "now", lambda: now() + timedelta(minutes=5, seconds=1))
            assert kept.once("acme", "k", "f", Work({"by": "the second"}))[1] is False
        return {"by": "the first"}

    assert kept.once("acme", "k", "f", slow)[0] == {"by": "the first"}
    assert kept.once("acme", "k", "f", Work({}))[0]["by"] == "the second"


def test_answers_live_a_day_and_are_pruned(kept: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 24 hours a key is free again, and the next request removes expired answers of all tenants."""
    for n in range(5):
        kept.once(f"t{n}", "k", "f", Work({}))
    monkeypatch.setattr(stored, "now", lambda: now() + timedelta(hours=24, seconds=1))
    assert kept.once("t0", "k", "other", Work({}))[1] is False
    with kept._database.read() as con:
        assert con.execute(sa.select(sa.func.count()).select_from(stored.repeats)).scalar_one() == 1


def test_the_keys_of_a_tenant_are_limited_by_day(kept: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond `MOST_KEYS` a tenant's new keys are refused before any work; its stored keys and other tenants' go on."""
    monkeypatch.setattr(stored, "MOST_KEYS", 2)
    for key in "ab":
        kept.once("acme", key, "f", Work({}))
    work = Work({})
    with pytest.raises(RateLimitedError):
        kept.once("acme", "c", "f", work)
    assert work.done == 0
    assert kept.once("acme", "a", "f", work)[1] is True
    assert kept.once("other", "c", "f", work)[1] is False


def test_a_large_answer_is_not_stored(kept: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer above `LARGEST_ANSWER` is returned but not stored, so the request is done again."""
    monkeypatch.setattr(stored, "LARGEST_ANSWER", 100)
    work = Work({"text": "x" * 100})
    assert [kept.once("acme", "k", "f", work)[1] for _ in range(2)] == [False, False]
    assert work.done == 2


def test_keys_are_digests_and_answers_are_encrypted(kept: Idempotency) -> None:
    """Keys are stored as digests, and answers are encrypted."""
    kept.once("acme", "my-key", "f", Work({"word": "canary"}))
    with kept._database.read() as con:
        row = con.execute(sa.select(stored.repeats)).one()
    assert "my-key" not in str(tuple(row))
    assert b"canary" not in bytes(row.answer)


def test_answers_that_hold_a_text_are_deleted(kept: Idempotency, jobs_url: str, tmp_path: Path) -> None:
    """Matching answers of the given owners are deleted and computed again when requested; no SQLite file keeps a byte of them."""
    for owner in ("acme", "", "other"):
        for said in ("canary", "plain"):
            kept.once(owner, said, "f", Work({"said": said}))
    with kept._database.read() as con:
        sealed = [bytes(row.answer) for row in con.execute(sa.select(stored.repeats)) if row.owner != "other"]
    assert kept.forget(["acme", ""], lambda text: "canary" in text) == 2
    kept._database.purge(stored.repeats)
    assert [kept.once(owner, "canary", "f", Work({}))[1] for owner in ("acme", "", "other")] == [False, False, True]
    assert kept.once("acme", "plain", "f", Work({}))[1] is True
    if jobs_url.startswith("sqlite"):
        files = [path.read_bytes() for path in tmp_path.iterdir()]
        assert sorted(sum(one in file for file in files) > 0 for one in sealed) == [False, False, True, True]
