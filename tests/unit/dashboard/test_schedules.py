"""The schedules page: crons in words, and schedules that are paused, resumed, run now and for past days."""

from __future__ import annotations

import pytest

from hubbub.dashboard.schedules import in_words
from hubbub.jobs.schedule import SCHEDULES
from tests.unit.dashboard.visiting import Visitor


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 2 * * *", "every day at 02:00 UTC"), ("30 4 * * *", "every day at 04:30 UTC"), ("0 * * * *", "every hour"),
        ("5 * * * *", "every hour at minute 5"), ("0 3 * * 1", "every Monday at 03:00 UTC"),
        ("0 2 * * 0", "every Sunday at 02:00 UTC"), ("0 4 1 * *", "on the 1st of every month at 04:00 UTC"),
        ("0 4 22 * *", "on the 22nd of every month at 04:00 UTC"), ("*/5 2 * * *", "by the cron line */5 2 * * * (UTC)"),
        ("0 2 1 * 1", "by the cron line 0 2 1 * 1 (UTC)"), ("0 2 * 6 *", "by the cron line 0 2 * 6 * (UTC)"),
    ],
)  # fmt: skip
def test_usual_crons_are_written_in_words(cron: str, words: str) -> None:
    """Usual crons are written in words, others as they are."""
    assert in_words(cron) == words


def test_every_schedule_is_written_in_words(visitor: Visitor) -> None:
    """Every schedule is listed in words, with its next run, and none as a cron line."""
    text = visitor.see("/operate/schedules")
    for one in SCHEDULES:
        assert one.name in text and one.doc in text and in_words(one.cron) in text
    assert "cron line" not in text
    assert "Fri 21 Aug 2026, 02:00" in text


def test_a_schedule_is_paused_and_resumed(visitor: Visitor) -> None:
    """A paused schedule says so and can be resumed."""
    told = visitor.act("/operate/schedules/pause", "/operate/schedules", schedule="retention").text
    assert "Paused: Deletes data past its retention." in told and ">Resume</button>" in told
    told = visitor.act("/operate/schedules/resume", "/operate/schedules", schedule="retention").text
    assert ">Resume</button>" not in told


def test_run_now_and_backfill_start_a_job(visitor: Visitor) -> None:
    """Both actions start one job and lead to it; a reversed range starts none and says why."""
    on = "/operate/schedules"
    led = visitor.act(f"{on}/run", on, status=303, schedule="retention").headers["location"]
    assert "waiting" in visitor.see(led)
    days = {"schedule": "daily-snapshots", "from": "2026-08-01", "to": "2026-08-03"}
    led = visitor.act(f"{on}/backfill", on, status=303, **days).headers["location"]
    text = visitor.see(led)
    assert '"2026-08-01", "2026-08-02" ]' in text
    refused = visitor.act(f"{on}/backfill", on, status=400, **(days | {"to": "2026-08-01"}))
    assert "must be before" in refused.text
    assert len(visitor.engine.jobs.of().rows) == 2
