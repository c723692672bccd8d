"""The pages, in the order of the navigation. A new page is a file with a `PAGE`, and a name here."""

from __future__ import annotations

from hubbub.pages import contacts, explain, live, messages, overview, satisfaction, speed, team
from hubbub.pages.parts import Page

TENANT: dict[str, Page] = {
    page.name: page
    for page in (
        overview.PAGE, live.PAGE, speed.PAGE, satisfaction.PAGE, team.PAGE, messages.PAGE, contacts.PAGE, explain.PAGE,
    )
}  # fmt: skip
"""Pages of one tenant, under `/t/<tenant>/<name>`."""

OPERATOR: dict[str, Page] = {}
"""Pages about the whole installation, under `/operate/<name>`."""
