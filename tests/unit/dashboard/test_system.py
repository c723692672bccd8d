"""The system page: the doctor's checks with advice, this process, and settings without secrets."""

from __future__ import annotations

from pathlib import Path

from hubbub.settings import masked
from tests.unit.dashboard.visiting import Visitor, visiting

ON = "/operate/system"


def test_checks_are_the_doctors(visitor: Visitor) -> None:
    """Every check of the doctor is shown with its result and advice."""
    visitor.engine.record("acme", {"type": "nothing"})
    visitor.engine.refresh()
    text = visitor.see(f"{ON}/checks")
    for row in visitor.engine.doctor()["rows"]:
        assert row["check"] in text and row["advice"] in text
        assert row["found"] in text or row["check"] == "disk", "free space is another one by now"
    assert "correct the sender" in text and "need attention" in text


def test_the_page_shows_versions_and_folder(visitor: Visitor) -> None:
    """The page shows the versions and the folder of the operation's answer."""
    told = visitor.engine.monitoring.system()
    text = visitor.see(ON)
    assert told.versions["sqlalchemy"] in text and told.folder.path in text
    assert told.folder.bytes > 0 and told.process.memory > 1 << 20 and told.process.seconds >= 0


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Neither the AI endpoint's key, nor the secret key, nor a password in a URL is on the page."""
    control = f"sqlite:///{tmp_path / 'control.db'}?password=canary-four"
    ai = {"key": "canary-one", "url": "http://user:canary-two@127.0.0.1:9/v1"}
    with visiting(
        tmp_path / "data", ai=ai, secret_key="c0ffee" + "0" * 58, schedules={"retention": "0 5 * * *"}
    ) as visitor:
        text = visitor.page(ON) + visitor.page(f"{ON}/settings.csv")
        assert "canary" not in text and "c0ffee" not in text
        assert "ai.url" in text and "http://user:***@127.0.0.1:9/v1" in text and "0 5 * * *" in text
    assert "canary" not in masked(control) and "canary" not in masked("redis://:canary@host/0")


def test_only_operators_see_the_page(visitor: Visitor) -> None:
    """A tenant's admin gets 404."""
    visitor.enter("acme", "admin")
    visitor.see(ON, 404)
