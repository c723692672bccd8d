"""Access links and sessions: lists hold no token, last use is stored sparingly, and revoking a link ends its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from hubbub.control import access as module
from hubbub.control.access import SEEN_SECONDS, Access
from hubbub.control.control import Control
from hubbub.control.database import Database, now
from hubbub.errors import NotFoundError, UnauthenticatedError

EARLIER = (
    "CREATE TABLE access_links (id VARCHAR(16) NOT NULL PRIMARY KEY, digest VARCHAR(64) NOT NULL UNIQUE, "
    "kind VARCHAR(10) NOT NULL, role VARCHAR(10) NOT NULL, tenant VARCHAR(63) REFERENCES tenants (id), "
    "label VARCHAR(200) NOT NULL, view TEXT NOT NULL, created_at TIMESTAMP NOT NULL, "
    "expires_at TIMESTAMP NOT NULL, used_at TIMESTAMP, revoked_at TIMESTAMP)",
    "CREATE TABLE access_sessions (digest VARCHAR(64) NOT NULL PRIMARY KEY, role VARCHAR(10) NOT NULL, "
    "tenant VARCHAR(63) REFERENCES tenants (id), label VARCHAR(200) NOT NULL, created_at TIMESTAMP NOT NULL, "
    "expires_at TIMESTAMP NOT NULL)",
)
"""The tables of an earlier version, in which links had no page and sessions no link."""


@pytest.fixture
def access(tmp_path: Path, jobs_url: str) -> Iterator[Access]:
    """Open access data with the tenants `a` and `b`, on each kind of database."""
    database = Database(jobs_url)
    control = Control(database, tmp_path)
    for tenant in ("a", "b"):
        control.add_tenant(tenant)
    yield Access(database, control)
    database.close()


def come_in(access: Access, tenant: str | None, label: str, role: str = "viewer") -> str:
    """Sign in, and return the session's token."""
    return access.enter(access.invite(role, tenant, label)[1])[1]


def test_links_and_sessions_of_an_earlier_version_still_work(tmp_path: Path, jobs_url: str) -> None:
    """Links and sessions in an earlier version's tables still work; its sessions are listed, used and ended."""
    database = Database(jobs_url)
    control = Control(database, tmp_path)
    control.add_tenant("a")
    moment, end = now(), now() + timedelta(days=9)
    with database.write() as con:
        for table in EARLIER:
            con.exec_driver_sql(table)
        row = {"at": moment, "end": end, "link": control.digest("shared"), "session": control.digest("inside")}
        con.execute(
            sa.text(
                "INSERT INTO access_links VALUES ('1', :link, 'share', 'viewer', 'a', '', 'range=7d', :at, :end, NULL, NULL)"
            ),
            row,
        )
        con.execute(sa.text("INSERT INTO access_sessions VALUES (:session, 'admin', 'a', 'Ada', :at, :end)"), row)
    access = Access(database, control)
    old = access.shared("shared")
    assert (old.page, old.alone, old.view) == ("overview", False, "range=7d")
    (one,) = access.sessions("a")
    assert (one.label, one.link, one.seen_at) == ("Ada", None, None)
    assert access.session("inside").role == "admin" and access.sessions("a")[0].seen_at is not None
    assert access.share("a", "range=7d", "", 60, "speed", alone=True)[0].page == "speed"
    assert Access(database, control).end(one.id, "a").label == "Ada" and access.sessions("a") == []
    database.close()


def test_the_last_use_of_a_session_is_stored_every_five_minutes(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session's last use is stored at most every `SEEN_SECONDS`; uses in between write nothing."""
    token, begun = come_in(access, "a", "Ada"), now()

    def seen_after(seconds: float) -> datetime | None:
        monkeypatch.setattr(module, "now", lambda: begun + timedelta(seconds=seconds))
        access.session(token)
        return access.sessions("a")[0].seen_at

    first = seen_after(SEEN_SECONDS / 2)
    assert first is not None and first <= begun
    assert seen_after(SEEN_SECONDS - 1) == first
    assert seen_after(SEEN_SECONDS + 1) == begun + timedelta(seconds=SEEN_SECONDS + 1)
    assert seen_after(2 * SEEN_SECONDS) == begun + timedelta(seconds=SEEN_SECONDS + 1)


def test_a_listed_session_does_not_sign_in(access: Access) -> None:
    """A session's listed row holds no token, and its id, digest and link do not sign in."""
    token = come_in(access, "a", "Ada")
    (one,) = access.sessions("a")
    assert access.session(token).id == one.id and token not in str(asdict(one))
    for told in (one.id, one.digest, str(one.link)):
        with pytest.raises(UnauthenticatedError):
            access.session(told)
        with pytest.raises(UnauthenticatedError):
            access.enter(told)


def test_sessions_of_another_tenant_are_unknown(access: Access) -> None:
    """Another tenant's session gets the error of an unknown one; `end_all` ends no session of other tenants or operators."""
    mine, theirs, ours = come_in(access, "a", "A"), come_in(access, "b", "B"), come_in(access, None, "", "operator")
    other = access.session(theirs).id
    for tenant in ("a", None):
        with pytest.raises(NotFoundError) as wrong:
            access.end(other, tenant)
        with pytest.raises(NotFoundError) as missing:
            access.end("0" * len(other), tenant)
        assert wrong.value.message == missing.value.message
    come_in(access, "a", "A too")
    assert access.end_all("a", access.session(mine).id) == 1
    assert [[one.label for one in access.sessions(tenant)] for tenant in ("a", "b", None)] == [["A"], ["B"], [""]]
    assert access.end_all("a") == 1 and access.session(theirs).tenant == "b" and access.session(ours).tenant is None
    with pytest.raises(UnauthenticatedError):
        access.session(mine)
    with pytest.raises(NotFoundError):
        access.end_all("nobody")


def test_revoking_a_link_ends_its_sessions(access: Access) -> None:
    """Revoking a link ends the sessions that began with it; sessions of another link go on."""
    link, token = access.invite("viewer", "a", "Ada")
    inside, other = access.enter(token)[1], come_in(access, "a", "Ben")
    assert access.session(inside).link == link.id
    access.revoke(link.id, "a")
    with pytest.raises(UnauthenticatedError):
        access.session(inside)
    assert access.session(other).label == "Ben"
