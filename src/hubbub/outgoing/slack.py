"""Constants of Slack's Web API: its address, and the errors of a dead token. Calls: `slack_client.py`."""

from __future__ import annotations

BASE_URL = "https://slack.com/api/"

DEAD_TOKEN = frozenset({
    "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "team_access_not_granted", "missing_scope",
})  # fmt: skip
"""Errors that every call with the token has from then on."""
