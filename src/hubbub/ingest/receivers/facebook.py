"""The feed of a Facebook page: comments, reactions and posts as they happen; the connector fetches the counters."""

from __future__ import annotations

from typing import ClassVar

from hubbub.ingest.receivers.base import Delivery, Options, Received, Setup
from hubbub.ingest.receivers.messenger import read_page
from hubbub.ingest.receivers.meta import APP, CALLBACK, RETRIES, SECRETS, Meta


class FacebookFeed(Meta):
    """The feed of a Facebook page."""

    provider: ClassVar[str] = "facebook_page"
    setup: ClassVar[Setup] = Setup(
        "Facebook page",
        (
            APP,
            CALLBACK.replace("{product}", "Webhooks, Page"),
            "Subscribe to the field feed, and subscribe the page to the app.",
            "Comment on a post of the page.",
        ),
        SECRETS,
        scopes=("pages_manage_metadata", "pages_read_engagement", "pages_read_user_content"),
        retries=RETRIES,
    )

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read every entry of a body."""
        return read_page(delivery, options)
