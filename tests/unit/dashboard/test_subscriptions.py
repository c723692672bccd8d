"""The page Digests: admins add, stop and remove digests, and analysts see them."""

from __future__ import annotations

import re

from tests.unit.dashboard.visiting import XSS, Visitor

PAGE = "/t/acme/subscriptions"


def test_without_a_destination_the_page_says_where_one_is_added(visitor: Visitor) -> None:
    """Without a destination there is no form, and the page names the next step."""
    shown = visitor.see(PAGE)
    assert "Nobody gets a digest yet. It needs a destination first. Add a destination" in shown
    assert re.search(r'<a href="/t/acme/alerts\?[^"]*">Add a destination</a>', visitor.page(PAGE))
    assert f'action="{PAGE}/add' not in visitor.page(PAGE)
    assert "<h1>Digests</h1>" in visitor.page(PAGE) and "Subscription" not in shown


def test_a_digest_is_added_stopped_and_removed(visitor: Visitor) -> None:
    """The form's values are stored, names are escaped, and the buttons stop and remove the digest."""
    to = visitor.engine.destinations.add("acme", "mail", "marta@acme.example", f"Marta {XSS}").id
    form = {
        "kind": "weekly",
        "destination": to,
        "at": "06:30",
        "zone": "Asia/Tokyo",
        "wait_hours": "6",
        "files": "xlsx, csv",
    }
    assert "06:30 (Asia/Tokyo)" in visitor.act(f"{PAGE}/add", PAGE, status=200, **form).text
    (kept,) = visitor.engine.subscriptions.of("acme").rows
    assert (kept.kind, kept.destination, kept.at, kept.zone, kept.wait_hours) == (
        "weekly",
        to,
        "06:30",
        "Asia/Tokyo",
        6,
    )
    assert set(kept.formats) == {"xlsx", "csv"}
    page = visitor.page(PAGE)
    assert XSS not in page and "Marta" in page
    visitor.act(f"{PAGE}/stop", PAGE, subscription=kept.id)
    assert visitor.engine.subscriptions.of("acme").rows[0].state == "stopped"
    assert f'action="{PAGE}/stop' not in visitor.page(PAGE)
    visitor.act(f"{PAGE}/remove", PAGE, subscription=kept.id)
    assert visitor.engine.subscriptions.of("acme").rows == []


def test_an_invalid_digest_is_refused_with_its_reason(visitor: Visitor) -> None:
    """A wrong number of hours, zone, time or format is refused with its reason, and nothing is stored."""
    to = visitor.engine.destinations.add("acme", "mail", "marta@acme.example").id
    good = {"kind": "daily", "destination": to, "at": "07:00", "zone": "UTC", "wait_hours": "4"}
    for wrong, said in (
        ({"wait_hours": "four"}, "is not a number of hours"), ({"wait_hours": "99"}, "wait_hours"),
        ({"zone": "Mars/Base"}, "not an IANA time zone"), ({"at": "25:00"}, "at"), ({"files": "docx"}, "docx"),
    ):  # fmt: skip
        assert said in visitor.act(f"{PAGE}/add", PAGE, status=400, **{**good, **wrong}).text, wrong
    assert visitor.engine.subscriptions.of("acme").rows == []


def test_viewers_do_not_see_digests_and_analysts_cannot_change_them(visitor: Visitor) -> None:
    """Viewers get 404; analysts see digests, but have no buttons and are refused."""
    to = visitor.engine.destinations.add("acme", "mail", "marta@acme.example").id
    kept = visitor.engine.subscriptions.add("acme", to, "daily")
    visitor.enter("acme", "viewer")
    visitor.see(PAGE, 404)
    visitor.enter("acme", "analyst")
    assert "daily" in visitor.see(PAGE)
    assert f'action="{PAGE}/stop' not in visitor.page(PAGE)
    visitor.act(f"{PAGE}/remove", PAGE, status=403, subscription=kept.id)
    assert [row.id for row in visitor.engine.subscriptions.of("acme").rows] == [kept.id]
