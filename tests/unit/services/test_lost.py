"""Lost deliveries: a gap until the service has sent again or its API was read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.control.deliveries import KEY_LENGTH, Delivery
from hubbub.control.presence import ABSENT
from hubbub.errors import BadInputError, UpstreamRefusedError
from hubbub.jobs.payloads import Payload
from hubbub.model.coverage import Reason
from hubbub.services.coverage import Watched
from hubbub.settings import load
from tests.platforms import TOKEN, Workspace
from tests.services import Reply, Service, service
from tests.unit.api.test_hooks import SECRET, meta, slack, text, whatsapp

MINUTE = timedelta(minutes=1)
META = {"app_secret": SECRET, "verify_token": "word"}


class Place:
    """A server with a clock that the test moves, and the services that send to it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.now = datetime(2026, 8, 20, 10, tzinfo=UTC)
        self.stack = stack
        options = {"free_floor_mb": 0, "allow_private_hosts": ["127.0.0.1"]}
        self.engine = stack.enter_context(Engine(load(data=folder, **options), lambda: self.now))
        self.engine.add_tenant("acme", zone="UTC")
        self.http = TestClient(create_app(self.engine, refresh=False), raise_server_exceptions=False)
        self.engine.coverage.here()

    def connect(self, provider: str, **how: Any) -> str:
        """Connect an account of a service; return its id."""
        return str(self.engine.integrations.add("acme", provider, name=provider, **how).id)

    def phone(self) -> str:
        """Connect a WhatsApp number that has sent a message; return its id."""
        id_ = self.connect("whatsapp", secrets=META)
        assert self.message(id_, "first") == 200
        return id_

    def message(self, id_: str, name: str, secret: str = SECRET) -> int:
        """Send a WhatsApp message of the present; return the status."""
        body = whatsapp(text(name, int(self.now.timestamp())))
        return self.http.post(f"/v1/hooks/whatsapp/{id_}", content=body, headers=meta(body, secret)).status_code

    def away(self, for_: timedelta) -> None:
        """Move the clock without a server, then report one."""
        self.now += for_
        self.engine.coverage.here()

    def pass_(self, for_: timedelta) -> None:
        """Move the clock with a server that reports itself."""
        end = self.now + for_
        while self.now < end:
            self.now = min(self.now + ABSENT, end)
            self.engine.coverage.here()

    def gaps(self, id_: str) -> list[tuple[str, str, str]]:
        """Return the open gaps of an integration: from, to, reason."""
        (row,) = self.engine.coverage.of("acme", integration=id_).rows
        return [(f"{gap.from_:%d %H:%M}", f"{gap.to:%d %H:%M}", gap.reason.value) for gap in row.gaps]

    def complete(self) -> bool:
        """Whether today's messages are complete."""
        answer = self.engine.query("acme", metrics=["messages"], start="2026-08-20", end="2026-08-21")
        return bool(answer["freshness"]["complete"])

    def run(self, answer: Any) -> Service:
        """Run a service until the test ends."""
        return self.stack.enter_context(service(answer))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Open a server in a fresh folder."""
    with ExitStack() as stack:
        yield Place(tmp_path / "data", stack)


def test_an_outage_is_noticed_after_the_clock_went_back(place: Place) -> None:
    """After the clock went back by 23 hours with the server up, a later outage is a gap."""
    phone = place.phone()
    place.now -= timedelta(hours=23)
    place.engine.coverage.here()
    assert place.gaps(phone) == []
    begun = place.now
    place.away(timedelta(hours=2))
    assert place.gaps(phone) == [(f"{begun:%d %H:%M}", f"{place.now:%d %H:%M}", "down")]


def test_a_time_without_a_server_is_a_gap_of_each_source_that_sends(place: Place) -> None:
    """Two hours without a server are a gap of each source that sent before, with source and reason in the answer.

    A pause of seconds is no gap, and a source that never sent has none.
    """
    phone, unused = place.phone(), place.connect("whatsapp", secrets=META)
    place.away(timedelta(seconds=25))
    assert place.gaps(phone) == [] and place.complete()
    begun = place.now
    place.away(timedelta(hours=2))
    assert place.gaps(phone) == [(f"{begun:%d %H:%M}", f"{place.now:%d %H:%M}", "down")]
    assert place.gaps(unused) == []
    answer = place.engine.query("acme", metrics=["messages"], start="2026-08-20", end="2026-08-21")
    (gap,) = answer["freshness"]["gaps"]
    assert (answer["freshness"]["complete"], gap["source"], gap["reason"]) == (False, "whatsapp", "down")
    assert gap["message"] == "no server was running" and "sends refused bodies again" in gap["action"]


def test_a_gap_shorter_than_the_retries_of_its_service_closes_by_itself(place: Place) -> None:
    """A WhatsApp gap closes once its seven days of retries are over; Twilio does not retry, and its gap stays."""
    phone = place.phone()
    sms = place.connect("twilio", secrets={"auth_token": SECRET})
    place.engine.delivered.note(_taken(sms))
    place.away(timedelta(hours=2))
    place.now += timedelta(days=6)
    assert place.engine.coverage.watch().closed == 0
    place.now += timedelta(days=2)
    assert place.engine.coverage.watch() == Watched(0, 1)
    assert (place.gaps(phone), [why for _, _, why in place.gaps(sms)]) == ([], ["down"])


def test_unverified_bodies_are_a_gap_until_one_is_verified(place: Place) -> None:
    """Minutes with bodies that failed verification are a gap with an action; a body without a signature is none.

    The gap closes after the retries are over and a body was accepted.
    """
    phone = place.phone()
    place.pass_(timedelta(minutes=5))
    stranger = place.http.post(f"/v1/hooks/whatsapp/{phone}", content=b"{}")
    place.engine.coverage.here()
    assert stranger.status_code == 401 and place.gaps(phone) == []
    assert place.message(phone, "lost", "another") == 401
    place.engine.coverage.here()
    assert place.gaps(phone) == [("20 10:04", "20 10:06", "unverified")] and not place.complete()
    (row,) = place.engine.coverage.of("acme", integration=phone).rows
    assert "rotate" in str(row.gaps[0].action)
    place.now += timedelta(days=8)
    assert place.engine.coverage.watch().closed == 0
    assert place.message(phone, "again") == 200
    assert place.engine.coverage.watch().closed == 1
    assert place.gaps(phone) == []


def test_a_person_closes_the_gap_of_a_source_that_does_not_retry(place: Place) -> None:
    """A person can close the gap of a source that does not retry, and of that source alone."""
    sms, phone = place.connect("twilio", secrets={"auth_token": SECRET}), place.phone()
    place.http.post(f"/v1/hooks/twilio/{sms}", content=b"a=b", headers={"X-Twilio-Signature": "forged"})
    assert place.message(phone, "lost", "another") == 401
    place.engine.coverage.here()
    (row,) = place.engine.coverage.of("acme", integration=sms).rows
    assert "close-gaps" in str(row.gaps[0].action)
    assert place.engine.coverage.close("acme", sms).closed == 1
    assert (place.gaps(sms), len(place.gaps(phone))) == ([], 1)
    place.engine.coverage.here()
    assert place.gaps(sms) == []


def test_setup_names_a_body_whose_events_were_rejected(place: Place) -> None:
    """If the events of a verified body were rejected, setup says why and where they are."""
    phone = place.connect("whatsapp", secrets=META)
    body = whatsapp(text("old", 1_500_000_000))
    assert place.http.post(f"/v1/hooks/whatsapp/{phone}", content=body, headers=meta(body)).status_code == 200
    found = place.engine.integrations.setup("acme", phone)
    assert (found.state, "too_old" in found.reason, "refused records" in found.reason) == ("refused", True, True)


def test_bodies_refused_during_a_pause_are_a_gap(place: Place) -> None:
    """Bodies refused during a pause are a gap with that reason."""
    phone = place.phone()
    place.pass_(timedelta(minutes=5))
    place.engine.integrations.pause("acme", phone)
    assert place.message(phone, "refused") == 503
    place.engine.coverage.here()
    assert [why for _, _, why in place.gaps(phone)] == ["paused"]


def test_a_gap_is_read_again_through_the_api(place: Place) -> None:
    """A gap of Slack is reconciled through its API once, with replies to older threads, and closed.

    If a channel or the token fails, the gap stays.
    """
    began = place.now.timestamp()
    root = {"ts": f"{began - 7200:.6f}", "user": "U1", "thread_ts": f"{began - 7200:.6f}", "reply_count": 1}
    reply = {"ts": f"{began + 1800:.6f}", "user": "U2", "thread_ts": root["ts"], "parent_user_id": "U1"}
    talk = Workspace({"a": [{**root, "latest_reply": reply["ts"]}, reply, {"ts": f"{began + 600:.6f}", "user": "U3"}]})
    there = place.run(talk)
    settings = {"base_url": there.url}
    id_ = place.connect("slack", secrets={"signing_secret": SECRET, "token": TOKEN}, settings=settings)
    place.engine.delivered.note(_taken(id_, "slack"))
    place.away(timedelta(hours=1))
    assert [why for _, _, why in place.gaps(id_)] == ["down"]
    assert [one.integration_id for one in place.engine.fetching.lacking()] == [id_]
    there.answer = lambda call: (
        Reply({"ok": False, "error": "not_in_channel"}) if call.path.endswith("history") else talk(call)
    )
    assert place.engine.fetching.reconcile("acme", id_).closed == 0
    there.answer = lambda _: Reply({"ok": False, "error": "invalid_auth"})
    with pytest.raises(UpstreamRefusedError):
        place.engine.fetching.reconcile("acme", id_)
    place.engine.integrations.rotate("acme", id_, TOKEN)
    there.answer = talk
    done = place.engine.fetching.reconcile("acme", id_)
    assert (done.closed, done.stored) == (1, 3)
    assert place.engine.fetching.reconcile("acme", id_).closed == 0
    assert place.gaps(id_) == [] and place.engine.fetching.lacking() == []


def test_the_hourly_job_starts_one_reconcile_per_integration_with_a_gap(place: Place) -> None:
    """The hourly job starts one reconcile per integration with a gap and an API, and none beside a running one."""
    phone = place.phone()
    talk = place.run(Workspace({"a": []}))
    id_ = place.connect("slack", secrets={"signing_secret": SECRET, "token": TOKEN}, settings={"base_url": talk.url})
    place.engine.delivered.note(_taken(id_, "slack"))
    place.away(timedelta(hours=1))
    started: list[tuple[str, Any]] = []

    class Task:
        """A stand-in for a running job."""

        id, tenant = "1", None

        def busy(self, prefix: str) -> bool:
            """Whether a job with this prefix was started."""
            return any(job.startswith(prefix) for job, _ in started)

        def start(self, queue: str, payload: Any, *, job_id: str, tenant: str | None = None) -> str:
            """Record the started job."""
            started.append((job_id, payload))
            return job_id

    task: Any = Task()
    assert place.engine.workflows.watch_sources(task, Payload())["reconciling"] == 1
    assert place.engine.workflows.watch_sources(task, Payload())["reconciling"] == 0
    assert [payload for _, payload in started] == [{"integration_id": id_}]
    with pytest.raises(BadInputError):
        place.engine.fetching.reconcile("acme", phone)


def test_a_gap_that_was_closed_is_not_opened_again(place: Place) -> None:
    """A gap within a closed range is not opened again; a longer one is."""
    one = place.engine.integration_store.get("acme", place.phone())
    ledger, start = place.engine.ledger, place.now
    ledger.note(one, start, start + 5 * MINUTE, Reason.SILENT)
    ledger.close(one, start, start + 5 * MINUTE, 0)
    ledger.note(one, start, start + 5 * MINUTE, Reason.SILENT)
    ledger.note(one, start + MINUTE, start + 2 * MINUTE, Reason.SILENT)
    assert ledger.lacking(one) == []
    ledger.note(one, start, start + 6 * MINUTE, Reason.SILENT)
    assert len(ledger.lacking(one)) == 1


def test_a_quiet_day_of_a_source_that_sends_is_unknown(place: Place) -> None:
    """A day with events is partial with its count; a day without any is missing or unknown, never 0."""
    phone = place.phone()
    place.now += timedelta(days=2)
    place.engine.coverage.here()
    assert place.message(phone, "later") == 200
    place.now += timedelta(days=1)
    (row,) = place.engine.coverage.of("acme", "2026-08-19", "2026-08-25", integration=phone).rows
    assert [(f"{day.date:%d}", day.state, day.found) for day in row.days] == [
        ("19", "before", None), ("20", "partial", 1), ("21", "missing", None), ("22", "partial", 1), ("23", "not_over", None),
        ("24", "not_over", None),
    ]  # fmt: skip
    place.engine.integrations.remove("acme", phone)
    quiet = place.phone()
    place.pass_(timedelta(hours=40))
    (row,) = place.engine.coverage.of("acme", "2026-08-23", "2026-08-26", integration=quiet).rows
    assert [(day.state, day.found, day.message) for day in row.days][1:2] == [
        ("unknown", None, "nothing arrived, and nothing shows whether anything was sent")
    ]


def test_late_events_end_a_silence(place: Place) -> None:
    """A silence closes when its events arrive late."""
    bot = place.connect("telegram", settings={"bot_id": "1"}, secrets={"secret_token": "x" * 20})

    def said(hours: range) -> None:
        place.engine.record("acme", [
            {"type": "message.received", "time": (place.now - timedelta(hours=hour, minutes=n * 6)).isoformat(),
             "id": f"{hour}-{n}", "source": "telegram", "channel": "telegram"}
            for hour in hours for n in range(1, 10)
        ], history=True)  # fmt: skip

    place.now = datetime(2026, 8, 22, 12, tzinfo=UTC)
    said(range(8, 21 * 24))
    said(range(4))
    assert place.engine.coverage.watch() == Watched(1, 0)
    assert [why for _, _, why in place.gaps(bot)] == ["silent"]
    said(range(4, 8))
    assert place.engine.coverage.watch() == Watched(0, 1)
    assert place.gaps(bot) == []


def _taken(id_: str, origin: str = "twilio") -> Delivery:
    return Delivery(200, "accepted", id_[-KEY_LENGTH:], "acme", accepted=1, origin=origin)


def test_a_minute_that_slack_omitted_is_one_gap(place: Place) -> None:
    """A minute that Slack reports as rate-limited is one gap with that reason."""
    id_ = place.connect("slack", secrets={"signing_secret": SECRET})
    body = json.dumps({"type": "app_rate_limited", "minute_rate_limited": int(place.now.timestamp())}).encode()
    stamp = str(int(place.now.timestamp()))
    sent = place.http.post(f"/v1/hooks/slack/{id_}", content=body, headers=slack(body, stamp=stamp))
    assert sent.status_code == 200
    (row,) = place.engine.coverage.of("acme", integration=id_).rows
    assert [(gap.reason, gap.message) for gap in row.gaps] == [
        (Reason.RATE_LIMITED, "the service left deliveries out: too many at once")
    ]
