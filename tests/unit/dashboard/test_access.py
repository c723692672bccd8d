"""Access to pages: sessions, roles, shared links, forms from other sites, and the headers of every page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from hubbub.dashboard.people import COOKIE
from hubbub.dashboard.person import Role
from hubbub.dashboard.registry import OPERATOR, TENANT
from tests.unit.dashboard.conftest import ORIGIN, Pages
from tests.unit.dashboard.visiting import visiting

ROLES = ("viewer", "analyst", "admin", "operator")


def everything(tenant: str) -> list[tuple[str, Role]]:
    """Return every address of a tenant's or operator's page and part, with the least role that may see it."""
    found = [(f"/t/{tenant}/{page.name}", page.role) for page in TENANT.values()]
    found += [
        (f"/t/{tenant}/{page.name}/{one.name}", max(page.role, one.role))
        for page in TENANT.values()
        for one in page.widgets
    ]
    found += [(f"/operate/{page.name}", Role.OPERATOR) for page in OPERATOR.values()]
    found += [(f"/operate/{page.name}/{one.name}", Role.OPERATOR) for page in OPERATOR.values() for one in page.widgets]
    return found


def test_nobody_sees_anything_without_signing_in(pages: Pages) -> None:
    """Every address redirects to the sign-in page without a session, and back after signing in."""
    http = pages.window()
    for path, _ in everything("a"):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/sign-in?next={quote(path + '?', safe='')}",
        ), path
    assert http.get("/").status_code == 303


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_its_own_and_no_more(pages: Pages, role: str) -> None:
    """A role gets each page and part that it may see, and 404 for all others."""
    mine = Role(ROLES.index(role) + 1)
    http = pages.sign_in(role, None if role == "operator" else "a")
    for path, least in everything("a"):
        answer = http.get(path, params={"metric": "messages"})
        assert (answer.status_code == 404) == (mine < least), (path, answer.status_code)
        assert answer.status_code < 500, path


def test_another_tenant_is_answered_as_unknown(pages: Pages) -> None:
    """For every address of another tenant, an admin gets the answer for an unknown tenant."""
    http = pages.sign_in("admin", "a")
    for path, _ in everything("b"):
        mine, none = http.get(path), http.get(path.replace("/t/b/", "/t/nobody/"))
        assert mine.status_code == none.status_code == 404, path
        assert mine.text == none.text.replace("nobody", "b"), path
        assert "only-b" not in mine.text and "Tenant b" not in mine.text
    assert "only-b" not in http.get("/t/a/overview").text


def test_a_link_signs_in_once(pages: Pages) -> None:
    """A token works once, and only from a form of our own page; opening the address does not use it up."""
    http = pages.window()
    path = pages.engine.access.sign_in_link("a", "viewer").path
    token = path.partition("token=")[2]
    assert token in http.get(path).text and token in http.get(path).text
    assert (
        http.post("/sign-in", data={"token": token}, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    )
    assert http.post("/sign-in", data={"token": token}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    first = http.post("/sign-in", data={"token": token, "next": "//elsewhere.example"}, headers={"Origin": ORIGIN})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    again = pages.window().post("/sign-in", data={"token": token}, headers={"Origin": ORIGIN})
    assert again.status_code == 403 and "<h1>This link does not work</h1>" in again.text and "used" in again.text


def test_signing_out_ends_the_session(pages: Pages) -> None:
    """After signing out the cookie is invalid; only a form of the session's own pages signs out."""
    http = pages.sign_in("viewer", "a")
    cookie = http.cookies[COOKIE]
    assert http.post("/sign-out", data={"form": "x"}, headers={"Origin": ORIGIN}).status_code == 403
    text = http.get("/t/a/overview").text
    form = text.partition('name="form" value="')[2].partition('"')[0]
    assert http.post("/sign-out", data={"form": form}, headers={"Origin": ORIGIN}).status_code == 303
    http.cookies.set(COOKIE, cookie)
    assert http.get("/t/a/overview").status_code == 303


def test_a_shared_link_holds_its_view_fast(pages: Pages) -> None:
    """A shared link keeps its days and filters whatever the address says, without rows or other pages, and ends when revoked."""
    shared = pages.engine.access.share_link("a", "from=2026-08-19&to=2026-08-20&channel=only-a", "for the board")
    http = pages.window()
    home = http.get(shared.path)
    assert home.status_code == 303
    page = http.get(home.headers["location"], params={"range": "today", "channel": "other"})
    assert page.status_code == 200 and "19 Aug 2026" in page.text
    card = page.text.partition('data-number="messages"')[2]
    assert card.startswith(' data-value="1"')
    assert http.get(f"{shared.path}/explain/events", params={"metric": "messages"}).status_code == 404
    assert http.get("/t/a/overview").status_code == 303
    pages.engine.access.revoke_link(shared.id, "a")
    assert http.get(home.headers["location"]).status_code == 404


def test_links_of_another_tenant_cannot_be_revoked(pages: Pages) -> None:
    """A tenant cannot revoke another tenant's link."""
    shared = pages.engine.access.share_link("a", "range=7d")
    with pytest.raises(Exception, match="no such link"):
        pages.engine.access.revoke_link(shared.id, "b")
    assert pages.engine.access.links("a").rows[0].revoked_at is None and pages.engine.access.links("b").rows == []


def test_every_page_forbids_framing_caching_and_foreign_scripts(pages: Pages) -> None:
    """No page, part or file can be framed, cached, or run a script from elsewhere; nor can errors and the sign-in page."""
    http = pages.sign_in()
    for path in ("/t/a/overview", "/t/a/overview/cards", "/t/a/overview/cards.csv", "/sign-in", "/t/nobody/overview"):
        headers = http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy and headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-store"


def test_an_invalid_address_is_an_error_page(pages: Pages) -> None:
    """A bad range gets an error page with 400; a bad metric is an error inside its part."""
    http = pages.sign_in()
    answer = http.get("/t/a/overview?range=ever")
    assert answer.status_code == 400 and "Range &#39;ever&#39;" in answer.text
    part = http.get("/t/a/explain/number?metric=nonsense")
    assert part.status_code == 200 and "failed" in part.text


def test_static_files_are_cached_for_ever_and_compressed(pages: Pages) -> None:
    """A style sheet's address is cached for ever, its content is compressed, and an unknown file gets 404."""
    http = pages.sign_in()
    address = http.get("/t/a/overview").text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = http.get(address)
    assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip" and answer.headers["content-type"].startswith("text/css")
    assert http.get("/static/nothing.css").status_code == 404


def test_numbers_include_an_event_before_it_is_folded(tmp_path: Path) -> None:
    """Numbers include an acknowledged event before anything was folded."""
    with visiting(tmp_path / "data") as visitor:
        visitor.engine.add_tenant("new")
        visitor.engine.record(
            "new", {"type": "message.received", "time": visitor.engine.clock().isoformat(), "channel": "web"}
        )
        assert 'data-number="messages" data-value="1"' in visitor.page("/t/new/overview")
