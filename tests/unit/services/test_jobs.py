"""Promised jobs: a job whose id was returned is started, whatever happens before it is in the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hubbub.app import Engine
from hubbub.control.payloads import Promise, new_reference
from hubbub.errors import BadRequestError, NotFoundError
from hubbub.jobs.rows import JobRow
from hubbub.services import reply_jobs
from tests.unit.api.conftest import open_engine

QUESTION = {
    "workspace_id": "T1", "user_id": "U1", "channel_id": "C1", "message_ts": "1.5", "triggered_by": "mention",
    "trigger_message_text": "When do you open?",
}  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Open an engine with the tenant acme, in which every promise is old enough to be kept."""
    monkeypatch.setattr(reply_jobs, "UNSTARTED_AFTER", -1.0)
    with open_engine(tmp_path / "data") as one:
        one.add_tenant("acme")
        yield one


def rows(engine: Engine) -> Sequence[JobRow]:
    """Return all jobs."""
    return engine.jobs.of().rows


def test_a_promised_job_can_be_read_at_once_and_starts_once(engine: Engine) -> None:
    """The returned id is that of the job, can be read at once, and not by another tenant."""
    told = engine.reply_jobs.ask("acme", QUESTION, priority=3)
    assert engine.jobs.get(told.id, "acme").state == told.state == "waiting"
    assert engine.reply_jobs.keep_promises() in (0, 1)
    assert [row.id for row in rows(engine)] == [told.id]
    with pytest.raises(NotFoundError):
        engine.jobs.get(told.id, "other")


def test_a_promise_of_a_dead_process_becomes_one_job(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise of a process that died becomes one job, however often promises are kept."""
    promise = Promise(new_reference(), "acme", delay=60.0)
    reference = engine.replies.prepare("acme", QUESTION, promise)
    assert reference == promise.reference
    assert rows(engine) == []
    with monkeypatch.context() as dies:  # dies after the start, before it is recorded
        dies.setattr(engine.payload_store, "kept", lambda _: None)
        assert engine.reply_jobs.keep_promises() == 1
    assert engine.reply_jobs.keep_promises() == 1
    assert engine.reply_jobs.keep_promises() == 0
    assert [(row.id, row.state, row.tenant) for row in rows(engine)] == [
        (f"ai-responses:{reference}", "delayed", "acme")
    ]


def test_a_repeated_message_of_slack_is_answered_once(engine: Engine) -> None:
    """The same workspace, channel and ts are one job and one stored question, also from another trigger."""
    told = [engine.reply_jobs.ask("acme", QUESTION | {"triggered_by": why}) for why in ("mention", "mention", "thread")]
    assert len({one.id for one in told}) == 1
    for one in told:
        engine.jobs.get(one.id, "acme")
    assert len(rows(engine)) == 1
    assert engine.payload_store.promises() == []


@pytest.mark.parametrize(
    "other",
    [{"workspace_id": "T2"}, {"channel_id": "C2"}, {"message_ts": "1.6"}, {"triggered_by": "message_action"}],
)
def test_another_message_or_instruction_is_another_job(engine: Engine, other: dict[str, str]) -> None:
    """A question that differs in any part of the key, is asked by a person, or is of another tenant is another job."""
    first = engine.reply_jobs.ask("acme", QUESTION).id
    engine.add_tenant("beta")
    assert first not in (
        engine.reply_jobs.ask("acme", QUESTION | other).id,
        engine.reply_jobs.ask("beta", QUESTION).id,
    )
    twice = [engine.reply_jobs.ask("acme", QUESTION | {"triggered_by": "message_action"}).id for _ in range(2)]
    assert twice[0] != twice[1]


def test_a_question_that_cannot_be_read_promises_nothing(engine: Engine) -> None:
    """A bad payload is refused before anything is written."""
    with pytest.raises(BadRequestError):
        engine.reply_jobs.ask("acme", {"text": "hello"})
    assert engine.reply_jobs.keep_promises() == 0
    assert rows(engine) == []
