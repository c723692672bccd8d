"""The pages of numbers, in the order of the navigation: for viewers and shared links."""

from __future__ import annotations

from hubbub.dashboard import ai, contacts, live, messages, overview, posts, satisfaction, speed, team, topics
from hubbub.dashboard.components import Page

NUMBERS: dict[str, Page] = {
    page.name: page
    for page in (
        overview.PAGE, live.PAGE, speed.PAGE, topics.PAGE, satisfaction.PAGE,
        team.PAGE, ai.PAGE, messages.PAGE, posts.PAGE, contacts.PAGE,
    )
}  # fmt: skip
FIRST = overview.PAGE.name
"""The first page."""
