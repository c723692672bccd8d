"""Refused bodies: whether what a service sent, and was not taken, is missing.

A body that says nothing of a signature is not the service's, and one that cannot be read would be none the better for being sent
again: neither is missing. Events of a body that were refused wait in quarantine.
"""

from __future__ import annotations

from hubbub.model.coverage import Reason


def why_missing(status: int, outcome: str, reason: str) -> Reason | None:
    """Return why a body is missing that was answered with a status; None for one that is not.

    `outcome` and `reason` are those of the delivery log.
    """
    if outcome == "forged":
        return None if reason == "no_signature" else Reason.UNVERIFIED
    if outcome == "integration_paused":
        return Reason.PAUSED
    return Reason.NOT_TAKEN if status in (413, 429) or status >= 500 else None
