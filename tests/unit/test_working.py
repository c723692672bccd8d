"""Promised jobs: what was answered with an id is done, whatever happens between the answer and the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub import working
from hubbub.app import Engine
from hubbub.errors import BadRequestError, NotFoundError
from hubbub.store.payloads import Promise
from tests.unit.web.conftest import open_engine

QUESTION = {
    "workspace_id": "T1", "user_id": "U1", "channel_id": "C1", "message_ts": "1.5", "triggered_by": "mention",
    "trigger_message_text": "When do you open?",
}  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Open an engine with the tenant acme, in which every unkept promise is old enough."""
    monkeypatch.setattr(working, "UNSTARTED_AFTER", -1.0)
    with open_engine(tmp_path / "data") as one:
        one.add_tenant("acme")
        yield one


def rows(engine: Engine) -> list[dict[str, Any]]:
    """Return all jobs."""
    found: list[dict[str, Any]] = engine.desk.jobs()["rows"]
    return found


def test_a_promised_job_can_be_read_at_once_and_is_started_once(engine: Engine) -> None:
    """The id of the answer is that of the job, also when it is asked for before the job is in its queue."""
    told = engine.ask_for_reply("acme", QUESTION, priority=3)
    assert engine.job(told["id"], "acme")["state"] == told["state"] == "waiting"
    assert engine.keep_promises()["started"] in (0, 1)
    assert [row["id"] for row in rows(engine)] == [told["id"]]
    with pytest.raises(NotFoundError):
        engine.job(told["id"], "other")


def test_a_promise_of_a_process_that_died_is_kept_once(engine: Engine) -> None:
    """A promise that was written and not kept becomes one job, however often promises are kept; then none is left."""
    reference = engine.prepare_reply("acme", QUESTION)
    engine.payload_store.promise(Promise(reference, "acme", delay=60.0))
    assert rows(engine) == []
    assert engine.keep_promises() == {"started": 1}
    assert engine.keep_promises() == {"started": 0}
    engine.payload_store.promise(Promise(reference, "acme", delay=60.0))  # it died after the start, before the note
    assert engine.keep_promises() == {"started": 1}
    assert [(row["id"], row["state"], row["tenant"]) for row in rows(engine)] == [
        (f"ai-responses:{reference}", "delayed", "acme")
    ]


def test_a_question_that_cannot_be_read_promises_nothing(engine: Engine) -> None:
    """A bad payload is refused before anything is written."""
    with pytest.raises(BadRequestError):
        engine.ask_for_reply("acme", {"text": "hello"})
    assert engine.keep_promises() == {"started": 0}
    assert rows(engine) == []
